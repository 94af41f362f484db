"""Who starts when: the core that does no I/O and reads no clock."""

# Theory of operation
#
# The dispatcher owns the slots, the queue and the counts. A driver tells it what happened and obeys:
#
#     arrive(job, …)   → True: the job waits.  False: there is no room, it is rejected
#     finish()         one job in service has ended and its slot is free
#     starts()         → the jobs that enter service now, in that order
#     leave(job)       a waiting job gives up
#
# Rules, which hold for every driver and clock:
#
# 1. At one instant a driver reports all finishes first (lower job number first), then all arrivals, and only then asks for
# starts. A slot that is freed at an instant serves a job that arrives at that instant, and a discipline that orders jobs
# sees all of them. 2. No slot is idle while a job waits. ``starts`` leaves either no free slot or no waiting job. 3. A job
# finds room while fewer than slots + queue_limit jobs are in the system: with rule 1 that is "a free slot, or a free place
# in the queue", also when several arrive at once. 4. Every job that arrived is waiting, in service, rejected or ended;
# `conserved` says so at any instant. 5. A job that leaves is taken out of its queue when it comes up there, since no queue
# has to find a job. Until then it is only known as gone. A queue of ours that holds mostly such jobs is cleared of them:
# the last of a stack may never come up.
#
# Without a limit of slots nothing ever waits beyond its own instant, so the discipline is not asked.

from __future__ import annotations

import sys
from operator import index

from aurea_engine.errors import StrategyError
from aurea_engine.workload.schedulers import BUILT_IN, Fifo, Queue, Scheduler

MOST_GONE = 1024
"""Jobs that have left and may stay in a queue; more are taken out once they outnumber those that wait by two to one."""


class Dispatcher:
    """Slots, queue and counts of one run. Times and job numbers belong to the driver; see the module's theory."""

    __slots__ = (
        "_gone",
        "_limit",
        "_open",
        "_pop",
        "_push",
        "_queue",
        "arrived",
        "busy",
        "ended",
        "peak",
        "rejected",
        "slots",
        "waiting",
    )

    def __init__(self, scheduler: Scheduler) -> None:
        self.slots = scheduler.slots if scheduler.slots is not None else sys.maxsize
        if scheduler.slots is None:
            scheduler = Fifo()
        # By the exact type: a subclass of ours may answer with any queue, and is held to the contract like everybody's.
        queue = scheduler.queue()
        self._queue: Queue = queue if type(scheduler) in BUILT_IN else _Guarded(queue, type(scheduler).__name__)
        self._push, self._pop = self._queue.push, self._queue.pop
        self._gone: set[int] = set()
        self._open = self.slots if type(scheduler) is Fifo else 0
        unlimited = scheduler.slots is None or scheduler.queue_limit is None
        self._limit = sys.maxsize if unlimited else self.slots + (scheduler.queue_limit or 0)
        self.arrived = self.rejected = self.ended = 0
        self.waiting = self.busy = self.peak = 0

    def arrive(self, job: int, intended: int, demand: float, priority: int) -> bool:
        """A job has arrived; False when there is no room for it."""
        self.arrived += 1
        if self.waiting + self.busy >= self._limit:
            self.rejected += 1
            return False
        self._push(job, intended, demand, priority)
        self.waiting += 1
        return True

    def pass_through(self, jobs: int) -> None:
        """So many jobs arrive and enter service: what `arrive` and `starts` come to where there is a slot for each."""
        self.arrived += jobs
        self.busy += jobs
        if self.busy > self.peak:
            self.peak = self.busy

    def admit(self, jobs: int) -> bool:
        """`pass_through` for jobs that arrive together, where there is a slot for each and it does not matter which of
        them is first. False, and nothing has happened: they have to `arrive` one by one.
        """
        if self.waiting or self.busy + jobs > self._open:
            return False
        self.pass_through(jobs)
        return True

    def account(self, *, arrived: int = 0, ended: int = 0, peak: int = 0) -> None:
        """Many jobs at once, from a driver that works out by itself who starts when: so many more arrived, so many of those
        that arrived have ended, and so many were in service at once. None of them waits or is in service here.
        """
        self.arrived += arrived
        self.ended += ended
        self.peak = max(self.peak, peak)

    def succeed(self) -> int:
        """One job in service has ended, and one that waited takes its slot: `finish` and `starts` in one."""
        self.ended += 1
        self.waiting -= 1
        return self._pop()

    def finish(self, jobs: int = 1) -> None:
        """Jobs in service have ended, however they ended."""
        self.busy -= jobs
        self.ended += jobs

    def starts(self) -> list[int]:
        """The jobs that enter service now."""
        free, waiting = self.slots - self.busy, self.waiting
        if free <= 0 or not waiting:
            return []
        if free == 1 or waiting == 1:  # nearly always
            jobs = [self._pop()]
            self.waiting = waiting - 1
            self.busy += 1
        else:
            n = min(waiting, free)
            pop = self._pop
            jobs = [pop() for _ in range(n)]
            self.waiting = waiting - n
            self.busy += n
        if self.busy > self.peak:
            self.peak = self.busy
        return jobs

    def leave(self, job: int) -> None:
        """A job that waits has left the queue; it never starts."""
        self.waiting -= 1
        self.ended += 1
        self._gone.add(job)
        # From now on the queue may give out jobs that have left. Runs in which none leaves never pay for that question.
        self._pop = self._pop_present
        if len(self._gone) > max(MOST_GONE, 2 * self.waiting) and self._queue.forget(self._gone):
            self._gone.clear()

    def _pop_present(self) -> int:
        while (job := self._queue.pop()) in self._gone:
            self._gone.discard(job)
        return job

    def drop_waiting(self) -> list[int]:
        """Take every waiting job out of the queue, for a run that is stopped; they end as cancelled."""
        jobs = [self._pop() for _ in range(self.waiting)]
        self.ended += self.waiting
        self.waiting = 0
        return jobs

    @property
    def conserved(self) -> bool:
        """Whether arrived = rejected + ended + in service + waiting, and the queue agrees."""
        whole = self.rejected + self.ended + self.busy + self.waiting
        return self.arrived == whole and len(self._queue) == self.waiting + len(self._gone)


class _Guarded(Queue):
    """A third-party queue, held to its contract: it may lose, invent or repeat no job."""

    def __init__(self, queue: Queue, name: str) -> None:
        self._queue = queue
        self._name = name
        self._waiting: set[int] = set()

    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        self._queue.push(job, intended, demand, priority)
        self._waiting.add(job)

    def pop(self) -> int:
        try:
            given = self._queue.pop()
        except (LookupError, ValueError) as error:
            raise StrategyError(
                f"{self._name} lost {len(self._waiting)} waiting jobs: its queue says {error!r}"
            ) from error
        try:
            job = index(given)
        except TypeError:
            raise StrategyError(f"{self._name} gave out {given!r:.100}, which is no job's number") from None
        if job not in self._waiting:
            raise StrategyError(f"{self._name} gave out job {job!r}, which does not wait")
        self._waiting.discard(job)
        return job

    def __len__(self) -> int:
        return len(self._waiting)
