"""The supervisor's side of one process: starts it, talks to it, and makes sure that nothing is left of it."""

# **Who is there.** The supervisor is any program with an event loop: the server, a study, a sharded run. What it starts
# becomes three processes (see `keeper`); it knows the keeper, whose process number leads the group, and through the
# socket the worker.
#
# **How a run is stopped: the kill ladder.** Each step is for what the one before does not reach.
#
# 1. *A stop message*, at once. The worker's run ends within a tenth of a second, with a result of what there is. A job
#    that holds the interpreter (a regular expression, a loop in C) does not let the run look.
# 2. *SIGTERM to the group*, after `STOP_PATIENCE`. Python code of a job is interrupted and the worker exits; the run has
#    no result, but everything is released. A job that loops in C is not reached by this either.
# 3. *The lifeline is closed*, `TERM_PATIENCE` later. The guard, which no job can talk to, kills the worker and all below
#    it.
# 4. *SIGKILL to the group*, `GUARD_PATIENCE` later, for the case that the guard itself is stopped or gone.
#
# `kill` begins at the third step. A worker that has not said that it is ready has no guard yet and nothing below it, so
# there the fourth step is taken at once.
#
# **How its end is noticed.** Not by the socket: a job may close the descriptor, and a program that a job started may hold
# a copy of it open. The kernel tells by a descriptor of the process (`os.pidfd_open`), or, where there is none, we look
# now and then. `_on_exit` is the one place that reaps, so there is never a zombie and never a signal to a number that is
# another process's by now: signals are sent only while the keeper has not been reaped.
#
# **What is believed.** Nothing that comes over the socket, before it is decoded into a strict type. A process that sends
# anything else is killed, since a job has got hold of its socket, and the answer is "sent what no runner sends".
#
# **What dies with whom** is told in `keeper`. From here: when this program ends, however, its end of the lifeline closes,
# and everything below goes.

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from aurea_engine.errors import AureaError
from aurea_engine.processes import frames
from aurea_engine.processes.frames import Message
from aurea_engine.processes.messages import Failure, Reason
from aurea_engine.processes.reasons import explain_death
from aurea_engine.processes.spawn import Command, Started, start_process

T = TypeVar("T")

START_PATIENCE = 30.0
"""Seconds that a process has to be ready."""

STOP_PATIENCE, TERM_PATIENCE, GUARD_PATIENCE = 2.0, 0.5, 1.0
"""Seconds from the stop message to SIGTERM, from there to the end of the lifeline, and from there to SIGKILL."""

OUTPUT_KEPT = 4096
"""Bytes that are kept of what jobs print; the rest is read and dropped."""

LAST_WORDS = 0.5
"""Seconds for what a process sent before it ended to be read, and for its end to be noticed after its socket closed."""

_MALFORMED = (msgspec.MsgspecError, KeyError, TypeError, ValueError, frames.BadFrame)
"""What reading a message raises that a job has written."""


class ProcessFailed(AureaError, RuntimeError):
    """A supervised process gave no answer: ``reason`` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.detail)
        self.reason = reason


class SupervisedProcess:
    """One process. Make it with `spawn`; it is of no more use once `alive` is False.

    It takes one order at a time; its user must see to that.
    """

    def __init__(self, started: Started) -> None:
        self._process = started.process
        self._lifeline, self._output = started.lifeline, started.output
        self._tail: deque[bytes] = deque(maxlen=8)
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._ladder: asyncio.TimerHandle | None = None
        self._killed = self._enclosed = False
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._pidfd = -1
        os.set_blocking(self._output, False)
        self._loop.add_reader(self._output, self._read_output)
        if hasattr(os, "pidfd_open"):
            self._pidfd = os.pidfd_open(self._process.pid)
            self._loop.add_reader(self._pidfd, self._on_exit)
        else:
            self._poll_exit()

    @classmethod
    async def spawn(cls, command: Command | None = None) -> SupervisedProcess:
        """A process that is loading: await `ready` before giving it orders. Raises `ProcessFailed`.

        It is started from the event loop's own thread, which lives as long as we want the process: the kernel's death signal
        is bound to the thread that forked.
        """
        try:
            started = start_process(command or Command())
        except OSError as error:
            detail = f"no runner process could be started: {error.strerror}"
            raise ProcessFailed(Reason(code="runner_died", detail=detail)) from None
        process = cls(started)
        process._reader, process._writer = await asyncio.open_connection(sock=started.socket)
        return process

    async def ready(self) -> None:
        """Until it has loaded. Raises `ProcessFailed`, and then nothing of it is left."""
        try:
            async with asyncio.timeout(START_PATIENCE):
                await self.receive()
                self._enclosed = True
        except TimeoutError:
            await self.kill()
            detail = f"it was not ready within {START_PATIENCE:g} s"
            raise ProcessFailed(Reason(code="runner_died", detail=detail)) from None
        except BaseException:
            await self.kill()
            raise

    @property
    def alive(self) -> bool:
        """Whether the process is there, and has not been told to go."""
        return not self._gone.done() and not self._killed

    @property
    def pid(self) -> int:
        """Of the keeper, which leads the process group."""
        return self._process.pid

    # --- Orders and answers ------------------------------------------------------------------------------------------

    def send_order(self, order: Message, **attached: bytes) -> None:
        """Give it something to do; ``attached`` values are sent ahead, in pieces."""
        for name, value in attached.items():
            for piece in frames.split(name, value):
                self._send(piece)
        self._send(order)

    async def converse(self, take: Callable[[Message, frames.Pieces], T | None], most_bytes: int = 0) -> T:
        """Hand each message to ``take``, with the values that came in pieces so far, until it returns something: that.

        A failure that the process reports, or its end, raises `ProcessFailed`. So does a message that ``take`` cannot read
        (it lets through what decoding raises), or more than ``most_bytes`` in pieces; then the process is gone.
        """
        values = frames.Pieces(most_bytes)
        while True:
            message = await self.receive()
            try:
                for name, content in msgspec.convert(message.pop("values", {}), dict[str, bytes]).items():
                    values.add({"piece": name, "content": content})
                if "piece" in message:
                    values.add(message)
                elif "failure" in message:
                    raise ProcessFailed(msgspec.convert(message["failure"], Failure).reason)
                elif (answer := take(message, values)) is not None:
                    return answer
            except _MALFORMED as error:
                await self.kill()
                detail = f"the runner process sent what no runner sends: {error}"
                raise ProcessFailed(self._with_output(Reason(code="runner_died", detail=detail[:300]))) from None

    async def answer(self, name: str, within: float, otherwise: str) -> Any:
        """The member ``name`` of the next message. Raises `ProcessFailed`; ``otherwise`` says what it did not do in time."""
        try:
            async with asyncio.timeout(within):
                return (await self.converse(lambda message, _: (message[name],)))[0]
        except TimeoutError:
            detail = f"{otherwise} within {within:g} s"
            raise ProcessFailed(Reason(code="runner_unresponsive", detail=detail)) from None

    async def receive(self) -> Message:
        """The next message, or `ProcessFailed` when there will be none."""
        reading = asyncio.ensure_future(frames.read(self._reader))
        try:
            await asyncio.wait((reading, self._gone), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():  # what it sent before it ended may still be on its way
                await asyncio.wait((reading,), timeout=LAST_WORDS)
            if reading.done() and reading.exception() is None:
                return reading.result()
        finally:
            if not reading.done():
                reading.cancel()
                await asyncio.wait((reading,))
            elif not reading.cancelled():
                reading.exception()  # taken, so that nobody logs it as never retrieved
        # The socket closed, or holds garbage. A process that has just ended is told from one that a job has cut off from
        # us by waiting a moment: the first has an exit code to report, the second is killed.
        if not self._gone.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await asyncio.shield(self._gone)
        await self.kill()
        raise ProcessFailed(self._death())

    def _send(self, message: Message) -> None:
        if not self._writer.is_closing():
            self._writer.write(frames.pack(message))

    # --- The kill ladder ---------------------------------------------------------------------------------------------

    def stop(self, order_id: str, status: str) -> None:
        """End the order with what it has; the process, too, if it does not obey. Asking again changes nothing."""
        if self._ladder is None and not self._gone.done():
            self._send({"stop": status, "id": order_id})
            self._ladder = self._loop.call_later(STOP_PATIENCE, self._terminate)

    def cancel_ladder(self) -> None:
        """The order has ended: the rest of the ladder is not needed."""
        if self._ladder is not None:
            self._ladder.cancel()
            self._ladder = None

    def _terminate(self) -> None:
        self._signal_group(signal.SIGTERM)
        self._ladder = self._loop.call_later(TERM_PATIENCE, self.kill_now)

    async def kill(self) -> None:
        """End the process and all that it started, and reap it."""
        self.kill_now()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):  # one that hangs in the kernel does not end by SIGKILL
                await asyncio.shield(self._gone)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def kill_now(self) -> None:
        """End the process and all that it started; it is reaped when the event loop turns."""
        if not self._killed and not self._gone.done():
            os.close(self._lifeline)
            if self._enclosed:
                self._loop.call_later(GUARD_PATIENCE, self._signal_group, signal.SIGKILL)
            else:
                self._signal_group(signal.SIGKILL)
        self._killed = True

    def _signal_group(self, number: int) -> None:
        if not self._gone.done():  # afterwards the group's number may be another group's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    # --- Its end -----------------------------------------------------------------------------------------------------

    def _poll_exit(self) -> None:
        """Where the system has no descriptors of processes, look now and then."""
        if self._process.poll() is None:
            self._loop.call_later(0.05, self._poll_exit)
        else:
            self._on_exit()

    def _on_exit(self) -> None:
        """The process has ended: end what is left of its group, reap it, and give everything back."""
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # before the reap, so that the number is still ours
        self._process.wait()
        self.cancel_ladder()
        self._read_output()
        self._loop.remove_reader(self._output)
        os.close(self._output)
        if not self._killed:
            os.close(self._lifeline)
        self._gone.set_result(None)
        if hasattr(self, "_writer"):
            self._loop.call_later(2 * LAST_WORDS, self._writer.close)  # after `receive` has read its last words

    def _read_output(self) -> None:
        # Read also while nobody wants it: a full pipe would block the job that prints.
        with contextlib.suppress(BlockingIOError, OSError):
            if text := os.read(self._output, 65536):
                self._tail.append(text[-OUTPUT_KEPT:])
            else:
                self._loop.remove_reader(self._output)

    def _death(self) -> Reason:
        return self._with_output(explain_death(self._process.returncode, b"".join(self._tail)))

    def _with_output(self, reason: Reason) -> Reason:
        output = b"".join(self._tail)[-OUTPUT_KEPT:].decode("utf-8", "replace")
        return msgspec.structs.replace(reason, output=output)
