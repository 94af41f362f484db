"""What holds for every run in virtual time, whatever its scheduler, arrivals, slots, limits and jobs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aurea_engine import (
    AllAtOnce,
    Arrivals,
    Closed,
    Constant,
    ConstantRate,
    Fifo,
    JobSource,
    Outcome,
    Priority,
    RunSpec,
    Scheduler,
    Sleep,
    Workload,
    result_to_dict,
    simulate,
)

any_spec = st.from_type(RunSpec)
NO_TIME_AT_ALL = RunSpec(Workload(Sleep(0.0), Closed(2), jobs=30), Fifo(1, 0), seed=1)
BATCH = RunSpec(Workload(Sleep(0.1), AllAtOnce(), jobs=40), Priority(3, 4), seed=1)


@given(any_spec)
@example(NO_TIME_AT_ALL)
@example(BATCH)
def test_every_job_has_one_outcome(spec: RunSpec) -> None:
    """Arrived is completed + failed + timed_out + rejected + cancelled, and the records say the same."""
    result = simulate(spec)
    counts, jobs = result.counts, result.jobs
    assert jobs is not None
    recorded = Counter(Outcome(outcome) for outcome in jobs.outcome.tolist())
    assert counts.arrived == len(jobs)
    assert counts.arrived == counts.completed + counts.failed + counts.timed_out + counts.rejected + counts.cancelled
    assert 0 == recorded[Outcome.PENDING] == recorded[Outcome.CANCELLED]
    for outcome in (Outcome.COMPLETED, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.REJECTED):
        assert recorded[outcome] == getattr(counts, outcome.name.lower())


@given(any_spec)
@example(NO_TIME_AT_ALL)
@example(BATCH)
def test_no_slot_is_idle_while_a_job_waits(spec: RunSpec) -> None:
    """Reconstructed from the records alone: between any two instants, fewer busy slots than there are means nobody waits."""
    jobs = simulate(spec).jobs
    assert jobs is not None
    began = jobs[jobs.was_started]
    instants = sorted({*began.intended.tolist(), *began.started.tolist(), *began.finished.tolist()})
    slots, limit = spec.scheduler.slots, spec.scheduler.queue_limit
    for at in instants:
        busy = int(((began.started <= at) & (at < began.finished)).sum())
        waiting = int(((began.intended <= at) & (at < began.started)).sum())
        assert slots is None or busy <= slots
        assert waiting == 0 or busy == slots
        assert slots is None or limit is None or waiting <= limit


@given(any_spec)
@example(BATCH)
def test_rejection_only_without_room(spec: RunSpec) -> None:
    """At the instant of a rejection at least slots + queue_limit admitted jobs had come and not ended before it."""
    jobs = simulate(spec).jobs
    assert jobs is not None
    began = jobs[jobs.was_started]
    for at in jobs.intended[jobs.outcome == Outcome.REJECTED].tolist():
        assert spec.scheduler.slots is not None
        assert spec.scheduler.queue_limit is not None
        there = int(((began.intended <= at) & (began.finished >= at)).sum())
        assert there >= spec.scheduler.slots + spec.scheduler.queue_limit


@given(any_spec)
def test_little_s_law_holds_on_the_sample_path(spec: RunSpec) -> None:
    """The area ∫N(t)dt, summed by hand over the sorted events, is the sum of the response times, to the nanosecond."""
    jobs = simulate(spec).jobs
    assert jobs is not None
    began = jobs[jobs.was_started]
    events = sorted([(t, 1) for t in began.intended.tolist()] + [(t, -1) for t in began.finished.tolist()])
    area = level = before = 0
    for at, step in events:
        area += level * (at - before)
        level, before = level + step, at
    assert area == int(began.response_ns.sum())


@given(any_spec)
def test_response_is_waiting_plus_service(spec: RunSpec) -> None:
    """Job by job, in whole nanoseconds; what never started has no times."""
    jobs = simulate(spec).jobs
    assert jobs is not None
    began = jobs[jobs.was_started]
    assert (began.waiting_ns >= 0).all()
    assert (began.service_ns >= 0).all()
    np.testing.assert_array_equal(began.waiting_ns + began.service_ns, began.response_ns)
    assert (jobs.outcome[~jobs.was_started] == Outcome.REJECTED).all()
    assert (jobs.finished[~jobs.was_started] == -1).all()
    assert (np.diff(jobs.intended) >= 0).all()


@given(any_spec)
def test_quantiles_rise(spec: RunSpec) -> None:
    """Minimum ≤ p50 ≤ p90 ≤ p95 ≤ p99 ≤ max and p50 ≤ 2·mean (Markov), where the sample carries them."""
    result = simulate(spec)
    for timing in (result.response_time, result.waiting_time, result.service_time):
        if timing.count and timing.mean is not None:
            known = [timing.min, timing.p50, timing.p90, timing.p95, timing.p99, timing.max]
            given_ = [value for value in known if value is not None]
            assert given_ == sorted(given_)
            assert (timing.p50 or 0) <= 2 * timing.mean * (1 + 1e-12)


@given(any_spec)
def test_utilization_is_busy_slot_time(spec: RunSpec) -> None:
    """It is Σ busy time ÷ (slots × window), and it is at most 1."""
    result = simulate(spec)
    assert result.jobs is not None
    begin, end = result.window
    if spec.scheduler.slots is None or end == begin:
        assert result.utilization is None
        return
    began = result.jobs[result.jobs.was_started]
    busy = Fraction(int(began.service_ns.sum()), 10**9)
    assert float(busy / spec.scheduler.slots) / (end - begin) == pytest.approx(result.utilization, rel=1e-9)
    assert (result.utilization or 0) <= 1 + 1e-9


@given(any_spec)
def test_the_same_seed_gives_the_same_bytes(spec: RunSpec) -> None:
    """All of the result but the wall clock's labels is equal as text."""

    def written(spec: RunSpec) -> str:
        body = result_to_dict(simulate(spec, benchmark_id="same"))
        for label in ("start_time", "end_time", "environment"):
            body.pop(label)
        body["usage"]["run"].pop("started_at")
        for job in body["jobs"]:
            job.pop("timestamp")
        return json.dumps(body, sort_keys=True, allow_nan=False)

    assert written(spec) == written(spec)


@given(any_spec, st.from_type(Scheduler))
def test_scheduler_leaves_arrivals_alone(spec: RunSpec, other: Scheduler) -> None:
    """Common random numbers: each purpose has a stream of its own."""
    if isinstance(spec.workload.arrivals, Closed):
        spec = replace(spec, workload=replace(spec.workload, arrivals=ConstantRate(30)))
    one, two = simulate(spec).jobs, simulate(replace(spec, scheduler=other)).jobs
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one.intended, two.intended)
    both = one.was_started & two.was_started
    np.testing.assert_array_equal(one.service_ns[both], two.service_ns[both])
    np.testing.assert_array_equal(one.outcome[both], two.outcome[both])


@given(st.from_type(JobSource), st.from_type(Arrivals), st.from_type(Arrivals), st.integers(0, 2**32))
def test_other_arrivals_leave_the_demands_alone(job: JobSource, one: Arrivals, two: Arrivals, seed: int) -> None:
    """Job number i asks for the same service whenever it arrives."""
    left = simulate(RunSpec(Workload(job, one, jobs=40), seed=seed)).jobs
    right = simulate(RunSpec(Workload(job, two, jobs=40), seed=seed)).jobs
    assert left is not None
    assert right is not None
    both = min(len(left), len(right))
    np.testing.assert_array_equal(left.service_ns[:both], right.service_ns[:both])


@given(any_spec)
def test_counts_do_not_need_records(spec: RunSpec) -> None:
    """Flat memory changes what is remembered, not what happened."""
    whole, flat = simulate(spec), simulate(replace(spec, keep_jobs=False))
    assert flat.jobs is None
    assert whole.counts == flat.counts
    assert whole.cost.total == flat.cost.total
    assert whole.window == flat.window
    assert whole.concurrency.peak == flat.concurrency.peak
    assert whole.response_time.mean == pytest.approx(flat.response_time.mean)
    assert whole.response_time.max == flat.response_time.max
    assert whole.utilization == pytest.approx(flat.utilization)


@given(any_spec)
def test_the_lines_of_the_bill_add_up_to_the_total(spec: RunSpec) -> None:
    """Exactly, and at 0.001 a second of every job that was served."""
    result = simulate(spec)
    assert result.jobs is not None
    began = result.jobs[result.jobs.was_started]
    assert Fraction(int(began.service_ns.sum()), 10**12) == result.cost.total
    assert sum((line.amount or 0 for line in result.cost.lines), Fraction(0)) == result.cost.total


def test_constant_load_never_waits() -> None:
    """The simplest of all: D/D/1 at half load."""
    result = simulate(RunSpec(Workload(Sleep(Constant(0.01)), ConstantRate(50), jobs=100), Fifo(1), seed=0))
    assert result.waiting_time.max == 0.0
