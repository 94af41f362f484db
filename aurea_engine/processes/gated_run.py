"""One shard in a worker process that starts together with others: set up, held back, started, watched, stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from aurea_engine.closed_sets import Status
from aurea_engine.errors import Problem, SpecError
from aurea_engine.processes.frames import Message, Pieces
from aurea_engine.processes.linux import read_usage_ns
from aurea_engine.processes.supervisor import ProcessFailed, SupervisedProcess
from aurea_engine.run.parts import RunParts
from aurea_engine.run.shard import Shard

T = TypeVar("T")

MAX_PARTS = 2 * 1024**3
"""Bytes of parts that a worker may send of one run: about 34 for each job that is kept."""


class GatedRun:
    """A shard in a process, from its set-up to its end; `WorkerProcess.prepare` makes it.

    The order of calls: `ready`, `start`, `finish`. `stop` may come at any time: a shard that was not started then ends
    without a job. ``heard_at`` is when the process was last heard of, by the monotonic clock.
    """

    def __init__(self, process: SupervisedProcess, order_id: str, shard: Shard) -> None:
        self._process, self._id, self._shard = process, order_id, shard
        self.heard_at = time.monotonic()

    async def ready(self) -> None:
        """Until all jobs are set up. Raises SpecError where they cannot be, and `ProcessFailed`."""

        def take(message: Message, _: Pieces) -> bool | None:
            self.heard_at = time.monotonic()
            if "alive" in message:
                return None
            if message["ready"] != self._id:
                raise ValueError("it is ready for another run")
            return True

        await self._converse(take)

    def start(self, opens_at_ns: int) -> None:
        """The window opens at this instant of the monotonic clock, which all processes of a machine share."""
        if self._process.alive:
            self._process.send_order({"start": opens_at_ns, "id": self._id})

    async def finish(self, on_progress: Callable[[RunParts], None]) -> RunParts:
        """The parts of the shard when it has ended; ``on_progress`` is told of those so far, four times a second, without
        records and series. Raises `ProcessFailed`.
        """

        def take(message: Message, values: Pieces) -> RunParts | None:
            self.heard_at = time.monotonic()
            if "alive" in message:
                return None
            if "progress" in message:
                on_progress(check_shard(RunParts.from_bytes(message["progress"]), self._shard))
                return None
            return read_end(message, values, self._id, self._shard)

        try:
            return await self._converse(take, MAX_PARTS)
        finally:
            self._process.cancel_ladder()

    def stop(self, status: Status) -> None:
        """End it with what it has; the process, too, if it does not obey. Asking again changes nothing."""
        self._process.stop(self._id, status)

    def ping(self) -> None:
        """Have the process hear something: one on a leash (`WorkerProcess.prepare_order`) ends where it does not."""
        if self._process.alive:
            self._process.send_order({"ping": True})

    def kill(self) -> None:
        """End the process: what waits for it is told at once."""
        self._process.kill_now()

    def used_ns(self) -> int:
        """CPU time that its processes have used, or waited for, so far."""
        return read_usage_ns(self._process.pid)

    async def _converse(self, take: Callable[[Message, Pieces], T | None], most_bytes: int = 0) -> T:
        try:
            return await self._process.converse(take, most_bytes)
        except ProcessFailed as failed:
            raise name_failure(failed) from None


def name_failure(failed: ProcessFailed) -> Exception:
    """The same as the caller would have got in its own process, where that is known."""
    if failed.reason.code != "invalid_spec":
        return failed
    return SpecError([Problem(*each) for each in failed.reason.problems] or failed.reason.detail)


def check_shard(parts: RunParts, shard: Shard) -> RunParts:
    """The same, if they are of this shard. Raises ValueError: a job may have written them."""
    if [report.shard for report in parts.shards] != [shard]:
        raise ValueError("these are parts of another shard")
    return parts


def read_end(message: Message, values: Pieces, order_id: str, shard: Shard) -> RunParts:
    """The parts of a shard that has ended. Raises ValueError or KeyError: a job may have written them."""
    # A job of an earlier run may still hold the socket, and answer for this one.
    if message["end"] != order_id:
        raise ValueError("it is the end of another run")
    parts = check_shard(RunParts.from_bytes(values.take("parts")), shard)
    if parts.status is None:
        raise ValueError("the run has not ended")
    return parts
