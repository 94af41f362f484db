"""What happened second by second."""

from __future__ import annotations

import numpy as np
import pytest

from aurea_engine import ConstantRate, Fifo, JobBatch, Outcome, Replay, RunSpec, Sleep, Trace, Workload, simulate
from aurea_engine.records.series import MOST, Series

SECOND = 1_000_000_000
LATER = 100 * SECOND
"""An end of the run that cuts no bin."""


def jobs(*rows: tuple[float, float, float, Outcome]) -> JobBatch:
    """(intended, started, finished, outcome), seconds; -1e-9 for never."""
    columns = np.rint(np.array([row[:3] for row in rows]) * SECOND).astype(np.int64)
    outcome = np.array([row[3] for row in rows], np.uint8)
    return JobBatch(columns[:, 0], columns[:, 0], columns[:, 1], columns[:, 2], outcome)


NEVER = -1e-9
FIVE = jobs(
    (0.0, 0.0, 0.5, Outcome.COMPLETED),
    (0.5, 0.5, 2.5, Outcome.COMPLETED),
    (0.9, 1.0, 1.5, Outcome.FAILED),
    (2.1, NEVER, NEVER, Outcome.REJECTED),
    (0.2, NEVER, 1.2, Outcome.ABANDONED),
)


def test_bins_count_arrivals_and_ends() -> None:
    """By the intended start, by the end, a rejected one by its release and one that left the queue when it left."""
    series = Series()
    series.add(FIVE)
    rows = [point[:8] for point in series.points(LATER)]
    assert rows == [(0.0, 4, 1, 0, 0, 0, 1.0, 3), (1.0, 0, 0, 1, 0, 1, 0.0, 1), (2.0, 1, 1, 0, 1, 0, 1.0, 0)]


def test_bin_quantiles_are_of_completed() -> None:
    """Response times 0.5 and 2.0 s, within the histogram's error; None where nothing completed."""
    series = Series()
    series.add(FIVE)
    first, second, third = series.points(LATER)
    assert first.p50 == first.p99 == pytest.approx(0.5, rel=0.004)
    assert second.p50 is second.p99 is None
    assert third.p99 == pytest.approx(2.0, rel=0.004)


def test_the_size_of_batches_does_not_matter() -> None:
    """Nor their order."""
    whole, parts = Series(), Series()
    whole.add(FIVE)
    for i in (3, 1, 0, 4, 2):
        parts.add(FIVE[np.array([i])])
    assert whole.points(LATER) == parts.points(LATER)


def test_small_batches_make_the_same_bin() -> None:
    """A run that is watched adds a little at a time."""
    whole, parts = Series(), Series()
    many = jobs(*[(i / 100, i / 100, i / 100 + 0.001 * (i % 7 + 1), Outcome.COMPLETED) for i in range(90)])
    whole.add(many)
    for i in range(90):
        parts.add(many[np.array([i])])
    assert whole.points(LATER) == parts.points(LATER)


def test_nothing_is_an_empty_series() -> None:
    """No jobs, no points."""
    series = Series()
    series.add(JobBatch.empty())
    assert series.points(LATER) == []


def test_a_long_run_keeps_a_bounded_series() -> None:
    """10,000 s in at most 2,048 bins; the counts and the number in the system add up all the same."""
    result = simulate(RunSpec(Workload(Sleep(3.0), ConstantRate(1), jobs=10_000), Fifo(5), seed=0))
    points = result.series
    assert 1024 <= len(points) <= MOST
    assert result.series_width == 8
    assert 10_000 == sum(point.arrived for point in points) == sum(point.completed for point in points)
    assert points[-1].in_system == 0
    # At each edge one of three has just ended, and the next is about to arrive.
    assert {2} == {point.in_system for point in points[:-1]}
    assert [8.0 * i for i in range(len(points))] == [point.at for point in points]


def test_a_sparse_run_keeps_a_bounded_series_too() -> None:
    """Two jobs thirty years apart are not a billion empty seconds."""
    result = simulate(RunSpec(Workload(Replay((1.0, 2.0)), Trace((0.0, 9e8))), seed=0))
    assert len(result.series) <= MOST
    assert sum(point.completed for point in result.series) == 2


def test_bins_without_completions_merge() -> None:
    """Rejected jobs alone, over more bins than are kept."""
    spec = RunSpec(Workload(Sleep(5000.0), ConstantRate(1), jobs=5000), Fifo(1, queue_limit=0), seed=0)
    points = simulate(spec).series
    assert sum(point.rejected for point in points) == 4999
    assert sum(point.completed for point in points) == 1


@pytest.mark.parametrize("keep", [True, False], ids=["records kept", "no records"])
def test_series_does_not_need_records(keep: bool) -> None:
    """One second at 100/s."""
    spec = RunSpec(Workload(Sleep(0.01), ConstantRate(100), duration=2), seed=0, keep_jobs=keep)
    assert [point.arrived for point in simulate(spec).series] == [100, 100]
    assert [point.completed for point in simulate(spec).series] == [100, 100]


def test_the_last_point_counts_only_the_run() -> None:
    """10/s for 2.5 s: the last half second has 5 jobs, which is 10/s there too, and not 5/s."""
    points = simulate(RunSpec(Workload(Sleep(0.05), ConstantRate(10), duration=2.5))).series
    assert [point.completed for point in points] == [10, 10, 5]
    assert [point.throughput for point in points] == [10.0, 10.0, 10.0]


def test_a_run_within_one_bin_has_its_own_rate() -> None:
    """Four jobs of 0.1 s on one slot take 0.4 s: 10/s, as the run's own throughput says."""
    result = simulate(RunSpec(Workload(Sleep(0.1), jobs=4), Fifo(1)))
    assert [point.throughput for point in result.series] == [10.0] == [result.throughput]


def test_a_wide_last_bin_counts_only_the_run() -> None:
    """5,000 s in bins of 4 s, at 0.5/s: the last bin is cut at the run's end, whatever its width."""
    result = simulate(RunSpec(Workload(Sleep(1.0), ConstantRate(0.5), duration=5_002)))
    assert result.series_width == 4
    assert [result.series[i].throughput for i in (0, 10, -1)] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("service", [1.0, 2.0, 4.0])
def test_ends_on_the_last_edge_are_in_the_last_bin(service: float) -> None:
    """Ten jobs that all end with the run, on the edge of a bin: no point begins where the run is over."""
    result = simulate(RunSpec(Workload(Sleep(service), jobs=10)))
    assert len(result.series) == service
    assert result.series[-1].throughput == 10.0
    assert result.series[-1].in_system == 0
    assert result.series[-1].p50 == pytest.approx(service, rel=0.004)


def test_a_warmup_leaves_the_points_alone() -> None:
    """The series is of the whole run: it shows what the warm-up left out."""
    spec = RunSpec(Workload(Sleep(0.05), ConstantRate(10), duration=2.5), warmup=1.25)
    assert [point.throughput for point in simulate(spec).series] == [10.0, 10.0, 10.0]


def test_an_end_on_an_edge_is_in_the_bin_it_closes() -> None:
    """And a job that takes no time ends where it arrives, so that nobody leaves before they came."""
    edge = jobs(
        (0.5, 0.5, 1.0, Outcome.COMPLETED), (1.0, 1.0, 1.0, Outcome.COMPLETED), (1.0, NEVER, NEVER, Outcome.REJECTED)
    )
    series = Series()
    series.add(edge)
    assert [point[1:8] for point in series.points(LATER)] == [(1, 1, 0, 0, 0, 1.0, 0), (2, 1, 0, 1, 0, 1.0, 0)]


def test_no_time_has_no_rate() -> None:
    """Jobs that take no time, all at once: nothing can be divided by."""
    result = simulate(RunSpec(Workload(Sleep(0.0), jobs=3)))
    assert [(point.completed, point.throughput) for point in result.series] == [(3, None)]


def test_rates_of_points_add_up_to_the_jobs() -> None:
    """The sum of rate × part of the run is the number of jobs, with a last bin of any length."""
    for duration in (0.3, 1.0, 1.7, 2.0, 3.999):
        result = simulate(RunSpec(Workload(Sleep(0.013), ConstantRate(37), duration=duration)))
        end = result.window[1]
        parts = [min(point.at + 1, end) - point.at for point in result.series]
        rates = [point.throughput or 0.0 for point in result.series]
        assert sum(rate * part for rate, part in zip(rates, parts, strict=True)) == pytest.approx(
            result.counts.completed
        )
