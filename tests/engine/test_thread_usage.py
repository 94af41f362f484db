"""How busy a generator was whose pump only waited: callbacks are work, and so is waiting for a processor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import thread_time_ns

import pytest

from aurea_engine import CallbackPool, Closed, Constant, MonotonicClock, Outcome, RunSpec, Workload, run_sync
from aurea_engine.records.batch import NS
from aurea_engine.run import thread_usage
from aurea_engine.run.thread_usage import ThreadUsage
from aurea_engine.testing import FakeConnections, FakeRequests, ManualClock


def burn(seconds: float) -> None:
    """CPU time of this thread, however busy the machine is."""
    until = thread_time_ns() + round(seconds * NS)
    while thread_time_ns() < until:
        pass


@pytest.mark.parametrize("scheduler", ["/proc/thread-self/schedstat", "/nowhere", "/dev/null"])
def test_work_of_this_thread_is_used_time(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the system does not say how long it waited for a processor."""
    monkeypatch.setattr(thread_usage, "_SCHEDULER", Path(scheduler))
    usage = ThreadUsage(MonotonicClock())
    burn(0.01)
    assert usage.used_ns() >= 0.01 * NS


def test_a_clock_of_a_test_knows_no_thread() -> None:
    """Its time is not that of this thread."""
    usage = ThreadUsage(ManualClock())
    burn(0.001)
    assert usage.used_ns() == 0


class Burns(FakeRequests):
    """Each request keeps the event loop busy for a millisecond, in a callback, while the pump waits."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[CallbackPool]:
        class Burning(FakeConnections):
            def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
                asyncio.get_running_loop().call_soon(self._work, job, self.now())

            def _work(self, job: int, began: int) -> None:
                burn(0.001)
                self.done(job, began, self.now(), Outcome.COMPLETED)

        yield Burning(self.connections)


def test_callbacks_keep_the_generator_busy() -> None:
    """A closed loop in which the pump does nothing but wait, and the thread never sleeps."""
    result = run_sync(RunSpec(Workload(Burns(Constant(0.0)), Closed(5), jobs=200), seed=1))
    assert result.parts is not None
    assert result.parts.generator.busy > 0.7


def test_sleeping_is_not_busy() -> None:
    """Users who wait for a tenth of a second each leave the generator nearly idle."""
    result = run_sync(RunSpec(Workload(FakeRequests(Constant(0.1)), Closed(2), jobs=4), seed=1))
    assert result.parts is not None
    assert result.parts.generator.busy < 0.5
