"""The report of a stored run. It is drawn in a process of its own, like a comparison: a million jobs are read for it."""

from __future__ import annotations

from aurea_engine.processes.supervisor import ProcessFailed
from aurea_server.history import Damaged
from aurea_server.runner.pool import RunnerPool
from aurea_server.runner.turns import Busy
from aurea_server.runs.errors import QueueFull, ReportFailed
from aurea_server.runs.reader import RunReader


class Reporter:
    """Draws stored runs, one at a time."""

    def __init__(self, reader: RunReader, pool: RunnerPool) -> None:
        self._reader, self._pool = reader, pool

    async def draw(self, run_id: str) -> str:
        """The page. Raises `NotFound`, `NotEnded`, `NoResult`, `Damaged`, `QueueFull` or `ReportFailed`."""
        await self._reader.check_result(run_id, "drawn")

        async def collect() -> dict[str, bytes]:
            return (await self._reader.stored(run_id))._asdict()

        try:
            return await self._pool.draw_report(collect)
        except Busy:
            raise QueueFull("Too many reports are being made; try again later.") from None
        except ProcessFailed as failed:
            if failed.reason.code == "storage":
                raise Damaged(failed.reason.detail) from None
            raise ReportFailed(failed.reason.detail) from None
