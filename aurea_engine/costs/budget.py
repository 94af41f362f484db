"""Whether ended jobs have cost more than a limit, asked at each of them: exact, and for much less than a bill each time.

What meters counted can only grow, and so can the bill of a monotone model with each of its counts. So once a bill for
*more* than was counted was within the limit, all counts up to those are too, and nothing need be priced until one of them
is passed. The nearer the limit, the closer these ceilings, down to single jobs: a run is priced some dozens of times.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs.cost_model import Composite, CostModel
from aurea_engine.costs.discounts import Discounts
from aurea_engine.costs.meters import JobCount, JobMeter, JobTime, Meter
from aurea_engine.costs.pricing import price
from aurea_engine.costs.quantities import Quantity
from aurea_engine.costs.safe_call import call_safely
from aurea_engine.costs.sheet_models import Sizes
from aurea_engine.costs.started_jobs import STARTED
from aurea_engine.costs.usage import RunInfo, Usage
from aurea_engine.records.batch import JobBatch

Counts = dict[str, dict[str, int]]
"""Key of a meter → outcome → what it counted."""

_NAMES = {int(Outcome[name.upper()]): name for name in STARTED}
_MOST_STEPS = 60


class Budget:
    """The spending of one run, against ``limit`` in the model's currency.

    ``opened`` says when the run began: price sheets go by the day. A model whose bill may fall, or that fails, passes no
    limit: what it comes to is only known in the end. The bill of a model of somebody else's may depend on more than its
    meters, so that it is priced at every job.
    """

    def __init__(self, model: CostModel, limit: float, opened: Callable[[], datetime | None] = lambda: None) -> None:
        self._model, self._limit, self._opened = model, limit, opened
        monotone, _ = call_safely(lambda: model.monotone is True)
        meters, _ = call_safely(lambda: [*_index_by_key([JobCount(), *model.meters()]).values()])
        self._counting = [(meter.key, _make_counter(meter)) for meter in meters or () if isinstance(meter, JobMeter)]
        self._watching = monotone is True and meters is not None and len(self._counting) == len(meters)
        self._known = call_safely(_depends_on_meters_only, model)[0] is True
        self._counts: Counts = {key: dict.fromkeys(STARTED, 0) for key, _ in self._counting}
        self._ceilings: Counts = {key: dict.fromkeys(STARTED, -1) for key, _ in self._counting}
        self._growth = Fraction(1)
        self._latest_ns = 0

    def add_job(self, started: int, finished: int, outcome: int, row: Callable[[], JobBatch] | None = None) -> bool:
        """One more job that started has ended (ns). Whether all of them together cost more than the limit.

        ``row`` makes its record, as a batch of one: for meters that read more of it than these three.
        """
        if not self._watching:
            return False
        name, within, job = _NAMES[outcome], True, _Job(started, finished, outcome, row)
        self._latest_ns = max(self._latest_ns, finished)
        for key, count in self._counting:
            more = count(job)
            if more is None:
                self._watching = False  # a meter of somebody else's failed: the bill will say how
                return False
            counts = self._counts[key]
            counts[name] += more
            within = within and counts[name] <= self._ceilings[key][name]
        return not within and not self._is_within_limit()

    def _is_within_limit(self) -> bool:
        """Price what was counted; where that is within the limit, find out how far the counts may grow."""
        if self._exceeds_limit(self._counts):
            return False
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
        """Every count with room for a share of its meter's total more, whatever becomes of the next jobs."""
        rooms = {key: int(sum(counts.values()) * self._growth) for key, counts in self._counts.items()}
        return {key: {name: n + rooms[key] for name, n in counts.items()} for key, counts in self._counts.items()}

    def _exceeds_limit(self, counts: Counts) -> bool:
        jobs = {Outcome[name.upper()]: n for name, n in counts[JobCount().key].items()}
        run = RunInfo(self._latest_ns, counts=jobs, started_at=self._opened())
        total = price(Usage(run, counts), self._model).total
        return total is not None and float(total) > self._limit


def _index_by_key(meters: list[Meter]) -> dict[str, Meter]:
    return {meter.key: meter for meter in meters}


def _depends_on_meters_only(model: CostModel) -> bool:
    """Whether nothing but the counts of meters goes into the bill: of a model of somebody else's nobody knows."""
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
    """What ``meter`` counts of one job; in plain numbers for those that most models have."""
    if type(meter) is JobCount:
        return lambda _: 1
    if type(meter) is JobTime:
        return lambda job: _round_billed_ns(meter, job.finished - job.started)
    return lambda job: call_safely(lambda: int(meter.measure_checked(_make_row(job))[0]))[0]


def _round_billed_ns(meter: JobTime, service_ns: int) -> int:
    return max(-(-(service_ns + meter.extra) // meter.step) * meter.step, meter.minimum)


def _make_row(job: _Job) -> JobBatch:
    if job.row is not None:
        return job.row()
    start = np.array([job.started], np.int64)
    return JobBatch(start, start, start, np.array([job.finished], np.int64), np.array([job.outcome], np.uint8))
