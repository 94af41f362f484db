"""What is cut is the plan, column by column: of every built-in arrivals and job, and what statistics say of it.

The jobs of shard k of N are the rows k, k + N, … of the whole. So the shards together have the whole's columns, and its
arrivals pass the same tests as those of one process.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from aurea_engine import (
    Arrivals,
    Closed,
    ConstantRate,
    Exponential,
    Fifo,
    Flow,
    Http,
    JobSource,
    Poisson,
    Ramp,
    RunSpec,
    Shard,
    Sine,
    Sleep,
    Stage,
    Stages,
    Step,
    Trace,
    Workload,
    plan,
)
from aurea_engine.closed_sets import ARRIVAL_KINDS, JOB_KINDS
from aurea_engine.records.batch import Instants
from tests.engine.test_shards import ARRIVALS, JOBS

CUTS = (2, 3, 7)
COLUMNS = ("job", "intended", "demand", "leaf", "outcome", "service")

URL = "http://127.0.0.1:9/{{index}}"
REAL_ONLY: dict[str, JobSource] = {
    "flow": Flow(steps=(Step(URL, name="a"), Step(URL, name="b", think=Exponential(0.1)))),
    "http": Http(URL),
}
EVERY_JOB = {**JOBS, **REAL_ONLY}


def interleave(spec: RunSpec, of: int) -> dict[str, Any]:
    """The columns of all shards, each value in the row that its job has in the whole."""
    shards = [vars(plan(spec, Shard(index, of))) for index in range(of)]
    whole: dict[str, Any] = {}
    for name in COLUMNS:
        columns = [shard[name] for shard in shards]
        if columns[0] is None:
            whole[name] = None
            continue
        whole[name] = np.empty(sum(map(len, columns)), columns[0].dtype)
        for index, column in enumerate(columns):
            whole[name][index::of] = column
    return whole


def test_every_kind_there_is_takes_part() -> None:
    """A kind that is added must be held against its shards too."""
    assert (set(EVERY_JOB), {*ARRIVALS, "closed"}) == (set(JOB_KINDS), set(ARRIVAL_KINDS))


@pytest.mark.parametrize("job", EVERY_JOB)
@pytest.mark.parametrize("arrivals", [*ARRIVALS, "closed"])
def test_shards_have_the_columns_of_the_whole(arrivals: str, job: str) -> None:
    """For 2, 3 and 7 shards. A closed model has no intended instants: only its users know them."""
    source = Closed(14) if arrivals == "closed" else ARRIVALS[arrivals]
    spec = RunSpec(Workload(EVERY_JOB[job], source, jobs=150), Fifo(divided=True), seed=5)
    whole = plan(spec)
    assert (whole.intended is None) == (arrivals == "closed")
    for of in CUTS:
        for name, column in interleave(spec, of).items():
            np.testing.assert_array_equal(column, vars(whole)[name], f"{name} of {of}")


# --- What statistics say of arrivals in four processes -----------------------------------------------------------------


def arrive(arrivals: Arrivals, jobs: int, of: int = 4) -> Instants:
    """When the jobs of all shards are due, in the order of time."""
    spec = RunSpec(Workload(Sleep(0), arrivals, jobs=jobs), seed=5)
    together = [plan(spec, Shard(index, of)).intended for index in range(of)]
    return np.sort(np.concatenate([each for each in together if each is not None]))


@pytest.mark.parametrize("of", [1, 4])
def test_poisson_is_poisson(of: int) -> None:
    """Gaps are exponential (Kolmogorov and Smirnov) and independent (lag 1), and counts as dispersed as Poisson's: in four
    processes as in one. Each alone would not pass: its gaps are sums of four.
    """
    due, jobs = arrive(Poisson(2000), 20_000, of), 20_000
    gaps = np.diff(due)
    assert distance_from_exponential(gaps) < 2.23  # exceeded by chance once in 10,000 (Kolmogorov 1933)
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 4 / math.sqrt(jobs)
    counts = np.bincount(due // 10**7)[:-1]
    assert counts.var(ddof=1) / counts.mean() == pytest.approx(1, abs=4 * math.sqrt(2 / len(counts)))
    if of > 1:
        assert distance_from_exponential(np.diff(due[::of])) > 10


def distance_from_exponential(gaps: Instants) -> float:
    """The greatest distance of the two distributions, times √n."""
    expected = 1 - np.exp(-np.sort(gaps) / gaps.mean())
    steps = np.arange(len(gaps) + 1) / len(gaps)
    return float(max(np.abs(expected - steps[1:]).max(), np.abs(expected - steps[:-1]).max()) * math.sqrt(len(gaps)))


def test_constant_has_no_double_and_no_hole() -> None:
    assert arrive(ConstantRate(1000), 5000).tolist() == [i * 10**6 for i in range(5000)]


def test_trace_is_played_as_recorded() -> None:
    times = tuple(sorted([i * 0.0025 for i in range(500)] + [0.5, 0.5]))
    assert arrive(Trace(times), 502).tolist() == [round(each * 10**9) for each in times]


@pytest.mark.parametrize(
    ("arrivals", "area"),
    [
        pytest.param(Ramp(100, 700, over=10.0), lambda t: 100 * t + 30 * t**2, id="ramp"),
        pytest.param(
            Sine(400, 200, period=2.0), lambda t: 400 * t + 200 * (1 - np.cos(math.pi * t)) / math.pi, id="sine"
        ),
        pytest.param(
            Stages((Stage(2.0, rate=200), Stage(4.0, start=200, end=800))),
            lambda t: np.where(t < 2, 200 * t, 400 + 200 * (t - 2) + 75 * (t - 2) ** 2),
            id="stages",
        ),
    ],
)
def test_changing_rates_are_exact(arrivals: Arrivals, area: Any) -> None:
    """They are those of one process to the nanosecond, and the area under the rate rises by one from job to job."""
    due = arrive(arrivals, 2000)
    assert due.tolist() == arrive(arrivals, 2000, of=1).tolist()
    np.testing.assert_allclose(np.diff(area(due / 1e9)), 1, atol=1e-3)
