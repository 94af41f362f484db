"""What may end a run, or a job's wait, before everything is served: the same for both clocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from aurea_engine.run.aborts import AbortJudge, aborting
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.patience import WaitLimits
from aurea_engine.run.plan import JobPlan
from aurea_engine.run.recorder import Recorder
from aurea_engine.spec import RunSpec

# Four things end a run before its last job has ended: `Workload.stop_at`, the end of `Workload.drain`, an objective that is
# lost (`aborts`), and a stop from outside (``watch``). The first two are one instant, as far as it is known
# (`StopInstant`). A job's wait ends early by patience or deadline (`patience`). Drivers ask the objects in here at the
# places that `aurea_engine.run.driver` names; what a stop does then is theirs, and the same for all of them.

Watch = Callable[[int], bool]
"""Called with the ns since the window opened; True stops the run."""


class StopInstant:
    """The instant at which a run ends with what it has, as far as it is known: `Workload.stop_at`, or the end of the drain.

    The drain begins with the last arrival. In the closed model it is not known that it was the last before the duration is
    over, so there it does not end the run earlier than that.
    """

    def __init__(self, plan: JobPlan) -> None:
        self._plan, self._stop_ns, self._drain_ns = plan, plan.stop_ns, plan.drain_ns
        self._waits_for_the_duration = plan.closed and plan.drain_ns is not None
        # None: no such instant is known (yet). It only ever moves to an earlier one, or from None to one.
        self.at_ns = plan.stop_at_ns
        self.latest = 0
        """When the latest job arrived (was meant to), ns."""
        self.releasing = True
        """Whether more jobs may arrive."""
        self._closed_ns = -1

    def reached(self, now: int) -> bool:
        """Whether the run ends now."""
        return self.at_ns is not None and now >= self.at_ns

    def too_late(self, now: int) -> bool:
        """Whether what would arrive now does not."""
        return self._stop_ns is not None and now >= self._stop_ns

    def next_instant(self) -> int | None:
        """When to look again, whatever else happens."""
        # The closed model's drain can only begin when the duration is over, and nothing else need happen at that instant.
        if self.releasing and self._waits_for_the_duration and self._stop_ns is not None:
            return self._stop_ns
        return self.at_ns

    def left_off(self, at: int) -> bool:
        """Whether more jobs would have arrived, had the run not ended ``at``."""
        # At the end of the duration itself a job that would have come cannot be told from one that was too late anyway.
        return self.releasing or (self._closed_ns == at and self.too_late(at))

    def close(self, now: int) -> None:
        """No job will arrive any more."""
        # The drain counts from the last arrival, but cannot end before it is known that it was the last.
        self.releasing, self._closed_ns = False, now
        if self._drain_ns is not None:
            # In a shard the last job of all may be another's: the plan knows when it arrives.
            end = max(max(self.latest, self._plan.latest_ns) + self._drain_ns, now)
            self.at_ns = end if self.at_ns is None else min(end, self.at_ns)


@dataclass
class StopConditions:
    """``watch`` is called now and then with the ns since the window opened, and returns whether the run is to stop;
    ``aborts`` is None if no objective may end it.
    """

    watch: Watch
    wait_limits: WaitLimits
    stop_instant: StopInstant
    aborts: AbortJudge | None
    plain: bool
    """Whether nothing but the last job ends the run (or ``watch``), and no waiting job leaves."""

    @classmethod
    def of(
        cls,
        spec: RunSpec,
        plan: JobPlan,
        dispatcher: Dispatcher,
        recorder: Recorder,
        watch: Watch,
        opened: Callable[[], datetime | None] = lambda: None,
    ) -> StopConditions:
        """For one run of ``spec``, of which ``opened`` says when it began."""
        aborts = AbortJudge(spec, recorder, dispatcher, opened) if aborting(spec) else None
        waits = WaitLimits(spec.workload, recorder, dispatcher)
        return cls(watch, waits, StopInstant(plan), aborts, spec.workload.plain and aborts is None)

    def sooner(self, due: int | None) -> int | None:
        """``due``, or an earlier instant at which a job leaves or the run ends."""
        # Asked before each wait of a run in real time, so a plain run does not look at what it does not have.
        if self.plain:
            return due
        known = (due, self.wait_limits.next_instant(), self.stop_instant.next_instant())
        return min((instant for instant in known if instant is not None), default=None)

    def lost(self) -> bool:
        """Whether an objective that ends the run is lost."""
        return self.aborts is not None and self.aborts.lost is not None
