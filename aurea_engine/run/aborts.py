"""Objectives that say ``abort``: lost for certain, at the first ended job at which they are."""

# An objective is lost when no continuation of the run can meet it. That takes three bounds:
#
# - *How many jobs can count.* ``workload.jobs``, and once the last job has arrived, the jobs that came; less those of the
#   warm-up, as soon as one after it has ended. With a duration alone it is not known before the last arrival how many good
#   jobs are to come, so nothing is lost before. With ``warmup: "auto"`` any job may turn out to be warm-up: nothing is.
# - *A ratio of failures* is least when every job that is still to end is good. *A quantile* of N completed jobs is within
#   its limit while at most N − rank(q, N) of them are above it; N shrinks with each job that does not complete. Fewer jobs
#   than a quantile needs are no loss: it is not judged on them either. The same holds of a mark, a measure or a group; a job
#   of another group, or one that did not report, is then one that does not count.
# - *Money that is spent stays spent*, where the cost model says that its bill only grows (`CostModel.monotone`).
#
# Means, rates and bounds from below may still be met by what is to come; they are only known in the end. Counts are exact
# (nanoseconds, not buckets of a histogram), and no clock is looked at: the same specification and seed end at the same job
# on every machine.

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs.budget import Budget
from aurea_engine.records.batch import NS
from aurea_engine.records.measures import Mark, Measure, Schema, find_declared
from aurea_engine.records.quantiles import count_samples_needed, find_rank
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.recorder import Recorder
from aurea_engine.run.report_columns import ReportColumns
from aurea_engine.spec import Objective, RunSpec

BAD = (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.REJECTED, Outcome.ABANDONED)
"""What `failure_ratio` counts."""


def aborting(spec: RunSpec) -> list[Objective]:
    """The objectives of ``spec`` that may end it."""
    able = ("cost", "failure_ratio")
    # Only an upper bound of something that adds up, or that is ranked, can be lost before the end.
    return [
        objective
        for objective in spec.objectives
        if objective.abort
        and objective.at_most is not None
        and (objective.figure in able or objective.quantile is not None)
        and (objective.metric == "cost" or spec.warmup != "auto")
    ]


class AbortJudge:
    """Told of each ended job, in the order in which they end; ``lost`` is the first objective that was lost."""

    def __init__(
        self, spec: RunSpec, recorder: Recorder, dispatcher: Dispatcher, opened: Callable[[], datetime | None]
    ) -> None:
        self._recorder, self._dispatcher = recorder, dispatcher
        self._jobs = spec.workload.jobs
        self._warmup_ns = spec.warmup_ns
        # How many jobs belong to the warm-up: not known before a job after it has ended.
        self._warmed: int | None = None if spec.warmup_ns else 0
        self._none_left = False
        # Each objective counts for itself: by group, mark or measure, different jobs count for different ones.
        wanted, schema = aborting(spec), spec.workload.schema
        self._budgets = [
            (each, Budget(spec.cost, _limit(each), opened, has_steps=bool(schema.steps)))
            for each in wanted
            if each.metric == "cost"
        ]
        if recorder.steps is not None and any(budget.counts_steps for _, budget in self._budgets):
            recorder.steps.remember_ended()
        ratios = [_Ratio(each) for each in wanted if each.figure == "failure_ratio"]
        self._tallies: list[_Ratio | _Above] = [*ratios, *(_Above(each, schema) for each in wanted if each.is_of_jobs)]
        self.lost: Objective | None = None

    def all_arrived(self) -> None:
        """No job will arrive any more: how many there are is known."""
        self._none_left = True

    def ended(self, job: int) -> None:
        """``job`` has ended, and its row says how."""
        recorder = self._recorder
        row = job - recorder.base
        outcome, started, finished = recorder.outcome[row], recorder.started[row], recorder.finished[row]
        # Money is spent by warm-up jobs too; the other objectives leave them out.
        steps = None if recorder.steps is None else recorder.steps.recall_ended(job)
        for objective, budget in self._budgets:
            if budget.counts_steps:
                budget.add_steps(recorder.row(job) if steps is None else steps)
            if started >= 0 and budget.add_job(started, finished, outcome, lambda: recorder.row(job)):
                self.lost = self.lost or objective
        intended = recorder.intended[row]
        if intended < self._warmup_ns or not self._tallies:
            return
        if self._warmed is None:
            # Jobs arrive in the order of their intended starts; the first that counts is still here, since none has ended.
            arrived = self._dispatcher.arrived - recorder.base
            self._warmed = recorder.base + bisect_left(recorder.intended, self._warmup_ns, 0, arrived)
        ended = _Ended(intended, started, finished, outcome, row)
        for tally in self._tallies:
            tally.count(ended, recorder.reports)
        self._judge()

    def _judge(self) -> None:
        jobs = self._dispatcher.arrived if self._none_left else self._jobs
        # A duration alone: any number of good jobs may still come, so nothing is certain.
        if jobs is None:
            return
        most = jobs - (self._warmed or 0)
        for tally in self._tallies:
            if tally.is_lost(most):
                self.lost = self.lost or tally.objective


class _Ended(NamedTuple):
    """The columns of a job that has ended, and its row."""

    intended: int
    started: int
    finished: int
    outcome: int
    row: int


def _limit(objective: Objective) -> float:
    assert objective.at_most is not None
    return objective.at_most


class _Ratio:
    """The failures among the jobs of one ratio. ``elsewhere``: jobs that have ended and are of another group."""

    def __init__(self, objective: Objective) -> None:
        self.objective, self._limit = objective, _limit(objective)
        self._bad = self._elsewhere = 0

    def count(self, ended: _Ended, reports: ReportColumns) -> None:
        """A job has ended."""
        # A cancelled job is among those that are left, as if it had been good: the ratio at its least.
        if self.objective.group is not None and reports.group_of(ended.row) != self.objective.group:
            self._elsewhere += 1
        elif ended.outcome in BAD:
            self._bad += 1

    def is_lost(self, most: int) -> bool:
        """Whether more have failed than the ratio allows of ``most`` jobs, less those that are of other groups."""
        # All that are still to come may be of this group, and good. So the most that it can have is what bounds it.
        left = most - self._elsewhere
        # As a float, since that is how the result compares it: what ends a run here must also be missed there.
        return left > 0 and self._bad / left > self._limit


class _Above:
    """How many of the counted jobs are above the limit of one quantile. ``out``: jobs that have ended and do not count."""

    def __init__(self, objective: Objective, schema: Schema) -> None:
        assert objective.quantile is not None
        self.objective = objective
        self._q = objective.quantile
        self._reported = find_declared(schema.declared, objective.figure)
        unit = self._reported.scale if isinstance(self._reported, Measure) else NS
        self._most = _find_most(_limit(objective), unit)
        self._needed = count_samples_needed(self._q)
        self._above = self._counted = self._out = 0

    def count(self, ended: _Ended, reports: ReportColumns) -> None:
        """A job has ended."""
        # What does not count can never count: the sample has one job less that might have been within the limit.
        value = self._measure(ended, reports)
        if value is None:
            self._out += 1
        else:
            self._counted += 1
            self._above += value > self._most

    def _measure(self, ended: _Ended, reports: ReportColumns) -> int | None:
        """What the quantile is of, in whole numbers; None of a job that does not count."""
        objective = self.objective
        if ended.outcome != Outcome.COMPLETED:
            return None
        if objective.group is not None and reports.group_of(ended.row) != objective.group:
            return None
        if self._reported is not None:
            value = reports.read(ended.row, self._reported, ended.started)
            return None if value < 0 else value - ended.intended if isinstance(self._reported, Mark) else value
        match objective.figure:
            case "response_time":
                return ended.finished - ended.intended
            case "waiting_time":
                return ended.started - ended.intended
            case _:
                return ended.finished - ended.started

    def is_lost(self, most: int) -> bool:
        """Whether more are above than a quantile of at most ``most`` jobs allows, less those that do not count."""
        # N − rank(q, N) rises with N, so of the sizes that the sample can still have the largest allows the most above.
        left = most - self._out
        return self._above > 0 and self._counted >= self._needed and self._above > left - find_rank(self._q, left)


def _find_most(bound: float, unit: int) -> int:
    """The most that is within ``bound``, as results are compared with it: a whole number ÷ ``unit``, as a float."""
    # Rounding may land on either side of the bound, so the neighbours are tried by the very comparison of the result.
    most = min(round(bound * unit), 2**63)
    while most > 0 and most / unit > bound:
        most -= 1
    while most < 2**63 and (most + 1) / unit <= bound:
        most += 1
    return most
