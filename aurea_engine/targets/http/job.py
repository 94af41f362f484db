"""The job kind ``http``: one request, its reply, and what the reply must be like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aurea_engine.errors import Problem, SpecError
from aurea_engine.targets.http.data import Data, read_rows
from aurea_engine.targets.http.members import HttpMembers
from aurea_engine.targets.http.request_job import RequestJob
from aurea_engine.targets.http.requests import compile_request
from aurea_engine.targets.http.templates import Names, RowFields
from aurea_engine.workload.job_setup import JobSetup

if TYPE_CHECKING:
    from aurea_engine.targets.http.http_jobs import HttpJobs


@dataclass(frozen=True)
class Http(HttpMembers, RequestJob):
    """Sends one request to ``url``, and waits for its reply. In real time only.

    A job fails by a class of `aurea_engine.closed_sets.FAILURE_CLASSES` if the reply does not come, or is not as ``expect``
    says. ``data`` are rows whose fields the templates of the request name.
    """

    data: Data | None = None

    def check(self) -> list[Problem]:
        problems = super().check()
        if self.cookies and not self.redirects:
            problems.append(Problem("cookies", "goes with redirects: a job has no second request otherwise"))
        names = self.names()
        try:
            compile_request(self, names)
            # Rows that are written out are looked at now. A file is read when the run is set up.
            if self.data is not None and self.data.rows is not None:
                read_rows(self.data, names.row)
        except SpecError as error:
            problems += error.problems
        return problems

    def names(self) -> Names:
        """What the templates of the request may name."""
        return Names(RowFields(() if self.data is None else self.data.known_fields()))

    def groups(self) -> tuple[str, ...]:
        return () if self.name is None else (self.name,)

    async def open_pool(self, setup: JobSetup) -> HttpJobs:
        # Late: connections, parser and pools are a fifth of what the engine takes to load, and most commands send nothing.
        from aurea_engine.targets.http.http_jobs import open_jobs  # noqa: PLC0415

        return await open_jobs(self, setup)
