"""Who starts when: the dispatcher alone, told by hand what happened and asked who starts."""

from __future__ import annotations

import pytest

from aurea_engine import Fifo, Lifo, Priority, Queue, Scheduler, ShortestFirst, StrategyError
from aurea_engine.run.dispatcher import Dispatcher

UNKNOWN = float("nan")


class Scenario:
    """Tells a dispatcher what happens, instant by instant, and checks what it answers."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._dispatcher = Dispatcher(scheduler)
        self._now = 0
        self._next = 0

    def at(self, now: int) -> Scenario:
        """The instant of what follows."""
        self._now = now
        return self

    def arrive(self, *, demand: float = 1.0, priority: int = 0, rejected: bool = False) -> Scenario:
        """The next job comes; whether there is room for it."""
        assert rejected is not self._dispatcher.arrive(self._next, self._now, demand, priority)
        self._next += 1
        return self._conserved()

    def finish(self, jobs: int = 1) -> Scenario:
        """So many jobs in service end."""
        for _ in range(jobs):
            self._dispatcher.finish()
        return self._conserved()

    def expect_started(self, *jobs: int) -> Scenario:
        """These start now, in this order."""
        assert list(jobs) == self._dispatcher.starts()
        return self._conserved()

    def expect(self, *, waiting: int, busy: int, peak: int | None = None) -> Scenario:
        """So many wait and so many are in service."""
        assert (waiting, busy) == (self._dispatcher.waiting, self._dispatcher.busy)
        assert peak is None or peak == self._dispatcher.peak
        return self

    def abandon(self, *jobs: int) -> Scenario:
        """The run is stopped; these were waiting."""
        assert sorted(jobs) == sorted(self._dispatcher.drop_waiting())
        return self._conserved()

    def _conserved(self) -> Scenario:
        assert self._dispatcher.conserved
        return self


def test_without_a_limit_everything_starts_at_once() -> None:
    """Slots None: the discipline is never asked."""
    Scenario(Priority()).arrive(priority=1).arrive(priority=9).arrive().expect_started(0, 1, 2).expect(
        waiting=0, busy=3, peak=3
    )


def test_first_come_is_first_served() -> None:
    """One slot: in order of arrival, each when the one before it ends."""
    scenario = Scenario(Fifo(1)).arrive().arrive().arrive().expect_started(0).expect_started()
    scenario.finish().expect_started(1).finish().expect_started(2).finish().expect_started()


def test_freed_slot_serves_same_instant() -> None:
    """Ends come before arrivals, so nothing is rejected."""
    Scenario(Fifo(1, queue_limit=0)).arrive().expect_started(0).finish().arrive().expect_started(1)


def test_full_slots_and_queue_reject() -> None:
    """Two slots and one place: the fourth has no room, also before the first three have started."""
    scenario = Scenario(Fifo(2, queue_limit=1)).arrive().arrive().arrive().arrive(rejected=True)
    scenario.expect_started(0, 1).arrive(rejected=True).finish().arrive(rejected=False).expect_started(2)
    scenario.expect(waiting=1, busy=2)


def test_no_place_in_the_queue_is_a_loss_system() -> None:
    """Erlang's: who finds every slot busy is lost."""
    Scenario(Fifo(2, queue_limit=0)).arrive().arrive().arrive(rejected=True).expect_started(0, 1)


def test_queue_limit_needs_slots() -> None:
    """Nothing ever waits where slots are without limit."""
    Scenario(Fifo(None, queue_limit=0)).arrive().arrive().arrive().expect_started(0, 1, 2)


def test_lifo_does_not_interrupt() -> None:
    """The one in service stays."""
    scenario = Scenario(Lifo(1)).at(0).arrive().expect_started(0).at(1).arrive().at(2).arrive()
    scenario.finish().expect_started(2).finish().expect_started(1)


def test_lifo_keeps_order_at_one_instant() -> None:
    """Among equals the lower number goes first."""
    scenario = Scenario(Lifo(1)).at(5).arrive().arrive().at(7).arrive().arrive()
    scenario.expect_started(2).finish().expect_started(3).finish().expect_started(0).finish().expect_started(1)


def test_shortest_first_and_unknown_last() -> None:
    """Equals, and the unknown among themselves, in order of arrival."""
    scenario = Scenario(ShortestFirst(1)).arrive(demand=UNKNOWN).arrive(demand=2).arrive(demand=1).arrive(demand=2)
    scenario.arrive(demand=UNKNOWN)
    for job in (2, 1, 3, 0, 4):
        scenario.expect_started(job).finish()


def test_the_most_urgent_goes_first() -> None:
    """Higher numbers first, in order of arrival within one priority."""
    scenario = Scenario(Priority(1)).arrive(priority=0).arrive(priority=5).arrive(priority=-1).arrive(priority=5)
    for job in (1, 3, 0, 2):
        scenario.expect_started(job).finish()


def test_slots_freed_together_fill_together() -> None:
    """In the discipline's order."""
    scenario = Scenario(ShortestFirst(3))
    for demand in (5, 4, 3, 2, 1, 0):
        scenario.arrive(demand=demand)
    scenario.expect_started(5, 4, 3).finish(3).expect_started(2, 1, 0).expect(waiting=0, busy=3, peak=3)


def test_waiting_jobs_can_be_abandoned() -> None:
    """Those in service are the driver's to end."""
    Scenario(Fifo(1)).arrive().arrive().arrive().expect_started(0).abandon(1, 2).expect(waiting=0, busy=1)


def scheduler_with(queue: type[Queue]) -> Scheduler:
    class Broken(Fifo):
        def queue(self) -> Queue:
            return queue()

    return Broken(slots=1)


class Correct(Queue):
    """Somebody else's queue: last come, first served."""

    def __init__(self) -> None:
        self.jobs: list[int] = []

    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        self.jobs.append(job)

    def pop(self) -> int:
        return self.jobs.pop()

    def __len__(self) -> int:
        return len(self.jobs)


class Inventive(Correct):
    def pop(self) -> int:
        return 99


class Repeating(Correct):
    def pop(self) -> int:
        return self.jobs[0]


class Forgetful(Correct):
    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        if job != 1:
            super().push(job, intended, demand, priority)


def test_somebody_else_s_queue_is_obeyed() -> None:
    """As long as it keeps to its contract."""
    scenario = Scenario(scheduler_with(Correct)).arrive().arrive().arrive()
    scenario.expect_started(2).finish().expect_started(1).finish().expect_started(0).finish().expect_started()


@pytest.mark.parametrize(
    ("queue", "message"),
    [
        pytest.param(Inventive, "gave out job 99, which does not wait", id="invents a job"),
        pytest.param(Repeating, "gave out job 0, which does not wait", id="gives out a job twice"),
        pytest.param(Forgetful, "lost 1 waiting jobs", id="loses a job"),
    ],
)
def test_bad_queue_ends_the_run(queue: type[Queue], message: str) -> None:
    """With an error that names the scheduler."""
    dispatcher = Dispatcher(scheduler_with(queue))
    for job in range(3):
        dispatcher.arrive(job, 0, 1.0, 0)

    def serve() -> None:
        for _ in range(3):
            dispatcher.starts()
            dispatcher.finish()

    with pytest.raises(StrategyError, match=f"Broken {message}"):
        serve()
