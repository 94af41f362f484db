"""Meters are sums and extremes: however the jobs are cut and in whatever order they come, they hold the same."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import Fifo, JobBatch, Objective, Outcome, Poisson, RunSpec, Sleep, Workload
from aurea_engine.run.job_times import SPANS, CountingRules
from aurea_engine.run.meters import Meters
from aurea_engine.workload.distributions import Exponential

SPEC = RunSpec(
    Workload(Sleep(Exponential(0.06)), Poisson(55), jobs=100),
    Fifo(4),
    warmup=2.0,
    objectives=(Objective("response_time", at_most=3.0, quantile=0.9),),
)


def jobs_drawn(seed: int, n: int = 300) -> JobBatch:
    """Jobs of every outcome, several at one instant, some that never started."""
    chance = np.random.default_rng(seed)
    intended = np.sort(chance.integers(0, 8, n)) * 500_000_000
    released = intended + chance.integers(0, 3, n)
    outcome = chance.integers(1, len(Outcome), n).astype(np.uint8)
    never = np.isin(outcome, [Outcome.REJECTED, Outcome.ABANDONED]) | (
        (outcome == Outcome.CANCELLED) & (chance.random(n) < 0.5)
    )
    started = np.where(never, -1, released + chance.integers(0, 4 * 10**9, n))
    finished = np.where(never, -1, started + chance.integers(0, 10**9, n))
    return JobBatch(intended, released, started, finished, outcome)


def state_of(meters: Meters) -> dict[str, object]:
    """All of it, in a form that can be compared. The reference that sums of squares are about is free to differ."""
    shown: dict[str, object] = {name: copy(value) for name, value in vars(meters).items() if name != "times"}
    for metric, histogram in meters.times.items():
        whole = histogram.to_dict()
        del whole["shift_ns"], whole["squares"]
        shown[metric] = (whole, histogram.variance)
    return shown


def fed(*batches: JobBatch, rules: CountingRules | None = None) -> Meters:
    meters = Meters(rules or CountingRules.of(SPEC))
    for batch in batches:
        meters.feed(batch)
    return meters


@given(st.integers(0, 2**32), st.lists(st.integers(0, 4), min_size=300, max_size=300))
def test_merged_parts_equal_the_whole(seed: int, owners: list[int]) -> None:
    """Every job belongs to one of five parts, in any way at all; the parts are merged in any order."""
    jobs, owner = jobs_drawn(seed), np.array(owners)
    merged = Meters(CountingRules.of(SPEC))
    for part in np.random.default_rng(seed).permutation(5):
        merged.merge(fed(jobs[owner == part]))
    assert state_of(merged) == state_of(fed(jobs))


@given(st.integers(0, 2**32), st.lists(st.integers(0, 300), max_size=4))
def test_the_size_of_batches_changes_nothing(seed: int, cuts: list[int]) -> None:
    """And neither does the order of the jobs."""
    jobs = jobs_drawn(seed)
    shuffled = jobs[np.random.default_rng(seed).permutation(len(jobs))]
    edges = [0, *sorted(cuts), len(jobs)]
    pieces = [shuffled[slice(a, b)] for a, b in pairwise(edges)]
    assert state_of(fed(*pieces)) == state_of(fed(jobs))


def test_each_figure_agrees_with_a_count_by_hand() -> None:
    """The oracle is a loop over single jobs in plain Python."""
    jobs, meters = jobs_drawn(7), fed(jobs_drawn(7))
    warmup, bound = 2 * 10**9, 3 * 10**9
    rows = list(zip(*(column.tolist() for column in jobs.columns().values()), strict=True))
    completed = [row for row in rows if row[4] == Outcome.COMPLETED]
    assert meters.good == sum(end - intended <= bound for intended, _, _, end, _ in completed)
    assert meters.finished_in_window == sum(end >= warmup for _, _, _, end, _ in completed)
    assert meters.busy_in_window_ns == sum(
        max(end - max(start, warmup), 0) for _, _, start, end, _ in rows if start >= 0
    )
    assert meters.counts == {each: sum(row[4] == each for row in rows) for each in Outcome if each}
    counted = [row for row in rows if row[0] >= warmup]
    assert meters.counted.total() == len(counted)
    assert meters.first_counted_ns == min(row[0] for row in counted)
    assert (meters.latest_intended_ns, meters.latest_released_ns) == max((row[0], row[1]) for row in rows)
    assert meters.last_ns == max(max(row[1], row[3]) for row in rows)
    spent = {"response_time": 0, "waiting_time": 0, "service_time": 0, "lag": 0, "failure_time": 0}
    for intended, released, start, end, outcome in counted:
        spent["lag"] += released - intended
        if outcome == Outcome.COMPLETED:
            spent["response_time"] += end - intended
            spent["waiting_time"] += start - intended
            spent["service_time"] += end - start
        spent["failure_time"] += end - intended if outcome in (Outcome.FAILED, Outcome.TIMED_OUT) else 0
    assert {name: meters.times[name].total for name in SPANS} == spent


def test_a_copy_does_not_change_with_its_original() -> None:
    """Progress may keep what it was given."""
    meters = fed(jobs_drawn(1))
    before, copied = state_of(meters), meters.copy()
    meters.feed(jobs_drawn(2))
    assert state_of(copied) == before != state_of(meters)


def test_meters_under_other_rules_are_not_merged() -> None:
    """Their counts would be of different jobs."""
    with pytest.raises(ValueError, match="rules"):
        fed(jobs_drawn(1)).merge(fed(jobs_drawn(1), rules=CountingRules.of(replace(SPEC, warmup=1.0))))
