"""Jobs that do not wait for ever: patience and deadlines, against queueing theory and by hand."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from aurea_engine import (
    AllAtOnce,
    Closed,
    Constant,
    ConstantRate,
    Distribution,
    Empirical,
    Exponential,
    Fifo,
    Job,
    JobBatch,
    Lifo,
    Limited,
    Objective,
    Outcome,
    PerJob,
    Poisson,
    Priority,
    Queue,
    Replay,
    RunResult,
    RunSpec,
    Scheduler,
    ShortestFirst,
    Sleep,
    Trace,
    Workload,
    simulate,
)
from aurea_engine.costs import Usage
from aurea_engine.testing import check_result, run_jumping

NS = 1_000_000_000
JOBS = 60_000


def records(result: RunResult) -> JobBatch:
    assert result.jobs is not None
    return result.jobs


def erlang_a(rate: float, mu: float, slots: int, theta: float) -> tuple[float, float]:
    """(share that abandons, mean wait of all arrivals) of M/M/c+M: a birth and death process, summed from 0 up."""
    weights, n = [1.0], 1
    while weights[-1] > 1e-18 * max(weights):
        weights.append(weights[-1] * rate / (min(n, slots) * mu + max(n - slots, 0) * theta))
        n += 1
    queue = sum((n - slots) * weight for n, weight in enumerate(weights) if n > slots) / sum(weights)
    return theta * queue / rate, queue / rate


def batch_error(values: np.ndarray) -> float:
    """Standard error of the mean of values that depend on their neighbours, by 60 batch means."""
    means = values[: len(values) // 60 * 60].reshape(60, -1).mean(axis=1)
    return float(means.std(ddof=1)) / math.sqrt(60)


@pytest.mark.parametrize(
    ("slots", "rate", "patience", "share", "wait"),
    [(1, 120.0, 0.02, 0.366204, 0.0073242), (4, 400.0, 0.01, 0.195367, 0.0019537)],
    ids=["M/M/1+M", "M/M/4+M"],
)
def test_impatience_agrees_with_theory(slots: int, rate: float, patience: float, share: float, wait: float) -> None:
    """Who leaves has waited for as long as their patience; the tolerance is four standard errors of batch means."""
    assert erlang_a(rate, 100.0, slots, 1 / patience) == pytest.approx((share, wait), rel=3e-5)
    workload = Workload(Sleep(Exponential(0.01)), Poisson(rate), jobs=JOBS, patience=Exponential(patience))
    jobs = records(simulate(RunSpec(workload, Fifo(slots), seed=5)))
    left, waits = (jobs.outcome == Outcome.ABANDONED).astype(float), jobs.waited_ns / NS
    assert (waits >= 0).all()
    assert abs(left.mean() - share) < 4 * batch_error(left)
    assert abs(waits.mean() - wait) < 4 * batch_error(waits)


def test_patience_has_a_stream_of_its_own() -> None:
    """Arrivals and services stay as they were; what is drawn does not depend on how many come."""
    workload = Workload(Sleep(Exponential(0.01)), Poisson(300), jobs=5000)
    spec = RunSpec(workload, Fifo(4), seed=3)
    plain = records(simulate(spec))
    patient = records(simulate(replace(spec, workload=replace(workload, patience=Exponential(0.005)))))
    served = patient.was_served
    assert 0 < served.sum() < 5000
    np.testing.assert_array_equal(plain.intended, patient.intended)
    np.testing.assert_array_equal(plain.service_ns[served], patient.service_ns[served])
    fewer = records(simulate(replace(spec, workload=replace(workload, patience=Exponential(0.005), jobs=100))))
    np.testing.assert_array_equal(fewer.outcome[:80], patient.outcome[:80])


@pytest.mark.parametrize("kind", [Fifo, Lifo, ShortestFirst, Priority])
@pytest.mark.parametrize("slots", [1, 3])
def test_no_patience_is_no_queue(kind: type[Scheduler], slots: int) -> None:
    """Patience 0 is a queue limit of 0, job by job, but for the name of the outcome."""
    workload = Workload(Sleep(Exponential(0.02)), Poisson(100), jobs=2000)
    lost = records(simulate(RunSpec(workload, kind(slots, 0), seed=2)))
    left = records(simulate(RunSpec(replace(workload, patience=Constant(0.0)), kind(slots), seed=2)))
    np.testing.assert_array_equal(lost.started, left.started)
    np.testing.assert_array_equal(lost.outcome == Outcome.REJECTED, left.outcome == Outcome.ABANDONED)


@pytest.mark.parametrize("run", [simulate, run_jumping], ids=["virtual", "real"])
def test_a_slot_that_frees_in_time_is_taken(run: object) -> None:
    """Patience ends at 1 s exactly, when the slot frees: served. A nanosecond less, and it has left by then."""
    for short, outcome, wait in ((0.0, Outcome.COMPLETED, NS), (1e-9, Outcome.ABANDONED, NS - 1)):
        workload = Workload(Sleep(1.0), AllAtOnce(), jobs=2, patience=Constant(1.0 - short))
        jobs = records(run(RunSpec(workload, Fifo(1), seed=0)))  # type: ignore[operator]
        assert (jobs.outcome[1], jobs.waited_ns[1]) == (outcome, wait)


@pytest.mark.parametrize("run", [simulate, run_jumping], ids=["virtual", "real"])
def test_a_deadline_rejects_or_times_out(run: object) -> None:
    """One slot, 1 s each, all at once, 2.5 s: two complete, one is stopped, two are turned away."""
    workload = Workload(Sleep(1.0), AllAtOnce(), jobs=5, deadline=2.5)
    result = run(RunSpec(workload, Fifo(1), PerJob(1), seed=0))  # type: ignore[operator]
    jobs = records(result)
    names = [Outcome(outcome).name for outcome in jobs.outcome]
    assert names == ["COMPLETED", "COMPLETED", "TIMED_OUT", "REJECTED", "REJECTED"]
    assert jobs.finished.tolist() == [NS, 2 * NS, 5 * NS // 2, 5 * NS // 2, 5 * NS // 2]
    assert jobs.started.tolist()[3:] == [-1, -1]
    assert (result.cost.total, result.duration) == (3, 2.5)


def test_a_job_that_ends_at_its_deadline_is_in_time() -> None:
    """And one that could only start then is turned away."""
    jobs = records(simulate(RunSpec(Workload(Sleep(1.0), AllAtOnce(), jobs=3, deadline=2.0), Fifo(1), seed=0)))
    assert jobs.outcome.tolist() == [Outcome.COMPLETED, Outcome.COMPLETED, Outcome.REJECTED]


def test_the_shorter_of_both_counts() -> None:
    """Patience 0.3 and deadline 0.5 s: the one leaves of its own accord; with 0.7 and 0.5 it is turned away."""
    for patience, outcome in ((0.3, Outcome.ABANDONED), (0.7, Outcome.REJECTED), (0.5, Outcome.REJECTED)):
        workload = Workload(Replay((9.0, 1.0)), jobs=2, patience=Constant(patience), deadline=0.5)
        jobs = records(simulate(RunSpec(workload, Fifo(1), seed=0)))
        assert jobs.outcome.tolist() == [Outcome.TIMED_OUT, outcome]


def test_who_leaves_makes_room() -> None:
    """Arrivals at 0, 0.1 and 0.2 s with one place in the queue: the second leaves at 0.15, so the third finds it free."""
    workload = Workload(Sleep(1.0), Trace((0.0, 0.1, 0.2)), patience=Empirical((0.05,)))
    jobs = records(simulate(RunSpec(workload, Fifo(1, 1), seed=0)))
    assert jobs.outcome.tolist() == [Outcome.COMPLETED, Outcome.ABANDONED, Outcome.ABANDONED]


def test_a_user_who_gave_up_thinks_again() -> None:
    """In the closed model leaving is an end like any other: 3 users, 1 s of service, 0.25 s of patience, no thought."""
    workload = Workload(Sleep(1.0), Closed(3), jobs=20, patience=Constant(0.25))
    result = simulate(RunSpec(workload, Fifo(1), seed=0))
    check_result(result)
    # In each second one is served, and two give up four times; at a full second one of those is served instead.
    assert result.counts.abandoned > result.counts.completed
    assert result.counts.arrived == 20


def test_leaving_counts_against_the_run() -> None:
    """In the failure ratio, and not in goodput; nothing is paid for it, and no time of it is reported."""
    workload = Workload(Sleep(1.0), AllAtOnce(), jobs=4, patience=Constant(0.5))
    objectives = (Objective("failure_ratio", at_most=0.5), Objective("goodput", at_least=1.1))
    result = simulate(RunSpec(workload, Fifo(1), PerJob(1), seed=0, objectives=objectives))
    assert (result.counts.completed, result.counts.abandoned) == (1, 3)
    assert [judged.observed for judged in result.objectives] == [0.75, 1.0]
    assert [judged.outcome for judged in result.objectives] == ["missed", "missed"]
    assert (result.cost.total, result.response_time.count, result.failures) == (1, 1, {})
    assert not result.theory


def test_a_stack_forgets_who_left_it() -> None:
    """Last come, first served, far too many: those at the bottom leave, and do not stay in memory for ever."""
    workload = Workload(Sleep(0.01), ConstantRate(1000), jobs=20_000, patience=Constant(0.05))
    result = simulate(RunSpec(workload, Lifo(1), seed=0, keep_jobs=False))
    assert result.counts.arrived == 20_000
    assert result.counts.abandoned > 17_000
    assert result.findings == () or "conservation_broken" not in {finding.code for finding in result.findings}


@pytest.mark.parametrize("patience", [Constant(0.02), Exponential(0.02)], ids=["constant", "exponential"])
def test_no_records_changes_no_count(patience: Distribution) -> None:
    """With records and without, the same counts: rows are dropped while others still wait."""
    workload = Workload(Sleep(Exponential(0.01)), Poisson(150), jobs=20_000, patience=patience, deadline=0.05)
    spec = RunSpec(workload, Fifo(1), seed=1)
    kept, flat = simulate(spec), simulate(replace(spec, keep_jobs=False))
    assert kept.counts == flat.counts
    assert kept.counts.abandoned
    assert kept.counts.timed_out


class PlainQueue(Queue):
    """First come, first served, by somebody who knows nothing of patience."""

    def __init__(self) -> None:
        self._jobs: list[int] = []

    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        self._jobs.append(job)

    def pop(self) -> int:
        return self._jobs.pop(0)

    def __len__(self) -> int:
        return len(self._jobs)


@dataclass(frozen=True)
class Plain(Scheduler):
    def queue(self) -> Queue:
        return PlainQueue()


@pytest.mark.parametrize("limit", [None, 3])
def test_any_queue_can_be_left(limit: int | None) -> None:
    """A queue of somebody else's gives out jobs that have left, and they are passed over: job by job as ours."""
    workload = Workload(Sleep(Exponential(0.02)), Poisson(100), jobs=2000, patience=Exponential(0.02), deadline=0.05)
    ours, theirs = (simulate(RunSpec(workload, kind(1, limit), seed=6)) for kind in (Fifo, Plain))
    assert ours.counts == theirs.counts
    for column in ("started", "finished", "outcome"):
        np.testing.assert_array_equal(getattr(records(ours), column), getattr(records(theirs), column))


def test_a_usage_of_before_can_still_be_read() -> None:
    """Counts that were written when nobody could leave lack the outcome; newer ones name it."""
    result = simulate(RunSpec(Workload(Sleep(1.0), AllAtOnce(), jobs=3, patience=Constant(0.5)), Fifo(1), seed=0))
    written = result.usage.to_dict()
    assert written["run"]["counts"]["abandoned"] == "2"
    assert Usage.from_dict(written) == result.usage
    del written["run"]["counts"]["abandoned"]
    assert Usage.from_dict(written).run.arrived == 1


class Nap(Job):
    """Runs as a task of its own, which begins a moment after its slot was given to it."""

    async def run(self, demand: float) -> None:
        await asyncio.sleep(0.1)


def test_a_task_that_has_a_slot_waits_no_more() -> None:
    """Patience 0 on three slots: who gets one is served, though its task has not begun when the others leave."""
    jobs = records(run_jumping(RunSpec(Workload(Nap(), jobs=5, patience=Constant(0.0)), Fifo(3), seed=0)))
    assert jobs.outcome.tolist() == [Outcome.COMPLETED] * 3 + [Outcome.ABANDONED] * 2


def test_a_deadline_stops_a_task() -> None:
    """At the deadline, or at the limit of its service, whichever comes first; what waits then never begins."""
    for limit, ends in ((None, [0.1, 0.15]), (0.03, [0.03, 0.06, 0.09, 0.12, 0.15])):
        job = Nap() if limit is None else Limited(Nap(), limit)
        result = run_jumping(RunSpec(Workload(job, jobs=6, deadline=0.15), Fifo(1), seed=0))
        jobs = records(result)
        assert (jobs.finished[: len(ends)] / NS).tolist() == pytest.approx(ends)
        assert result.counts.rejected == 6 - len(ends)
        assert result.counts.timed_out == len(ends) - (limit is None)
