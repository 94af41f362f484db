"""What a stored run costs under another model, without running it again.

The usage that was measured is stored with the result, so most models need nothing else; those that need each job's record
get the file of records. The model may be anybody's, so it prices in a process of its own.
"""

from __future__ import annotations

import functools
from typing import Any

from aurea_engine.processes.supervisor import ProcessFailed
from aurea_server.runner.pool import RunnerPool
from aurea_server.runner.turns import Busy
from aurea_server.runs.errors import NotPriceable, QueueFull
from aurea_server.runs.finish import raise_spec_error
from aurea_server.runs.reader import RunReader
from aurea_server.runs.validation import SpecificationValidator


class Repricer:
    """Prices stored runs, one at a time."""

    def __init__(self, reader: RunReader, validator: SpecificationValidator, pool: RunnerPool) -> None:
        self._reader, self._validator, self._pool = reader, validator, pool

    async def reprice(self, run_id: str, content: bytes) -> dict[str, Any]:
        """``cost`` of a run under the model in a body ``{"cost": …}``, and ``model``, that model in full.

        Raises SpecError, `NotFound`, `NotEnded`, `NoResult`, `NotPriceable` or `QueueFull`.
        """
        # First, since it costs nothing but this process: a body that is wrong needs no lookup and no other process.
        await self._validator.validate_cost(content)
        usage = await self._reader.usage(run_id)
        try:
            # The records are read only when it is this run's turn, so that those who wait hold nothing.
            return await self._pool.price(content, usage, functools.partial(self._reader.records, run_id))
        except Busy:
            raise QueueFull("Too many runs are being repriced; try again later.") from None
        except ProcessFailed as failed:
            raise_spec_error(failed.reason)
            raise NotPriceable(failed.reason.detail) from None
