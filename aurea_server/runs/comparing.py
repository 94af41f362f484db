"""Two stored runs compared. Reading their jobs and drawing them again is done in a process of its own, one comparison at a
time: a million jobs each take a second and some hundred megabytes.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

from aurea_engine.processes.supervisor import ProcessFailed
from aurea_server.history import Damaged
from aurea_server.runner.pool import RunnerPool
from aurea_server.runner.turns import Busy
from aurea_server.runs.errors import ComparisonFailed, QueueFull
from aurea_server.runs.reader import RunReader

T = TypeVar("T")
Collecting: TypeAlias = Callable[[], Awaitable[dict[str, bytes]]]
Answering: TypeAlias = Callable[[dict[str, Any], Collecting], Awaitable[T]]


class Comparer:
    """Compares stored runs, one pair at a time."""

    def __init__(self, reader: RunReader, pool: RunnerPool) -> None:
        self._reader, self._pool = reader, pool

    async def compare(self, a: str, b: str, tolerance: float, *, anyway: bool) -> dict[str, Any]:
        """Run ``b`` against run ``a``, as JSON values.

        Raises `NotFound`, `NotEnded`, `NoResult`, `Damaged`, `QueueFull` or `ComparisonFailed`.
        """
        return await self._ask(self._pool.compare, a, b, tolerance, anyway)

    async def draw(self, a: str, b: str, tolerance: float, *, anyway: bool) -> str:
        """The same as a page. Raises as `compare` does."""
        return (await self._ask(self._draw, a, b, tolerance, anyway)).decode()

    async def _draw(self, order: dict[str, Any], collect: Collecting) -> bytes:
        return await self._pool.draw({"compare": {**order, "page": True}}, collect)

    async def _ask(self, answer: Answering[T], a: str, b: str, tolerance: float, anyway: bool) -> T:
        # Whether both are there is found out at once, and not when it is their turn.
        for run_id in (a, b):
            await self._reader.check_result(run_id, "compared")
        order = {"tolerance": tolerance, "anyway": anyway}
        try:
            return await answer(order, functools.partial(self._collect, a, b))
        except Busy:
            raise QueueFull("Too many runs are being compared; try again later.") from None
        except ProcessFailed as failed:
            if failed.reason.code == "storage":
                raise Damaged(failed.reason.detail) from None
            raise ComparisonFailed(failed.reason.detail) from None

    async def _collect(self, a: str, b: str) -> dict[str, bytes]:
        """What is stored of both, by the names under which the process looks for it."""
        found: dict[str, bytes] = {}
        for name, run_id in (("a", a), ("b", b)):
            stored = await self._reader.stored(run_id)
            found |= {f"{name} head": stored.head, f"{name} parts": stored.parts, f"{name} records": stored.records}
        return found
