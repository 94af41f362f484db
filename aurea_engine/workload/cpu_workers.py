"""Worker processes that burn CPU time, one per core, each fed over a socket of its own.

A worker is this very file, run as a script in an isolated interpreter. It imports neither the caller's main module nor
numpy, so it starts in about 20 ms. Frames are one float64 each way: seconds to burn, and CPU-seconds burnt. A worker ends
when its socket closes, or by SIGKILL. It ignores signals that a whole group or container gets: only its parent acts on them.
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
# Ctrl-C in a terminal reaches every process of the group. If a worker died of it, its job would fail before the parent could
# end the run in order.
IGNORED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that a worker ignores."""


def burn(seconds: float, parent: int | None = None) -> float:
    """Spend ``seconds`` of this thread's CPU time, and return what was spent. Ends early if the parent is gone."""
    began = time.thread_time()
    parent, spent = os.getppid() if parent is None else parent, 0.0
    # Spin on the cheap clock for up to 2 ms, then look at the thread's CPU time, which costs a system call. The parent's id
    # changes when it dies, since an orphan is adopted: a worker must not burn a core for a run that nobody waits for.
    while spent < seconds and os.getppid() == parent:
        until = time.perf_counter() + min(0.002, seconds - spent)
        while time.perf_counter() < until:
            pass
        spent = time.thread_time() - began
    return spent


def serve() -> None:
    """Serve the demands that come on stdin until it closes."""
    parent = os.getppid()
    # First ignore, then unblock: the parent blocked these signals before it started this process, so none could arrive in
    # between and kill it.
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED_SIGNALS)
    with contextlib.suppress(OSError), socket.socket(fileno=0) as peer:
        # A short read is the end of the stream: the parent closed its end, or is gone.
        while len(frame := peer.recv(FRAME.size, socket.MSG_WAITALL)) == FRAME.size:
            (seconds,) = FRAME.unpack(frame)
            peer.sendall(FRAME.pack(burn(seconds, parent)))


def _spawn(stdin: int) -> subprocess.Popen[bytes]:
    """Start a worker. Not by the event loop, which may set its own signal mask; vfork and exec take about a millisecond."""
    return subprocess.Popen([sys.executable, "-I", "-S", __file__], stdin=stdin, stdout=subprocess.DEVNULL)  # noqa: S603


class _Worker:
    """One worker process, and our end of its socket."""

    def __init__(
        self, process: subprocess.Popen[bytes], streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ) -> None:
        self._process, (self._reader, self._writer) = process, streams
        self.pid = process.pid

    @classmethod
    async def start(cls) -> Self:
        """Start a process. Signals are blocked until it ignores them, so that none can end it while it starts."""
        # Every way out of here without a worker must close the socket, and reap a process that was started. Otherwise an
        # interrupt in this moment would leave a zombie or a descriptor behind.
        near, far = socket.socketpair()
        with far:
            held = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED_SIGNALS)
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
        """Burn ``seconds`` of CPU time. Raises ChildProcessError if the process ends."""
        self._writer.write(FRAME.pack(seconds))
        try:
            await self._reader.readexactly(FRAME.size)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ChildProcessError("the worker process that burnt this job's CPU time ended") from None

    def kill(self) -> None:
        self._process.kill()

    async def gone(self) -> None:
        """Wait until the process ends, which closes the socket, and reap it."""
        # Waiting for the stream's end does not block the event loop, as waiting for the process would. Afterwards wait()
        # returns at once, because a process closes its descriptors when it dies.
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(65536):
                pass
        self._process.wait()
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


def count_workers() -> int:
    """One for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class CpuWorkers:
    """The workers of one run. Leaving the context kills them all, and waits until they are gone."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size or count_workers()
        self._all: list[_Worker] = []
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        try:
            for _ in range(self.size):
                self._all.append(await _Worker.start())
            # All are started before the first is waited for, so they start at the same time. A frame of 0 s tells that one
            # is up; the run's window opens only then.
            for worker in self._all:
                await worker.burn(0.0)
                self._idle.put_nowait(worker)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        # Kill all, then wait for each: the time is that of the slowest, not the sum.
        for worker in self._all:
            worker.kill()
        for worker in self._all:
            await worker.gone()

    async def burn(self, seconds: float) -> None:
        """Burn ``seconds`` of CPU time in the next free worker. A worker that dies fails its job, and is replaced."""
        worker = await self._idle.get()
        whole = False
        try:
            await worker.burn(seconds)
            whole = True
        finally:
            if not whole:  # cancelled or dead: an answer may still come, which the next job would take for its own
                worker.kill()
                # Shielded: a job may be cancelled again while its worker is replaced, and the pool must not lose one.
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
