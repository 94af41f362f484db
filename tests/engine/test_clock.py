"""The machine's clock, and the bell that wakes who waits for it."""

from __future__ import annotations

import asyncio
import time

import pytest

from aurea_engine import Bell, MonotonicClock, loop_factory

MS = 1_000_000


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("wait", [0, 100_000, 5 * MS], ids=["now", "0.1 ms", "5 ms"])
async def test_exact_waits_never_end_early(exact: bool, wait: int) -> None:
    """Callers look again after one that is not."""
    clock = MonotonicClock()
    until = clock.now() + wait
    await clock.wait(until, Bell(), exact)
    assert not exact or clock.now() >= until


def test_exact_waits_on_the_fastest_loop() -> None:
    """Uvloop's timers also fire early."""

    async def main() -> int:
        clock, early = MonotonicClock(), 0
        for _ in range(30):
            until = clock.now() + 1_300_000
            await clock.wait(until, Bell(), exact=True)
            early += clock.now() < until
        return early

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        assert runner.run(main()) == 0


@pytest.mark.parametrize("exact", [True, False])
async def test_a_bell_ends_a_wait_early(exact: bool) -> None:
    """A minute, were it not rung."""
    clock, bell = MonotonicClock(), Bell()
    asyncio.get_running_loop().call_later(0.01, bell.ring)
    began = time.monotonic()
    await clock.wait(clock.now() + 60_000 * MS, bell, exact)
    assert time.monotonic() - began < 50


async def test_a_rung_bell_is_not_waited_for() -> None:
    """Nor does ringing it twice hurt."""
    bell = Bell()
    bell.ring()
    bell.ring()
    await bell.wait(None)
    await MonotonicClock().wait(time.perf_counter_ns() + 60_000 * MS, bell, True)
    assert bell.rung


async def test_a_bell_and_its_timer_at_once() -> None:
    """Both at once wake the waiter once."""
    bell = Bell()
    waiting = asyncio.create_task(bell.wait(60))
    await asyncio.sleep(0)
    waiter = bell._waiter
    assert waiter is not None
    bell.ring()
    bell.ring()
    Bell._expire(waiter)
    await waiting


@pytest.mark.realtime
async def test_exact_waits_are_a_fraction_of_1_ms_late() -> None:
    """Half of fifty waits end within 0.2 ms, where the loop's own timer takes 1 ms."""
    clock, late = MonotonicClock(), []
    for _ in range(50):
        until = clock.now() + 3_300_000
        await clock.wait(until, Bell(), exact=True)
        late.append(clock.now() - until)
    assert sorted(late)[25] < 200_000
