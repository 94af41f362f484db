"""The load generators of a run as its checks see them: one, or one for each shard, of which the worst is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from aurea_engine.results.findings import Finding
from aurea_engine.results.run_state import RunState
from aurea_engine.results.shard_figures import name_shard, tells_of_itself
from aurea_engine.run.shard import GeneratorStats, ShardReport
from aurea_engine.run.shard_facts import Releases


@dataclass(frozen=True)
class Generator:
    """What one generator did. ``name`` is empty where there is only one. ``latest_release``: when the latest job that was
    released was meant to be, and was. ``silent_ns``: by how much its latest report is older than that of another, while
    the run goes on.
    """

    name: str
    arrived: int
    latest_release: tuple[int, int]
    releases: Releases
    stats: GeneratorStats
    silent_ns: int = 0

    @classmethod
    def of_shard(cls, report: ShardReport, elapsed_ns: int) -> Generator:
        """The one that ran this shard; the latest report of any shard was made at ``elapsed_ns``."""
        timeline, totals = report.timeline, report.totals
        latest = (timeline.due_ns, timeline.released_ns)
        # One that has ended reports no more: it ended earlier than the others, which is no fault.
        silent = elapsed_ns - timeline.elapsed_ns if report.status is None else 0
        return cls(name_shard(report), totals.arrived, latest, report.releases, report.generator, silent)


@dataclass(frozen=True)
class Weighed:
    """A finding about one generator, and the number ``by`` which it is worse than the same about another."""

    finding: Finding
    by: float


Check = Callable[[RunState, Generator], Weighed | None]


def list_generators(state: RunState) -> list[Generator]:
    """Each shard by itself where it tells of itself: a shard that is late is lost in the mean of many that are not."""
    parts = state.parts
    if tells_of_itself(parts):
        there = [report for report in parts.shards if report.loss is None]
        latest = max((report.timeline.elapsed_ns for report in there if report.status is None), default=0)
        return [Generator.of_shard(report, latest) for report in there]
    lag = state.meters.times["lag"]
    late = lag.count_above(state.spec.thresholds.lag) if lag.count else 0
    releases = Releases(lag.count, late, lag.maximum if lag.count else 0)
    return [Generator("", parts.arrived, parts.latest_release, releases, parts.generator)]


def find_worst(checks: Iterable[Check], state: RunState, generators: list[Generator]) -> Iterator[Finding]:
    """Of each check the finding about the worst generator, which it names."""
    for check in checks:
        found = [(each, one) for one in generators if (each := check(state, one)) is not None]
        if found:
            worst, one = max(found, key=lambda each: (each[0].finding.severity, each[0].by))
            yield _name(worst.finding, one, len(found) - 1)


def _name(finding: Finding, generator: Generator, others: int) -> Finding:
    if not generator.name:
        return finding
    detail = f"{generator.name}: {finding.detail}"
    if others:
        detail += f"; {others} other shard{'' if others == 1 else 's'} had this too"
    return replace(finding, detail=detail)
