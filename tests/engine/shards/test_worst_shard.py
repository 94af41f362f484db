"""The findings of a run in shards: each process by itself, and the worst by its name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aurea_engine import (
    Closed,
    ConstantRate,
    Finding,
    RunParts,
    RunSpec,
    Severity,
    Shard,
    Sleep,
    Workload,
    execute,
    summarize,
)
from aurea_engine.results.checks import check_progress
from aurea_engine.results.run_state import RunState
from aurea_engine.run.shard import GeneratorStats, ShardReport
from aurea_engine.run.shard_facts import ProcessFacts, Releases

SPEC = RunSpec(Workload(Sleep(0.001), ConstantRate(1000), jobs=4000), seed=1)
PUNCTUAL = Releases(1000, 0, 1000)
HOSTS = ("a", "a", "b", "b")


def make(*changed: tuple[int, dict[str, Any]]) -> RunParts:
    """Four shards on two machines, punctual but for what is ``changed``."""
    pieces = []
    for k in range(4):
        parts = execute(replace(SPEC, clock="virtual"), Shard(k, 4))
        # These tests may run under coverage; the processes that they are about do not.
        environment = {name: value for name, value in parts.shards[0].environment.items() if name != "tracer"}
        facts = {"process": ProcessFacts(HOSTS[k], 100 + k), "releases": PUNCTUAL, "environment": environment}
        report = replace(parts.shards[0], **facts)
        for index, changes in changed:
            report = _change(report, changes) if index == k else report
        pieces.append(replace(parts, shards=(report,)))
    return pieces[0].merge(*pieces[1:])


def _change(report: ShardReport, changes: dict[str, Any]) -> ShardReport:
    released = changes.pop("released_ns", None)
    if released is not None:
        report = replace(report, timeline=replace(report.timeline, released_ns=released))
    return replace(report, **changes)


def find(parts: RunParts, code: str, spec: RunSpec = SPEC) -> Finding | None:
    return next((each for each in summarize(spec, parts).findings if each.code == code), None)


def test_punctual_shards_have_no_finding() -> None:
    assert summarize(SPEC, make()).verdict == "valid"


def test_late_shard_is_named() -> None:
    """Twelve in a hundred of its jobs are three of all: the mean would hide that it is another workload there."""
    found = find(make((3, {"releases": Releases(1000, 120, 9_000_000)})), "late_releases")
    assert found is not None
    assert found.detail.startswith("shard 3 on b: 12.0 % of the jobs were released more than 0.005 s late")
    assert found.severity == Severity.DEGRADED


def test_worst_of_several_is_named() -> None:
    """With how many others had the same."""
    late = [(k, {"releases": Releases(1000, share, 9_000_000)}) for k, share in ((0, 20), (1, 600), (2, 300))]
    found = find(make(*late), "late_releases")
    assert found is not None
    assert found.detail.startswith("shard 1 on a: 60.0 %")
    assert found.detail.endswith("; 2 other shards had this too")
    assert found.severity == Severity.INVALID


@pytest.mark.parametrize(
    ("code", "changes", "told"),
    [
        ("loop_lag", {"generator": GeneratorStats(late_ns=300_000_000)}, "the event loop was blocked for 0.3 s"),
        (
            "gc_pause",
            {"generator": GeneratorStats(gc_longest_ns=50_000_000, gc_total_ns=70_000_000)},
            "took 0.05 s, all of them 0.07 s",
        ),
    ],
)
def test_each_check_names_the_shard(code: str, changes: dict[str, Any], told: str) -> None:
    found = find(make((2, dict(changes))), code)
    assert found is not None
    assert found.detail.startswith("shard 2 on b: ")
    assert told in found.detail


def test_shard_that_falls_behind_is_named() -> None:
    """The others are in time, so the latest release of the run is."""
    behind = {"released_ns": 8_000_000_000, "releases": Releases(1000, 900, 4_000_000_000)}
    found = find(make((1, behind)), "rate_shortfall")
    assert found is not None
    assert found.detail == "shard 1 on a: jobs were released at 125/s, and 250/s was specified"


def test_users_are_never_late() -> None:
    """Where no instant was specified, none is missed, in any shard."""
    spec = replace(SPEC, workload=Workload(Sleep(0.001), Closed(4), jobs=4000))
    parts = make((1, {"releases": Releases(1000, 0, 0)}))
    assert find(parts, "rate_shortfall", spec) is None


def under_way(parts: RunParts, elapsed: dict[int, float]) -> RunState:
    """The run as it stands when shard k last reported after ``elapsed[k]`` seconds; the rest have ended."""
    reports = tuple(
        replace(each, status=None, timeline=replace(each.timeline, elapsed_ns=round(elapsed[k] * 1e9)))
        if (k := each.shard.index) in elapsed
        else each
        for each in parts.shards
    )
    return RunState(SPEC, replace(parts, shards=reports), max(elapsed.values()), None, True, False)


def test_shard_that_lags_shows_under_way() -> None:
    """It tells nothing of what holds it up, so its last report is held against those of the others. One that has ended is
    no laggard, and in the end each tells of itself.
    """
    (found,) = check_progress(under_way(make(), {0: 9.0, 1: 8.75, 2: 6.5}))
    assert (found.code, found.severity) == ("loop_lag", Severity.DEGRADED)
    assert found.detail == (
        "shard 2 on b: nothing was heard of it for 2.5 s: the figures hold what it had reported before"
    )
    assert check_progress(under_way(make(), {0: 9.0, 1: 8.1})) == ()
    assert summarize(SPEC, make()).verdict == "valid"


def test_result_shows_every_process() -> None:
    """As they told it, by shard."""
    told = {
        "releases": Releases(1000, 120, 9_000_000),
        "process": ProcessFacts("b", 103, 2_500_000_000, 40_000, -3_000_000, 1_000_000),
        "generator": GeneratorStats(busy=0.25),
    }
    shown = summarize(SPEC, make((3, told))).shards
    assert [shard.shard for shard in shown] == [0, 1, 2, 3]
    last = shown[3]
    assert (last.host, last.process, last.jobs, last.status) == ("b", 103, 1000, "completed")
    assert (last.late_share, last.worst_lag, last.cpu, last.busy) == (0.12, 0.009, 2.5, 0.25)
    assert (last.start_skew, last.clock_offset, last.clock_bound) == (0.00004, -0.003, 0.001)


def test_parts_without_facts_are_judged_together() -> None:
    """Those of earlier versions, and of shards in virtual time, tell nothing of their processes."""
    parts = make()
    plain = tuple(replace(each, process=ProcessFacts(), releases=Releases()) for each in parts.shards)
    result = summarize(SPEC, replace(parts, shards=plain))
    assert (result.shards, result.verdict) == ((), "valid")
