"""The job kind ``flow``: a user who sends several requests, one after the other, and thinks in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, non_empty
from aurea_engine.targets.http.data import Data, read_rows
from aurea_engine.targets.http.extraction import ExtractRule
from aurea_engine.targets.http.members import HttpMembers
from aurea_engine.targets.http.replies import MOST_KEPT_BYTES
from aurea_engine.targets.http.request_job import RequestJob
from aurea_engine.targets.http.requests import compile_request
from aurea_engine.targets.http.templates import Names, RowFields
from aurea_engine.workload.access import Reach
from aurea_engine.workload.distributions import Distribution
from aurea_engine.workload.job_setup import JobSetup

if TYPE_CHECKING:
    from aurea_engine.targets.http.flow_jobs import FlowJobs

MOST_STEPS = 100


@dataclass(frozen=True)
class Step(HttpMembers):
    """One request of a flow. ``name`` is that of its group. ``think``: how long the user thinks before it, after the step
    before has ended. ``extract``: variables that are taken out of its reply, for templates of later steps:
    ``{{STEP.variable}}``.
    """

    think: Distribution | None = None
    extract: Annotated[Mapping[str, Any], ExtractRule()] = field(default_factory=dict, hash=False)

    @property
    def extracts_from_body(self) -> bool:
        """Whether the body has to be kept for it."""
        return any(each.header is None for each in self.extract.values())

    def check(self) -> list[Problem]:
        problems = super().check()
        if self.name is None:
            problems.append(Problem("name", "is required: it is the name of the step's group"))
        elif "/" in self.name:
            problems.append(Problem("name", "must be without a slash", ascii(self.name)))
        # What is between the braces of a template ends at a space, and row.x is a field of the data.
        elif self.extract and (self.name == "row" or not set(self.name).isdisjoint(" |{}")):
            problems.append(Problem("name", 'must be without spaces and braces, and not "row": templates name it'))
        return problems + self._check_extract()

    def _check_extract(self) -> list[Problem]:
        if not self.extracts_from_body:
            return []
        if self.method == "HEAD":
            return [Problem("extract", "must look at headers only: a reply to HEAD has no body")]
        if self.expect.max_bytes is not None and self.expect.max_bytes > MOST_KEPT_BYTES:
            problem = f"must be at most {MOST_KEPT_BYTES:,} beside extract: a body that is looked at is kept whole"
            return [Problem("expect.max_bytes", problem, str(self.expect.max_bytes))]
        return []


@dataclass(frozen=True)
class Flow(RequestJob, Checked):
    """Sends the requests of ``steps``, one after the other. One job is the whole flow. In real time only.

    Think times are part of the flow's response, and a flow that thinks keeps its slot. A step that fails fails the flow, and
    later steps are not reached. Cookies and variables are of one flow alone. ``data`` are rows, of which each flow has one.
    """

    steps: Annotated[tuple[Step, ...], non_empty("must hold at least one step")]
    data: Data | None = None

    def step_names(self) -> tuple[str, ...]:
        return tuple(step.name or "" for step in self.steps)

    def check(self) -> list[Problem]:
        if len(self.steps) > MOST_STEPS:
            return [Problem("steps", f"must be at most {MOST_STEPS}", str(len(self.steps)))]
        names = self.step_names()
        problems = [
            Problem(f"steps[{i}].name", "must be different from the names of the steps before", ascii(name))
            for i, name in enumerate(names)
            if name in names[:i]
        ]
        if self.steps[0].think is not None:
            problems.append(Problem("steps[0].think", "must be left out: the first step begins when the flow does"))
        return problems + self._check_templates()

    def _check_templates(self) -> list[Problem]:
        problems, fields = list[Problem](), self.row_fields()
        for i, step in enumerate(self.steps):
            try:
                compile_request(step, self.names_of(i, fields))
            except SpecError as error:
                problems += [problem.within(f"steps[{i}]") for problem in error.problems]
        try:
            # Rows that are written out are looked at now. A file is read when the run is set up.
            if self.data is not None and self.data.rows is not None and not problems:
                read_rows(self.data, fields)
        except SpecError as error:
            problems += [problem.within("data") for problem in error.problems]
        return problems

    def row_fields(self) -> RowFields:
        """The fields of the flow's row, which all of its steps may name."""
        return RowFields(() if self.data is None else self.data.known_fields())

    def names_of(self, step: int, fields: RowFields) -> Names:
        """What the templates of ``step`` may name: ``fields`` of the row, and variables of the steps before it."""
        before = self.steps[:step]
        return Names(fields, tuple(f"{each.name}.{variable}" for each in before for variable in each.extract))

    def pool_limits(self) -> tuple[int, ...]:
        return tuple(limit for step in self.steps for limit in step.pool_limits())

    def reach(self) -> Reach:
        each = [step.reach() for step in self.steps]
        bounds = [reach.connections for reach in each]
        return Reach(
            tuple(dict.fromkeys(chain.from_iterable(reach.targets for reach in each))),
            tuple(dict.fromkeys(chain.from_iterable(reach.secrets for reach in each))),
            max((bound for bound in bounds if bound is not None), default=None),
            len(self.steps),
        )

    async def open_pool(self, setup: JobSetup) -> FlowJobs:
        # Late, as in `Http.open_pool`: most commands send nothing.
        from aurea_engine.targets.http.flow_jobs import open_flows  # noqa: PLC0415

        return await open_flows(self, setup)
