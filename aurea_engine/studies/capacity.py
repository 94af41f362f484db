"""The capacity of a system: the largest rate, or the fewest slots, at which its objectives hold, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from aurea_engine.closed_sets import CapacityVariable
from aurea_engine.costs import CostModel
from aurea_engine.engine import Stop
from aurea_engine.results.capacity import CapacityAnswer, SearchProgress
from aurea_engine.results.result import RunResult
from aurea_engine.spec import RunSpec
from aurea_engine.studies.runner import RunHere, Runner

TrialFunction = Callable[[float, int, int], RunResult]
"""``trial(value, seed, jobs)``: the result of a run at ``value``, which is a rate or a number of slots."""


@dataclass(frozen=True)
class SearchLimits:
    """What a search may use. ``jobs``: over all trials; ``jobs_of_trial``: in one of them; None for no limit."""

    trials: int = 200
    jobs: int | None = None
    jobs_of_trial: int | None = None


async def capacity(  # noqa: PLR0913 - a study has as many options as it has
    spec: RunSpec,
    variable: CapacityVariable = "rate",
    low: float | None = None,
    high: float | None = None,
    *,
    trial: TrialFunction | None = None,
    costs: Mapping[str, CostModel] | Iterable[CostModel] = (),
    require: float | None = None,
    runner: Runner | None = None,
    on_progress: Callable[[SearchProgress], None] | None = None,
    stop: Stop | None = None,
    limits: SearchLimits = SearchLimits(),
) -> CapacityAnswer:
    """Search for the capacity of the system that ``spec`` describes, by runs of it on the clock that it names.

    ``low`` and ``high`` bound the search, jobs per second or slots. ``trial`` stands in place of a run of ``spec``.
    ``costs`` are priced at the verified value, beside the model of ``spec``. ``require``: verify this rate instead of
    searching. ``runner``: what executes the runs, this process if None. ``stop`` ends the search with what it knows, as
    ``undecided``.
    Raises `SpecError` for what cannot be searched, with all problems at once.
    """
    raise NotImplementedError((spec, variable, low, high, trial, costs, require, runner or RunHere(), limits))
