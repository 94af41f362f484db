"""A scheduler that says ``divided``: each shard has its share of the slots, the queue and the users."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import mean, variance
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import (
    Arrivals,
    Closed,
    Exponential,
    Fifo,
    Lifo,
    Poisson,
    Priority,
    RunParts,
    RunSpec,
    Scheduler,
    Severity,
    Shard,
    ShortestFirst,
    Sleep,
    SpecError,
    Workload,
    execute,
    plan,
    result_to_dict,
    spec_from_dict,
    spec_to_dict,
    summarize,
)
from aurea_engine.codec.unknown_kinds import StandIns
from aurea_engine.results.theory import closed_mva

CUTS = (2, 3, 7)
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
SERVICE, THINK = 0.1, 0.5


def divide(spec: RunSpec, *, divided: bool = True) -> RunSpec:
    return replace(spec, scheduler=replace(spec.scheduler, divided=divided))


def merge_shards(spec: RunSpec, of: int) -> RunParts:
    return RunParts.empty(spec).merge(*(execute(spec, Shard(index, of)) for index in range(of)))


def closed(users: int, seed: int = 1, slots: int | None = None, **limits: Any) -> RunSpec:
    workload = Workload(Sleep(Exponential(SERVICE)), Closed(users, Exponential(THINK)), **limits)
    return RunSpec(workload, Fifo(slots, divided=True), seed=seed, clock="virtual")


schedulers = st.builds(
    lambda kind, slots, limit: kind(slots, limit, divided=True),
    st.sampled_from([Fifo, Lifo, ShortestFirst, Priority]),
    st.one_of(st.none(), st.integers(1, 50)),
    st.one_of(st.none(), st.integers(0, 50)),
)


# --- Shares ----------------------------------------------------------------------------------------------------------


def add_up(shares: list[int | None], whole: int | None) -> bool:
    known = [share for share in shares if share is not None]
    if whole is None:
        return not known
    return len(known) == len(shares) and sum(known) == whole and max(known) - min(known) <= 1


@given(schedulers, st.integers(1, 200), st.integers(1, 12))
def test_shares_add_up_to_the_whole(scheduler: Scheduler, users: int, of: int) -> None:
    """They differ by one at most; a run with fewer slots or users than shards is refused, by every shard."""
    spec = RunSpec(Workload(Sleep(0.1), Closed(users), jobs=100), scheduler, seed=1, clock="virtual")
    shards = [Shard(index, of) for index in range(of)]
    wanted = {name for name, n in (("scheduler.slots", scheduler.slots), ("workload.arrivals", users)) if n and n < of}
    for shard in shards:
        try:
            shard.check(spec)
            refused = set()
        except SpecError as error:
            refused = {problem.path for problem in error.problems}
        assert refused == wanted
    if not wanted:
        shared = [shard.share_scheduler(scheduler) for shard in shards]
        assert {type(each) for each in shared} == {type(scheduler)}
        assert add_up([each.slots for each in shared], scheduler.slots)
        assert add_up([each.queue_limit for each in shared], scheduler.queue_limit)
        assert add_up([shard.share_users(users, divided=True) for shard in shards], users)


@given(schedulers, st.integers(1, 12))
def test_undivided_schedulers_stay_whole(scheduler: Scheduler, of: int) -> None:
    """Nothing is shared that nobody asked to share."""
    whole = replace(scheduler, divided=False)
    assert Shard(of - 1, of).share_scheduler(whole) is whole
    assert Shard().share_scheduler(scheduler) is scheduler


TOO_FEW = {
    "scheduler.slots": RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=5), Fifo(2, divided=True), seed=1),
    "workload.arrivals": RunSpec(Workload(Sleep(0.1), Closed(2), jobs=5), Fifo(divided=True), seed=1),
}


@pytest.mark.parametrize("index", [0, 2])
@pytest.mark.parametrize("member", TOO_FEW)
def test_each_shard_needs_a_slot_and_a_user(member: str, index: int) -> None:
    """Two for three shards: all shards are refused, not only the one that would have none, with the remedy."""
    with pytest.raises(SpecError, match="use fewer shards, or more") as refused:
        execute(replace(TOO_FEW[member], clock="virtual"), Shard(index, 3))
    assert [(problem.path, problem.got) for problem in refused.value.problems] == [(member, "2")]


def test_refusals_tell_of_divided() -> None:
    """Whoever did not know of it reads it where it helps."""
    spec = RunSpec(Workload(Sleep(0.1), Closed(9), jobs=9), Fifo(4, 4), seed=1, clock="virtual")
    with pytest.raises(SpecError) as refused:
        execute(spec, Shard(0, 2))
    assert len(refused.value.problems) == 3
    assert all("set divided to true" in problem.problem for problem in refused.value.problems)
    assert merge_shards(divide(spec), 2).status == "completed"


@dataclass(frozen=True)
class Polite(Arrivals):
    """A closed model of somebody else's: five users, and thoughts in blocks of three."""

    def instants(self, rng: np.random.Generator) -> Iterator[np.ndarray[Any, Any]]:
        yield np.zeros(5, np.int64)

    def think_times(self, rng: np.random.Generator) -> Iterator[np.ndarray[Any, Any]]:
        while True:
            yield rng.integers(10**8, 10**9, 3)


def test_any_closed_model_is_divided() -> None:
    """Its users are counted from its first block, and a block of thoughts may be shorter than there are shards."""
    spec = RunSpec(Workload(Sleep(0.1), Polite(), jobs=50), Fifo(divided=True), seed=1, clock="virtual")
    pieces = [execute(spec, Shard(index, 4)) for index in range(4)]
    assert [piece.shards[0].totals.peak for piece in pieces] == [2, 1, 1, 1]
    result = summarize(spec, pieces[0].merge(*pieces[1:]))
    assert result.counts.completed == 50
    assert "the users were divided among 4 shards" in str(result.findings)
    with pytest.raises(SpecError, match="at least 6 users"):
        execute(spec, Shard(0, 6))


# --- Runs ------------------------------------------------------------------------------------------------------------


def at_noon(parts: RunParts) -> RunParts:
    """As if it had started at a fixed time: the calendar is all that two executions may differ in."""
    reports = (replace(each, timeline=replace(each.timeline, started_at=NOON)) for each in parts.shards)
    return replace(parts, shards=tuple(reports))


@given(st.from_type(RunSpec))
def test_without_shards_it_changes_nothing(spec: RunSpec) -> None:
    """Parts to the byte, and of the result all but the member itself."""
    undivided, whole = divide(spec, divided=False), divide(spec)
    first, second = at_noon(execute(undivided)), at_noon(execute(whole))
    assert first.to_bytes() == second.to_bytes()
    results = [
        result_to_dict(summarize(each, parts, benchmark_id="benchmark-1"))
        for each, parts in ((undivided, first), (whole, second))
    ]
    assert [result["spec"]["scheduler"].pop("divided") for result in results] == [False, True]
    assert results[0] == results[1]


def serve_in_order(intended: list[int], service: list[int], slots: int) -> list[int]:
    """First come, first served: each job starts when it has come and the first slot is free."""
    free, started = [0] * slots, []
    for at, lasts in zip(intended, service, strict=True):
        started.append(max(at, heapq.heappop(free)))
        heapq.heappush(free, started[-1] + lasts)
    return started


@given(st.integers(7, 20), st.sampled_from(CUTS), st.integers(0, 2**32))
def test_a_shard_is_a_queue_of_its_own(slots: int, of: int, seed: int) -> None:
    """Its jobs are those of the plan, k mod N, and they wait for its own slots and for no others."""
    workload = Workload(Sleep(Exponential(0.1)), Poisson(15 * slots), jobs=150)
    spec = RunSpec(workload, Fifo(slots, divided=True), seed=seed, clock="virtual")
    planned, merged = plan(spec), merge_shards(spec, of)
    assert planned.intended is not None
    assert merged.records is not None
    assert merged.numbers is None
    for index in range(of):
        share = slots // of + (index < slots % of)
        columns = planned.intended[index::of].tolist(), planned.service[index::of].tolist()
        assert merged.records.started[index::of].tolist() == serve_in_order(*columns, share)


@given(st.integers(7, 30), st.integers(0, 200), st.sampled_from(CUTS), st.integers(0, 2**32))
def test_users_send_the_jobs_of_their_shard(users: int, jobs: int, of: int, seed: int) -> None:
    """Jobs of a closed model are dealt out too: each is sent once, and takes as long as the plan says."""
    spec = closed(users, seed, jobs=jobs + 1)
    planned, merged = plan(spec), merge_shards(spec, of)
    assert planned.intended is None
    assert merged.records is not None
    assert merged.numbers is None
    assert merged.records.service_ns.tolist() == planned.service.tolist()
    assert [report.totals.arrived for report in merged.shards] == [
        Shard(index, of).count_of(jobs + 1) for index in range(of)
    ]


def test_a_duration_leaves_holes_in_the_numbers() -> None:
    """Shards send what they come to; rows stay in the order of numbers, and each part finds its rows again."""
    spec = closed(10, duration=60.0)
    pieces = [execute(spec, Shard(index, 3)) for index in range(3)]
    merged = pieces[2].merge(pieces[0]).merge(pieces[1])
    assert merged == pieces[0].merge(*pieces[1:])
    assert merged == RunParts.from_bytes(merged.to_bytes())
    assert merged.records is not None
    assert merged.numbers is not None
    for index, piece in enumerate(pieces):
        assert merged.records[merged.numbers % 3 == index] == piece.records
    result = summarize(spec, merged)
    assert (result.status, result.counts.arrived) == ("completed", len(merged.records))
    assert [finding.code for finding in result.findings if finding.severity > Severity.NOTE] == []


def test_a_shard_in_real_time_has_its_users() -> None:
    """Four of nine, and five: no more are ever in service."""
    workload = Workload(Sleep(0.002), Closed(9, 0.001), jobs=60)
    spec = RunSpec(workload, Fifo(divided=True), seed=1)
    pieces = [execute(spec, Shard(index, 2)) for index in range(2)]
    assert [(piece.arrived, piece.shards[0].totals.peak) for piece in pieces] == [(30, 5), (30, 4)]
    assert "divided" in {finding.code for finding in summarize(spec, pieces[0].merge(pieces[1])).findings}


# --- In distribution -------------------------------------------------------------------------------------------------
# Without slots each user is an alternating renewal process of cycles (service, thought) with mean μ = S + Z and variance
# σ² = S² + Z², for both are exponential. Ends until T: mean T/μ + (σ² + μ²)/2μ² − S/μ (the first cycle has no thought before
# it), variance Tσ²/μ³ (Cox 1962, "Renewal theory", sections 4.2, 4.5 and 4.6), both but for terms that vanish. Users are
# independent, so both add up, however the users are divided.

USERS, SECONDS, SEEDS = 42, 60.0, 80
CYCLE, SPREAD = SERVICE + THINK, SERVICE**2 + THINK**2
MEAN_ENDS = USERS * (SECONDS / CYCLE + (SPREAD + CYCLE**2) / (2 * CYCLE**2) - SERVICE / CYCLE)
VARIANCE_OF_ENDS = USERS * SECONDS * SPREAD / CYCLE**3


def run_cut(spec: RunSpec, of: int) -> RunParts:
    return execute(spec) if of == 1 else merge_shards(spec, of)


@pytest.mark.parametrize("of", [1, *CUTS])
def test_divided_users_are_a_renewal_process(of: int) -> None:
    """Ends of 80 seeds within five standard errors of the theory, in mean and in variance. Shards that drew the same
    thoughts would have the mean, and up to N times the variance.
    """
    ends = []
    for seed in range(SEEDS):
        records = run_cut(closed(USERS, seed, duration=SECONDS), of).records
        assert records is not None
        ends.append(int((records.finished <= SECONDS * 1e9).sum()))
    assert abs(mean(ends) - MEAN_ENDS) < 5 * math.sqrt(VARIANCE_OF_ENDS / SEEDS)
    # The logarithm of a variance of n normal values has a standard error of √(2 ÷ (n − 1)).
    assert abs(math.log(variance(ends) / VARIANCE_OF_ENDS)) < 5 * math.sqrt(2 / (SEEDS - 1))


def distance(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    """Between two empirical distributions, as Kolmogorov and Smirnov have it."""
    at = np.concatenate([first, second])
    shares = (np.searchsorted(np.sort(each), at, side="right") / len(each) for each in (first, second))
    return float(np.abs(np.subtract(*shares)).max())


@pytest.mark.parametrize("of", CUTS)
def test_divided_users_have_the_same_times(of: int) -> None:
    """Two-sample test of Kolmogorov and Smirnov against another seed of the whole: a false alarm once in 10⁹ runs."""
    whole, merged = (
        execute(closed(USERS, 1, duration=200.0)).records,
        merge_shards(closed(USERS, 2, duration=200.0), of),
    )
    assert whole is not None
    assert merged.records is not None
    n, m = len(whole), len(merged.records)
    bound = math.sqrt(math.log(2 / 1e-9) / 2 * (n + m) / (n * m))
    assert distance(whole.response_ns, merged.records.response_ns) < bound
    # And of the gaps between ends, whoever's they are.
    gaps = [np.diff(np.sort(each.finished)) for each in (whole, merged.records)]
    assert distance(*gaps) < bound


@pytest.mark.parametrize("of", CUTS)
def test_divided_slots_are_separate_stations(of: int) -> None:
    """With slots each shard is a closed network of its own. Its throughput, over 20 seeds, is that of exact mean value
    analysis for its share, within five standard errors.
    """
    rates = []
    for seed in range(20):
        parts = merge_shards(closed(USERS, seed, 8, duration=120.0), of)
        assert parts.records is not None
        # From 20 s on the start, at which all users come at once, is forgotten: that is 33 cycles.
        rates.append(int(((parts.records.finished > 20e9) & (parts.records.finished <= 120e9)).sum()) / 100)
    shares = [(Shard(index, of).count_of(USERS), Shard(index, of).count_of(8)) for index in range(of)]
    expected = sum(closed_mva(users, THINK, SERVICE, slots)[0] for users, slots in shares)
    assert abs(mean(rates) - expected) < 5 * math.sqrt(variance(rates) / 20)


# --- What is said of it ----------------------------------------------------------------------------------------------

SAID = {
    "slots": (
        RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=9), Fifo(4, divided=True), seed=1),
        Severity.DEGRADED,
        "4 slots",
    ),
    "queue": (
        RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=9), Fifo(4, 6, divided=True), seed=1),
        Severity.DEGRADED,
        "4 slots and a queue of 6",
    ),
    "both": (closed(6, slots=3, jobs=9), Severity.DEGRADED, "3 slots and 6 users"),
    "users": (closed(6, jobs=9), Severity.NOTE, "6 users"),
    "unequal": (closed(7, jobs=9), Severity.DEGRADED, "7 users"),
    "unequal but timed": (closed(7, duration=9.0), Severity.NOTE, "7 users"),
}


@pytest.mark.parametrize("case", SAID)
def test_a_divided_run_says_so(case: str) -> None:
    """What was divided among how many, and how much it matters; also where only one of the shards is there."""
    spec, severity, what = SAID[case]
    spec = replace(spec, clock="virtual")
    for parts in (merge_shards(spec, 3), execute(spec, Shard(1, 3))):
        (finding,) = [each for each in summarize(spec, parts).findings if each.code == "divided"]
        assert finding.severity == severity
        assert finding.detail.startswith(f"{what} were divided among 3 shards: ")
    assert "divided" not in {finding.code for finding in summarize(spec, execute(spec)).findings}


def test_nothing_is_said_where_nothing_was_shared() -> None:
    """Without slots the open model has nothing to divide, and a queue limit no meaning: the shards are the whole."""
    spec = RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=90), Fifo(None, 4, divided=True), seed=1, clock="virtual")
    whole, merged = (
        summarize(spec, execute(spec), benchmark_id="a"),
        summarize(spec, merge_shards(spec, 3), benchmark_id="a"),
    )
    assert merged.findings == whole.findings
    assert (merged.jobs, merged.response_time) == (whole.jobs, whole.response_time)


def test_theory_is_of_what_ran() -> None:
    """M/M/4 is not what ran: each of two shards is E2/M/2. The rows stand in the result of the merged parts alone."""
    spec = RunSpec(
        Workload(Sleep(Exponential(0.1)), Poisson(30), jobs=500), Fifo(4, divided=True), seed=1, clock="virtual"
    )
    assert {row.model for row in summarize(spec, execute(spec)).theory} == {"M/M/4"}
    assert {row.model for row in summarize(spec, merge_shards(spec, 2)).theory} == {"E2/M/2"}


@given(schedulers, st.booleans())
def test_divided_survives_json(scheduler: Scheduler, divided: bool) -> None:
    """Where it is left out it is false."""
    spec = RunSpec(Workload(Sleep(0.1), jobs=1), replace(scheduler, divided=divided), seed=1)
    written = spec_to_dict(spec)
    assert written["scheduler"]["divided"] is divided
    assert spec_from_dict(written) == spec
    del written["scheduler"]["divided"]
    assert spec_from_dict(written) == divide(spec, divided=False)


def test_an_unknown_scheduler_keeps_it() -> None:
    """The finding on a stored run does not depend on what is installed here."""
    made = StandIns().make("schedulers", "fair", {"slots": 3, "divided": True})
    assert isinstance(made, Scheduler)
    assert (made.slots, made.divided) == (3, True)
