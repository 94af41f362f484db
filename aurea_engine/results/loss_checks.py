"""What it means for a run that shards of it were lost."""

from __future__ import annotations

from collections.abc import Iterator

from aurea_engine.closed_sets import Severity
from aurea_engine.records.batch import NS
from aurea_engine.results.findings import Finding
from aurea_engine.results.run_state import RunState
from aurea_engine.results.shard_figures import name_shard


def check_losses(state: RunState) -> Iterator[Finding]:
    """Nothing is guessed and nothing is run again: so it is said what is missing, and from when on."""
    # By when they were lost: the first is why the others were stopped.
    lost = sorted(
        ((report.loss, report) for report in state.parts.losses if report.loss is not None),
        key=lambda each: each[0].at_ns,
    )
    if not lost:
        return
    (loss, first), others = lost[0], len(lost) - 1
    detail = f"{name_shard(first)} was lost after {loss.at_ns / NS:.3g} s: {loss.detail}"
    if others:
        detail += f"; {others} more {'was' if others == 1 else 'were'} lost after that"
    reported, of = sum(each.reported for each, _ in lost), first.shard.of
    detail += f". At least {reported:,} jobs that had been released are in no figure"
    if loss.tolerated:
        # Jobs are dealt out in turn, so each shard has the same share of them.
        detail += f", and from then on {100 * len(lost) / of:.3g} % of the load was not offered"
        advice = "Its figures are those of another load. Find out why the process ended, and run again."
    else:
        detail += ", and the run was ended"
        advice = (
            "Its figures cover the part that ran, without that shard. Find out why the process ended, and run again."
        )
    yield Finding("shard_lost", Severity.INVALID, detail, advice, loss.at_ns / NS)
