"""The supervised process, from the inside: takes one order after the other from its socket, and answers."""

# What it does with an order is a *program*: a function that is called once, with the connection, and gives back the
# function that handles an order. `aurea_engine.processes.worker_program` is one; a server may bring its own.
#
# Two threads. The main one loads the program, then handles orders, one at a time. A daemon thread reads the socket,
# because a stop must be heard while a run holds the main thread. It only puts things where the main thread finds them: an
# order into the queue, a stop into the `Stop` of its order. A run that never looks at its `Stop` is not stopped by that;
# the supervisor's kill ladder is for those.

from __future__ import annotations

import asyncio
import gc
import math
import os
import queue
import select
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from aurea_engine.codec.catalog import Catalog
from aurea_engine.engine import Stop, loop_factory
from aurea_engine.processes import frames
from aurea_engine.processes.frames import Message
from aurea_engine.processes.messages import Failure
from aurea_engine.processes.reasons import explain_failure
from aurea_engine.processes.snapshot_observer import SnapshotObserver
from aurea_engine.results.observers import Progress

MAX_ATTACHED = 256 * 1024 * 1024
"""Bytes that may be sent ahead of one order, such as the records that it is about."""

BEAT = 1.0
"""Seconds between two signs of life of a process that runs a shard."""

Handler = Callable[[Message], None]
Program = Callable[["ParentConnection", asyncio.Runner], Handler]


def serve(descriptor: int, program: Program) -> int:
    """Handle orders until the supervisor is gone; never returns, since the process ends with the socket."""
    with socket.socket(fileno=descriptor) as peer, asyncio.Runner(loop_factory=loop_factory()) as loop:
        # Tasks that a job leaves behind are the job's, and no news for anybody's log.
        loop.get_loop().set_exception_handler(lambda *_: None)
        parent = ParentConnection(peer)
        threading.Thread(target=parent.listen, daemon=True, name="orders").start()
        # Python calls handlers on the main thread, between two bytecodes: a job in a C loop is not reached by SIGTERM.
        signal.signal(signal.SIGTERM, parent.on_sigterm)
        handle = program(parent, loop)
        gc.collect()
        gc.freeze()  # what is loaded stays: collections between runs need not look at it
        parent.send({"ready": os.getpid()})
        while True:
            handle(parent.orders.get())


class ParentConnection:
    """The socket to the supervisor. ``orders``: what to do, in order; ``stops``: one `Stop` per order with an ``id``."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        # Both threads never send at once, but a job's own threads may end up here through an observer.
        self._lock = threading.Lock()
        self.orders: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.stops: dict[str, Stop] = {}
        self.starts: dict[str, int] = {}
        """When the window of a gated order opens, once the supervisor has said so."""
        self._beats, self._leash = False, math.inf
        self._pieces = frames.Pieces(MAX_ATTACHED)

    def listen(self) -> None:
        """Take orders; the end of the socket is the end of this process."""
        while self._wait_for_message() and (message := frames.read_blocking(self._peer)) is not None:
            if "start" in message:
                self.starts[message["id"]] = message["start"]
            elif "stop" in message:
                # One for an order that has ended already comes too late, and is nobody's.
                if stop := self.stops.get(message["id"]):
                    stop.now(message["stop"])
            elif "piece" in message:
                self._pieces.add(message)
            elif "ping" in message:
                continue  # that something was heard is all that it says
            else:
                # The Stop is there before the order is: a stop that follows at once must find it.
                if "id" in message:
                    self.stops[message["id"]] = Stop()
                self._beats, self._leash = "gated" in message, message.get("leash", math.inf)
                self.orders.put(message)
        # Not `sys.exit`: the main thread may be in a job that never returns, or that catches SystemExit.
        os._exit(0)

    def _wait_for_message(self) -> bool:
        """Until there is something to read, with a sign of life now and then. False where the socket is closed, or nothing
        was heard for longer than the leash.
        """
        # From this thread, not from the run's: a job that blocks the event loop makes the run late, and is no dead process.
        # One that holds the interpreter itself is told from a frozen one by the CPU time that it takes.
        # A supervisor that is stopped (SIGSTOP) closes nothing. One on another machine may have been given up by everybody,
        # and its jobs must not go on without end: hence the leash, counted by beats, so that a pause of ours is none of its.
        quiet = 0.0
        try:
            while not select.select([self._peer], [], [], BEAT if self._beats else None)[0]:
                self._beat()
                if (quiet := quiet + BEAT) > self._leash:
                    return False
        except (OSError, ValueError):  # a job has closed the descriptor
            return False
        return True

    def _beat(self) -> None:
        # Neither for the lock nor for the socket is waited: a supervisor that does not read must not keep stops from us.
        if self._beats and self._lock.acquire(blocking=False):
            try:
                if select.select([], [self._peer], [], 0)[1]:
                    self._peer.sendall(frames.pack({"alive": True}))
            finally:
                self._lock.release()

    def attached(self, name: str) -> bytes:
        """What was sent in pieces ahead of the order that is being handled."""
        # The listener is done with it: pieces come before their order, and orders are handed over by the queue.
        return self._pieces.take(name)

    def on_sigterm(self, number: int, frame: object) -> None:
        """SIGTERM also comes when a whole group or container is told to end: only after a stop is it meant for us."""
        if any(stop.status for stop in self.stops.values()):
            os._exit(128 + number)

    def send(self, message: Message) -> None:
        """Send, and wait until it is sent."""
        with self._lock:
            self._peer.sendall(frames.pack(message))

    def send_in_pieces(self, name: str, value: bytes) -> None:
        """Send a value that may be larger than a frame."""
        for piece in frames.split(name, value):
            self.send(piece)

    def send_answer(self, message: Message, values: dict[str, bytes]) -> None:
        """The last message of an order, with values that may be larger than a frame; small ones go in it."""
        # Each message costs both sides a tenth of what a run of one job takes beyond itself.
        if sum(map(len, values.values())) <= frames.PIECE:
            message = {**message, "values": values}
        else:
            for name, value in values.items():
                self.send_in_pieces(name, value)
        self.send(message)

    def send_if_free(self, message: Message) -> None:
        """Send unless the supervisor does not read: late progress is worth nothing, and must not hold up the run.

        A socket that can be written to takes *something*, not all of it; a supervisor that stops reading within one
        message holds the run up after all. A snapshot is smaller than the socket's buffer, so that takes a second one.
        """
        if select.select([], [self._peer], [], 0)[1]:
            self.send(message)

    def send_failure(self, error: BaseException) -> None:
        """The answer where an order came to none: what was raised, as plain text."""
        self.send({"failure": msgspec.to_builtins(Failure(reason=explain_failure(error)))})


class ProgressReporter(SnapshotObserver):
    """Sends a snapshot of the run at each report but the last, which goes with the answer: ``last``."""

    def __init__(self, parent: ParentConnection, catalog: Catalog) -> None:
        super().__init__(catalog)
        self._parent = parent

    def on_progress(self, progress: Progress) -> None:
        super().on_progress(progress)
        # Twice the same would cost the supervisor a tenth of all that a run of one job costs it.
        if not self.has_ended:
            self._parent.send_if_free({"progress": to_plain(self.last)})


def to_plain(value: msgspec.Struct) -> Any:
    """A struct as msgpack's own types; bytes stay bytes."""
    return msgspec.to_builtins(value, builtin_types=(bytes,))
