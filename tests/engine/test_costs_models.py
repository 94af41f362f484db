"""Every built-in cost model: against figures worked out by hand, and against what must hold for any jobs."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurea_engine import simulate
from aurea_engine.closed_sets import Outcome
from aurea_engine.codec.parsing import parse_json, parse_toml
from aurea_engine.codec.specifications import spec_from_dict, spec_to_dict
from aurea_engine.costs import (
    KINDS,
    Allowance,
    Commitment,
    Composite,
    ContainerTask,
    Conversion,
    CostModel,
    Discount,
    Discounts,
    Egress,
    FlatPeriod,
    Fleet,
    Free,
    InstanceBusy,
    Metering,
    Packed,
    PerJob,
    PerSecond,
    RunInfo,
    Serverless,
    Sheet,
    Tier,
    Tiered,
    TokenClass,
    TokenRequest,
    Tokens,
    Usage,
    break_even,
    check_cost_model,
    check_interval_chain,
    compare,
    cost_curve,
    curve_svg,
    measure,
    one_job,
    price,
    project,
    rates_between,
    reprice,
)  # fmt: skip
from aurea_engine.costs.conformance import make_random_jobs, make_run_info
from aurea_engine.costs.curve_chart import BOTTOM, HEIGHT, TOP, draw_grid, place_upright
from aurea_engine.costs.interval_meters import BusyTime, Concurrency
from aurea_engine.costs.job_routing import find_busy_periods
from aurea_engine.errors import NeedsRecords, SpecError
from aurea_engine.records.batch import NS, JobBatch

F = Fraction
HOUR = 3600 * NS
TIERS = (Tier("0.10", 100), Tier("0.05", 500), Tier("0.02"))
INPUT = TokenClass("input", 3, prompt=True, long_price=6)
CACHED = TokenClass("cached", "0.30", prompt=True, long_price="0.60")
OUTPUT = TokenClass("output", 15, long_price="22.50")

EXAMPLES: tuple[CostModel, ...] = (
    Free(),
    PerSecond("0.001"),
    PerSecond("0.001", step=0.1, minimum=0.2, billed=("completed", "timed_out")),
    PerJob("0.0000002"),
    Serverless(price="0.0000166667", request_price="0.0000002", memory_mb=512, init=0.25),
    ContainerTask(vcpu_price="0.04048", memory_price="0.004445", vcpu=0.25, memory_gb="0.5"),
    InstanceBusy(price="0.00003", concurrency=3, request_price="0.0000004"),
    InstanceBusy(price=1, concurrency=1, scope="instance", step=1),
    InstanceBusy(price=1, concurrency=7, scope="run", step=1),
    Packed(price="0.00003", concurrency=3),
    Packed(price=1, concurrency=80, step=1),
    Fleet(price="0.096", slots=8),
    Fleet(price="0.096", slots=2, instances=3),
    Tokens(
        classes=(INPUT, CACHED, OUTPUT),
        requests=(TokenRequest((1200, 300, 250), 3), TokenRequest((250_000, 0, 10), "0.5")),
        long_over=200_000,
    ),
    Egress(price="0.09", bytes_per_job=15_000, unit="GB"),
    FlatPeriod(price=73, hours=730),
    Tiered(mode="graduated", tiers=TIERS),
    Tiered(mode="cliff", tiers=TIERS, quantity="gb_seconds", memory_mb=256, step=0.001),
    PerSecond() + PerJob("0.01") + FlatPeriod(1),
    Discounts(
        of=Serverless(price="0.00002", request_price="0.0000002"),
        allowances=(Allowance("duration", 1), Allowance("requests", "0.00001", "spend")),
        discounts=(Discount("0.2", ("duration",)), Discount("0.1")),
        commitment=Commitment("0.001", "0.3", ("duration",)),
        convert=Conversion("EUR", "0.92", "2026-11-22"),
    ),
    Discounts(of=PerSecond("0.001"), round_to=2),
    Sheet(name="example-functions", memory_mb=256),
    Sheet(name="example-machines", concurrency=4, bytes_per_job=10**6),
    Sheet(name="google-cloud-run-request-tier1", vcpu=1, memory_mb=512, concurrency=80),
)


def span(*periods: tuple[float, float]) -> JobBatch:
    """Completed jobs that ran from … to …, in seconds."""
    starts, ends = (np.array([round(each[i] * NS) for each in periods], np.int64) for i in (0, 1))
    return JobBatch(starts, starts, starts, ends, np.full(len(starts), Outcome.COMPLETED, np.uint8))


def total(model: CostModel, batch: JobBatch, window_ns: int = NS) -> Fraction | None:
    return price(measure(batch, RunInfo(window_ns), model), model).total


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: type(model).__name__)
def test_built_in_cost_models_conform(model: CostModel) -> None:
    """Every built in behaves as a cost model must."""
    check_cost_model(model)


def test_every_kind_is_among_the_examples() -> None:
    assert {type(model) for model in EXAMPLES} == set(KINDS.values())


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: type(model).__name__)
def test_built_ins_survive_a_specification(model: CostModel) -> None:
    """Every built in goes through a specification and back."""
    spec = spec_from_dict({"num_jobs": 1})
    written = spec_to_dict(spec)
    object.__setattr__(spec, "cost", model)
    written["cost"] = json.loads(json.dumps(spec_to_dict(spec)["cost"]))
    assert spec_from_dict(parse_json(json.dumps(written))).cost == model


@pytest.mark.parametrize(
    ("text", "milliseconds", "expected"),
    [
        ('kind = "per_second"\nprice = 0.001', (100, 250, 1000, 1500), F(57, 20000)),
        ('kind = "per_second"\nprice = "0.001"\nstep = 1', (100, 250, 1000, 1500), F(1, 200)),
        ('kind = "per_job"\nprice = 0.0000002', (1, 1, 1, 1), F(1, 1250000)),
        (
            'kind = "serverless"\nprice = 0.0000166667\nrequest_price = "0.0000002"\nmemory_mb = 512',
            (100, 250, 1000, 1500),
            F(9820019, 400000000000),
        ),
        (
            'kind = "container_task"\nvcpu_price = 0.04048\nmemory_price = 0.004445\nvcpu = 0.25\nmemory_gb = 0.5',
            (1000,),
            F(253, 1500000) + F(889, 24000000),
        ),
        (
            'kind = "serverless"\nprice = 0.0000166667\nrequest_price = 0.0000002\nmemory_mb = 128',
            (100,),
            F(326667, 800000000000),
        ),
        (
            'kind = "serverless"\nprice = "0.0000166667"\nrequest_price = "0.0000002"',
            (0.000001,),
            F(16166667, 80000000000000),
        ),
        (
            'kind = "serverless"\nprice = 1\nmemory_mb = 160\nmemory_step = 128\nmemory_minimum = 128\nminimum = 0.1',
            (250,),
            F(1, 16),
        ),
        (
            'kind = "fleet"\nprice = 0.096\nslots = 8\ntarget_utilization = 0.7\nminimum = 0\nstep = 0',
            (120,) * 250,
            F("0.576") / 3600,
        ),
        (
            'kind = "composite"\nof = [{kind = "per_second", price = 0.001}, {kind = "per_job", price = 0.0000002}]',
            (100, 250, 1000, 1500),
            F(57, 20000) + F(1, 1250000),
        ),
        (
            'kind = "tiered"\nmode = "cliff"\ntiers = [{up_to = 2, price = 0.10}, {price = 0.05}]',
            (1, 1, 1),
            F("0.15"),
        ),
    ],
)
def test_known_bills_hold_from_a_file(text: str, milliseconds: tuple[float, ...], expected: Fraction) -> None:
    """Known bills are met through a specification file."""
    model = spec_from_dict({"num_jobs": 1, "cost": parse_toml(text)}).cost
    assert total(model, span(*((0, each / 1000) for each in milliseconds))) == expected


def test_all_mistakes_of_a_model_are_listed() -> None:
    """A specification lists every mistake of its cost model."""
    cost = {
        "kind": "composite",
        "of": [{"kind": "per_job", "price": -1}, {"kind": "tiered", "mode": "best", "tiers": []}],
    }
    with pytest.raises(SpecError) as refused:
        spec_from_dict({"num_jobs": 1, "cost": cost})
    assert [problem.path for problem in refused.value.problems] == ["cost.of[0].price", "cost.of[1].mode"]


# Intervals.


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 120), st.integers(1, 9))
def test_the_interval_chain_holds_for_any_jobs(seed: int, n: int, concurrency: int) -> None:
    check_interval_chain(make_random_jobs(np.random.default_rng(seed), n), concurrency)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=40), st.integers(1, 4))
def test_busy_and_packed_match_simple_simulation(jobs: list[tuple[int, int]], concurrency: int) -> None:
    """Second by second: who is in service, and which instance would a router have picked?"""
    jobs = sorted(jobs)
    places: list[int] = []
    for i, (start, _) in enumerate(jobs):
        taken = {places[k] for k in range(i) if jobs[k][0] + jobs[k][1] > start}
        places.append(next(place for place in range(len(jobs)) if place not in taken))
    seconds = range(50)
    at = {t: [k for k, (start, lasted) in enumerate(jobs) if start <= t < start + lasted] for t in seconds}
    busy = sum(len({places[k] // concurrency for k in at[t]}) for t in seconds)
    packed = sum(-(-len(at[t]) // concurrency) for t in seconds)
    batch = span(*((start, start + lasted) for start, lasted in reversed(jobs)))
    assert total(InstanceBusy(price=1, concurrency=concurrency, step=0), batch) == busy
    assert total(Packed(price=1, concurrency=concurrency), batch) == packed


def test_jobs_go_to_lowest_free_instance() -> None:
    """Jobs go to the lowest instance with a free place."""
    starts, ends = np.array([0, 1, 2, 4, 5]), np.array([10, 3, 9, 6, 7])
    instances, lengths = find_busy_periods(starts, ends, 1)
    assert sorted(zip(instances.tolist(), lengths.tolist(), strict=True)) == [(0, 10), (1, 2), (1, 2), (2, 7), (3, 2)]
    instances, lengths = find_busy_periods(starts, ends, 4)
    assert (instances.tolist(), lengths.tolist()) == ([0], [10])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 25)), min_size=1, max_size=80),
    st.integers(1, 4),
    st.integers(1, 9),
)
def test_routing_in_chunks_is_routing_at_once(jobs: list[tuple[int, int]], concurrency: int, chunk: int) -> None:
    starts = np.array([start for start, _ in jobs])
    ends = starts + np.array([lasted for _, lasted in jobs])
    at_once = find_busy_periods(starts, ends, concurrency)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aurea_engine.costs.job_routing._CHUNK", chunk)
        in_chunks = find_busy_periods(starts, ends, concurrency)
    for one, other in zip(at_once, in_chunks, strict=True):
        assert sorted(one.tolist()) == sorted(other.tolist())


@pytest.mark.parametrize(("scope", "billed"), [("period", 3), ("instance", 2), ("run", 1)])
def test_busy_time_is_rounded_by_scope(scope: str, billed: int) -> None:
    """Two periods on the first instance and one on the second, 0.2 s each, rounded up to seconds."""
    batch = span((0, 0.2), (0, 0.2), (0.5, 0.7))
    model = InstanceBusy(price=1, concurrency=1, step=1, scope=scope)  # type: ignore[arg-type]
    bill = price(measure(batch, RunInfo(NS), model), model)
    assert bill.total == billed
    assert (bill.usage_cost, bill.idle) == (F("0.6"), billed - F("0.6"))
    assert bill.utilization == F("0.6") / billed


def test_periods_that_touch_are_one_period() -> None:
    model = InstanceBusy(price=1, concurrency=1, step=1)
    assert total(model, span((0, 0.5), (0.5, 1.0))) == 1
    assert total(model, span((0, 0.5), (0.6, 1.0))) == 2


def test_live_estimates_are_close_and_harmless() -> None:
    """Live estimates of interval models are close and do no harm."""
    rng = np.random.default_rng(1)
    starts = np.sort(rng.integers(0, 1000 * NS, 60_000))
    batch = span(*zip((starts / NS).tolist(), ((starts + rng.integers(1, 2 * NS, 60_000)) / NS).tolist(), strict=True))
    model = InstanceBusy(price=1, concurrency=8, step=0)
    metering = Metering(model)
    for first in range(0, 60_000, 5000):
        metering.feed(batch[first : first + 5000])
        estimate = metering.so_far()
    exact = price(metering.close(RunInfo(1000 * NS)), model).total
    assert exact == total(model, batch)
    assert exact is not None
    assert estimate is not None
    assert abs(estimate / exact - 1) < F(1, 20)


def test_long_runs_drop_spare_concurrency(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run forgets the concurrency that nobody asked for."""
    usage = measure(span((0, 1), (0, 1)), RunInfo(NS))
    assert price(usage, Packed(price=1, concurrency=1)).total == 2
    state = Concurrency(limit=1).state()
    metering = Metering()
    monkeypatch.setitem(metering._states, Concurrency().key, state)
    metering.feed(span((0, 1), (0, 1)))
    with pytest.raises(NeedsRecords, match="concurrency"):
        reprice(metering.close(RunInfo(NS)), Packed(price=1, concurrency=1))


def test_many_levels_are_not_kept_in_results() -> None:
    """A crowd is not written into every result."""
    crowd = span(*((i / 1e6, 10) for i in range(1200)))
    with pytest.raises(NeedsRecords, match="concurrency"):
        reprice(measure(crowd, RunInfo(NS)), Packed(price=1, concurrency=1))
    assert (total(Packed(price=1, concurrency=1), crowd) or 0) > 11_000


def test_levels_of_years_are_summed_exactly() -> None:
    """Levels that last for years are summed exactly."""
    year = 31_536_000
    assert total(Packed(price=1, concurrency=1), span((0, year), (1, year + 3))) == 2 * year + 2


def test_small_fleet_is_at_most_full() -> None:
    """A fleet smaller than its jobs is never more than full."""
    bill = price(measure(span((0, 100), (0, 100)), RunInfo(100 * NS)), Fleet(price=36, slots=1, instances=1))
    assert (bill.total, bill.idle, bill.utilization) == (1, 0, 1)


def test_fleet_pays_minimum_and_idle_time() -> None:
    """A fleet pays its minimum and its idle time."""
    bill = price(measure(span((0, 6)), RunInfo(6 * NS)), Fleet(price=60, slots=2, instances=1))
    assert bill.total == 1
    assert bill.usage_cost == F(60, 3600) * 3
    assert bill.idle == 1 - F(60, 3600) * 3
    assert bill.wasted == F(54, 60)


# Quantities besides time.


def test_long_prompts_are_priced_by_request() -> None:
    """Forty short requests are two million tokens together, and none of them is long."""
    short = Tokens(classes=(INPUT,), requests=(TokenRequest((50_000,)),), long_over=200_000)
    assert total(short, span(*[(0, 1)] * 40)) == 6
    at = TokenRequest((200_000,))
    assert total(Tokens(classes=(INPUT,), requests=(at,), long_over=200_000), span((0, 1))) == F("0.6")
    assert total(Tokens(classes=(INPUT,), requests=(at,), long_over=200_000, long_rule="from"), span((0, 1))) == F(
        "1.2"
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Tokens(classes=(), requests=()), "at least one class"),
        (lambda: Tokens(classes=(INPUT,), requests=(TokenRequest((1, 2)),)), "one for each class"),
        (lambda: Tokens(classes=(INPUT, INPUT), requests=(TokenRequest((1, 2)),)), "different names"),
        (
            lambda: Tokens(classes=(TokenClass("a", 1),), requests=(TokenRequest((1,)),), long_over=5),
            "a missing price is not 0",
        ),
        (lambda: Tiered(mode="graduated", tiers=()), "at least one tier"),
        (lambda: Tiered(mode="graduated", tiers=(Tier(1, 5),)), "the last tier has no end"),
        (lambda: Tiered(mode="graduated", tiers=(Tier(1), Tier(1))), "only the last tier has no end"),
        (lambda: Tiered(mode="graduated", tiers=(Tier(1, 5), Tier(1, 5), Tier(1))), "in order"),
        (lambda: Tiered(mode=None, tiers=(Tier(1),)), "must be one of 'graduated', 'cliff'"),
        (lambda: Tiered(mode="cliff", tiers=(Tier(1),), quantity="gb_seconds"), "memory_mb"),
        (lambda: Fleet(price=1, target_utilization=2), "must be <= 1"),
        (lambda: Egress(price=1, bytes_per_job=1, unit="MB"), "must be one of 'GB', 'GiB'"),
        (
            lambda: Discounts(of=PerJob(1), discounts=(Discount("0.1", ("time",)),)),
            "must name a component: one of jobs",
        ),
        (lambda: Commitment(1, 1), "must be < 1"),
        (lambda: Discount("1.5"), "<= 1"),
        (lambda: PerJob(1, billed=("rejected",)), "must be one of"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        make()  # type: ignore[operator]
    assert said in str(refused.value)


def test_fee_is_proportional_to_window() -> None:
    """A fee is paid in proportion to the window."""
    assert total(FlatPeriod(730), span((0, 1)), HOUR) == 1


def test_egress_tells_gigabytes_from_gibibytes() -> None:
    assert total(Egress(price=1, bytes_per_job=10**9, unit="GB"), span((0, 1))) == 1
    assert total(Egress(price=1, bytes_per_job=2**30, unit="GiB"), span((0, 1))) == 1


# Adjustments and projections.


def month(model: CostModel, jobs_a_month: int) -> Fraction | None:
    """730 hours with so many jobs of one second."""
    rate = F(jobs_a_month, 730 * 3600)
    return project(measure(span((0, 1)), RunInfo(NS), model), model, rate=rate).cost.total


def test_allowances_apply_to_months_only() -> None:
    """Allowances belong to a month and not to a short run."""
    model = Discounts(of=PerJob("0.01"), allowances=(Allowance("jobs", 1000),))
    assert total(model, span((0, 1))) == F("0.01")
    assert [month(model, n) for n in (500, 1000, 1500)] == [0, 0, 5]


def test_allowance_comes_off_highest_tier() -> None:
    """An allowance comes off the highest tier."""
    model = Discounts(of=Tiered(mode="graduated", tiers=TIERS), allowances=(Allowance("jobs", 100),))
    assert [month(model, n) for n in (100, 150, 600)] == [0, 5, 30]


def test_an_allowance_may_be_money() -> None:
    model = Discounts(of=PerJob("0.01"), allowances=(Allowance("jobs", 7, "spend"),))
    assert [month(model, n) for n in (500, 1000)] == [0, 3]


def test_discounts_take_off_what_is_left() -> None:
    model = Discounts(of=PerJob(1) + PerSecond(1), discounts=(Discount("0.5", ("jobs",)), Discount("0.1")))
    assert total(model, span((0, 1))) == F("0.5") * F("0.9") + F("0.9")


def test_commitment_is_paid_even_if_unused() -> None:
    """One an hour at half price covers what lists at two an hour; the rest is paid as listed."""
    model = Discounts(of=PerJob(1), commitment=Commitment(1, "0.5"))
    assert [month(model, 730 * n) for n in (1, 2, 3)] == [730, 730, 1460]
    assert total(model, span((0, 1))) == 1


def test_money_is_converted_then_rounded() -> None:
    """Money is converted once and rounded last half to even."""
    model = Discounts(of=PerJob("0.125"), convert=Conversion("EUR", 1, "2026-11-22"), round_to=2)
    bill = price(measure(span((0, 1)), RunInfo(NS)), model)
    assert (bill.currency, bill.total) == ("EUR", F("0.12"))
    assert total(Discounts(of=PerJob("0.135"), round_to=2), span((0, 1))) == F("0.14")


def test_run_is_repriced_without_records() -> None:
    """A run is priced again without its records."""
    usage = Usage.from_dict(measure(span((0, 0.1), (0, 1.5)), RunInfo(NS), PerSecond()).to_dict())
    model = Serverless(price="0.00002", memory_mb=512)
    assert reprice(usage, model).total == F("0.00002") * F("1.6") / 2
    bills = compare(usage, {"lambda": model, "task": ContainerTask(vcpu_price=1, memory_price=1), "free": Free()})
    assert [bills[name].total is not None for name in ("lambda", "task", "free")] == [True] * 3


def test_new_meter_needs_the_records() -> None:
    """A new meter is read from the records or refused."""
    batch = span((0, 0.1), (0, 1.5))
    usage = measure(batch, RunInfo(NS))
    model = InstanceBusy(price=1, concurrency=2, step=0)
    with pytest.raises(NeedsRecords):
        reprice(usage, model)
    assert reprice(usage, model, batch).total == F("1.5")
    assert reprice(usage, model, [batch[:1], batch[1:]]).total == F("1.5")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 200))
def test_priced_from_usage_is_priced_from_records(seed: int, n: int) -> None:
    batch = make_random_jobs(np.random.default_rng(seed), n)
    usage = measure(batch, make_run_info(batch), *EXAMPLES)
    for model in EXAMPLES:
        assert reprice(usage, model).lines == price(measure(batch, make_run_info(batch), model), model).lines


def test_projection_states_its_assumptions() -> None:
    """A projection says what it takes for granted."""
    model = Packed(price=1, concurrency=2)
    usage = measure(span((0, 1), (0, 1)), RunInfo(NS), model)
    shown = project(usage, model, hours=1)
    assert shown.cost.total == 3600
    assert shown.rate == 2
    assert len(shown.assumptions) == 2
    json.dumps(shown.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("rate", "hours", "said"),
    [
        (0, 1, "rate"),
        (-1, 1, "rate"),
        ("x", 1, "rate"),
        (float("nan"), 1, "rate"),
        (1, 0, "hours"),
        (10**10, 1, "rate"),
    ],
)
def test_a_projection_needs_a_rate_and_hours(rate: float, hours: float, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        project(one_job(1), PerJob(1), rate=rate, hours=hours)


def test_a_projection_needs_jobs_and_a_run() -> None:
    with pytest.raises(SpecError, match="at least one job"):
        project(measure(JobBatch.empty(), RunInfo(NS)), PerJob(1), rate=1)
    with pytest.raises(SpecError, match="window has no length"):
        project(measure(span((0, 1)), RunInfo(0)), PerJob(1))
    projected = one_job(1).scaled(F(2), NS)
    with pytest.raises(SpecError, match="not a projection's"):
        project(projected, PerJob(1), rate=1)
    with pytest.raises(SpecError, match="cannot be merged"):
        projected.merge(projected)


def test_marginal_cost_of_fleet_has_steps() -> None:
    """A fleet costs in steps and its marginal cost is nothing between them."""
    fleet = Fleet(price="0.096", slots=8, target_utilization=1)
    curve = cost_curve(one_job(1), fleet, [4, 8, 16], hours=1)
    assert [point.per_hour for point in curve] == [F("0.096"), F("0.096"), F("0.192")]
    assert [point.marginal for point in curve] == [0, F("0.096"), F("0.096")]
    assert curve[1].per_million == F("0.096") / 28800 * 10**6


def test_break_even_of_lines_is_exact() -> None:
    """0.2 per million against 0.072 an hour: 100 jobs a second."""
    a, b = PerJob("0.0000002"), FlatPeriod("0.072", hours=1)
    (crossing,) = break_even(one_job(1), a, b, rates_between(1, 1000))
    assert crossing.rate == 100
    assert (crossing.below, crossing.above) == (a, b)


def test_break_even_finds_a_step() -> None:
    fleet = Fleet(price=1, slots=1, target_utilization=1)
    crossings = break_even(one_job(1), fleet, PerJob(F(1, 3600 * 4)), rates_between(1, 10), hours=1)
    assert crossings == ()
    crossings = break_even(one_job(1), fleet, FlatPeriod("2.5", hours=1), rates_between(1, 10), hours=1)
    assert [float(each.rate) for each in crossings] == pytest.approx([2.0], rel=1e-6)


def test_other_currencies_cannot_be_compared() -> None:
    """Models in different currencies cannot be compared."""
    with pytest.raises(SpecError, match="convert one of them"):
        break_even(one_job(1), PerJob(1), PerJob(1, currency="EUR"), [1, 2])
    with pytest.raises(SpecError, match="above low"):
        rates_between(2, 1)


def test_the_cost_curve_is_drawn() -> None:
    rates = rates_between(1, 1000, 20)
    a, b = Fleet(price="0.1", slots=4), PerJob("0.0000004")
    curves = {"fleet <b>": cost_curve(one_job("0.1"), a, rates), "per job": cost_curve(one_job("0.1"), b, rates)}
    svg = curve_svg(curves, break_even(one_job("0.1"), a, b, rates), title="A & B")
    assert svg.startswith("<svg")
    assert svg.count("<path") == 2
    assert "fleet &lt;b&gt;" in svg
    assert "A &amp; B" in svg
    assert curve_svg({}).endswith("</svg>\n")


def test_busy_time_keys_differ_by_parameters() -> None:
    """Busy time keys tell apart what is counted differently."""
    keys = {BusyTime(c, s, scope).key for c in (1, 2) for s in (1, 5) for scope in ("period", "run")}  # type: ignore[arg-type]
    assert len(keys) == 8
    assert isinstance(EXAMPLES[18], Composite)


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: type(model).__name__)
def test_monotone_bills_never_fall(model: CostModel) -> None:
    """Component by component, and the last is the run's own. Where it may fall, it does not say so."""
    batch = make_random_jobs(np.random.default_rng(5), 300)
    metering, before = Metering(model), [F(0)]
    for first in range(0, 300, 20):
        metering.feed(batch[first : first + 20])
        bill = metering.bill_so_far(make_run_info(batch))
        assert bill is not None
        assert bill.monotone is model.monotone
        now = [money for _, money in bill.by_component]
        if model.monotone and len(now) == len(before):
            assert all(b >= a for a, b in zip(before, now, strict=True))
        before = now
    assert bill.by_component == price(metering.close(make_run_info(batch)), model).by_component or not model.monotone


def test_monotone_follows_from_components() -> None:
    """What can only grow is known by its components."""
    growing = {type(model).__name__ for model in EXAMPLES if model.monotone}
    assert {"Free", "PerSecond", "PerJob", "Serverless", "ContainerTask", "Tokens", "Egress"} <= growing
    assert not {"Fleet", "FlatPeriod", "Packed", "InstanceBusy"} & growing
    assert Tiered(mode="graduated", tiers=TIERS).monotone
    assert not Tiered(mode="cliff", tiers=TIERS).monotone
    assert Sheet(name="aws-lambda-x86-us-east-1", memory_mb=256, as_of="2026-11-22").monotone
    assert Sheet(name="example-functions", memory_mb=256, as_of="2026-11-22").monotone
    assert Sheet(name="example-functions", memory_mb=256).monotone
    assert not Sheet(name="example-machines", concurrency=4, bytes_per_job=10**6).monotone
    assert not Discounts(of=PerJob(1), round_to=2).monotone


@pytest.mark.parametrize("unit", [1, NS, 10**18])
def test_concurrency_is_exact_over_centuries(unit: int) -> None:
    """Six jobs of 31 years, one after another and two of them at once: what codes instants must not leave int64."""
    starts = np.array([0, 1, 2, 3, 4, 4, 8], np.int64) * unit
    batch = JobBatch(starts, starts, starts, starts + unit, np.full(len(starts), Outcome.COMPLETED, np.uint8))
    usage = measure(batch[np.array([6, 0, 5, 1, 4, 2, 3])], RunInfo(9 * unit), Packed(price=1, concurrency=1))
    assert usage.of(Concurrency()) == {"1": 5 * unit, "2": unit}
    assert total(Packed(price=1, concurrency=1), batch, 9 * unit) == F(7 * unit, NS)
    assert total(InstanceBusy(price=1, concurrency=1, step=0), batch, 9 * unit) == F(7 * unit, NS)
    apart = InstanceBusy(price=1, concurrency=1, step=1e9, scope="instance")
    assert total(apart, batch, 9 * unit) * NS == {1: 2, NS: 2, 10**18: 7}[unit] * 10**18
    assert total(InstanceBusy(price=1, concurrency=2, step=0), batch, 9 * unit) == F(6 * unit, NS)


def test_busy_centuries_are_summed_exactly() -> None:
    """The sum over instances leaves int64."""
    starts, ends = np.zeros(9, np.int64), np.full(9, 2**62 + 1, np.int64)
    batch = JobBatch(starts, starts, starts, ends, np.full(9, Outcome.COMPLETED, np.uint8))
    for scope in ("period", "instance", "run"):
        model = InstanceBusy(price=1, concurrency=1, step=0, scope=scope)  # type: ignore[arg-type]
        assert total(model, batch, 2**62 + 1) == F(9 * (2**62 + 1), NS)
    assert total(Packed(price=1, concurrency=1), batch, 2**62 + 1) == F(9 * (2**62 + 1), NS)


def test_simulated_centuries_have_a_price() -> None:
    """A simulation of centuries has its price."""
    spec = {
        "workload": {"job": {"kind": "sleep", "duration": 1e9}, "jobs": 6},
        "scheduler": {"slots": 1},
        "clock": "virtual",
        "cost": {"kind": "packed", "price": 1, "concurrency": 2},
    }
    assert simulate(spec_from_dict(spec)).cost.total == 6 * 10**9


def test_pictures_of_cost_have_one_upright_axis() -> None:
    """From 0 at the bottom to the top, in round steps: that of the curve, and that of a search's frontier."""
    assert (place_upright(0, 10), place_upright(10, 10)) == (HEIGHT - BOTTOM, TOP)
    marks = [mark for mark in draw_grid(10, [(123.4, "5")], "rate <a>", "EUR") if mark.startswith("<text")]
    assert [mark.partition(">")[2].removesuffix("</text>") for mark in marks] == [
        "0", "2", "4", "6", "8", "10", "5", "rate &lt;a&gt;", "EUR",
    ]  # fmt: skip
