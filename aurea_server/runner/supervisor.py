"""The server's side of a runner process: starts it, talks to it, and makes sure that nothing is left of it.

Kill ladder: a stop message, then SIGTERM, then SIGKILL, each to the whole process group, and always a reap.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from aurea_server.runner import frames
from aurea_server.runner.messages import End, Failure, Reason, Snapshot, sound, sound_end
from aurea_server.runner.spawn import spawn
from aurea_server.runs.active_run import ActiveRun

STARTING = 30.0
"""Seconds that a process has to be ready."""

MOST_RECORDS = 256 * 1024 * 1024
TAIL = 4096
"""Bytes that are kept of what jobs print; the rest is read and dropped."""

POLITE, FIRM = 2.0, 0.5
"""Seconds from the stop message to SIGTERM, and from there to SIGKILL."""


class RunnerFailed(Exception):
    """A run came to no result."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.detail)
        self.reason = reason


class Runner:
    """One runner process. Make it with `start`; it is of no more use once `alive` is False."""

    def __init__(self, process: subprocess.Popen[bytes], lifeline: int, output: int) -> None:
        self._process = process
        self._lifeline, self._output = lifeline, output
        self._tail: deque[bytes] = deque(maxlen=8)
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._ladder: asyncio.TimerHandle | None = None
        self._stopped = False
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._pidfd = -1
        os.set_blocking(output, False)
        self._loop.add_reader(output, self._read_output)
        if hasattr(os, "pidfd_open"):
            self._pidfd = os.pidfd_open(process.pid)
            self._loop.add_reader(self._pidfd, self._exited)
        else:
            self._poll()

    @classmethod
    async def spawn(cls, memory: int = 0) -> Runner:
        """A process that is loading: await `ready` before giving it orders. Raises `RunnerFailed`.

        It is started from the loop's own thread: the kernel's death signal is bound to the thread that forked.
        """
        try:
            ours, process, lifeline, output = spawn(memory)
        except OSError as error:
            detail = f"no runner process could be started: {error.strerror}"
            raise RunnerFailed(Reason(code="runner_died", detail=detail)) from None
        runner = cls(process, lifeline, output)
        runner._reader, runner._writer = await asyncio.open_connection(sock=ours)
        return runner

    async def ready(self) -> None:
        """Until it has loaded. Raises `RunnerFailed`, and then nothing of it is left."""
        try:
            async with asyncio.timeout(STARTING):
                await self._message()
        except TimeoutError:
            await self.kill()
            raise RunnerFailed(Reason(code="runner_died", detail=f"it was not ready within {STARTING:g} s")) from None
        except BaseException:
            await self.kill()
            raise

    @property
    def alive(self) -> bool:
        """Whether the process is there, and has not been told to go."""
        return not self._gone.done() and not self._stopped

    @property
    def pid(self) -> int:
        return self._process.pid

    async def run(self, live: ActiveRun, progressed: Callable[[Snapshot], None]) -> tuple[End, bytes]:
        """Execute a run: (its end, its records as a file). Raises `RunnerFailed` where it came to none."""
        run_id = live.id
        self._send({"run_id": run_id, "spec": live.document, "foreign": live.foreign})
        if live.stopping is not None:  # that was asked for while the process was being started
            self.stop(run_id, live.stopping)
        records = bytearray()
        while True:
            message = await self._message()
            try:
                if "progress" in message:
                    progressed(sound(msgspec.convert(message["progress"], Snapshot)))
                elif "records" in message:
                    _grow(records, message["records"])
                elif "end" in message:
                    return sound_end(msgspec.convert(message["end"], End), run_id), bytes(records)
                else:
                    raise RunnerFailed(msgspec.convert(message["failure"], Failure).reason)
            except (msgspec.ValidationError, KeyError, TypeError, ValueError, frames.BadFrame) as error:
                await self.kill()
                detail = f"the runner process sent what no runner sends: {error}"
                raise RunnerFailed(self._with_output(Reason(code="runner_died", detail=detail[:300]))) from None

    def ask(self, order: dict[str, Any], content: bytes) -> None:
        """Send an order other than a run, after the bytes that it is about; `answer` reads what comes back."""
        for part in frames.parts(content):
            self._send({"records": part})
        self._send(order)

    async def answer(self, name: str) -> Any:
        """The member ``name`` of the next message. Raises `RunnerFailed` where the process tells of a failure, or ends."""
        message = await self._message()
        if name in message:
            return message[name]
        try:
            reason = msgspec.convert(message["failure"], Failure).reason
        except (msgspec.ValidationError, KeyError):
            reason = Reason(code="strategy", detail="a strategy made its process send what no runner sends")
        raise RunnerFailed(reason)

    def stop(self, run_id: str, status: str) -> None:
        """End the run with what it has; the process, too, if it does not obey. Asking again changes nothing."""
        if self._ladder is None and not self._gone.done():
            self._send({"stop": status, "run_id": run_id})
            self._ladder = self._loop.call_later(POLITE, self._terminate)

    def obeyed(self) -> None:
        """The run has ended: the rest of the ladder is not needed."""
        if self._ladder is not None:
            self._ladder.cancel()
            self._ladder = None

    async def kill(self) -> None:
        """End the process and all that it started, and reap it."""
        self.kill_now()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.shield(self._gone)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def kill_now(self) -> None:
        """End the process and all that it started; somebody else reaps.

        The guard does it when it sees the lifeline close; a second later nothing is asked any more.
        """
        if not self._stopped and not self._gone.done():
            os.close(self._lifeline)
            self._loop.call_later(1.0, self._signal, signal.SIGKILL)
        self._stopped = True

    def _terminate(self) -> None:
        self._signal(signal.SIGTERM)
        self._ladder = self._loop.call_later(FIRM, self.kill_now)

    def _signal(self, number: int) -> None:
        if not self._gone.done():  # afterwards the group's number may be somebody else's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _send(self, message: dict[str, Any]) -> None:
        if not self._writer.is_closing():
            self._writer.write(frames.pack(message))

    async def _message(self) -> dict[str, Any]:
        """The next message, or `RunnerFailed` when there will be none."""
        reading = asyncio.ensure_future(frames.read(self._reader))
        try:
            await asyncio.wait((reading, self._gone), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():  # what it sent before it ended may still be on its way
                await asyncio.wait((reading,), timeout=0.5)
            if reading.done() and reading.exception() is None:
                return reading.result()
        finally:
            if not reading.done():
                reading.cancel()
                await asyncio.wait((reading,))
            elif not reading.cancelled():
                reading.exception()
        was_alive = not self._gone.done()
        if was_alive:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await asyncio.shield(self._gone)
        await self.kill()
        raise RunnerFailed(self._death())

    def _death(self) -> Reason:
        code = self._process.returncode
        output = b"".join(self._tail)
        if b"MemoryError" in output or b"bad_alloc" in output or b"Cannot allocate memory" in output:
            reason = Reason(code="memory", detail="the runner process found no memory left within its limit")
        elif code is None or code >= 0:
            reason = Reason(code="runner_died", detail=f"the runner process exited with code {code}")
        else:
            by = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            reason = Reason(code="runner_died", detail=f"the runner process was killed by {by}")
        return self._with_output(reason)

    def _with_output(self, reason: Reason) -> Reason:
        output = b"".join(self._tail)[-TAIL:].decode("utf-8", "replace")
        return msgspec.structs.replace(reason, output=output)

    def _poll(self) -> None:
        """Where the system has no descriptors of processes, look now and then."""
        if self._process.poll() is None:
            self._loop.call_later(0.05, self._poll)
        else:
            self._exited()

    def _exited(self) -> None:
        """The process has ended: end what it started, reap it, and give everything back."""
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # before the reap, so that the number is still ours
        self._process.wait()
        self.obeyed()
        self._read_output()
        self._loop.remove_reader(self._output)
        os.close(self._output)
        if not self._stopped:
            os.close(self._lifeline)
        self._gone.set_result(None)
        if hasattr(self, "_writer"):
            self._loop.call_later(1.0, self._writer.close)

    def _read_output(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            if text := os.read(self._output, 65536):
                self._tail.append(text[-TAIL:])
            else:
                self._loop.remove_reader(self._output)


def _grow(records: bytearray, part: bytes) -> None:
    records += part
    if len(records) > MOST_RECORDS:
        raise frames.BadFrame("more records than a run can have")
