"""Virtual time, event by event: the driver that accepts every specification that can be simulated."""

# Theory of operation
#
# The clock jumps from one instant at which something happens to the next. Nothing is waited for, so what drives the run is
# three sources of events (`aurea_engine.run.simulation` holds them):
#
# - ``ends``, a heap of (instant, job): who is in service, and until when. Ties pop the lower job number first.
# - The stream of arrivals: the next job, and the instant ``at`` at which it comes. In the open model the plan knows that
#   instant. In the closed model a heap of ``thinking`` users does: the next job comes when the first of them is done
#   thinking, and every job that ends pushes its user back. A stream that has run out gives NOBODY in place of a job, and
#   ``at`` is then the instant of the stop that is ahead, or FOREVER.
# - The limits of waiting jobs (`WaitLimits`), where the workload has any.
#
# At each instant the phases are those of `aurea_engine.run.driver`: ends, a stop, arrivals, then deadlines, starts,
# patience. A job that takes no time ends at the instant at which it starts. It is then in ``ends`` with that instant, and
# the next turn takes it at the same ``now``, as if that were a new instant.
#
# Turns and lanes
#
# A turn (`_take_turns`) is one whole instant, whatever happens at it. But in the open model most instants hold one event
# and nothing to decide: an end, alone; an arrival that can only wait; an arrival that finds a free slot.
# Where single events do not matter (no objective that may abort, no limits of waiting jobs), these three go by lanes
# (`_take_lanes`), in a few lines each. They are safe because
#
# - an end strictly before ``at`` frees its slot before another job can come for it, so the queue's choice is final. A
#   second end of the same instant is taken after the start that follows the first. That changes nothing: the same jobs are
#   popped, in the same order, at the same instant.
# - an arrival while all slots are taken, strictly before the next end, starts no job (rule 2 of the dispatcher).
# - an arrival strictly before the next end *and* strictly before the next arrival is the only one of its instant. If a slot
#   is free then, no job waits (rule 2 again), so the discipline has no choice to make.
#
# In a turn, an objective may be lost with an end, and then the run stops before the arrivals; with a job that is rejected,
# and then that job is the last to arrive, and none starts; or with one that leaves, and then all leave that leave now.
#
# ``at`` is never later than the stop, so no lane can pass over it. Closed models have no lanes: nearly every end of theirs
# brings an arrival with it, at the instant itself or not.
#
# Both loops keep their state in local names and write it back when they leave. That is half of their speed: an attribute of
# ``self`` costs three times as much as a local name, and each is read some ten times for every job.

from __future__ import annotations

import heapq

from aurea_engine.run.context import DriverStats, RunContext, in_reach
from aurea_engine.run.simulation import FOREVER, NOBODY, Simulation
from aurea_engine.spec import RunSpec

LOOK = 4096
"""Turns, or events of the lanes, between two checks whether the run is to stop."""


class EventHeap:
    """The driver of virtual time that accepts everything."""

    def accepts(self, spec: RunSpec) -> bool:
        return spec.clock == "virtual"

    async def drive(self, run: RunContext) -> DriverStats:
        with in_reach():
            _EventLoop(run).run()
        return run.close_virtual_window()


class _EventLoop(Simulation):
    """The two loops of one run."""

    def run(self) -> None:
        """From instant to instant until nothing is left to happen, or the run is stopped."""
        self._take_first_arrival()
        lanes = self._thinks is None and self._judge is None and self._waits is None
        while self._is_going_on():
            due_a_look = not lanes or self._take_lanes()
            # Lanes end at an instant that is more than they can do, so one turn always follows; without lanes, all do.
            if self._take_turns(1 if lanes else LOOK):
                return
            # Only after a whole turn: then the arrivals of the instant are over, and a stop can fall right after it.
            if due_a_look and self._is_going_on():
                self._look(self._now)
        self._close_run()

    def _take_lanes(self) -> bool:  # noqa: PLR0912 - one loop; a call more costs each job
        """Events that are alone at their instant, one after another, up to one that is not, or to `LOOK` of them: then True.

        See the theory above.
        """
        ends, log_end, dispatcher, recorder = self._ends, self._ended.append, self._dispatcher, self._recorder
        pop, push, replace, serve = heapq.heappop, heapq.heappush, heapq.heapreplace, recorder.serve
        arrive, finish, succeed, enter = (
            dispatcher.arrive,
            dispatcher.finish,
            dispatcher.succeed,
            dispatcher.pass_through,
        )
        full, room, arrivals = dispatcher.slots, self._room, self._arrivals
        at, following, job, demand, priority = self._upcoming
        for _ in range(LOOK):
            if ends:
                now, ending = ends[0]
            elif job >= 0:
                now, ending = FOREVER, NOBODY
            else:
                break
            # An end, and no arrival with it.
            if now < at:
                log_end(ending)
                if dispatcher.waiting:
                    begun = succeed()
                    # One sift of the heap instead of two: its first entry goes as the new one comes.
                    replace(ends, (serve(begun, now), begun))
                else:
                    finish()
                    pop(ends)
                continue
            # An end and arrivals at one instant, or the stop that is ahead: a turn knows what to do.
            if at == now or job < 0:
                break
            # An arrival that can only wait.
            if dispatcher.busy >= full:
                if not arrive(job, at, demand, priority):
                    recorder.reject(job)
            # An arrival, no other with it, and a slot for it.
            elif following > at and dispatcher.busy < room:
                enter(1)
                push(ends, (serve(job, at), job))
            else:
                break
            at, following, job, demand, priority = next(arrivals, None) or self._close(at)
        else:
            self._upcoming = at, following, job, demand, priority
            return True
        self._upcoming = at, following, job, demand, priority
        return False

    def _take_turns(self, turns: int) -> bool:  # noqa: C901, PLR0912 - one loop; a call more costs each job
        """So many instants, whatever happens at them. Whether the run was stopped at the last of them."""
        ends, thinking, thinks, judge, waits = self._ends, self._thinking, self._thinks, self._judge, self._waits
        pop, push, serve, log_end = heapq.heappop, heapq.heappush, self._recorder.serve, self._ended.append
        dispatcher, arrive, finish = self._dispatcher, self._dispatcher.arrive, self._dispatcher.finish
        arrivals, release, full, stop_ns = self._arrivals, self._recorder.arrive, self._dispatcher.slots, self._stop_ns
        at, following, job, demand, priority = self._upcoming
        for _ in range(turns):
            if thinking:
                at = thinking[0]
            if ends:
                now = ends[0][0]
                if at < now:
                    now = at
            elif job >= 0:
                now = at
            else:
                break
            if waits is not None:
                now = waits.sooner(now)
            self._now = now
            # The end of releasing in a closed model comes before the ends: judging them needs to know that all have come.
            if now >= stop_ns and job >= 0:
                at, following, job, demand, priority = self._close(now)
            # 1. Ends. All of them, before anything else of this instant; the lower job number first.
            while ends and ends[0][0] == now:
                ending = pop(ends)[1]
                finish()
                if judge is None:
                    log_end(ending)
                else:
                    self._judge_end(ending, now)
                if thinking:
                    push(thinking, now + next(thinks))  # type: ignore[arg-type]
            if now >= self._until or (judge is not None and judge.lost is not None):  # 2. a stop
                return self._stop(now)
            if thinking:
                at = thinking[0]
            # 3. Arrivals. The next is taken before this one is judged: whether it is the last must be known then.
            while at == now and job >= 0:
                if thinking:
                    pop(thinking)
                    release(job, now, now)
                arrived, accepted = job, arrive(job, now, demand, priority)
                at, following, job, demand, priority = next(arrivals, None) or self._close(now)
                if not accepted and self._reject(arrived, now):
                    return self._stop(now)
                if thinking:
                    at = thinking[0]
            if waits is not None:  # 4. deadlines, starts, patience
                if self._serve_waiting(now):
                    return self._stop(now)
            elif dispatcher.waiting and dispatcher.busy < full:
                for begun in dispatcher.starts():
                    push(ends, (serve(begun, now), begun))
        self._upcoming = at, following, job, demand, priority
        return False
