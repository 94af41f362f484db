"""Worker processes that burn CPU time, one a core, each fed over its own pair of pipes.

A worker is this very file run as a script, in an isolated interpreter that imports neither the caller's main module nor
numpy, so it starts in some 20 ms. Frames are one float64 each way: seconds to burn, CPU-seconds burnt.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
import time
from asyncio.subprocess import PIPE, Process
from typing import Self

FRAME = struct.Struct("<d")


def burn(seconds: float) -> float:
    """Spend ``seconds`` of this thread's CPU time; returns what was spent. Ends early when the parent is gone."""
    began = time.thread_time()
    parent, spent = os.getppid(), 0.0
    while spent < seconds and os.getppid() == parent:
        until = time.perf_counter() + min(0.002, seconds - spent)
        while time.perf_counter() < until:
            pass
        spent = time.thread_time() - began
    return spent


def serve() -> None:
    """Read demands from stdin until it closes."""
    while len(frame := sys.stdin.buffer.read(FRAME.size)) == FRAME.size:
        sys.stdout.buffer.write(FRAME.pack(burn(*FRAME.unpack(frame))))
        sys.stdout.buffer.flush()


class CpuWorkers:
    """A pool of workers for one run; leaving its context ends them all and waits for their end."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size or len(
            os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        )
        self._all: list[Process] = []
        self._idle: asyncio.Queue[Process] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        try:
            for _ in range(self.size):
                self._all.append(await self._start())
            for worker in self._all:
                await self._burn(worker, 0.0)
                self._idle.put_nowait(worker)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        for worker in self._all:
            if worker.returncode is None:
                worker.kill()
        for worker in self._all:
            await worker.wait()

    async def burn(self, seconds: float) -> None:
        """Burn ``seconds`` of CPU time in the next free worker. A worker that dies fails its job and is replaced."""
        worker = await self._idle.get()
        whole = False
        try:
            await self._burn(worker, seconds)
            whole = True
        finally:
            if not whole:  # cancelled or dead: its stream is out of step, so the worker is of no more use
                if worker.returncode is None:
                    worker.kill()
                await asyncio.shield(self._replace(worker))
            else:
                self._idle.put_nowait(worker)

    async def _replace(self, dead: Process) -> None:
        await dead.wait()
        self._all.remove(dead)
        self._all.append(worker := await self._start())
        self._idle.put_nowait(worker)

    @staticmethod
    async def _start() -> Process:
        return await asyncio.create_subprocess_exec(sys.executable, "-I", "-S", __file__, stdin=PIPE, stdout=PIPE)

    @staticmethod
    async def _burn(worker: Process, seconds: float) -> None:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(FRAME.pack(seconds))
        try:
            await worker.stdout.readexactly(FRAME.size)
        except asyncio.IncompleteReadError:
            raise ChildProcessError("the worker process that burnt this job's CPU time ended") from None


if __name__ == "__main__":
    serve()
