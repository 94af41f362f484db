"""Results of any run, and documents that no run wrote: a report of each, or a clear refusal; never an error."""

from __future__ import annotations

import copy
import random
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.engine.conftest  # noqa: F401 - it teaches hypothesis what a specification may be
from aurea_engine import RunResult, RunSpec, SpecError, result_from_dict, simulate, spec_from_dict
from aurea_engine.report.document import MOST_BYTES
from aurea_engine.report.markdown import render_markdown
from aurea_engine.report.page import render_html
from aurea_engine.report.scales import label_amount
from tests.report.conftest import RESULTS, VIRTUAL, to_json
from tests.report.read_page import read_page, read_series

ODD = [0, -1, 1, 1e300, 1e-300, -1e300, 1e10, 2**62, None, 0.5, 3, -0.0, "x", "\u202e<b>", [], {}]


def check(result: RunResult) -> None:
    page = render_html(result)
    read_page(page)
    assert len(page.encode()) <= MOST_BYTES
    assert render_markdown(result)


@settings(max_examples=12)
@given(spec=st.from_type(RunSpec))
def test_any_run(spec: RunSpec) -> None:
    check(simulate(replace(spec, clock="virtual")))


@pytest.mark.parametrize("kind", ["everything", "without records", "mixed", "repeated"])
def test_documents_that_no_run_wrote(kind: str) -> None:
    """Numbers in one place or several are replaced by odd ones. What is read all the same has a report."""
    rng = random.Random(kind)
    document = to_json(RESULTS[kind]()) | {"jobs": [], "jobs_truncated": True}
    leaves = [path for path in _list_leaves(document, ()) if path[0] != "usage"]
    read = 0
    for _ in range(14):
        changed = copy.deepcopy(document)
        for path in rng.sample(leaves, rng.choice([1, 1, 2])):
            place: Any = changed
            for part in path[:-1]:
                place = place[part]
            place[path[-1]] = rng.choice(ODD)
        try:
            result = result_from_dict(changed, local=False, keep_unknown=True)
        except SpecError:
            continue
        check(result)
        read += 1
    assert read


def _list_leaves(value: Any, path: tuple[Any, ...]) -> Any:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _list_leaves(each, (*path, name))
    elif isinstance(value, list):
        for at, each in enumerate(value[:20]):
            yield from _list_leaves(each, (*path, at))
    else:
        yield path


def test_a_run_in_which_little_happened_for_long() -> None:
    """Its series ends with the last job, and its window a month later: the map has no more columns for that."""
    workload = {
        "job": {"kind": "sleep", "duration": 1},
        "arrivals": {"kind": "trace", "at": [0, 2, 5]},
        "duration": 2_600_000,
    }
    result = replace(simulate(spec_from_dict(VIRTUAL | {"workload": workload})), window=(0.0, 2_600_000.0))
    charts = {each.attributes["id"]: each for each in read_page(render_html(result)).find_all("figure")}
    cells = charts["heat-map"].find("svg", role="img").attributes["data-cells"].split()
    assert len(cells) < 32 * 3
    assert read_series(charts["rates"].find("svg", role="img"), "arrived")[0] == 1


@pytest.mark.parametrize("price", ["1e-6", "0.00002", "30000000"])
def test_money_has_no_powers_of_ten(price: str) -> None:
    """On the axis of cost, too, however little or much a run costs."""
    cost = {"kind": "per_job", "price": price}
    workload = {"job": {"kind": "sleep", "duration": 0.01}, "arrivals": {"kind": "constant", "rate": 10}, "jobs": 90}
    found = render_html(simulate(spec_from_dict({"workload": workload, "cost": cost, "clock": "virtual", "seed": 1})))
    page = found.partition("Specification")[0]
    assert "In USD, by the jobs that had ended." in page
    assert re.search(r">[\d.]+e[+-]\d+<", page) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (2e-5, "0.00002"), (0.25, "0.25"), (25e4, "250,000"), (1e-12, "1e-12"), (1e300, "1e+300")],
)
def test_how_amounts_are_written_on_an_axis(value: float, text: str) -> None:
    assert label_amount(value) == text
