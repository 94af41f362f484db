"""Strategies that do what they must not. A server finds them by entry points, as it finds anybody's."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import re
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np

from aurea_engine import Arrivals, CostModel, Job, Queue, Scheduler
from aurea_engine.costs import Component, Flat, Jobs


class Unpicklable(Exception):
    """Its class cannot be made from its arguments, and it hides its text."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("x")
        self.lock = threading.Lock()

    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class Group(BaseExceptionGroup):
    pass


RAISED = {
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "StopIteration": lambda: RuntimeError("StopIteration"),
    "StopAsyncIteration": StopAsyncIteration,
    "CancelledError": asyncio.CancelledError,
    "TimeoutError": TimeoutError,
    "MemoryError": lambda: RecursionError("deep"),
    "Unpicklable": lambda: Unpicklable(1, 2),
    "BaseException": BaseException,
    "BaseExceptionGroup": lambda: BaseExceptionGroup("group", [KeyboardInterrupt(), SystemExit(1)]),
}


@dataclass(frozen=True)
class Raises(Job):
    what: str = "ValueError"

    async def run(self, demand: float) -> None:
        raised = RAISED[self.what]()
        raise raised


@dataclass(frozen=True)
class Does(Job):
    """One job that does ``what``."""

    what: str

    async def run(self, demand: float) -> None:
        await getattr(self, f"_{self.what}")()

    async def _sys_exit_in_a_task(self) -> None:
        async def leave() -> None:
            sys.exit(7)

        task = asyncio.create_task(leave())
        await asyncio.sleep(0.05)
        await task

    async def _os_exit(self) -> None:
        os._exit(7)

    async def _segfault(self) -> None:
        ctypes.string_at(0)

    async def _abort(self) -> None:
        os.abort()

    async def _signal_without_a_name(self) -> None:
        os.kill(os.getpid(), 40)
        await asyncio.sleep(5)

    async def _kill_itself(self) -> None:
        os.kill(os.getpid(), 9)

    async def _kill_its_parent_politely(self) -> None:
        os.kill(os.getppid(), 0)

    async def _regex(self) -> None:
        re.match(r"(a+)+$", "a" * 60 + "b")

    async def _block(self) -> None:
        time.sleep(600)

    async def _spin(self) -> None:
        while True:
            pass

    async def _swallow_cancel(self) -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(600)

    async def _leak(self) -> None:
        hoard = []
        while True:
            hoard.append(bytearray(16 * 1024 * 1024))

    async def _fork(self) -> None:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)

    async def _start_programs(self) -> None:
        for _ in range(3):
            subprocess.Popen(["sleep", "600"])

    async def _hide(self) -> None:
        """Programs in sessions of their own, that no signal but one can end, with parents that are gone."""
        ears = "for n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)"
        deaf = f"import signal, time\n{ears}\nprint(flush=True)\ntime.sleep(600)"
        hidden = [sys.executable, "-S", "-c", deaf, "hidden-from-aurea"]
        twice = f"import subprocess\nfor _ in range(2): subprocess.Popen({hidden!r}, start_new_session=True)"
        subprocess.run([sys.executable, "-S", "-c", twice], start_new_session=True, check=True)
        with subprocess.Popen(hidden, start_new_session=True, stdout=subprocess.PIPE) as straight:
            assert straight.stdout is not None
            straight.stdout.readline()
            straight.returncode = 0  # it is nobody's business here any more
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execv(hidden[0], hidden)
            os._exit(0)

    async def _hide_and_stay(self) -> None:
        await self._hide()
        time.sleep(600)

    async def _shout(self) -> None:
        line = b"x" * 65536
        for _ in range(4096):
            os.write(1, line)

    async def _close_everything(self) -> None:
        os.closerange(3, 256)
        await asyncio.sleep(600)

    async def _write_to_the_socket(self) -> None:
        for descriptor in range(3, 64):
            with contextlib.suppress(OSError):
                os.write(descriptor, b"\xff" * 64)
        await asyncio.sleep(0.2)


SNAPSHOT = {"elapsed": 1.0, "arrived": 1}
FIGURES = {"status": "completed", "num_jobs": 1, "completed_jobs": 1}
RESULT = {"benchmark_id": "benchmark-1", "status": "completed", "counts": {}, "jobs": [], "jobs_truncated": False}
BAD_BILL = {"priced": True, "lines": [["x", "1/0"]]}
HISTOGRAM = {"count": 1, "total_ns": "1", "squares": "0", "shift_ns": "1", "min_ns": 1, "max_ns": 1}
Messages = list[dict[str, object]]


def an_end(result: bytes | None = None, **changes: object) -> Messages:
    """What a runner sends at the end of a run, but for what is changed in it."""
    content = json.dumps(RESULT).encode() if result is None else result
    end = {"figures": FIGURES, "last": SNAPSHOT, "reusable": True, **changes}
    return [{"piece": "result", "content": content}, {"end": end}]


FORGED: dict[str, Messages] = {
    "end of another run": an_end(),
    "end with a state of its own": an_end(figures={**FIGURES, "status": "running"}),
    "end by a stop that nobody asked for": an_end(figures={**FIGURES, "status": "interrupted"}),
    "end with a broken histogram": an_end(last={**SNAPSHOT, "histograms": {"service": {}}}),
    "end with an endless cost": an_end(last={**SNAPSHOT, "cost": "1/0"}),
    "end with an endless bill": an_end(figures={**FIGURES, "bill": BAD_BILL}),
    "end that is no JSON": an_end(b"not json"),
    "end with broken jobs": an_end(b'{"benchmark_id":"benchmark-1","jobs":[,],"jobs_truncated":false}'),
    "end without a result": an_end(b""),
    "failure with a code of its own": [{"failure": {"reason": {"code": "because", "detail": "why not"}}}],
    "piece without a name": [{"piece": 1, "content": b"x"}],
    "progress with an endless cost": [{"progress": {**SNAPSHOT, "cost": "1/0"}}],
    "progress with an endless bill": [{"progress": {**SNAPSHOT, "bill": BAD_BILL}}],
    "progress with a broken histogram": [{"progress": {**SNAPSHOT, "histograms": {"lag": {"a": 1}}}}],
    "progress with an endless histogram": [
        {"progress": {**SNAPSHOT, "histograms": {"lag": {**HISTOGRAM, "buckets": [10**12], "counts": [1]}}}}
    ],
    "records that are none": [{"piece": "records", "content": b"garbage" * 1000}],
}


@dataclass(frozen=True)
class Forges(Job):
    """Writes to the server what only the runner should."""

    what: str

    async def run(self, demand: float) -> None:
        for message in FORGED[self.what]:
            frame = msgspec.msgpack.encode(message)
            os.write(int(sys.argv[1]), struct.pack("<I", len(frame)) + frame)
        await asyncio.sleep(0.5)


@dataclass(frozen=True)
class RaisesWhenPriced(CostModel):
    def components(self) -> Iterator[Component]:
        raise ZeroDivisionError("no price")
        yield


@dataclass(frozen=True)
class Nonsense(CostModel):
    def components(self) -> Iterator[Component]:
        yield Component("jobs", Jobs(), Flat("1"), "Jobs")

    def lines(self, usage: object) -> object:
        return [float("nan"), None, "money"]

    def per_job(self, batch: object) -> object:
        return np.array([np.nan, -1.0, np.inf])


class _Inventing(Queue):
    """Gives back jobs that it never got."""

    def __init__(self) -> None:
        self._waiting = 0

    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        self._waiting += 1

    def pop(self) -> int:
        self._waiting -= 1
        return 10**9

    def __len__(self) -> int:
        return self._waiting


@dataclass(frozen=True)
class InventsJobs(Scheduler):
    def queue(self) -> Queue:
        return _Inventing()


@dataclass(frozen=True)
class Unsorted(Arrivals):
    ends: ClassVar[str] = "with jobs"  # type: ignore[misc]

    def instants(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        while True:
            yield np.array([5, 1, 3, 2], np.int64)


@dataclass(frozen=True)
class RaisesWhenMade(Job):
    def __post_init__(self) -> None:
        raise LookupError("made wrongly")

    async def run(self, demand: float) -> None: ...
