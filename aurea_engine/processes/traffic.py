"""What a run has exchanged with targets, as plain data: for metrics, beside the other figures of a snapshot.

It is read from a process in which a job runs, so it is as strict as the other messages: whole numbers within 63 bits, and no
more classes than the engine tells apart.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated

import msgspec

from aurea_engine.closed_sets import FAILURE_CLASSES, OTHER, STATUS_CLASSES, TOKEN_CLASSES, Outcome
from aurea_engine.records.status_codes import STATUS
from aurea_engine.run.meters import Meters
from aurea_engine.spec import RunSpec
from aurea_engine.workload.callbacks import PoolState

MOST = 2**63 - 1
"""The greatest whole number that a message can hold."""

SENT = (Outcome.COMPLETED, Outcome.FAILED, Outcome.TIMED_OUT)
"""Outcomes of jobs that were in service to their end, and so sent their request, or tried."""

Whole = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
ByClass = Annotated[dict[str, Whole], msgspec.Meta(max_length=100)]
"""More classes than the engine tells apart come from no engine."""


class Traffic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``statuses``: requests by class of status (`STATUS_CLASSES`); ``failures``: jobs by class of failure
    (`FAILURE_CLASSES`, or `OTHER`); ``tokens``: by class (`TOKEN_CLASSES`); the rest as in `PoolState`.
    """

    statuses: ByClass = {}
    failures: ByClass = {}
    tokens: ByClass = {}
    bytes_sent: Whole = 0
    bytes_received: Whole = 0
    open: Whole = 0
    busy: Whole = 0
    waiting: Whole = 0
    waited: Whole = 0
    full_ns: Whole = 0
    opened: Whole = 0
    failed_dials: Whole = 0


@dataclass(frozen=True)
class Requests:
    """Which jobs of a run are requests: those of all ``groups``, or where there are no groups, ``all`` or none.

    A job with steps is none: its steps are.
    """

    all: bool = False
    groups: tuple[str, ...] = ()

    @classmethod
    def of(cls, spec: RunSpec) -> Requests:
        """Jobs that report a status. Where several kinds of job are mixed, each has a group."""
        job = spec.workload.job
        asking = [STATUS in leaf.measures and not leaf.step_names() for leaf in job.leaves()]
        groups = job.groups()
        if not groups:
            return cls(all=all(asking))
        return cls(groups=tuple(dict.fromkeys(name for name, asks in zip(groups, asking, strict=True) if asks)))

    def choose(self, meters: Meters, steps: Meters | None) -> list[Meters]:
        """The meters of all requests: of such jobs, and of the steps of others."""
        chosen = [meters] if self.all else [meters.groups[name] for name in self.groups if name in meters.groups]
        return chosen if steps is None else [*chosen, steps]


NO_REQUESTS = Requests()


def make_traffic(
    meters: Meters, requests: Requests, pool: PoolState | None = None, steps: Meters | None = None
) -> Traffic:
    """What the jobs that have ended exchanged, and how the connections stand. ``steps``: meters of all steps of jobs."""
    statuses, sent = Counter[str](), 0
    for each in requests.choose(meters, steps):
        sent += sum(each.counts[outcome] for outcome in SENT)
        for code, answered in each.statuses.items():
            name = f"{code // 100}xx"
            statuses[name if name in STATUS_CLASSES else "other"] += answered
    # A request that failed before a status came reports none.
    statuses["none"] = max(sent - statuses.total(), 0)
    # By known names alone: with many unknown ones, which of them are told apart changes as they come, and a counter that is
    # made of it would fall.
    failures: Counter[str] = Counter()
    for failure, failed in meters.failures.items():
        failures[failure if failure in FAILURE_CLASSES else OTHER] += failed
    stands = pool or PoolState()
    return Traffic(
        statuses={name: jobs for name, jobs in statuses.items() if jobs},
        failures=dict(failures),
        tokens=_count_tokens(meters),
        bytes_sent=min(meters.totals["bytes_sent"], MOST),
        bytes_received=min(meters.totals["bytes_received"], MOST),
        open=stands.open,
        busy=stands.busy,
        waiting=stands.waiting,
        waited=stands.waited,
        full_ns=stands.full_ns,
        opened=stands.opened,
        failed_dials=stands.failed_dials,
    )


def _count_tokens(meters: Meters) -> dict[str, int]:
    """Tokens by `TOKEN_CLASSES`, of jobs that ask language models; nothing where none does."""
    cached = meters.totals["cached_tokens"]
    counted = (max(meters.totals["input_tokens"] - cached, 0), cached, meters.totals["output_tokens"])
    return {name: min(tokens, MOST) for name, tokens in zip(TOKEN_CLASSES, counted, strict=True) if tokens}
