"""Bills made of what jobs reported: rows, bytes and tokens, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import (
    CostModel,
    Job,
    JobBatch,
    Measure,
    Outcome,
    RunInfo,
    RunSpec,
    Sleep,
    SpecError,
    Workload,
    cost_from_dict,
    price,
)
from aurea_engine.costs import (
    Component,
    Composite,
    Discounts,
    Egress,
    Flat,
    JobMeter,
    Metering,
    MeterTotal,
    PerSecond,
    Price,
    Reported,
    TokenClass,
    TokenRequest,
    Tokens,
    check_cost_model,
    measure,
    reprice,
)
from aurea_engine.records.measures import Schema

ROWS = Measure("rows", "rows")
BYTES = Measure("bytes_received", "bytes")
CHAT = tuple(Measure(name, "tokens") for name in ("input_tokens", "cached_tokens", "output_tokens"))


@dataclass(frozen=True)
class PerRow(CostModel):
    """Ten lines: a price for each reported row."""

    price: Price = "0.000001"

    def components(self) -> Iterator[Component]:
        yield Component("rows", Reported("rows"), Flat(self.price), "Rows")


def jobs(outcomes: list[Outcome] | None = None, **columns: list[int]) -> JobBatch:
    """Jobs of a second each that reported ``columns``, -1 for nothing."""
    known = {each.name: each for each in (ROWS, BYTES, *CHAT)}
    measures = {known[name]: np.array(column, np.int64) for name, column in columns.items()}
    n = len(next(iter(columns.values())))
    start = np.arange(n, dtype=np.int64) * 10**9
    outcome = np.array(outcomes or [Outcome.COMPLETED] * n, np.uint8)
    return JobBatch(start, start, start, start + 10**9, outcome, measures=measures)


def bill(model: CostModel, batch: JobBatch) -> Fraction | None:
    """The total of a run of ``batch``."""
    return price(measure(batch, RunInfo(10**10), model), model).total


@given(rows=st.lists(st.integers(-1, 2**62), min_size=1, max_size=20))
def test_reported_rows_are_billed_exactly(rows: list[int]) -> None:
    """A Python sum of what was reported is the oracle, also far beyond int64; nothing reported is nothing billed."""
    assert bill(PerRow("0.000001"), jobs(rows=rows)) == Fraction(sum(max(n, 0) for n in rows), 10**6)


def test_only_billed_outcomes_pay_for_rows() -> None:
    """As everywhere: a model names the outcomes that it bills."""
    batch = jobs([Outcome.COMPLETED, Outcome.FAILED], rows=[3, 4])
    quantity = Reported("rows", billed=("completed",))
    assert quantity.read(measure(batch, RunInfo(1), PerRow())) == 3
    assert Reported("rows").read(measure(batch, RunInfo(1), PerRow())) == 7


def test_scaled_measure_is_billed_in_unit() -> None:
    """1,500 thousandths are one and a half, and never 1,500."""
    thousandths = Measure("rows", "rows", 1000)
    batch = replace(jobs(rows=[0]), measures={thousandths: np.array([1500])})

    class Scaled(PerRow):
        def components(self) -> Iterator[Component]:
            yield Component("rows", Reported("rows", 1000), Flat(self.price), "Rows")

    assert bill(Scaled(1), batch) == Fraction(3, 2)
    cost = price(measure(batch, RunInfo(1), PerRow(1)), PerRow(1))
    assert cost.total is None
    assert "scale 1000" in str(cost.problem)


def test_models_of_reports_keep_the_contract() -> None:
    """The checks that every cost model must pass, with random reports."""
    words = ("input", "cached", "output")
    classes = tuple(TokenClass(word, "3", prompt=word != "output", long_price="6", measure=word) for word in words)
    check_cost_model(PerRow(), measures=(ROWS,))
    check_cost_model(Egress(price="0.09", unit="GB"), measures=(BYTES,))
    check_cost_model(Tokens(classes=classes), measures=CHAT)
    check_cost_model(Tokens(classes=classes, long_over=1000), measures=CHAT)


def test_egress_bills_received_bytes() -> None:
    """A gigabyte and a half at 9 cents; with bytes_per_job the reports do not matter."""
    batch = jobs(bytes_received=[10**9, 5 * 10**8, -1])
    assert bill(Egress(price="0.09", unit="GB"), batch) == Fraction(9, 100) * Fraction(3, 2)
    assert bill(Egress(price="0.09", unit="GB", bytes_per_job=10**9), batch) == Fraction(27, 100)


def test_tokens_bill_the_usage_of_each_job() -> None:
    """Cached tokens are taken off the input: the server counts them there too."""
    model = Tokens(
        classes=(
            TokenClass("input", "3", measure="input"),
            TokenClass("cached", "0.3", measure="cached"),
            TokenClass("output", "15", measure="output"),
        )
    )
    batch = jobs(input_tokens=[1000, 500, -1], cached_tokens=[400, -1, -1], output_tokens=[10, 20, 30])
    expected = Fraction(3 * (600 + 500)) + Fraction(3, 10) * 400 + 15 * 60
    assert bill(model, batch) == expected / 10**6


@pytest.mark.parametrize(("rule", "expected"), [("above", 1 * 2000 + 2 * 1001), ("from", 1 * 1000 + 2 * 2001)])
def test_a_long_prompt_pays_long_prices_alone(rule: Any, expected: int) -> None:
    """Decided request by request: 1,001 is long, and 1,000 is by "from" only."""
    classes = (TokenClass("input", "1", prompt=True, long_price="2", measure="input_tokens"),)
    model = Tokens(classes=classes, long_over=1000, long_rule=rule)
    assert bill(model, jobs(input_tokens=[1000, 1001, 1000 if rule == "above" else 0, 0])) is not None
    batch = jobs(input_tokens=[1000, 1001, 1000])
    assert bill(model, batch) == Fraction(expected if rule == "above" else 2 * 3001, 10**6)


def test_a_long_prompt_is_one_of_a_turn() -> None:
    """The prompts of a conversation together are not a long one, so they are billed by the turn."""
    classes = (TokenClass("input", "1", prompt=True, long_price="2", measure="input_tokens"),)
    talk, single = Schema(measures=CHAT, steps=("turn_1", "turn_2")), Schema(measures=CHAT)
    by_job, by_step = (Tokens(classes=classes, long_over=1000, per=per) for per in ("job", "step"))
    assert [each.path for each in by_job.check_measures(talk)] == ["per"]
    assert by_step.check_measures(talk) == by_job.check_measures(single) == []
    assert Tokens(classes=classes).check_measures(talk) == []


def test_tokens_are_reported_or_assumed() -> None:
    """A shape of request beside a measure would leave open which of the two is billed."""
    with pytest.raises(SpecError, match=r"classes\[0\].measure"):
        Tokens(classes=(TokenClass("in", 1, measure="input"),), requests=(TokenRequest((1,)),))
    with pytest.raises(SpecError, match=r"classes\[0\].measure"):
        Tokens(classes=(TokenClass("in", 1),))


@pytest.mark.parametrize(
    ("measures", "path", "said"),
    [
        (("input", "output"), "classes", "input leaves them out: add the measure cached (at price 0 if they are free)"),
        (("input",), "classes", "by the measure input_tokens in place of input"),
        (("input", "reasoning_tokens"), "classes", "must price cached tokens too"),
        (
            ("input_tokens", "cached"),
            "classes[1].measure",
            "tokens that input_tokens counts too: they would be billed twice",
        ),
        (("output", "reasoning_tokens"), "classes[1].measure", "tokens that output counts too"),
        (("cached", "input", "output", "input_tokens"), "classes[3].measure", "tokens that cached counts too"),
        (("output_tokens", "output"), "classes[1].measure", "tokens that output_tokens counts too"),
    ],
)
def test_each_kind_of_token_has_one_price(measures: tuple[str, ...], path: str, said: str) -> None:
    """What came from the cache is not billed at nothing in silence, and nothing is billed twice."""
    with pytest.raises(SpecError) as refused:
        Tokens(classes=tuple(TokenClass(name, "1", measure=name) for name in measures))
    assert path in [each.path for each in refused.value.problems]
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "measures",
    [("input", "cached", "output"), ("cached_tokens", "input"), ("input_tokens", "output_tokens"), ("output",), ("cached",),
     ("reasoning_tokens", "input_tokens"), ("rows", "bytes_received")],
)  # fmt: skip
def test_prices_that_leave_nothing_out_are_taken(measures: tuple[str, ...]) -> None:
    """A bill of answers alone is one, too: what is left out is plain to see."""
    assert Tokens(classes=tuple(TokenClass(name, "1", measure=name) for name in measures)).meters()


class Query(Job):
    """Reports rows only."""

    measures = (ROWS,)

    async def run(self, demand: float) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (Egress(price=1, unit="GB"), "cost.measure"),
        (Tokens(classes=(TokenClass("out", 1, measure="output"),)), "cost.classes[0].measure"),
        (PerSecond() + Egress(price=1, unit="GB"), "cost.of[1].measure"),
        (Discounts(of=Egress(price=1, unit="GB")), "cost.of.measure"),
    ],
)
def test_billing_unreported_measures_is_refused(model: CostModel, path: str) -> None:
    """Before the run, with the member and what there is to read."""
    with pytest.raises(SpecError, match="declared are rows") as caught:
        RunSpec(Workload(Query(), jobs=1), cost=model)
    assert caught.value.problems[0].path == path


def test_own_models_are_checked_before_run() -> None:
    """Whether they use `Reported` or read the column in a meter of their own."""

    @dataclass(frozen=True)
    class RowMeter(JobMeter):
        def measure(self, jobs: JobBatch) -> np.ndarray:
            return np.maximum(jobs.measure("rows"), 0)

    class Own(CostModel):
        def components(self) -> Iterator[Component]:
            yield Component("rows", MeterTotal(RowMeter()), Flat(1), "Rows")

    for model in (Own(), PerRow()):
        RunSpec(Workload(Query(), jobs=1), cost=model)
        with pytest.raises(SpecError, match="no job of the run reports the measure 'rows'"):
            RunSpec(Workload(Sleep(), jobs=1), cost=model)


def test_egress_reads_bytes_and_nothing_else() -> None:
    """A measure in another unit is not a number of bytes."""
    with pytest.raises(SpecError, match="must be in bytes: its unit is rows"):
        RunSpec(Workload(Query(), jobs=1), cost=Egress(price=1, unit="GB", measure="rows"))


def test_a_run_without_the_measure_is_unpriced() -> None:
    """Priced again by a model that needs more than it has: no number, and the reason."""
    zeros = np.zeros(1, np.int64)
    batch = JobBatch(zeros, zeros, zeros, zeros + 1, np.ones(1, np.uint8))
    cost = reprice(measure(batch, RunInfo(1)), PerRow(), batch)
    assert cost.total is None
    assert "reports the measure 'rows'" in str(cost.problem)


def test_declared_measures_are_kept() -> None:
    """A run that was priced by the second can be priced by the row, without its records."""
    batch = jobs(rows=[3, 4])
    metering = Metering(PerSecond(), measures=(ROWS,))
    metering.feed(batch)
    usage = metering.close(RunInfo(10**9))
    assert reprice(usage, PerRow(1)).total == 7


def test_reported_models_read_from_json() -> None:
    """The wire forms of the specification page."""
    tokens = cost_from_dict({"kind": "tokens", "classes": [{"name": "in", "price": "3", "measure": "input_tokens"}]})
    egress = cost_from_dict({"kind": "egress", "price": "0.09", "unit": "GB", "measure": "rows"})
    assert isinstance(Composite((tokens, egress)), CostModel)
