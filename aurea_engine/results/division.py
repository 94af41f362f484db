"""What `Scheduler.divided` had divided among the shards of a run, and what that means for its figures."""

from __future__ import annotations

from collections.abc import Iterator

from aurea_engine.closed_sets import Severity
from aurea_engine.results.findings import Finding
from aurea_engine.results.run_state import RunState
from aurea_engine.run.parts import RunParts
from aurea_engine.spec import RunSpec
from aurea_engine.workload.arrivals import Arrivals, Closed

# Pooling matters: one queue before c slots has shorter waits than N queues before c/N slots each, since there a slot may be
# idle while a job waits elsewhere (Smith and Whitt 1981, "Resource sharing for efficiency in traffic systems"). So limited
# slots that were divided are another system, and worth more than a note.
#
# Users of a closed model meet nowhere but in the queue. Without limited slots each is a process of its own, whatever shard
# it is in, and dividing them changes no distribution. Only where a number of jobs ends the run do unequal shares show:
# jobs are dealt out evenly, so shards with fewer users need longer for theirs.


def list_divided(spec: RunSpec, parts: RunParts) -> tuple[str, ...]:
    """What was divided among the shards that ``parts`` are of, in words; empty if nothing was."""
    scheduler, arrivals = spec.scheduler, spec.workload.arrivals
    # Also where only one of the shards is here: its queue was not the one of the run.
    if not scheduler.divided or not parts.shards or parts.shards[0].shard.is_whole:
        return ()
    divided = []
    if scheduler.slots is not None:
        divided.append(f"{scheduler.slots:,} slots")
        # Without limited slots no job is ever turned away, so then there was no queue to divide.
        if scheduler.queue_limit is not None:
            divided.append(f"a queue of {scheduler.queue_limit:,}")
    # Jobs wait for a connection as they wait for a slot.
    if connections := count_connections(spec):
        divided.append(f"{connections:,} connections")
    if isinstance(arrivals, Closed):
        divided.append(f"{arrivals.users:,} users")
    # Of somebody else's closed model only its random draws say how many users there are, and nothing is drawn here.
    elif type(arrivals).think_times is not Arrivals.think_times:
        divided.append("the users")
    return tuple(divided)


def count_connections(spec: RunSpec) -> int:
    """The limits of connections of all kinds of jobs together; 0 where none is limited."""
    return sum(limit for leaf in spec.workload.job.leaves() for limit in leaf.pool_limits())


def check_divided(state: RunState) -> Iterator[Finding]:
    """Divided slots are another queue than one with all of them; divided users without slots are as good as the whole."""
    spec, divided = state.spec, list_divided(state.spec, state.parts)
    if not divided:
        return
    shards, arrivals = state.parts.shards[0].shard.of, spec.workload.arrivals
    first, last = ", ".join(divided[:-1]), divided[-1]
    detail = f"{f'{first} and {last}' if first else last} were divided among {shards:,} shards"
    if spec.scheduler.slots is not None or count_connections(spec):
        detail += ": jobs waited in as many queues, not in one"
        advice = "Compare it only with runs in as many shards. For one queue, run it in one process."
        yield Finding("divided", Severity.DEGRADED, detail, advice)
    elif spec.workload.jobs is not None and isinstance(arrivals, Closed) and arrivals.users % shards:
        detail += ": not all had as many, and those with fewer took longer for as many jobs"
        advice = "Let a duration end the run, or make the users a multiple of the shards."
        yield Finding("divided", Severity.DEGRADED, detail, advice)
    else:
        detail += ": users sent other jobs than in one process, from the same distributions"
        advice = "Compare its figures with those of one process as you would compare two seeds."
        yield Finding("divided", Severity.NOTE, detail, advice)
