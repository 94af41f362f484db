"""What it means for a run on several machines that their clocks are known only so well."""

from __future__ import annotations

from collections.abc import Iterator

from aurea_engine.closed_sets import Severity
from aurea_engine.records.batch import NS
from aurea_engine.results.findings import Finding
from aurea_engine.results.run_state import RunState
from aurea_engine.results.shard_figures import name_shard


def check_clocks(state: RunState) -> Iterator[Finding]:
    """Only of what lays jobs of several machines side by side. All instants of one job come from one clock, so its times are
    exact whatever the clocks of others show.
    """
    worst = max(state.parts.shards, key=lambda report: report.process.clock_bound_ns, default=None)
    if worst is None or len(state.parts.shards) < 2:
        return
    bound, limits = worst.process.clock_bound_ns / NS, state.spec.thresholds
    if bound <= limits.lag:
        return
    detail = (
        f"the clock of {name_shard(worst)} is known to ± {bound:.3g} s: the common start, the series, the peak concurrency "
        "and how many jobs were in the system are off by as much. Response times are not"
    )
    advice = "Run it from a machine nearer to the workers, or on a network with less to do."
    severity = Severity.DEGRADED if bound > limits.loop_lag else Severity.NOTE
    yield Finding("clock_uncertain", severity, detail, advice)
