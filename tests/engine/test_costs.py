"""Money: exact, swappable, and on the table of known answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs import (
    KINDS,
    Component,
    Composite,
    ContainerTask,
    Cost,
    CostModel,
    Flat,
    Fleet,
    Formula,
    Free,
    Jobs,
    Line,
    Metering,
    PerJob,
    PerSecond,
    RunInfo,
    Serverless,
    Tier,
    Tiered,
    Usage,
    job_costs,
    largest_remainder,
    measure,
    one_job,
    price,
    project,
    reprice,
)  # fmt: skip
from aurea_engine.costs.decimals import decimal_text, exact_text, money_text
from aurea_engine.costs.meters import JobMeter, sum_exactly
from aurea_engine.costs.quantities import MeterTotal
from aurea_engine.errors import NeedsRecords, SpecError
from aurea_engine.records.batch import NEVER, NS, JobBatch

F = Fraction
FOUR = (100, 250, 1000, 1500)
GB_SECOND, REQUEST = "0.0000166667", "0.0000002"


def jobs(*milliseconds: float, outcome: Outcome = Outcome.COMPLETED) -> JobBatch:
    """Jobs that all started at 0 and lasted so long."""
    lasted = np.array([round(each * 1_000_000) for each in milliseconds], np.int64)
    none = np.zeros_like(lasted)
    return JobBatch(none, none, none, lasted, np.full(len(lasted), outcome, np.uint8))


def rejected(n: int) -> JobBatch:
    zero, never = np.zeros(n, np.int64), np.full(n, NEVER, np.int64)
    return JobBatch(zero, zero, never, never, np.full(n, Outcome.REJECTED, np.uint8))


def cost(model: CostModel, batch: JobBatch, window_ns: int = NS) -> Cost:
    return price(measure(batch, RunInfo(window_ns), model), model)


def serverless(memory_mb: int = 128, **rest: object) -> Serverless:
    return Serverless(price=GB_SECOND, request_price=REQUEST, memory_mb=memory_mb, **rest)  # type: ignore[arg-type]


TIERS = (Tier("0.10", 100), Tier("0.05", 500), Tier("0.02"))
TASK = ContainerTask(vcpu_price="0.04048", memory_price="0.004445", vcpu="0.25", memory_gb="0.5")


@pytest.mark.parametrize(
    ("model", "milliseconds", "expected"),
    [
        (PerSecond("0.001"), FOUR, F(57, 20000)),
        (PerSecond("0.001", step=1), FOUR, F(1, 200)),
        (PerJob(REQUEST), FOUR, F(1, 1250000)),
        (serverless(), (100,), F(326667, 800000000000)),
        (serverless(), (0.000001,), F(16166667, 80000000000000)),
        (serverless(512), FOUR, F(9820019, 400000000000)),
        (TASK, (1000,), F(253, 1500000) + F(889, 24000000)),
    ],
)
def test_known_bills_are_met_to_the_last_digit(
    model: CostModel, milliseconds: tuple[float, ...], expected: Fraction
) -> None:
    assert cost(model, jobs(*milliseconds)).total == expected


@pytest.mark.parametrize(("memory", "ms", "gb_seconds"), [(100, 30, F(1, 80)), (160, 250, F(1, 16))])
def test_memory_and_time_have_minimums_and_steps(memory: int, ms: int, gb_seconds: Fraction) -> None:
    model = serverless(memory, minimum=0.1, memory_step=128, memory_minimum=128)
    assert cost(model, jobs(ms)).lines[0].quantity == gb_seconds


def test_gigabyte_second_is_1024000_mb_ms() -> None:
    """Megabyte milliseconds become gigabyte seconds by 1024000."""
    assert cost(serverless(512), jobs(*FOUR)).lines[0].quantity == F(1_459_200, 1_024_000)


@pytest.mark.parametrize(
    ("n", "graduated", "cliff"),
    [
        (0, "0", "0"),
        (1, ".1", ".1"),
        (100, "10", "10"),
        (101, "10.05", "5.05"),
        (500, "30", "25"),
        (501, "30.02", "10.02"),
        (1000, "40", "20"),
    ],
)
def test_tiers_are_graduated_or_cliffs(n: int, graduated: str, cliff: str) -> None:
    """Tiers price what is inside them or everything."""
    batch = jobs(*[1.0] * n)
    assert cost(Tiered(mode="graduated", tiers=TIERS), batch).total == F(graduated)
    assert cost(Tiered(mode="cliff", tiers=TIERS), batch).total == F(cliff)


def test_a_fleet_is_sized_by_littles_law() -> None:
    model = Fleet(price="0.096", slots=8, target_utilization="0.7")
    hour = project(one_job(0.12, model), model, rate=250, hours=1)
    assert hour.cost.lines[0].quantity == 6
    assert hour.per_hour == F("0.576")
    assert hour.per_million == F("0.64")


def test_fleet_that_fits_has_no_spare_instance() -> None:
    """5.6 jobs in service on 8 slots at 0.7 are one instance; the float 0.7 would make two of it."""
    model = Fleet(price=1, slots=8, target_utilization=0.7)
    assert project(one_job("0.056", model), model, rate=100, hours=1).cost.lines[0].quantity == 1


def test_failures_are_billed_rejections_not() -> None:
    """Failures are paid for and rejections are not."""
    batch = JobBatch.concatenate(
        [
            jobs(100, 100, 100),
            jobs(40, outcome=Outcome.FAILED),
            jobs(1000, outcome=Outcome.TIMED_OUT),
            rejected(1),
        ]
    )
    bill = price(measure(batch, RunInfo(NS, good=2), serverless()), serverless())
    assert bill.per_success is not None
    assert bill.total is not None
    assert float(bill.per_success) == pytest.approx(1.26389075e-6, rel=1e-12)
    assert (bill.attempts, bill.successes, bill.good) == (5, 3, 2)
    assert (bill.per_attempt, bill.per_good) == (bill.total / 5, bill.total / 2)


def test_only_the_chosen_outcomes_are_billed() -> None:
    batch = JobBatch.concatenate([jobs(100), jobs(1000, outcome=Outcome.FAILED), rejected(2)])
    assert cost(PerJob(1, billed=("completed",)), batch).total == 1
    assert cost(PerSecond(1, billed=("failed",)), batch).total == 1


def test_whole_milliseconds_are_not_rounded_up() -> None:
    """A ceiling taken of floats bills one step too many for about half of all whole-millisecond jobs."""
    milliseconds = range(1, 2001)
    assert cost(PerSecond(1, step=0.001), jobs(*milliseconds)).total == F(sum(milliseconds), 1000)


def test_models_add_up_on_one_bill() -> None:
    model = PerSecond("0.001") + PerJob("0.0000002") + Free()
    bill = cost(model, jobs(*FOUR))
    assert isinstance(model, Composite)
    assert len(model.of) == 3
    assert bill.total == F(57, 20000) + F(1, 1250000)
    assert sum(line.amount or 0 for line in bill.lines) == bill.total


def test_no_jobs_cost_nothing() -> None:
    bill = cost(PerSecond(), JobBatch.empty())
    assert (bill.total, bill.per_attempt, bill.per_success, bill.per_good) == (0, None, None, None)


def test_rounding_waste_is_shown() -> None:
    line = cost(PerSecond(1, step=1), jobs(*FOUR)).lines[0]
    assert (line.quantity, line.consumed, line.wasted) == (5, F("2.85"), F("2.15"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0.001, "must be a price as text"),
        (float("nan"), "must be a price as text"),
        (True, "must be a price"),
        (None, "must be a price"),
        ("NaN", "must be a price"),
        ("Infinity", "must be a price"),
        (Decimal("NaN"), "must be a price"),
        (Decimal("Infinity"), "must be a price"),
        (Decimal("1e999999999"), "must be a price"),
        (Decimal("1e-999999999"), "must be a price"),
        ("1e999", "must be a price"),
        ("1e-31", "at most 30 decimal places"),
        (-1, ">= 0"),
        ("-0.001", ">= 0"),
        (10**12 + 1, "<= 1e+12"),
        (10**3000, "must be a price"),
        ("9" * 5000, "must be a price"),
        ("1/0", "must be a price"),
        ("0x10", "must be a price"),
        ("١", "must be a price"),
    ],
)
def test_wrong_price_is_refused_with_remedy(given: object, said: str) -> None:
    """What is no price is refused with the remedy."""
    with pytest.raises(SpecError, match="price: ") as refused:
        PerJob(given)  # type: ignore[arg-type]
    assert said in str(refused.value)


@pytest.mark.parametrize("given", ["0.1", "1e-1", Decimal("0.1"), Decimal("0.10"), F(1, 10), "1/10", " 0.10000 "])
def test_prices_are_exact_in_every_spelling(given: str | Decimal | Fraction) -> None:
    assert PerJob(given).price == F(1, 10)


def test_a_bill_in_two_currencies_is_refused() -> None:
    with pytest.raises(SpecError, match=r"of\[1\].currency: must be USD .* dated rate, got EUR"):
        PerSecond() + PerJob(1, currency="EUR")
    with pytest.raises(SpecError, match="three capital letters"):
        PerJob(1, currency="dollars")
    assert (Free() + PerJob(1, currency="EUR")).currency == "EUR"


def test_money_reads_as_decimals_and_back() -> None:
    assert decimal_text(F(57, 20000)) == "0.00285"
    assert decimal_text(F(1, 3)) == "0.333333333333333333"
    assert decimal_text(F(-5)) == "-5"
    assert exact_text(F(1, 3)) == "1/3"
    assert exact_text(F(1, 2**20)) == "0.00000095367431640625"
    assert [money_text(each) for each in (F(0), F("1234.5"), F("0.000000832"), F(1, 3), F("0.1"))] == [
        "0.00", "1,234.50", "0.000000832", "0.3333", "0.10",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("units", "weights", "shares"),
    [
        (100, [1, 1, 1], (34, 33, 33)),
        (0, [1, 2], (0, 0)),
        (7, [0, 0], (4, 3)),
        (10, [1], (10,)),
        (5, [F(1, 3), F(2, 3)], (2, 3)),
        (3, [0, 1], (0, 3)),
    ],
)
def test_largest_remainder_loses_nothing(units: int, weights: list[int | Fraction], shares: tuple[int, ...]) -> None:
    """The largest remainder shares without loss."""
    assert largest_remainder(units, weights) == shares


def test_largest_remainder_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="at least one"):
        largest_remainder(1, [])
    with pytest.raises(ValueError, match=">= 0"):
        largest_remainder(1, [-1])


def test_sums_beyond_int64_are_exact() -> None:
    huge = np.full(1000, 2**62, np.int64)
    assert sum_exactly(huge) == 1000 * 2**62


def test_batch_size_and_peeking_change_nothing() -> None:
    """Batches of any size and a peek change nothing."""
    whole = jobs(*range(1, 301))
    metering = Metering(PerSecond())
    for row in range(300):
        metering.feed(whole[row : row + 1])
        if row % 100 == 0:
            assert metering.so_far() == F(sum(range(1, row + 2)), 1_000_000)
    assert metering.close(RunInfo(NS)) == measure(whole, RunInfo(NS), PerSecond())


def test_fed_columns_may_be_written_over() -> None:
    """Columns may be written over after feeding."""
    batch = jobs(1, 2, 3)
    metering = Metering(PerSecond())
    metering.feed(batch)
    batch.finished[:] = 0
    assert metering.so_far() == F(6, 1_000_000)


def test_usage_reads_back_from_json() -> None:
    run = RunInfo(NS, 4, {Outcome.COMPLETED: 2, Outcome.REJECTED: 1}, 1, datetime(2026, 11, 22, tzinfo=UTC))
    usage = measure(jobs(1, 2), run, PerSecond())
    assert Usage.from_dict(json.loads(json.dumps(usage.to_dict()))) == usage
    for broken in (
        {},
        {"version": 1},
        {"version": 9},
        {"version": 1, "quanta": {"jobs": 3}},
        {"version": 1, "quanta": []},
        {"version": 1, "quanta": {"jobs": {"completed": "1e999999999"}}},
        {"version": 1, "quanta": {}, "run": {"window_ns": "-1"}},
        {"version": 1, "quanta": {}, "run": {"window_ns": "x"}},
    ):
        with pytest.raises(SpecError):
            Usage.from_dict(broken)


@pytest.mark.parametrize(
    ("path", "wrong", "said"),
    [
        ("run.window_ns", 1.5, "usage.run.window_ns: must be a whole number >= 0, got 1.5"),
        ("run.window_ns", Decimal("1.5"), "usage.run.window_ns: must be a whole number >= 0, got 1.5"),
        ("run.window_ns", True, "usage.run.window_ns: must be a whole number >= 0, got true"),
        ("run.window_ns", None, "usage.run.window_ns: must be a whole number >= 0, got null"),
        pytest.param("run.window_ns", 10**5000, "usage.run.window_ns: must be a whole number >= 0", id="digits"),
        ("run.slots", 0, "usage.run.slots: must be a whole number >= 1, got 0"),
        ("run.slots", "many", "usage.run.slots: must be a whole number >= 1"),
        ("run.good", -1, "usage.run.good: must be a whole number >= 0, got -1"),
        ("run.counts", {"completed": -2}, "usage.run.counts.completed: must be a whole number >= 0, got -2"),
        ("run.counts", {"completed": "1.0"}, "usage.run.counts.completed: must be a whole number >= 0"),
        ("run.counts", {"lost": 1}, "usage.run.counts.lost: must be one of completed, failed"),
        ("run.counts", 3, "usage.run.counts: must be an object"),
        ("run.started_at", 5, "usage.run.started_at: must be an instant"),
        ("run.started_at", "2026-11-22T10:00:00", "usage.run.started_at: must have a time zone"),
        ("run", None, "usage.run: must be an object"),
        ("quanta", {"jobs": {"completed": "-1"}}, "usage.quanta.jobs.completed: must be a number >= 0"),
        ("quanta", {"jobs": {"completed": 1.5}}, "usage.quanta.jobs.completed: must be a number >= 0"),
        ("quanta", {"jobs": {"completed": "1/0"}}, "usage.quanta.jobs.completed: must be a number >= 0"),
        ("quanta", {"jobs": None}, "usage.quanta.jobs: must be an object"),
        ("broken", [], "usage.broken: must be an object"),
        ("factor", "-1", "usage.factor: must be a number >= 0"),
        ("version", 2, "usage.version: must be 1, got 2"),
    ],
)
def test_wrong_stored_usage_names_its_member(path: str, wrong: object, said: str) -> None:
    """Nothing is made to fit: a window of 1.5 ns would price as one of 1."""
    usage = measure(jobs(1, 2), RunInfo(NS), PerSecond()).to_dict()
    place, *rest = path.split(".")
    (usage[place] if rest else usage)[rest[0] if rest else place] = wrong
    with pytest.raises(SpecError) as refused:
        Usage.from_dict(usage)
    assert str(refused.value).startswith(said)


def test_usages_of_two_runs_add_up() -> None:
    a, b = (measure(jobs(each), RunInfo(NS, counts={Outcome.COMPLETED: 1}, good=1), PerSecond()) for each in (100, 200))
    both = a.merge(b)
    assert price(both, PerSecond(1)).total == F("0.3")
    assert (both.run.window_ns, both.run.arrived, both.run.good) == (2 * NS, 2, 2)


def test_missing_meter_is_not_guessed() -> None:
    """A missing meter is said and not guessed."""
    usage = measure(jobs(1), RunInfo(NS))
    with pytest.raises(NeedsRecords, match="step=7000000"):
        reprice(usage, PerSecond(step=0.007))
    assert "NeedsRecords" in (price(usage, PerSecond(step=0.007)).problem or "")


def test_a_run_info_is_checked() -> None:
    with pytest.raises(SpecError, match="window_ns"):
        RunInfo(-1)
    with pytest.raises(SpecError, match="time zone"):
        RunInfo(1, started_at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


def test_cost_in_json_is_exact_text() -> None:
    """The cost on the wire is text and exact."""
    wire = cost(PerSecond("0.001"), jobs(*FOUR)).to_dict()
    json.dumps(wire, allow_nan=False)
    assert (wire["total"], wire["exact"], wire["currency"]) == ("0.00285", "57/20000", "USD")
    assert wire["lines"][0]["unit_price"] == "0.001"


def test_each_job_has_its_own_cost() -> None:
    """Each job has its own cost for the list."""
    batch = JobBatch.concatenate([jobs(100, 250), rejected(1)])
    np.testing.assert_allclose((PerSecond("0.001") + PerJob("0.1")).per_job(batch), [0.1001, 0.10025, 0])
    assert np.isnan(Tiered(mode="cliff", tiers=TIERS).per_job(batch)).all()


# A cost model of a user's own: what it does wrong is said, and nothing else is lost.


@dataclass(frozen=True)
class Own(CostModel):
    fault: str = ""

    def components(self) -> list[Component]:
        if self.fault == "raises":
            raise RuntimeError("no prices today")
        return [Component("jobs", Jobs(), Flat("0.5"), "Jobs")]

    def lines(self, usage: Usage) -> list[Line]:
        if self.fault in ("", "raises"):
            return super().lines(usage)
        quantity, amount = F(1), {"nan": float("nan"), "negative": F(-1), "float": 0.5, "none": None}.get(self.fault)
        if self.fault == "nonsense":
            return [3]  # type: ignore[list-item]
        if self.fault == "credit":
            return [Line("gift", quantity, "USD", F(-1), "credit")]
        return [Line("own", quantity, "Jobs", amount)]  # type: ignore[arg-type]


def test_an_own_model_needs_one_method() -> None:
    assert cost(Own(), jobs(1, 2, 3)).total == F(3, 2)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raises", "RuntimeError: no prices today"),
        ("nan", "must be exact"),
        ("float", "must be exact"),
        ("negative", "below 0"),
        ("credit", "less than nothing"),
        ("nonsense", "must be Line objects"),
        ("none", "unpriced"),
    ],
)
def test_misbehaving_model_is_named(fault: str, said: str) -> None:
    """An own model that misbehaves is named and costs nothing known."""
    bill = cost(Own(fault), jobs(1, 2, 3))
    assert bill.problem is not None
    assert said in bill.problem
    assert "Own" in bill.problem
    assert (bill.total, bill.per_success, bill.idle, bill.utilization) == (None, None, None, None)
    json.dumps(bill.to_dict(), allow_nan=False)


@dataclass(frozen=True)
class ByFormula(Formula):
    answer: str = "fine"

    def cost(self, batch: JobBatch) -> np.ndarray:  # type: ignore[type-arg]
        match self.answer:
            case "fine":
                return np.where(batch.response_ns > 500_000_000, 0.01, 0.0)
            case "short":
                return np.zeros(1)
            case "raises":
                raise ZeroDivisionError
        return np.full(len(batch), float(self.answer))


def test_a_formula_is_summed_exactly() -> None:
    assert cost(ByFormula(), jobs(*FOUR)).total == F("0.02")
    assert ByFormula().per_job(jobs(*FOUR)).tolist() == [0, 0, 0.01, 0.01]


@pytest.mark.parametrize("answer", ["nan", "inf", "-1", "1e7", "short", "raises"])
def test_bad_formula_spares_other_meters(answer: str) -> None:
    """A formula that answers nonsense leaves the other meters intact."""
    model = ByFormula(answer)
    usage = measure(jobs(*FOUR), RunInfo(NS), model)
    assert price(usage, model).total is None
    assert np.isnan(job_costs(model, jobs(*FOUR))).all()
    assert price(usage, PerSecond("0.001")).total == F(57, 20000)


@dataclass(frozen=True)
class Wrong(JobMeter):
    dtype: str

    def measure(self, jobs: JobBatch) -> np.ndarray:  # type: ignore[type-arg]
        return np.full(len(jobs), -1, self.dtype)


@pytest.mark.parametrize(("dtype", "said"), [("float64", "whole numbers"), ("int64", "from 0 up")])
def test_meter_counts_must_be_whole_from_0(dtype: str, said: str) -> None:
    """A meter counts whole numbers from nothing up."""

    @dataclass(frozen=True)
    class Counted(CostModel):
        def components(self) -> list[Component]:
            return [Component("wrong", MeterTotal(Wrong(dtype)), Flat(1), "Things")]

    assert said in (cost(Counted(), jobs(1)).problem or "")


def test_every_kind_has_its_class() -> None:
    assert set(KINDS) == {
        "free", "per_second", "per_job", "serverless", "container_task", "instance_busy", "packed", "fleet", "tokens",
        "egress", "flat_period", "tiered", "composite", "discounts", "sheet",
    }  # fmt: skip
    assert all(issubclass(cls, CostModel) for cls in KINDS.values())
