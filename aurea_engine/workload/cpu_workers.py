"""Worker processes that burn CPU time, one a core, each fed over a socket of its own.

A worker is this very file run as a script, in an isolated interpreter that imports neither the caller's main module nor
numpy, so it starts in some 20 ms. Frames are one float64 each way: seconds to burn, CPU-seconds burnt. It ends when its
socket closes, or by SIGKILL: a signal that a whole group or container gets is for those who feed it to judge.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Self

FRAME = struct.Struct("<d")
DEAF = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a worker does not hear."""


def burn(seconds: float, parent: int | None = None) -> float:
    """Spend ``seconds`` of this thread's CPU time; returns what was spent. Ends early when the parent is gone."""
    began = time.thread_time()
    parent, spent = os.getppid() if parent is None else parent, 0.0
    while spent < seconds and os.getppid() == parent:
        until = time.perf_counter() + min(0.002, seconds - spent)
        while time.perf_counter() < until:
            pass
        spent = time.thread_time() - began
    return spent


def serve() -> None:
    """Answer the demands that come on stdin until it closes."""
    parent = os.getppid()
    for number in DEAF:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, DEAF)
    with contextlib.suppress(OSError), socket.socket(fileno=0) as peer:
        while len(frame := peer.recv(FRAME.size, socket.MSG_WAITALL)) == FRAME.size:
            (seconds,) = FRAME.unpack(frame)
            peer.sendall(FRAME.pack(burn(seconds, parent)))


def _spawn(stdin: int) -> subprocess.Popen[bytes]:
    """Not by the event loop, which may give the process a mask of signals of its own; vfork and exec take a millisecond."""
    return subprocess.Popen([sys.executable, "-I", "-S", __file__], stdin=stdin, stdout=subprocess.DEVNULL)  # noqa: S603


class _Worker:
    """One worker process and our end of its socket."""

    def __init__(
        self, process: subprocess.Popen[bytes], streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ) -> None:
        self._process, (self._reader, self._writer) = process, streams
        self.pid = process.pid

    @classmethod
    async def start(cls) -> Self:
        """Signals are held back meanwhile, and in it until it ignores them: none finds it unprepared."""
        near, far = socket.socketpair()
        with far:
            held = signal.pthread_sigmask(signal.SIG_BLOCK, DEAF)
            try:
                process = _spawn(far.fileno())
            except BaseException:
                near.close()
                raise
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, held)
        try:
            return cls(process, await asyncio.open_connection(sock=near))
        except BaseException:
            near.close()
            process.kill()
            process.wait()
            raise

    async def burn(self, seconds: float) -> None:
        """Raises ChildProcessError where the process ends."""
        self._writer.write(FRAME.pack(seconds))
        try:
            await self._reader.readexactly(FRAME.size)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ChildProcessError("the worker process that burnt this job's CPU time ended") from None

    def kill(self) -> None:
        self._process.kill()

    async def gone(self) -> None:
        """Wait for its end, which its socket tells, and reap it."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(65536):
                pass
        self._process.wait()
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


class CpuWorkers:
    """A pool of workers for one run; leaving its context ends them all and waits for their end."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size or len(
            os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        )
        self._all: list[_Worker] = []
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        try:
            for _ in range(self.size):
                self._all.append(await _Worker.start())
            for worker in self._all:
                await worker.burn(0.0)
                self._idle.put_nowait(worker)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        for worker in self._all:
            worker.kill()
        for worker in self._all:
            await worker.gone()

    async def burn(self, seconds: float) -> None:
        """Burn ``seconds`` of CPU time in the next free worker. A worker that dies fails its job and is replaced."""
        worker = await self._idle.get()
        whole = False
        try:
            await worker.burn(seconds)
            whole = True
        finally:
            if not whole:  # cancelled or dead: its stream is out of step, so the worker is of no more use
                worker.kill()
                await asyncio.shield(self._replace(worker))
            else:
                self._idle.put_nowait(worker)

    async def _replace(self, dead: _Worker) -> None:
        await dead.gone()
        self._all.remove(dead)
        self._all.append(worker := await _Worker.start())
        self._idle.put_nowait(worker)


if __name__ == "__main__":
    serve()
