"""What jobs that send requests have in common, whether one job is one request or a whole flow."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

from aurea_engine.closed_sets import ExecutorName
from aurea_engine.records.measures import Mark, Measure
from aurea_engine.targets.http.data import Data
from aurea_engine.workload.job_setup import JobSetup
from aurea_engine.workload.jobs import Job, OpenedJob

if TYPE_CHECKING:
    from aurea_engine.targets.http.flow_jobs import FlowJobs
    from aurea_engine.targets.http.http_jobs import HttpJobs


class RequestJob(Job):
    """A job that a pool of connections does, in real time only. ``data``, a field of each subclass: rows for templates."""

    data: Data | None

    marks: ClassVar[tuple[Mark, ...]] = (Mark("connected"), Mark("sent"), Mark("first_byte"))
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("status", "code"),
        Measure("bytes_sent", "bytes"),
        Measure("bytes_received", "bytes"),
    )
    executor: ClassVar[ExecutorName] = "callbacks"
    real_time_only: ClassVar[bool] = True

    @abstractmethod
    async def open_pool(self, setup: JobSetup) -> HttpJobs | FlowJobs:
        """What does the jobs of one run, with its connections open. Raises `SpecError` for what cannot be read."""

    @property
    def counts_turns(self) -> bool:  # type: ignore[override]
        """Only rows that go by turns need them: counting costs every job."""
        return self.data is not None and self.data.pick != "random"

    def supply(self) -> int | None:
        return self.data.count() if self.data is not None and self.data.pick == "once" else None

    async def run(self, demand: float) -> None:
        raise NotImplementedError("the pool of connections does the jobs: see opened_in")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenedJob]:
        async with self.opened_in(JobSetup()) as pool:
            yield pool

    @asynccontextmanager
    async def opened_in(self, setup: JobSetup) -> AsyncIterator[HttpJobs | FlowJobs]:
        pool = await self.open_pool(setup)
        try:
            yield pool
        finally:
            await pool.close()
