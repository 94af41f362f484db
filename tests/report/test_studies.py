"""The pages of a comparison and of a capacity search say what their JSON says."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from aurea_engine import capacity_to_dict, compare, comparison_to_dict, encode_json, simulate, spec_from_dict
from aurea_engine.closed_sets import TrialOutcome
from aurea_engine.report.capacity_page import render_capacity
from aurea_engine.report.comparison_page import render_comparison
from aurea_engine.report.document import MOST_BYTES
from aurea_engine.results.capacity import (
    Bracket,
    CapacityAnswer,
    CapacityCost,
    CostLine,
    Trial,
    Verification,
    VerifiedObjective,
)
from aurea_engine.results.comparison import Comparison, LeftOut, Remark
from tests.report.conftest import OPEN
from tests.report.read_page import Element, look_up, read_page, read_series
from tests.report.test_hostile_text import HOSTILE


@functools.cache
def compared() -> Comparison:
    jobs = OPEN["workload"] | {"job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.065}}}
    a, b = (simulate(spec_from_dict(each)) for each in (OPEN, OPEN | {"seed": 8, "workload": jobs}))
    return compare(a, b)


def _trial(value: float | None, outcome: TrialOutcome, **more: Any) -> Trial:
    figures = {"throughput": 50.2, "p99": 0.31, "utilization": 0.8, "good_share": 0.99, "cost": Fraction(1, 3)}
    return Trial(value, 2**53 + 1, 20_000, "bisect", outcome, (0.31,), **(figures | more))


def searched() -> CapacityAnswer:
    """By hand: a search takes seconds, and it is the page that is tested."""
    fleet = CapacityCost("fleet", "USD", "projected", Fraction(2), (Fraction(19, 10), None), Fraction(2, 5), 4, 0.16)
    per_job = CapacityCost(
        "per_job", "USD", "measured", Fraction(1, 3), (Fraction(1, 4), Fraction(1, 2)), cheapest=True
    )
    lines = [
        CostLine(name, "USD", tuple((rate, money / int(rate)) for rate in (10.0, 20.0, 40.0)))
        for name, money in (("fleet", Fraction(7)), ("per_job", Fraction(1, 3)))
    ]
    return CapacityAnswer(
        "found",
        "verified on fresh seeds",
        "rate",
        "virtual",
        ("p99 response time <= 0.5 s",),
        value=56.145,
        interval=Bracket(56.145, 57.5),
        trials=(
            _trial(None, "measured", users=4),
            _trial(33.7, "passed"),
            _trial(60.0, "failed", throughput=None),
            _trial(56.145, "limited", problem="the generator was late", cost=None),
        ),
        verification=Verification(
            56.145, "virtual", True, (1, 2), (VerifiedObjective("p99 response time <= 0.5 s", 0.44, 0.49, True),)
        ),
        costs=(fleet, per_job, replace(fleet, model="none", per_million_good=None, problem="the price is not known")),
        curves=tuple(lines),
        utilization=0.84,
    )


PAGES: dict[str, Callable[[], tuple[Element, Any]]] = {
    "comparison": lambda: (read_page(render_comparison(compared())), comparison_to_dict(compared())),
    "capacity": lambda: (read_page(render_capacity(searched())), capacity_to_dict(searched())),
}


@pytest.mark.parametrize("kind", PAGES)
def test_figures_are_those_of_the_json(kind: str) -> None:
    page, document = PAGES[kind]()
    document = json.loads(encode_json(document))
    data = page.find_all("data")
    assert len(data) > 20
    for each in data:
        known, written = look_up(document, each.attributes["data-of"]), each.attributes["value"]
        if isinstance(known, str | None):
            assert written == (known or "")
        else:
            assert type(known)(written) == known  # a seed has more digits than a float


def test_every_figure_of_a_comparison_has_a_row_and_a_dot() -> None:
    page, document = PAGES["comparison"]()
    assert [
        float(each.attributes["value"])
        for each in page.find_all("data")
        if each.attributes["data-of"].endswith("/shift")
    ] == [each["shift"] for each in document["figures"]]
    assert read_series(page.find("svg", role="img"), "shift") == [each["shift"] for each in document["figures"]]
    assert document["word"] == "worse"
    assert page.find("h1").text == "Run B is worse than run A"


def test_trials_of_a_search_in_their_order() -> None:
    page, document = PAGES["capacity"]()
    chart = page.find("figure", id="trial-chart").find("svg", role="img")
    tried = [each["value"] for each in document["trials"] if each["value"] is not None]
    assert read_series(chart, "values") == tried
    assert len(chart.find_all("circle")) == len(tried)
    held = [each for each in document["trials"] if each["passed"] and each["value"] is not None]
    assert len(chart.find_all("circle", class_="met")) == len(held)
    assert page.find("h1").text.endswith("jobs/s")
    prices = page.find("figure", id="price-chart").find("svg", role="img")
    for at, line in enumerate(document["curves"]):
        assert read_series(prices, f"model-{at}") == [float(each["per_million_good"]) for each in line["points"]]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text(text: str) -> None:
    comparison = replace(
        compared(),
        names=(text, text),
        reasons=(Remark("other_clock", text),),
        left_out=(LeftOut("failure_ratio", text),),
        comparable=False,
    )
    cost = CapacityCost(text, "USD", "measured", Fraction(1, 3), problem=text)
    trials = (replace(searched().trials[0], problem=text),)
    answer = replace(searched(), reason=text, objectives=(text,), costs=(cost,), trials=trials)
    for page in (render_comparison(comparison), render_capacity(answer)):
        read_page(page)
        assert all(each.isprintable() or each == "\n" for each in page)


def test_an_answer_without_a_value() -> None:
    answer = replace(
        searched(),
        status="infeasible",
        reason="they fail at 1/s",
        value=None,
        trials=(),
        costs=(),
        curves=(),
        verification=None,
    )
    page = read_page(render_capacity(answer))
    assert page.find("h1").text == "No rate was found"
    assert not page.find_all("figure")


def test_a_search_of_many_trials_is_not_a_large_page() -> None:
    answer = replace(searched(), trials=searched().trials[:1] * 3000)
    assert len(render_capacity(answer).encode()) <= MOST_BYTES
