"""Jobs that do not wait for ever: `Workload.patience` and `Workload.deadline`, for both clocks."""

# At one instant the deadline comes before the starts and the end of patience after them. A job that starts at its deadline
# could not end in time, so it is turned away; a job whose slot is free at the very instant at which it would leave takes it.
# So patience 0 means "served at once or not at all", which is a queue limit of 0.

from __future__ import annotations

import heapq

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import NS
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.recorder import Recorder
from aurea_engine.workload.workload import Workload

_DEADLINE, _PATIENCE = 0, 1
"""What ends a wait, in the order in which they count at one instant."""

_OUTCOMES = {_DEADLINE: Outcome.REJECTED, _PATIENCE: Outcome.ABANDONED}


class WaitLimits:
    """The instants at which waiting jobs leave; whether a job still waits then shows in its row."""

    def __init__(self, workload: Workload, recorder: Recorder, dispatcher: Dispatcher) -> None:
        self._recorder, self._dispatcher = recorder, dispatcher
        self._patience = workload.patience is not None
        self._deadline_ns = None if workload.deadline is None else round(workload.deadline * NS)
        # (instant, what ends the wait, job). A job that is served stays in it until its instant comes: looking for it would
        # cost more than passing it over.
        self._heap: list[tuple[int, int, int]] = []
        self.anyone = self._patience or self._deadline_ns is not None
        """Whether any job of this workload may leave."""
        self.stops_service = self._deadline_ns is not None
        """Whether a deadline may stop a job that is in service."""

    def enter(self, job: int) -> None:
        """``job`` has arrived: if it still waits, it may leave from now on."""
        # Most jobs start at the instant at which they arrive, and never come to be in the heap.
        if self._recorder.waits(job):
            heapq.heappush(self._heap, (*self._find_end(job), job))

    def _find_end(self, job: int) -> tuple[int, int]:
        """When the wait of ``job`` ends, and by what. Only where `anyone` may leave."""
        recorder, ends = self._recorder, []
        row = job - recorder.base
        intended = recorder.intended[row]
        if self._deadline_ns is not None:
            ends.append((intended + self._deadline_ns, _DEADLINE))
        if self._patience:
            ends.append((intended + recorder.patience[row], _PATIENCE))
        # Only the sooner of the two can ever count.
        return min(ends)

    def leaves_at(self, job: int) -> int | None:
        """When ``job`` leaves if it still waits then, in a queue or in a pool; None: never."""
        return self._find_end(job)[0] if self.anyone else None

    def outcome_of_leaving(self, job: int) -> Outcome:
        """What becomes of ``job`` if it leaves then."""
        return _OUTCOMES[self._find_end(job)[1]]

    def next_instant(self) -> int | None:
        """When the next job may leave."""
        return self._heap[0][0] if self._heap else None

    def before_starts(self, now: int) -> list[int]:
        """Jobs whose patience ended before ``now``, or whose deadline has come, leave."""
        # In real time the pump may come late: an end of patience that lies before this instant is in time all the same.
        return self._leave((now, _PATIENCE), now)

    def after_starts(self, now: int) -> list[int]:
        """Jobs whose patience ends ``now`` leave."""
        return self._leave((now + 1, _DEADLINE), now)

    def _leave(self, until: tuple[int, int], now: int) -> list[int]:
        heap, recorder, left = self._heap, self._recorder, []
        # (instant, why) sorts a deadline before an end of patience of the same instant, as they are to count.
        while heap and heap[0][:2] < until:
            _, why, job = heapq.heappop(heap)
            if not recorder.waits(job):
                continue  # it was served, or is
            recorder.leave(job, now, _OUTCOMES[why])
            self._dispatcher.leave(job)
            left.append(job)
        return left

    def left_ns(self, job: int, started: int) -> int | None:
        """For how long ``job`` may be in service from ``started`` on, ns; None if it has no deadline."""
        if self._deadline_ns is None:
            return None
        recorder = self._recorder
        return max(recorder.intended[job - recorder.base] + self._deadline_ns - started, 0)

    def limit_service(self, job: int, started: int) -> None:
        """``job`` starts: where its deadline comes before its planned end, it is stopped then, and times out."""
        left = self.left_ns(job, started)
        if left is not None and self._recorder.service_ns(job) > left:
            self._recorder.limit_service(job, left)

    def sooner(self, instant: int) -> int:
        """``instant``, or an earlier one at which a job may leave."""
        return self._heap[0][0] if self._heap and self._heap[0][0] < instant else instant
