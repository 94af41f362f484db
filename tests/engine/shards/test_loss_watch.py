"""When a process is taken for frozen: neither a frame nor processor time for five seconds, by a clock that tests move."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import looptime
import pytest

from aurea_engine.shards.loss_watch import Silence, wait_until_frozen


def frozen_after(heard: Callable[[float], float], used: Callable[[float], int], seconds: float) -> float | None:
    """When the watch says so, by a loop whose time passes at once; None if it does not within ``seconds``."""

    async def watch() -> float | None:
        loop = asyncio.get_running_loop()
        began = loop.time()

        def now() -> float:
            return loop.time() - began

        try:
            async with asyncio.timeout(seconds):
                await wait_until_frozen(lambda: heard(now()), lambda: used(now()))
        except TimeoutError:
            return None
        return now()

    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(watch())
    finally:
        loop.close()


def test_silent_process_without_work_is_frozen() -> None:
    assert frozen_after(lambda _: 0.0, lambda _: 7, 60) == pytest.approx(5.0)


def test_process_that_sends_frames_lives() -> None:
    assert frozen_after(lambda now: now // 4, lambda _: 7, 60) is None


def test_process_that_works_lives() -> None:
    """A job that blocks the event loop, or holds the interpreter, is a finding and no loss."""
    assert frozen_after(lambda _: 0.0, int, 60) is None


def test_time_counts_from_the_last_sign_of_life() -> None:
    assert frozen_after(lambda now: min(now, 20.0), lambda _: 7, 60) == pytest.approx(25.0)


def test_children_that_end_are_signs_of_life() -> None:
    """Their time goes with them, so the sum falls."""
    assert frozen_after(lambda _: 0.0, lambda now: 100 - int(now), 60) is None


# Of a shard on another machine nothing but its words is known; on this one, also whether its processes could run at all.


def cut_off_after(heard: Callable[[float], float], pids: tuple[int, ...], seconds: float) -> float | None:
    """When it is taken for cut off; None if it is not within ``seconds``."""

    async def watch() -> float | None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(seconds):
                await Silence(5.0, pids).wait(lambda: int(heard(loop.time() - began)))
        except TimeoutError:
            return None
        return loop.time() - began

    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(watch())
    finally:
        loop.close()


def test_silence_is_a_cut() -> None:
    assert cut_off_after(lambda _: 0, (), 60) == pytest.approx(5.0)
    assert cut_off_after(lambda _: 0, (0, 0), 60) == pytest.approx(5.0)
    assert cut_off_after(lambda now: min(now, 3), (), 60) == pytest.approx(8.0)
    assert cut_off_after(lambda now: now // 4, (), 60) is None


def test_starved_process_is_given_time() -> None:
    """This very process runs whenever it looks. One that waits for something has nothing to say."""
    assert cut_off_after(lambda _: 0, (0, os.getpid()), 60) == pytest.approx(30.0)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as stopped:
        os.kill(stopped.pid, signal.SIGSTOP)
        os.waitpid(stopped.pid, os.WUNTRACED)
        assert cut_off_after(lambda _: 0, (stopped.pid,), 60) == pytest.approx(5.0)
        stopped.kill()
    assert cut_off_after(lambda _: 0, (stopped.pid,), 60) == pytest.approx(5.0)
