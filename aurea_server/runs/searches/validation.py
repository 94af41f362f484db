"""Whether a search can be made here, before anything is written or queued."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from aurea_engine import Problem, RunSpec, SpecError, spec_from_dict
from aurea_engine.shards.split import Sharding, refuse_repetition
from aurea_engine.studies.capacity_checks import check_search
from aurea_server.runner.kinds import Kinds
from aurea_server.runner.pool import RunnerPool
from aurea_server.runner.submissions import check_size, judge_built_in
from aurea_server.runs.searches.order import SearchOrder, take_order
from aurea_server.runs.validation import parse_document, run_off_loop
from aurea_server.settings.limits import Limits, take_sharding


@dataclass(frozen=True)
class SearchSubmission:
    """``document``: the whole specification, with every default and the seed; ``spec`` is the same as a value."""

    document: dict[str, Any]
    spec: RunSpec
    order: SearchOrder
    sharding: Sharding | None = None


class SearchValidator:
    """``kinds``: which kinds clients may name; ``limits``: how large a trial may be; the pool says what it may reach."""

    def __init__(self, kinds: Kinds, pool: RunnerPool, limits: Limits) -> None:
        self._kinds, self._pool, self._limits = kinds, pool, limits

    async def validate(self, content: bytes) -> SearchSubmission:
        """The search in a body, as it will be made. Raises SpecError with all problems at once."""
        return await run_off_loop(content, lambda: self._validate(content))

    def _validate(self, content: bytes) -> SearchSubmission:
        rest, order, problems = take_order(parse_document(content), self._kinds.built_in)
        try:
            submission = self._judge(rest, order)
        except SpecError as error:
            problems = [*error.problems, *problems]
        if problems or order is None:
            raise SpecError(problems)
        return submission

    def _judge(self, rest: object, order: SearchOrder | None) -> SearchSubmission:
        document, sharding = take_sharding(rest, self._limits)
        refuse_repetition(sharding)
        # The study constructs strategies and asks them things, which this process does only with its own: see `Kinds`.
        if self._kinds.is_foreign(document):
            text = "must name built-in kinds only: with others, aurea capacity searches without a server"
            raise SpecError([Problem("workload", text)])
        catalog, access = self._kinds.built_in, self._pool.access
        judged = check_size(judge_built_in(document, catalog, self._limits, access, sharding))
        spec = spec_from_dict(judged.document, catalog, local=False, data_dir=access.data_dir)
        checked = order or SearchOrder()
        bounds = (checked.low, checked.high, checked.require)
        if problems := check_search(spec, checked.variable, *bounds, self._limits.jobs):
            # A client has no say in the length of trials: what needs longer ones is its objective.
            most = f"; a run here has {self._limits.jobs:,} at most"
            raise SpecError([_blame_objectives(problem, most) for problem in problems])
        return SearchSubmission(judged.document, spec, replace(checked, high=self._cap(spec, checked)), sharding)

    def _cap(self, spec: RunSpec, order: SearchOrder) -> float | None:
        """The upper bound of the search, which the ceiling of requests is where jobs send some. Raises SpecError."""
        most = self._pool.access.most_rate
        reached = [reach for leaf in spec.workload.job.leaves() if (reach := leaf.reach()).targets]
        if order.variable != "rate" or most is None or not reached or order.require is not None:
            return order.high
        most /= min(reach.requests for reach in reached)
        if order.high is not None and order.high > most:
            text = f"would send more requests per second than a run may on this server: {most:,g}"
            raise SpecError([Problem("high", text, f"{order.high:,g}")])
        return most if order.high is None else order.high


def _blame_objectives(problem: Problem, most: str) -> Problem:
    if problem.path != "jobs_of_trial":
        return problem
    return Problem("objectives", problem.problem.replace("must be at least", "need trials of at least", 1) + most)
