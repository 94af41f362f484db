"""One-hot gauges of verdict and objectives, and series of groups and shards: by position, bounded, of real runs only."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from aurea_engine.closed_sets import VERDICTS
from aurea_engine.processes.messages import Snapshot
from aurea_engine.processes.so_far import GroupSoFar, ShardSoFar, SoFar
from aurea_server.metrics.registry import BenchmarkMetrics, Registry
from aurea_server.runner.messages import Figures
from tests.server.so_far import group, judged, shard


@pytest.fixture
def metrics() -> BenchmarkMetrics:
    return BenchmarkMetrics("none")


def shown(metrics: BenchmarkMetrics, name: str) -> dict[Any, float]:
    """By the values of the labels, in the order of their names; one of them alone where there is only one."""
    families = [f for f in parse_text(generate_latest(Registry(metrics)).decode()) if name.startswith(f.name)]
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    keys = [tuple(value for _, value in sorted(sample.labels.items())) for sample in samples]
    return {key[0] if len(key) == 1 else key: sample.value for key, sample in zip(keys, samples, strict=True)}


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize(("clock", "prefix"), [("real", "benchmark"), ("virtual", "benchmark_simulated")])
def test_the_verdict_is_1_and_the_others_0(metrics: BenchmarkMetrics, verdict: str, clock: str, prefix: str) -> None:
    """Of the last run of that clock, and of no run while one is active, which has no verdict yet."""
    name = f"{prefix}_run_verdict"
    metrics.start_run("benchmark-1", clock)
    assert shown(metrics, name) == {}
    metrics.finish_run(Figures(status="completed", verdict=verdict))
    assert shown(metrics, name) == {word: float(word == verdict) for word in VERDICTS}
    other = ({"benchmark", "benchmark_simulated"} - {prefix}).pop()
    assert shown(metrics, f"{other}_run_verdict") == {}
    metrics.start_run("benchmark-2", clock)
    assert shown(metrics, name) == {}
    metrics.fail_run("failed")
    assert shown(metrics, name) == {}


def test_outcomes_of_objectives_by_position(metrics: BenchmarkMetrics) -> None:
    """As they stand during the run, then as the result has them; each position has one 1. A ninth has no series."""
    name = "benchmark_objective_outcome"
    metrics.start_run("benchmark-1")
    assert shown(metrics, name) == {}
    metrics.update_run(Snapshot(so_far=SoFar(objectives=[judged("inconclusive"), judged("met")])))
    holding = {position for position, value in shown(metrics, name).items() if value == 1}
    assert holding == {("1", "inconclusive"), ("2", "met")}
    metrics.finish_run(Figures(status="completed", verdict="valid", objectives=["missed", *["met"] * 8]))
    found = shown(metrics, name)
    assert len(found) == 8 * 3
    assert {key for key, value in found.items() if value} == {("1", "missed"), *((str(i), "met") for i in range(2, 9))}
    assert sum(found.values()) == 8


def test_words_of_a_newer_runner_are_no_labels(metrics: BenchmarkMetrics) -> None:
    """Closed sets stay closed, whatever a process says; the position is kept for those it knows."""
    metrics.start_run("benchmark-1")
    metrics.update_run(Snapshot(so_far=SoFar(objectives=[judged('met"} 1'), judged("met")])))
    assert {key[0] for key in shown(metrics, "benchmark_objective_outcome")} == {"2"}
    metrics.finish_run(Figures(status="completed", verdict="splendid", objectives=["splendid"]))
    assert shown(metrics, "benchmark_run_verdict") == shown(metrics, "benchmark_objective_outcome") == {}


def report(
    groups: list[GroupSoFar] | None = None, more: int = 0, shards: list[ShardSoFar] | None = None, **counts: int
) -> Snapshot:
    return Snapshot(counts=counts, so_far=SoFar(groups=groups or [], more_groups=more, shards=shards or []))


def test_groups_are_counted_by_position(metrics: BenchmarkMetrics) -> None:
    """Over all runs, live, and never by their names; what is beyond the sixteenth is what the others leave."""
    name = "benchmark_group_jobs_total"
    assert len(shown(metrics, name)) == 17 * 2
    assert set(shown(metrics, name).values()) == {0}
    metrics.start_run("benchmark-1")
    metrics.update_run(report([group(5, 1), group(7, 2)], completed=12, failed=2, timed_out=1))
    metrics.update_run(report([group(50, 10), group(70, 20)], completed=120, failed=29, timed_out=1))
    metrics.finish_run(Figures(status="completed"))
    metrics.start_run("benchmark-2")
    metrics.update_run(report([group(1) for _ in range(16)], more=3, completed=20, failed=2, timed_out=3))
    found = {key: value for key, value in shown(metrics, name).items() if value}
    rest = {(str(i), "completed"): 1 for i in range(3, 17)}
    first = {("1", "completed"): 51, ("1", "failed"): 10, ("2", "completed"): 71, ("2", "failed"): 20}
    assert found == {**first, **rest, ("other", "completed"): 4, ("other", "failed"): 5}
    metrics.fail_run("cancelled")
    assert {key: value for key, value in shown(metrics, name).items() if value} == found


def test_a_run_without_groups_moves_none(metrics: BenchmarkMetrics) -> None:
    """Nor does a simulated one, whose figures never stand beside real ones."""
    metrics.start_run("benchmark-1")
    metrics.update_run(report(completed=12))
    metrics.finish_run(Figures(status="completed"))
    metrics.start_run("benchmark-2", "virtual")
    metrics.update_run(report([group(5, 1)], shards=[shard(0)], completed=5, failed=1))
    metrics.finish_run(Figures(status="completed"))
    assert set(shown(metrics, "benchmark_group_jobs_total").values()) == {0}
    assert shown(metrics, "benchmark_shard_up") == {}


def test_times_of_groups_are_of_the_current_run(metrics: BenchmarkMetrics) -> None:
    """Or the last; a quantile that is not known has no sample."""
    names = [f"benchmark_group_response_time_{q}_seconds" for q in ("p50", "p99")]
    metrics.start_run("benchmark-1")
    metrics.update_run(report([group(p99=None), group(p50=0.3, p99=0.4)]))
    metrics.finish_run(Figures(status="completed"))
    assert [shown(metrics, name) for name in names] == [{"1": 0.1, "2": 0.3}, {"2": 0.4}]
    metrics.start_run("benchmark-2")
    assert [shown(metrics, name) for name in names] == [{}, {}]


def test_shards_say_whether_they_are_up(metrics: BenchmarkMetrics) -> None:
    """One was lost; those from the seventeenth on are told together. At the end none is up, and the rest stays."""
    names = [f"benchmark_shard_{name}" for name in ("up", "jobs", "worst_lag_seconds")]
    shards = [shard(0), shard(1, 0, None, "failed"), *(shard(n, n, n / 1000) for n in range(2, 18))]
    metrics.start_run("benchmark-1")
    metrics.update_run(report(shards=shards))
    up, jobs, lag = (shown(metrics, name) for name in names)
    assert (up["0"], up["1"], up["other"], jobs["other"], lag["other"]) == (1, 0, 2, 33, 0.017)
    assert (jobs["1"], lag.get("1"), len(up)) == (0, None, 17)
    metrics.fail_run("failed")
    assert sum(shown(metrics, names[0]).values()) == 0
    assert shown(metrics, names[1]) == jobs
    metrics.start_run("benchmark-2")
    assert [shown(metrics, name) for name in names] == [{}, {}, {}]
