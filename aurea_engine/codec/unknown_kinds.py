"""Stand-ins for kinds that the catalog does not know, so that a result from a machine with other packages can be looked at.

A stand-in keeps its kind and members, and writes them again as they were. It cannot be run: whatever needs the strategy
itself raises `SpecError`, which names the kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Literal, NoReturn

import numpy as np

from aurea_engine.costs import CostModel
from aurea_engine.errors import SpecError
from aurea_engine.records.measures import Mark, Measure
from aurea_engine.workload.arrivals import Arrivals
from aurea_engine.workload.distributions import Distribution
from aurea_engine.workload.jobs import Job
from aurea_engine.workload.schedulers import Scheduler
from aurea_engine.workload.token_traces import TokenLengths, TraceTokens


class UnknownKind:
    """What all stand-ins have. ``members`` are as they stood in the document."""

    kind: str
    members: Mapping[str, Any]

    def refuse(self) -> NoReturn:
        """What every method of the strategy's contract does."""
        raise SpecError(f"the kind {ascii(self.kind)[1:-1][:60]} is not known here: install the package that offers it")


# Every field has a default because `Scheduler` has some: a dataclass may not add one without. Members are no part of the
# hash, since what stands in a document may not be hashable.


@dataclass(frozen=True)
class UnknownJob(UnknownKind, Job):
    """A job of an unknown kind. It declares the marks and measures of the result that it is in: which of several unknown
    jobs reported them is not known any more.
    """

    kind: str = ""
    members: Mapping[str, Any] = field(default_factory=dict, hash=False)

    async def run(self, demand: float) -> NoReturn:
        self.refuse()


@dataclass(frozen=True)
class UnknownArrivals(UnknownKind, Arrivals):
    """Arrivals of an unknown kind. Nothing is asked of how they end: the run has ended."""

    ends: ClassVar[Literal["by itself"]] = "by itself"

    kind: str = ""
    members: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def instants(self, rng: np.random.Generator) -> NoReturn:
        self.refuse()

    def token_lengths(self) -> TokenLengths:
        # Jobs that took their lengths from it need not be refused: none of them will be planned.
        return TokenLengths.of(TraceTokens((), ()))


@dataclass(frozen=True)
class UnknownScheduler(UnknownKind, Scheduler):
    """A discipline of an unknown kind. Every scheduler has slots and a limit of its queue, so they are known."""

    kind: str = ""
    members: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def queue(self) -> NoReturn:
        self.refuse()


@dataclass(frozen=True)
class UnknownDistribution(UnknownKind, Distribution):
    """Durations of an unknown kind."""

    kind: str = ""
    members: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def sample(self, rng: np.random.Generator, n: int) -> NoReturn:
        self.refuse()

    def moments(self) -> NoReturn:
        self.refuse()


@dataclass(frozen=True)
class UnknownCostModel(UnknownKind, CostModel):
    """A cost model of an unknown kind, or of members that are refused by now: a bill that it made once stands as written."""

    kind: str = ""
    members: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def components(self) -> NoReturn:
        self.refuse()

    def refuse(self) -> NoReturn:
        kind = ascii(self.kind)[1:-1][:60]
        raise SpecError(
            f"the cost model {kind} is not known here, or not with these members: give it as it is written today"
        )


STAND_INS: Mapping[str, type[UnknownKind]] = {
    "jobs": UnknownJob,
    "arrivals": UnknownArrivals,
    "schedulers": UnknownScheduler,
    "cost_models": UnknownCostModel,
    "distributions": UnknownDistribution,
}
"""Group of kinds → what stands for one that is not known."""


@dataclass(frozen=True)
class StandIns:
    """Makes stand-ins for the unknown kinds of one result, whose jobs reported ``marks`` and ``measures``."""

    marks: tuple[Mark, ...] = ()
    measures: tuple[Measure, ...] = ()

    def make(self, group: str, kind: str, members: Mapping[str, Any]) -> UnknownKind:
        """A stand-in for ``kind``. Raises `SpecError` if a member that every kind of the group has is wrong."""
        # The report names the slots, utilization is a share of them, and a finding says where they were divided.
        known = ("slots", "queue_limit", "divided") if group == "schedulers" else ()
        shared = {name: members[name] for name in known if name in members}
        made = STAND_INS[group](kind=kind, members=make_plain(members), **shared)  # type: ignore[call-arg]
        if group == "jobs":
            # Of this job and not of its class, where jobs declare them otherwise: objectives and costs may refer to them.
            object.__setattr__(made, "marks", self.marks)
            object.__setattr__(made, "measures", self.measures)
        return made


def make_plain(value: Any) -> Any:
    """JSON values with floats in place of decimals, as they were before they became text."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [make_plain(item) for item in value]
    return {str(name): make_plain(item) for name, item in value.items()} if isinstance(value, Mapping) else value
