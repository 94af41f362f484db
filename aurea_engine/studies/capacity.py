"""The capacity of a system: the largest rate, or the fewest slots, at which its objectives hold, and what that costs."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import get_args

from aurea_engine.closed_sets import CapacityVariable
from aurea_engine.costs import CostModel
from aurea_engine.engine import Stop
from aurea_engine.errors import Problem, SpecError
from aurea_engine.records.quantiles import count_samples_needed
from aurea_engine.results.capacity import CapacityAnswer, SearchProgress, Trial, Verification
from aurea_engine.results.result import RunResult
from aurea_engine.spec import RunSpec
from aurea_engine.studies.capacity_checks import check_search
from aurea_engine.studies.capacity_costs import Bill, bill_trial, name_models, price_capacity
from aurea_engine.studies.capacity_search import CapacitySearch
from aurea_engine.studies.cost_frontier import draw_cost_lines, find_frontier
from aurea_engine.studies.run_stop import RunStop
from aurea_engine.studies.runner import RunHere, Runner
from aurea_engine.studies.search_plan import Lengths, SearchLimits, SearchPlan, SearchSettings, Stage
from aurea_engine.studies.search_votes import bound_objectives
from aurea_engine.studies.trial_judgement import judge_trial
from aurea_engine.studies.trial_requests import TrialRequest
from aurea_engine.studies.trial_specs import PROBE_SECONDS, SECONDS, spec_at, spec_probe

TrialFunction = Callable[[float, int, int], RunResult | Awaitable[RunResult]]
"""``trial(value, seed, jobs)``: the result of a run at ``value``, which is a rate or a number of slots."""

log = logging.getLogger(__name__)

REAL_WIDTH = 0.02
"""Of the final bracket in real time, relative: trials of some seconds tell no more."""

WIDEST = 0.05

UNLIMITED = SearchLimits()
OnProgress = Callable[[SearchProgress], None]


async def capacity(  # noqa: PLR0913 - a study has as many options as it has
    spec: RunSpec,
    variable: CapacityVariable = "rate",
    low: float | None = None,
    high: float | None = None,
    *,
    trial: TrialFunction | None = None,
    costs: Mapping[str, CostModel] | Iterable[CostModel] = (),
    require: float | None = None,
    confirm: bool = False,
    runner: Runner | None = None,
    on_progress: OnProgress | None = None,
    stop: Stop | None = None,
    settings: SearchSettings | None = None,
    limits: SearchLimits = UNLIMITED,
) -> CapacityAnswer:
    """Search for the capacity of the system that ``spec`` describes, by runs of it on the clock that it names.

    ``low`` and ``high`` bound the search, jobs per second or slots. ``trial`` stands in place of a run of ``spec``; it is
    called once at a time. ``costs`` are priced at the verified value, beside the model of ``spec``. ``require``: verify this
    value instead of searching. ``confirm``: verify what was found in virtual time for real, too. ``runner``: what executes
    the runs, this process if None. ``stop`` ends the search with what it knows, as ``undecided``.
    Raises `SpecError` for what cannot be searched, with all problems at once; what a trial raises passes through.
    """
    if problems := check_search(spec, variable, low, high, require, limits.jobs_of_trial):
        raise SpecError(problems)
    spec = spec if spec.seed is not None else replace(spec, seed=secrets.randbits(53))
    study = _Study(
        spec, variable, name_models(costs, spec.cost), trial, runner or RunHere(), on_progress, stop or Stop()
    )
    plan = study.plan(low, high, require, settings, limits)
    answer = await study.search(plan)
    if confirm and spec.clock == "virtual" and answer.verification is not None and answer.verification.passed:
        answer = await study.confirm(answer, limits)
    return answer


class _Study:
    """One search, and what it needs to run its trials."""

    def __init__(
        self,
        spec: RunSpec,
        variable: CapacityVariable,
        models: Mapping[str, CostModel],
        trial: TrialFunction | None,
        runner: Runner,
        on_progress: OnProgress | None,
        stop: Stop,
    ) -> None:
        self.spec, self.variable, self.models = spec, variable, models
        self._trial, self._runner, self._on_progress, self._stop = trial, runner, on_progress, stop
        self._bills: list[Bill] = []

    def plan(
        self,
        low: float | None,
        high: float | None,
        require: float | None,
        settings: SearchSettings | None,
        limits: SearchLimits,
    ) -> SearchPlan:
        """What is searched, and how carefully."""
        spec = self.spec
        assert spec.seed is not None
        return SearchPlan(
            self.variable,
            spec.seed,
            low,
            high,
            require,
            probes=self._trial is None,
            has_floor=True,
            rate=spec.workload.arrivals.asked_rate(),
            slots=spec.scheduler.slots,
            settings=settings or choose_settings(spec, limits.jobs_of_trial),
            limits=limits,
        )

    async def search(self, plan: SearchPlan) -> CapacityAnswer:
        """Run trials until the search has ended, or was stopped."""
        search = CapacitySearch(plan)
        self._report(search)
        while requests := search.next_trials():
            await self._run_batch(search, requests, plan)
            if self._stop.status is not None:
                search.stop("the search was stopped")
        return self._answer(search)

    async def _run_batch(self, search: CapacitySearch, requests: tuple[TrialRequest, ...], plan: SearchPlan) -> None:
        """All trials of a batch, as many at once as the runner has room for."""
        room = asyncio.Semaphore(1 if self._trial is not None else max(1, self._runner.width))

        async def run_one(request: TrialRequest) -> None:
            async with room:
                if self._stop.status is not None:
                    return
                result = await self._run(request, plan)
            # A run that was stopped under way is no trial.
            if self._stop.status is None:
                await self._take(search, request, result)

        tasks = [asyncio.create_task(run_one(request)) for request in requests]
        try:
            # Not a task group: what a trial raises passes through as it is, and not within an ExceptionGroup.
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, request: TrialRequest, plan: SearchPlan) -> RunResult:
        if request.users is not None:
            # In real time a run is in as many shards as the runner is wide, and each needs a user.
            shards = self._runner.width if self.spec.clock == "real" else 1
            probe = spec_probe(
                self.spec,
                request.users * shards,
                request.seed,
                request.jobs,
                seconds=min(PROBE_SECONDS, plan.settings.lengths.seconds or PROBE_SECONDS),
                most=plan.limits.jobs_of_trial,
            )
            return await self._runner.run(probe, stop=RunStop(self._stop))
        assert request.value is not None
        if self._trial is None:
            spec = spec_at(self.spec, self.variable, request.value, request.seed, request.jobs)
            return await self._runner.run(spec, stop=RunStop(self._stop))
        # In a thread, so that a trial that computes leaves the event loop free; a coroutine function only makes its
        # coroutine there, and it is awaited here.
        made: object = await asyncio.to_thread(self._trial, request.value, request.seed, request.jobs)
        result: object = await made if inspect.isawaitable(made) else made
        if not isinstance(result, RunResult):
            raise SpecError([Problem("trial", "must return a RunResult", type(result).__name__)])
        return result

    async def _take(self, search: CapacitySearch, request: TrialRequest, result: RunResult) -> None:
        trial = judge_trial(request, result)
        if request.value is not None:
            self._bills.append(await asyncio.to_thread(bill_trial, trial, result, self.models))
        search.take(request, trial)
        self._report(search)

    def _report(self, search: CapacitySearch) -> None:
        if self._on_progress is None:
            return
        try:
            self._on_progress(search.progress())
        except Exception:
            # Who watches may raise anything, and must not cost the search its trials.
            self._on_progress = None
            log.exception("on_progress of a search raised and was dropped")

    def _answer(self, search: CapacitySearch) -> CapacityAnswer:
        assert search.end is not None
        plan, end, trials = search.plan, search.end, tuple(search.trials)
        replications = search.state.known.replications
        answer = CapacityAnswer(
            end.status,
            end.reason,
            plan.variable,
            self.spec.clock,
            tuple(str(each) for each in self.spec.objectives),
            value=end.value,
            interval=search.state.bracket(),
            trials=trials,
            verification=None if replications is None else self._describe(*replications),
            cost_of_search=_sum_costs(trials),
            currency=self.spec.cost.currency,
            required=plan.required,
            rate=end.value if plan.variable == "rate" else plan.rate,
            slots=plan.slots if plan.variable == "rate" else None if end.value is None else int(end.value),
            ceiling=search.state.known.ceiling,
            utilization=None if replications is None else _mean(trial.utilization for trial in replications[1]),
        )
        # In the order of the trials, whatever the order in which they ended.
        bills = sorted(self._bills, key=lambda bill: trials.index(bill.trial))
        answer = replace(answer, costs=price_capacity(answer, bills, self.models))
        frontier = find_frontier(answer, bills, self.models)
        return replace(answer, frontier=frontier, curves=draw_cost_lines(answer, bills, self.models))

    def _describe(self, value: float, trials: tuple[Trial, ...], passed: bool) -> Verification:
        seeds = tuple(trial.seed for trial in trials)
        objectives = bound_objectives(self.spec.objectives, trials)
        return Verification(value, self.spec.clock, passed, seeds, objectives)

    async def confirm(self, answer: CapacityAnswer, limits: SearchLimits) -> CapacityAnswer:
        """``answer``, found in virtual time, verified in real time: both verifications, and one word."""
        real = _Study(
            replace(self.spec, clock="real"), self.variable, {}, None, self._runner, self._on_progress, self._stop
        )
        seen = await real.search(real.plan(None, None, answer.value, None, limits))
        trials = (*answer.trials, *(replace(trial, phase="confirm_real") for trial in seen.trials))
        answer = replace(answer, confirmation=seen.verification, trials=trials)
        if seen.verification is not None and seen.verification.passed:
            return answer
        return replace(
            answer, status="undecided", reason=f"found in virtual time, and not confirmed for real: {seen.reason}"
        )


def choose_settings(spec: RunSpec, most: int | None = None) -> SearchSettings:
    """Trials that are long enough for the objectives, of ``most`` jobs; in real time as long as the run of ``spec``."""
    quantiles = [each.quantile for each in spec.objectives if each.quantile is not None]
    fewest = 2 * max((count_samples_needed(max(q, 1 - q)) for q in quantiles), default=50)
    if spec.clock == "virtual":
        usual = Lengths()
        lengths = replace(usual, **{name: max(getattr(usual, name), 10 * fewest) for name in get_args(Stage)})
        # What trials cannot tell apart needs no bracket around it. Their error falls with the root of their length.
        noise = math.sqrt(usual.deciding / min(most or usual.deciding, usual.deciding))
        return SearchSettings(min(SearchSettings().width * noise, WIDEST), lengths=lengths)
    workload, rate = spec.workload, spec.workload.arrivals.asked_rate()
    lasts = workload.duration or workload.stop_at or (workload.jobs / rate if workload.jobs and rate else None)
    return SearchSettings(REAL_WIDTH, lengths=Lengths.real(lasts or SECONDS, fewest))


def _sum_costs(trials: tuple[Trial, ...]) -> Fraction | None:
    costs = [trial.cost for trial in trials]
    # One that has no price leaves the sum unknown, and not smaller.
    return None if None in costs else sum((cost for cost in costs if cost is not None), Fraction(0))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
