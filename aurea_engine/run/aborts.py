"""Objectives that say ``abort``: lost for certain, at the first ended job at which they are.

An objective is lost when no continuation of the run can meet it. That takes three bounds:

- *How many jobs can count.* ``workload.jobs``, and once the last job has arrived, the jobs that came; less those of the
  warm-up, as soon as one after it has ended. With a duration alone nobody knows before the last arrival how many good
  jobs are to come, so nothing is lost before. With ``warmup: "auto"`` any job may turn out to be warm-up: nothing is.
- *A ratio of failures* is least when every job that is still to end is good. *A quantile* of N completed jobs is within
  its limit while at most N − rank(q, N) of them are above it; N shrinks with each job that does not complete. Fewer jobs
  than a quantile needs are no loss: it is not judged on them either.
- *Money that is spent stays spent*, where the cost model says that its bill only grows (`CostModel.monotone`).

Means, rates and bounds from below may still be met by what is to come; they are only known in the end. Counts are exact
(nanoseconds, not buckets of a histogram), and no clock is looked at: the same specification and seed end at the same job
on every machine.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from datetime import datetime

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs.budget import Budget
from aurea_engine.records.batch import NS
from aurea_engine.records.quantiles import count_samples_needed, find_rank
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.recorder import Recorder
from aurea_engine.spec import TIMES, Objective, RunSpec

BAD = (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.REJECTED, Outcome.ABANDONED)
"""What `failure_ratio` counts."""


def aborting(spec: RunSpec) -> list[Objective]:
    """The objectives of ``spec`` that may end it."""
    able = ("cost", "failure_ratio")
    return [
        objective
        for objective in spec.objectives
        if objective.abort
        and objective.at_most is not None
        and (objective.metric in able or objective.quantile is not None)
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
        self._warmed: int | None = None if spec.warmup_ns else 0
        self._none_left = False
        wanted = aborting(spec)
        self._budgets = [(each, Budget(spec.cost, _limit(each), opened)) for each in wanted if each.metric == "cost"]
        self._ratios = [(each, _limit(each)) for each in wanted if each.metric == "failure_ratio"]
        self._quantiles = [_Above(each) for each in wanted if each.metric in TIMES]
        self._bad = self._incomplete = self._completed = 0
        self.lost: Objective | None = None

    def all_arrived(self) -> None:
        """No job will arrive any more: how many there are is known."""
        self._none_left = True

    def ended(self, job: int) -> None:
        """``job`` has ended, and its row says how."""
        recorder = self._recorder
        row = job - recorder.base
        outcome, started, finished = recorder.outcome[row], recorder.started[row], recorder.finished[row]
        for objective, budget in self._budgets:
            if started >= 0 and budget.add_job(started, finished, outcome):
                self.lost = self.lost or objective
        intended = recorder.intended[row]
        if intended < self._warmup_ns or not (self._ratios or self._quantiles):
            return
        if self._warmed is None:
            # Jobs arrive in the order of their intended starts; the first that counts is still here, since none has ended.
            arrived = self._dispatcher.arrived - recorder.base
            self._warmed = recorder.base + bisect_left(recorder.intended, self._warmup_ns, 0, arrived)
        if outcome == Outcome.COMPLETED:
            self._completed += 1
            for above in self._quantiles:
                above.count(intended, started, finished)
        else:
            self._incomplete += 1
            self._bad += outcome in BAD
        self._judge()

    def _judge(self) -> None:
        jobs = self._dispatcher.arrived if self._none_left else self._jobs
        if jobs is None:
            return
        most = jobs - (self._warmed or 0)
        for objective, limit in self._ratios:
            if self._bad / most > limit:
                self.lost = self.lost or objective
        for above in self._quantiles:
            if above.lost(self._completed, most - self._incomplete):
                self.lost = self.lost or above.objective


def _limit(objective: Objective) -> float:
    assert objective.at_most is not None
    return objective.at_most


class _Above:
    """How many of the counted jobs took longer than the limit of one quantile."""

    def __init__(self, objective: Objective) -> None:
        assert objective.quantile is not None
        self.objective = objective
        self._q = objective.quantile
        self._limit_ns = _most_ns(_limit(objective))
        self._needed = count_samples_needed(self._q)
        self._above = 0

    def count(self, intended: int, started: int, finished: int) -> None:
        """A job has completed."""
        match self.objective.metric:
            case "response_time":
                took = finished - intended
            case "waiting_time":
                took = started - intended
            case _:
                took = finished - started
        self._above += took > self._limit_ns

    def lost(self, completed: int, most: int) -> bool:
        """Whether more are above than a quantile of at most ``most`` jobs allows; ``completed`` have been seen."""
        return self._above > 0 and completed >= self._needed and self._above > most - find_rank(self._q, most)


def _most_ns(seconds: float) -> int:
    """The longest whole time within ``seconds`` as results are compared with it: ns ÷ 10⁹ as a float."""
    most = min(round(seconds * NS), 2**63)
    while most > 0 and most / NS > seconds:
        most -= 1
    while most < 2**63 and (most + 1) / NS <= seconds:
        most += 1
    return most
