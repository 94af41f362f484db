"""The state of a run in virtual time, and all that its loops do seldom: looks, stops, users, jobs that leave."""

# `aurea_engine.run.event_heap` has the loops and the theory. What is here is called once in a block, a look or a run, or
# only where a specification asks for it, so it may cost a call.
#
# Writing. Starts go into the columns at once, since the recorder alone knows the service times. Ends are only logged in
# ``_ended`` and written in bulk. Objectives that may abort judge single ends (``_judge``), and need them at once.
#
# Looks. Every few thousand turns, and at every block of arrivals, the batch is digested and the run's watch is asked
# whether to stop. Blocks are counted too, because a run may have no ends for a long time: one endless job on one slot, and
# arrivals that are all rejected. A stop from outside is nothing but a ``stop_at`` of the next nanosecond that became known
# late. So it needs no code of its own, and the same specification with that ``stop_at`` has the same records.
#
# A stop that is ahead stands in the place of the next arrival once no job is to come. The loop then runs into it, or ends
# before because no job is left: a ``stop_at`` in the future ends no run that is over.

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator
from itertools import chain, repeat

import numpy as np

from aurea_engine.errors import Problem, SpecError
from aurea_engine.records.batch import NEVER, Instants
from aurea_engine.run.context import RunContext
from aurea_engine.run.recorder import BATCH
from aurea_engine.workload.schedulers import BUILT_IN

STANDSTILL = 1_000_000
"""Arrivals at one instant after which a closed model without a number of jobs is taken to stand still."""

FOREVER = 2**63
"""Later than any instant: those are int64."""

NOBODY = -1
"""In place of a job's number: no job is to come."""

Arrival = tuple[int, int, int, float, int]
"""(instant, instant of the next one, job, demand, priority). In the closed model the instants are not known before."""

JOB = 2
NO_ARRIVAL: Arrival = (FOREVER, NEVER, NOBODY, 0.0, 0)


class Simulation:
    """One run: where it stands between two instants."""

    def __init__(self, run: RunContext) -> None:
        conditions = run.conditions
        self._plan, self._dispatcher, self._recorder = run.plan, run.dispatcher, run.recorder
        self._watch, self._judge, self._stop_instant = conditions.watch, conditions.aborts, conditions.stop_instant
        self._waits = conditions.wait_limits if conditions.wait_limits.anyone else None
        # A heap of (instant, job): who is in service, and until when.
        self._ends: list[tuple[int, int]] = []
        # Jobs that have ended and whose ends are not in the columns yet, in the order of their ends.
        self._ended = array("q")
        # Jobs that have arrived so far, where any may leave: those since are of this instant.
        self._entered = 0
        thinks = run.plan.think_times
        self._thinks = None if thinks is None else chain.from_iterable(map(_as_list, thinks))
        # In the closed model the end of releasing is one more entry of the heap: the loop then wakes, though users think. So
        # the heap is empty exactly when no job is to come: in the open model always, in the closed one once it is closed.
        self._stop_ns = FOREVER if thinks is None or run.plan.stop_ns is None else run.plan.stop_ns
        self._thinking = [] if thinks is None else [*[0] * run.plan.users, self._stop_ns]
        # Jobs that have arrived at ``_stood_at`` without an end to it; see `_check_progress`.
        self._standing_still, self._stood_at = 0, -1
        # How many jobs may start without being queued. A queue that is not one of ours sees every job, so none.
        ours = run.spec.scheduler.slots is None or type(run.spec.scheduler) in BUILT_IN
        self._room = run.dispatcher.slots if ours else 0
        # The latest instant whose arrivals have been taken; in the lanes, of the latest block.
        self._now = 0
        self._until = FOREVER if self._stop_instant.at_ns is None else self._stop_instant.at_ns
        # A stop from outside, while jobs would still have come.
        self._stop_requested = self._cut_off = False
        self._arrivals = self._number_arrivals()
        self._upcoming: Arrival = NO_ARRIVAL

    def _take_first_arrival(self) -> None:
        # Users of a closed model may be none at all (a user's arrivals decide): then no job ever comes.
        if self._thinks is None or self._plan.users:
            self._upcoming = next(self._arrivals, None) or self._close(0)

    def _is_going_on(self) -> bool:
        """Whether any job is in service, or to come. If none is, none waits either (rule 2 of the dispatcher)."""
        return bool(self._ends) or self._upcoming[JOB] >= 0

    def _close_run(self) -> None:
        """Nothing is left to happen."""
        self._write_ends()
        if self._stop_requested:
            self._stop(self._until)

    def _number_arrivals(self) -> Iterator[Arrival]:
        """The jobs to come, block by block, with a look before each block but the first."""
        first = 0
        for block in self._plan.blocks():
            intended, n = block.intended, len(block)
            if first:
                self._check_progress(n)
                self._look(self._now)
            if self._stop_requested:
                # This block was asked for among the arrivals of an instant, and the others of it still come: in the closed
                # model each user once, since users who come back at once, for ever, would never let the instant pass.
                same = self._thinking.count(self._now) if intended is None else np.searchsorted(intended, self._until)
                if not (n := min(n, int(same))):
                    self._cut_off = True
                    return
            self._recorder.extend(block)
            rest = block.demand[:n].tolist(), block.priority[:n].tolist()
            jobs = range(first, first + n)
            if intended is None:
                yield from zip(repeat(NEVER, n), repeat(NEVER, n), jobs, *rest, strict=True)
            else:
                # What follows a block is not known yet: its last job is taken for one that may have company.
                following = np.append(intended[1:n], intended[n - 1])
                yield from zip(intended[:n].tolist(), following.tolist(), jobs, *rest, strict=True)
                self._now = int(intended[n - 1])
            first += len(block)

    def _check_progress(self, jobs: int) -> None:
        """A closed model whose jobs and thoughts take no time, and that has no number of jobs, would never end.

        Raises `SpecError` if one instant has taken block after block of ``jobs``, and asks for more.
        """
        self._standing_still = self._standing_still + jobs if self._now == self._stood_at else 0
        self._stood_at = self._now
        if self._standing_still > STANDSTILL and self._thinks is not None and self._plan.unlimited:
            problem = (
                "is required, or a think time: users who come back at once, served or not, never reach the duration"
            )
            raise SpecError([Problem("workload.jobs", problem)])

    def _close(self, now: int) -> Arrival:
        """No other job arrives: as a rule, that was the last. Gives what stands for the next, which is the stop ahead."""
        self._thinking.clear()
        # Where a stop cut the stream off, it was not the last: no drain begins, and the judge does not learn how many jobs
        # there are.
        if not self._cut_off:
            # In the closed model users may have thought on until the duration was over.
            latest = now if self._thinks is None else self._recorder.latest_release(self._dispatcher.arrived)[0]
            self._stop_instant.latest = latest
            self._stop_instant.close(now)
            if self._judge is not None:
                self._judge.all_arrived()
            if self._stop_instant.at_ns is not None:
                self._until = min(self._until, self._stop_instant.at_ns)
        return self._until, NEVER, NOBODY, 0.0, 0

    def _look(self, now: int) -> None:
        """Digest what has ended, where that is wanted, and ask whether to stop. All of ``now`` but its ends is over."""
        # Before progress is reported, the columns must say what the dispatcher's counts say.
        self._write_ends()
        self._recorder.digest_batch(BATCH)
        if self._watch(now) and not self._stop_requested:
            # What is left of this instant happens; from here on the run is one whose ``stop_at`` is the next nanosecond.
            self._stop_requested, self._until = True, min(self._until, now + 1)
            self._upcoming = self._until, NEVER, NOBODY, 0.0, 0

    def _write_ends(self) -> None:
        """Ends are written in bulk. Their instants are in the columns since the start, so only the outcomes are missing."""
        if self._ended:
            self._recorder.finish_as_planned(self._ended)
            del self._ended[:]

    def _judge_end(self, job: int, now: int) -> None:
        """An end that is judged is written at once, since judging reads the columns."""
        assert self._judge is not None
        self._recorder.finish(job, now, self._recorder.planned_outcome(job))
        self._judge.ended(job)

    def _reject(self, job: int, now: int) -> bool:
        """There was no room for ``job``. Whether an objective is lost by it."""
        self._recorder.reject(job)
        self._end_unserved(job, now)
        return self._is_lost()

    def _is_lost(self) -> bool:
        return self._judge is not None and self._judge.lost is not None

    def _end_unserved(self, job: int, now: int) -> None:
        """``job`` has its outcome, which is in the columns: objectives are told, and its user thinks."""
        if self._judge is not None:
            self._judge.ended(job)
        if self._thinking:
            assert self._thinks is not None
            heapq.heappush(self._thinking, now + next(self._thinks))

    def _serve_waiting(self, now: int) -> bool:
        """Jobs that may not wait longer leave, and jobs start while slots are free. True if an objective is lost by it."""
        waits, serve = self._waits, self._recorder.serve
        assert waits is not None
        for job in waits.before_starts(now):
            self._end_unserved(job, now)
        for job in self._dispatcher.starts():
            waits.limit_service(job, now)
            heapq.heappush(self._ends, (serve(job, now), job))
        # Jobs are numbered as they arrive. Those that were rejected, or have started, do not wait, and are not entered.
        for job in range(self._entered, self._dispatcher.arrived):
            waits.enter(job)
        self._entered = self._dispatcher.arrived
        for job in waits.after_starts(now):
            self._end_unserved(job, now)
        return self._is_lost()

    def _stop(self, now: int) -> bool:
        """The run ends at ``now``, as `aurea_engine.run.driver` says. Always True."""
        recorder, dispatcher, ends = self._recorder, self._dispatcher, self._ends
        # Where an objective was lost after the starts of this instant, jobs that take no time have ended at it too.
        while ends and ends[0][0] == now:
            self._ended.append(heapq.heappop(ends)[1])
            dispatcher.finish()
        self._write_ends()
        for _, job in ends:
            recorder.cancel(job, now)
        dispatcher.finish(len(ends))
        ends.clear()
        for job in dispatcher.drop_waiting():
            recorder.cancel(job, NEVER)
        self._plan.stop(now, releasing=self._stop_instant.left_off(now))
        return True


def _as_list(block: Instants) -> list[int]:
    return block.tolist()  # type: ignore[no-any-return]
