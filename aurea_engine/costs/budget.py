"""Whether the ended jobs have cost more than a limit. The answer is exact, and much cheaper than a bill at each job.

Counts of meters only grow, and so does the bill of a monotone model with each of its counts. So if a bill for *more* than
was counted is within the limit, all counts up to those are, too, and no price is needed until one of them is passed. These
ceilings come closer as the limit does, down to single jobs. A run is priced some dozens of times.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs.billing_step import round_up
from aurea_engine.costs.cost_model import Composite, CostModel
from aurea_engine.costs.discounts import Discounts
from aurea_engine.costs.meters import JobCount, JobMeter, JobTime, Meter, sum_exactly
from aurea_engine.costs.pricing import price
from aurea_engine.costs.quantities import Quantity
from aurea_engine.costs.safe_call import call_safely
from aurea_engine.costs.sheet_models import Sizes
from aurea_engine.costs.started_jobs import STARTED, StartedJobs
from aurea_engine.costs.step_billing import OfSteps
from aurea_engine.costs.usage import RunInfo, Usage
from aurea_engine.records.batch import JobBatch

Counts = dict[str, dict[str, int]]
"""Key of a meter → outcome → its count."""

_NAMES = {int(Outcome[name.upper()]): name for name in STARTED}
_MOST_STEPS = 60


class Budget:
    """The spending of one run, compared with ``limit`` in the model's currency.

    ``opened`` returns when the run began, because price sheets depend on the day. A model that fails, or whose bill may
    fall, never exceeds a limit: its cost is only known at the end. The bill of a third-party model may depend on more than
    its meters, so it is priced at every job.
    """

    def __init__(
        self,
        model: CostModel,
        limit: float,
        opened: Callable[[], datetime | None] = lambda: None,
        *,
        has_steps: bool = False,
    ) -> None:
        self._model, self._limit, self._opened = model, limit, opened
        # Every question to the model goes through call_safely: it may be third-party code, and a run must survive it.
        monotone, _ = call_safely(lambda: model.monotone is True)
        meters, _ = call_safely(lambda: _list_meters(model, has_steps))
        self._counting = [(meter.key, _make_counter(meter)) for meter in meters or () if isinstance(meter, JobMeter)]
        self._of_steps = [
            (meter.key, meter.of)
            for meter in meters or ()
            if isinstance(meter, OfSteps) and isinstance(meter.of, JobMeter)
        ]
        # Only counts per job can be followed job by job. One interval meter (packed, busy) and the budget does not watch.
        followed = len(self._counting) + len(self._of_steps)
        self._watching = monotone is True and meters is not None and followed == len(meters)
        self._known = call_safely(_depends_on_meters_only, model)[0] is True
        keys = [key for key, _ in (*self._counting, *self._of_steps)]
        self._counts: Counts = {key: dict.fromkeys(STARTED, 0) for key in keys}
        # Below every count at first, so the first job is priced.
        self._ceilings: Counts = {key: dict.fromkeys(STARTED, -1) for key in keys}
        self._growth = Fraction(1)
        self._latest_ns = 0

    @property
    def is_watching(self) -> bool:
        """Whether the spending can be known before the end: the bill only grows, job by job."""
        return self._watching

    @property
    def counts_steps(self) -> bool:
        """Whether it is told of the steps of each job, by `add_steps`, before the job itself."""
        return self._watching and bool(self._of_steps)

    def add_steps(self, steps: JobBatch) -> None:
        """Add the steps of a job that has ended, or the job itself where it has none."""
        for name, rows in StartedJobs(steps).by_outcome.items():
            for key, meter in self._of_steps:
                counted, wrong = call_safely(meter.measure_checked, rows)
                if counted is None or wrong is not None:
                    self._watching = False
                    return
                self._counts[key][name] += sum_exactly(counted)

    def add_job(self, started: int, finished: int, outcome: int, row: Callable[[], JobBatch] | None = None) -> bool:
        """Add a started job that has ended (ns). True if all jobs so far cost more than the limit.

        ``row`` makes its record, as a batch of one, for meters that read more of it than these three.
        """
        if not self._watching:
            return False
        name, within, job = _NAMES[outcome], True, _Job(started, finished, outcome, row)
        self._latest_ns = max(self._latest_ns, finished)
        for key, count in self._counting:
            more = count(job)
            if more is None:
                self._watching = False  # a third-party meter failed: the bill will report it
                return False
            counts = self._counts[key]
            counts[name] += more
            within = within and counts[name] <= self._ceilings[key][name]
        for key, _ in self._of_steps:
            ceilings = self._ceilings[key]
            within = within and all(count <= ceilings[each] for each, count in self._counts[key].items())
        return not within and not self._is_within_limit()

    def _is_within_limit(self) -> bool:
        """Price the counts. If that is within the limit, find out how far they may grow."""
        if self._exceeds_limit(self._counts):
            return False
        # Doubling on success and a quarter on failure: the growth settles near the largest that is affordable, in a few
        # steps, and each success saves the price of many jobs. Any growth that was found is safe; only the speed varies.
        for _ in range(_MOST_STEPS if self._known else 0):
            more = self._raise_counts()
            if not self._exceeds_limit(more):
                self._ceilings, self._growth = more, self._growth * 2
                break
            self._growth /= 4
            if more == self._counts:
                break
        return True

    def _raise_counts(self) -> Counts:
        """Every count, plus a share of its meter's total: the next jobs may have any outcome."""
        rooms = {key: int(sum(counts.values()) * self._growth) for key, counts in self._counts.items()}
        return {key: {name: n + rooms[key] for name, n in counts.items()} for key, counts in self._counts.items()}

    def _exceeds_limit(self, counts: Counts) -> bool:
        jobs = {Outcome[name.upper()]: n for name, n in counts[JobCount().key].items()}
        run = RunInfo(self._latest_ns, counts=jobs, started_at=self._opened())
        total = price(Usage(run, counts), self._model).total
        # As a float, because the objective that set the limit compares floats. No total (a missing price) exceeds nothing.
        return total is not None and float(total) > self._limit


def _list_meters(model: CostModel, has_steps: bool) -> list[Meter]:
    """What has to be counted. Where jobs have no steps, a meter of steps is one of jobs."""
    meters = [JobCount(), *model.meters()]
    plain = [each.of if isinstance(each, OfSteps) and not has_steps else each for each in meters]
    return [*_index_by_key(plain).values()]


def _index_by_key(meters: list[Meter]) -> dict[str, Meter]:
    return {meter.key: meter for meter in meters}


def _depends_on_meters_only(model: CostModel) -> bool:
    """Whether the bill depends on the counts of meters only. Unknown, so False, for a third-party model."""
    if isinstance(model, Composite):
        return all(_depends_on_meters_only(each) for each in model.of)
    if isinstance(model, Discounts):
        return _depends_on_meters_only(model.of)
    ours = type(model).lines in (CostModel.lines, Sizes.lines)
    return ours and all(_is_built_in(component.quantity) for component in model.components())


def _is_built_in(quantity: Quantity) -> bool:
    inner = getattr(quantity, "of", None)
    return type(quantity).__module__.startswith("aurea_engine.") and (inner is None or _is_built_in(inner))


class _Job(NamedTuple):
    started: int
    finished: int
    outcome: int
    row: Callable[[], JobBatch] | None = None


Count = Callable[[_Job], int | None]


def _make_counter(meter: JobMeter) -> Count:
    """How ``meter`` counts one job. The common meters do it without arrays, which is many times faster for one job."""
    if type(meter) is JobCount:
        return lambda _: 1
    if type(meter) is JobTime:
        return lambda job: round_up(job.finished - job.started + meter.extra, meter.step, meter.minimum)
    return lambda job: call_safely(lambda: int(meter.measure_checked(_make_row(job))[0]))[0]


def _make_row(job: _Job) -> JobBatch:
    if job.row is not None:
        return job.row()
    start = np.array([job.started], np.int64)
    return JobBatch(start, start, start, np.array([job.finished], np.int64), np.array([job.outcome], np.uint8))
