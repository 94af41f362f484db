"""Virtual time, event by event: the driver that accepts every specification that can be simulated.

Theory of operation
-------------------
The clock jumps from one instant at which something happens to the next. Nothing is waited for, so the whole state is three
sources of events:

- ``ends``, a heap of (instant, job): who is in service, and until when. Ties pop the lower job number first.
- *the stream of arrivals*: the next job, and the instant ``at`` at which it comes. In the open model the plan knows that
  instant. In the closed model a heap of ``thinking`` users does, and every end pushes one user back into it. A stream that
  has run out gives ``NOBODY``, and ``at`` is then the instant of the stop that is ahead, or `FOREVER`.
- the limits of waiting jobs (`WaitLimits`), where the workload has any.

At each instant the phases are those of `aurea_engine.run.driver`: ends, a stop, arrivals, then deadlines, starts, patience.
A job that takes no time ends at the instant at which it starts: it is then in ``ends`` with the same instant, and the next
turn of the loop takes it, at the same ``now``, as if that were a new instant.

*Lanes.* In the open model most instants hold one event and nothing to decide: an end with nobody else around, an arrival
that can only wait, an arrival that finds a free slot. Where nobody else looks at single events (no objective that may abort,
no limits of waiting jobs: `lanes`), these three are done in a few lines each. They are safe because

- an end strictly before ``at`` frees its slot before anybody else can come for it, so the queue's choice is final; that a
  second end of the same instant is taken after this start changes nothing, since the same jobs are popped in the same order;
- an arrival while all slots are taken, strictly before the next end, starts nobody (rule 2 of the dispatcher);
- an arrival strictly before the next end *and* strictly before the next arrival is the only one of its instant. If a slot is
  free then, nobody waits (rule 2 again), so the discipline has no choice to make. A queue that is not ours sees every job
  all the same, so ``room`` is 0 for it.

``at`` is never later than the stop, so no lane can pass over it. Everything else takes the whole turn below.

*Writing.* Starts go into the columns at once, since the recorder alone knows the service times. Ends are only logged in
``ended`` and written in bulk, `LOOK` at a time: their instants are known since the start. Whoever judges single ends
(``judge``) needs them at once.

*Looks.* Every `LOOK` turns, and at every block of arrivals, the batch is digested and the run's watch is asked whether to
stop. A stop from outside is a ``stop_at`` of the next nanosecond that became known late: what is left to happen now does.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator
from itertools import chain, repeat

import numpy as np

from aurea_engine.errors import Problem, SpecError
from aurea_engine.records.batch import NEVER, Instants
from aurea_engine.run.context import DriverStats, RunContext, in_reach
from aurea_engine.run.recorder import BATCH
from aurea_engine.spec import RunSpec
from aurea_engine.workload.schedulers import BUILT_IN

STANDSTILL = 1_000_000
"""Arrivals at one instant after which a closed model without a number of jobs is taken to stand still."""

LOOK = 4096
"""Turns of the loop between two looks."""

FOREVER = 2**63
NOBODY = -1
"""In place of a job's number: no job is to come."""

Arrival = tuple[int, int, int, float, int]
"""(instant, instant of the next one, job, demand, priority). In the closed model nobody knows the instants before."""

JOB = 2
NO_ARRIVAL: Arrival = (FOREVER, NEVER, NOBODY, 0.0, 0)


class EventHeap:
    """The driver of virtual time that accepts everything."""

    def accepts(self, spec: RunSpec) -> bool:
        return spec.clock == "virtual"

    async def drive(self, run: RunContext) -> DriverStats:
        with in_reach():
            _Simulation(run).run()
        return run.close_virtual_window()


class _Simulation:
    """The state of one run, as far as it outlives a turn of the loop."""

    def __init__(self, run: RunContext) -> None:
        self._plan, self._dispatcher, self._recorder, conditions = (
            run.plan,
            run.dispatcher,
            run.recorder,
            run.conditions,
        )
        self._watch, self._judge, self._stop_instant = conditions.watch, conditions.aborts, conditions.stop_instant
        self._waits = conditions.wait_limits if conditions.wait_limits.anyone else None
        self._ends: list[tuple[int, int]] = []
        self._ended = array("q")
        self._new: list[int] = []
        thinks = run.plan.think_times
        self._thinks = None if thinks is None else chain.from_iterable(map(_as_list, thinks))
        # In the closed model the end of releasing is one more entry of the heap: the loop then wakes, whoever thinks on.
        self._stop_ns = FOREVER if thinks is None or run.plan.stop_ns is None else run.plan.stop_ns
        self._thinking = [] if thinks is None else [*[0] * run.plan.users, self._stop_ns]
        self._must_advance = _Advancing().arrive if run.plan.unlimited else None
        # A queue that is not one of ours sees every job, also one that need not wait.
        ours = run.spec.scheduler.slots is None or type(run.spec.scheduler) in BUILT_IN
        self._room = run.dispatcher.slots if ours else 0
        self._now = 0
        self._until = FOREVER if self._stop_instant.at_ns is None else self._stop_instant.at_ns
        self._stop_requested = self._cut_off = False
        self._arrivals = self._number_arrivals()
        self._upcoming: Arrival = NO_ARRIVAL

    def run(self) -> None:
        """From instant to instant until nothing is left to happen, or the run is stopped."""
        if self._thinks is None or self._plan.users:
            self._upcoming = next(self._arrivals, None) or self._close(0)
        lanes = self._thinks is None and self._judge is None and self._waits is None
        while self._ends or self._upcoming[JOB] >= 0:
            due_a_look = not lanes or self._take_lanes()
            if self._take_turns(1 if lanes else LOOK):
                return
            if due_a_look and (self._ends or self._upcoming[JOB] >= 0):
                self._look(self._now)
        self._write_ends()
        if self._stop_requested:
            self._stop(self._until)

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
            if now < at:  # an end, and no arrival with it
                log_end(ending)
                if dispatcher.waiting:
                    begun = succeed()
                    replace(ends, (serve(begun, now), begun))
                else:
                    finish()
                    pop(ends)
                continue
            if at == now or job < 0:
                break
            if dispatcher.busy >= full:  # an arrival that can only wait
                if not arrive(job, at, demand, priority):
                    recorder.reject(job)
            elif following > at and dispatcher.busy < room:  # an arrival, no other with it, and a slot for it
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
        arrivals, full, stop_ns = self._arrivals, self._dispatcher.slots, self._stop_ns
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
            if now >= stop_ns and job >= 0:  # before the ends: whoever judges them must know that all have come
                at, following, job, demand, priority = self._close(now)
            while ends and ends[0][0] == now:  # 1. ends
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
            while at == now and job >= 0 and (judge is None or judge.lost is None):  # 3. arrivals
                if thinking:
                    self._release(job, now)
                arrived, accepted = job, arrive(job, now, demand, priority)
                at, following, job, demand, priority = next(arrivals, None) or self._close(now)
                if not accepted:
                    self._reject(arrived, now)
                elif waits is not None:
                    self._new.append(arrived)
                if thinking:
                    at = thinking[0]
            if judge is not None and judge.lost is not None:  # by a rejected job: nobody starts any more
                return self._stop(now)
            if waits is not None:  # 4. deadlines, starts, patience
                if self._serve_waiting(now):
                    return self._stop(now)
            elif dispatcher.waiting and dispatcher.busy < full:
                for begun in dispatcher.starts():
                    push(ends, (serve(begun, now), begun))
        self._upcoming = at, following, job, demand, priority
        return False

    def _number_arrivals(self) -> Iterator[Arrival]:
        """The jobs to come, block by block, with a look before each block but the first."""
        first = 0
        for block in self._plan.blocks():
            intended, n = block.intended, len(block)
            if first:
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

    def _close(self, now: int) -> Arrival:
        """No other job arrives: as a rule, that was the last. Gives what stands for the next, which is the stop ahead."""
        self._thinking.clear()
        if not self._cut_off:
            if self._thinks is None:
                self._stop_instant.latest = now
            self._stop_instant.close(now)
            if self._judge is not None:
                self._judge.all_arrived()
            if self._stop_instant.at_ns is not None:
                self._until = min(self._until, self._stop_instant.at_ns)
        return self._until, NEVER, NOBODY, 0.0, 0

    def _look(self, now: int) -> None:
        """Digest what has ended, where that is wanted, and ask whether to stop. All of ``now`` but its ends is over."""
        self._write_ends()
        self._recorder.digest_batch(BATCH)
        if self._watch(now) and not self._stop_requested:
            self._stop_requested, self._until = True, min(self._until, now + 1)
            self._upcoming = self._until, NEVER, NOBODY, 0.0, 0

    def _write_ends(self) -> None:
        if self._ended:
            self._recorder.finish_as_planned(self._ended)
            del self._ended[:]

    def _judge_end(self, job: int, now: int) -> None:
        assert self._judge is not None
        self._recorder.finish(job, now, self._recorder.planned_outcome(job))
        self._judge.ended(job)

    def _release(self, job: int, now: int) -> None:
        """A user of the closed model sends ``job``."""
        heapq.heappop(self._thinking)
        self._recorder.arrive(job, now, now)
        self._stop_instant.latest = now
        if self._must_advance is not None:
            self._must_advance(now)

    def _reject(self, job: int, now: int) -> None:
        self._recorder.reject(job)
        self._end_unserved(job, now)

    def _end_unserved(self, job: int, now: int) -> None:
        """``job`` has its outcome, which is in the columns: whoever judges is told, and its user thinks."""
        if self._judge is not None:
            self._judge.ended(job)
        if self._thinking:
            assert self._thinks is not None
            heapq.heappush(self._thinking, now + next(self._thinks))

    def _serve_waiting(self, now: int) -> bool:
        """Whoever may not wait longer leaves, and jobs start while slots are free. Whether an objective is lost by it."""
        waits, serve = self._waits, self._recorder.serve
        assert waits is not None
        for job in waits.before_starts(now):
            self._end_unserved(job, now)
        for job in self._dispatcher.starts():
            waits.limit_service(job, now)
            heapq.heappush(self._ends, (serve(job, now), job))
        for job in self._new:
            waits.enter(job)
        self._new.clear()
        for job in waits.after_starts(now):
            self._end_unserved(job, now)
        return self._judge is not None and self._judge.lost is not None

    def _stop(self, now: int) -> bool:
        """The run ends: see `aurea_engine.run.driver`. Jobs that started now and take no time have ended now."""
        recorder, dispatcher, ends = self._recorder, self._dispatcher, self._ends
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


class _Advancing:
    """A closed model whose jobs and thoughts take no time, and that has no number of jobs, would never end."""

    def __init__(self) -> None:
        self._standing_still = 0
        self._last = -1

    def arrive(self, now: int) -> None:
        """Of each arrival. Raises `SpecError` where there is no end to those of one instant."""
        self._standing_still = self._standing_still + 1 if now == self._last else 0
        self._last = now
        if self._standing_still > STANDSTILL:
            problem = (
                "is required, or a think time: users who come back at once, served or not, never reach the duration"
            )
            raise SpecError([Problem("workload.jobs", problem)])


def _as_list(block: Instants) -> list[int]:
    return block.tolist()  # type: ignore[no-any-return]
