"""The queue of runs: order and admission, without a server, a disk or a clock."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine.processes.messages import Snapshot
from aurea_server.runs.active_run import ActiveRun
from aurea_server.runs.errors import QueueFull, Stopping
from aurea_server.runs.events import EventLog, Followers
from aurea_server.runs.queue import RunQueue


def new_run(number: int = 0) -> ActiveRun:
    return ActiveRun(f"benchmark-{number}", {"clock": "real"}, None, False, EventLog(Followers(1)))


async def started(queue: RunQueue, *runs: ActiveRun) -> ActiveRun:
    """All of ``runs`` are in the queue, and the first is running."""
    for run in runs:
        queue.enter(run)
    return await queue.take()


async def test_runs_are_taken_in_order_of_arrival() -> None:
    queue, runs = RunQueue(10), [new_run(number) for number in range(3)]
    assert await started(queue, *runs) is runs[0]
    assert [queue.position(run) for run in runs] == [0, 1, 2]
    queue.finish()
    assert await queue.take() is runs[1]


async def test_a_full_queue_refuses_the_next_run() -> None:
    """One runs, two wait: there is no room for a third that would wait."""
    queue = RunQueue(2)
    for number in range(3):
        queue.check_room()
        await started(queue, new_run(number)) if number == 0 else queue.enter(new_run(number))
    with pytest.raises(QueueFull, match="2 runs are waiting already"):
        queue.check_room()


async def test_reserved_places_count_as_taken() -> None:
    """While one client's run is being written down, another must not get the same place."""
    queue = RunQueue(1)
    await started(queue, new_run())
    with queue.reserve():
        assert not queue.is_idle
        with pytest.raises(QueueFull):
            queue.check_room()
    queue.check_room()


async def test_without_a_queue_one_run_is_accepted() -> None:
    """``--max-queued 0``: the first of those that are accepted does not wait."""
    queue = RunQueue(0)
    queue.check_room()
    await started(queue, new_run())
    with pytest.raises(QueueFull):
        queue.check_room()


@pytest.mark.parametrize(("left", "hint"), [(None, 5), (0.2, 1), (12.4, 12), (900.0, 60)])
async def test_a_full_queue_says_when_to_come_back(left: float | None, hint: int) -> None:
    """When the running one will have ended, by its own estimate, within a minute."""
    queue, run = RunQueue(0), new_run()
    run.last = None if left is None else Snapshot(time_left=left)
    await started(queue, run)
    with pytest.raises(QueueFull) as full:
        queue.check_room()
    assert full.value.retry_after == hint


async def test_a_closed_queue_accepts_nothing() -> None:
    queue = RunQueue(10)
    queue.check_open()
    queue.close()
    with pytest.raises(Stopping):
        queue.check_open()


async def test_a_withdrawn_run_is_never_taken() -> None:
    queue, runs = RunQueue(10), [new_run(number) for number in range(3)]
    await started(queue, *runs)
    assert queue.withdraw(runs[1])
    assert not queue.withdraw(runs[1])
    assert not queue.withdraw(runs[0]), "it is running"
    queue.finish()
    assert await queue.take() is runs[2]


async def test_taking_waits_until_a_run_enters() -> None:
    queue, run = RunQueue(10), new_run()
    taking = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    assert not taking.done()
    queue.enter(run)
    assert await taking is run


async def test_quiet_is_when_no_run_waits_or_runs() -> None:
    queue = RunQueue(10)
    await started(queue, new_run())
    quiet = asyncio.create_task(queue.wait_until_quiet())
    await asyncio.sleep(0)
    assert not quiet.done()
    queue.finish()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0):  # the next turn, as the lifecycle asks for it
            await queue.take()
    await quiet


STEPS = st.lists(st.sampled_from(["enter", "take", "finish", "withdraw"]), max_size=40)


@given(STEPS)
def test_the_queue_is_a_list_of_runs(steps: list[str]) -> None:
    """Against a plain list: what waits, in which order, and what was reported about their number."""

    async def walk() -> None:
        reported: list[int] = []
        queue, waiting, running = RunQueue(100, reported.append), [], None
        for number, step in enumerate(steps):
            if step == "enter":
                waiting.append(new_run(number))
                queue.enter(waiting[-1])
            elif step == "take" and waiting and running is None:
                running = waiting.pop(0)
                assert await queue.take() is running
            elif step == "finish":
                running = None
                queue.finish()
            elif step == "withdraw" and waiting:
                assert queue.withdraw(waiting.pop())
            else:
                continue
            assert queue.entries() == [*waiting, *([running] if running else [])]
            assert [queue.position(run) for run in waiting] == list(range(bool(running), len(waiting) + bool(running)))
            assert step == "finish" or reported[-1] == len(waiting)

    asyncio.run(walk())
