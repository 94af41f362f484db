"""The runner that a search on a server has: each run of the study is a run of the history, executed as any run is.

The study sees results as a client would: read from the JSON that is stored, with what was measured beside it (`RunParts`,
without the records of jobs). So what decides a trial is what can be looked at afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

from aurea_engine import (
    Access,
    AureaError,
    Observer,
    RunParts,
    RunResult,
    RunSpec,
    SpecError,
    Stop,
    cost_from_dict,
    parse_json,
    result_from_dict,
    spec_to_dict,
)
from aurea_engine.codec.parsing import RESULT_DEPTH
from aurea_engine.costs import CostModel
from aurea_engine.processes.messages import Reason
from aurea_server.runner.kinds import Kinds
from aurea_server.runner.messages import ExecutedRun, join_result
from aurea_server.runner.pool import RunnerPool
from aurea_server.runner.reach import check_reach
from aurea_server.runner.submissions import Submission
from aurea_server.runs.lifecycle import RunLifecycle
from aurea_server.runs.searches.active_search import ActiveSearch
from aurea_server.runs.searches.order import SearchOrder
from aurea_server.settings.limits import Limits, apply_limits


class TrialFailed(AureaError):
    """A trial came to no result, so the search has none either. ``status``: how the search ends; ``reason``: why."""

    def __init__(self, status: str, reason: Reason) -> None:
        super().__init__(reason.detail)
        self.status, self.reason = status, reason


class TrialRunner:
    """Executes the trials of one search, one after the other (`aurea_engine.studies.runner.Runner`)."""

    width = 1

    def __init__(self, search: ActiveSearch, runs: RunLifecycle, kinds: Kinds, limits: Limits, access: Access) -> None:
        self._search, self._runs, self._kinds = search, runs, kinds
        self._limits, self._access = limits, access

    async def run(self, spec: RunSpec, observers: Iterable[Observer] = (), *, stop: Stop | None = None) -> RunResult:
        """The result of a trial. Raises `TrialFailed` where it came to none, `StoreError` where it cannot be stored."""
        search = self._search
        if search.stopping is not None:
            raise TrialFailed(search.stopping, Reason(code="stop_requested", detail="the search was stopped"))
        run = search.trial = self._runs.make_trial(self._make_submission(spec), search.id)
        try:
            executed = await self._runs.execute_trial(run)
        finally:
            search.trial = None
        answer = run.ended.result() if run.ended.done() else None
        if answer is not None and answer.storage_error is not None:
            raise answer.storage_error
        if executed is None or executed.figures.status == "failed":
            reason = None if answer is None else answer.reason
            detail = "it came to no result" if reason is None else f"{reason.code}: {reason.detail}"
            status = search.stopping or "failed"
            code = "runner_died" if reason is None else reason.code
            raise TrialFailed(status, Reason(code=code, detail=f"the trial {run.id} failed: {detail}"))
        return await asyncio.to_thread(_read_result, executed, self._kinds)

    def _make_submission(self, spec: RunSpec) -> Submission:
        # The study chooses rates of its own, so what a run may reach is checked for each of them.
        limited = apply_limits(spec, self._limits)
        try:
            check_reach(limited, self._access)
        except SpecError as error:
            raise TrialFailed(
                "failed", Reason(code="invalid_spec", detail=f"a trial may not run here: {error}")
            ) from None
        document = spec_to_dict(limited, self._kinds.built_in)
        return Submission(document, spec.label, foreign=False, sharding=self._search.sharding)


def _read_result(executed: ExecutedRun, kinds: Kinds) -> RunResult:
    """In a thread: a result is some hundred KiB of JSON, and its parts are unpacked."""
    whole = join_result(executed.head, b"[]", executed.figures.num_jobs > 0)
    # What it names was checked when it was accepted: of a run that is over no file is opened again.
    result = result_from_dict(parse_json(whole, max_depth=RESULT_DEPTH), kinds.built_in, local=False, keep_unknown=True)
    return result if executed.parts is None else replace(result, parts=RunParts.from_bytes(executed.parts))


@dataclass(frozen=True)
class TrialMaker:
    """What searches are made with: where their trials run, which kinds there are, and how large a trial may be."""

    runs: RunLifecycle
    kinds: Kinds
    limits: Limits
    pool: RunnerPool

    def make_runner(self, search: ActiveSearch) -> TrialRunner:
        """For the study of one search."""
        return TrialRunner(search, self.runs, self.kinds, self.limits, self.pool.access)

    def make_models(self, order: SearchOrder) -> dict[str, CostModel]:
        """The cost models that a search names. They were checked when it was accepted."""
        return {name: cost_from_dict(model, self.kinds.built_in) for name, model in order.costs.items()}
