"""One pass over the ended jobs of a run for any number of cost models. Meters are shared, and the common ones always run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from fractions import Fraction
from numbers import Integral
from typing import Any

import numpy as np

from aurea_engine.costs.cost_model import CostModel
from aurea_engine.costs.interval_meters import Concurrency
from aurea_engine.costs.metered_counts import MeteredCounts
from aurea_engine.costs.meters import JobCount, JobTime, Meter, MeterState
from aurea_engine.costs.pricing import Cost, price
from aurea_engine.costs.reported_meters import ReportedAmount, list_token_meters
from aurea_engine.costs.safe_call import call_safely, make_printable
from aurea_engine.costs.started_jobs import StartedJobs
from aurea_engine.costs.step_billing import OfSteps
from aurea_engine.costs.usage import RunInfo, Usage
from aurea_engine.errors import StrategyError
from aurea_engine.fields.checked import show_value
from aurea_engine.records.batch import JobBatch
from aurea_engine.records.measures import Measure
from aurea_engine.records.steps import find_groups_without_steps

MS = 1_000_000

LEDGER: tuple[Meter, ...] = (
    JobCount(),
    JobTime(),
    JobTime(MS, MS),
    JobTime(MS, 100 * MS),
    JobTime(100 * MS),
    JobTime(100 * MS, 100 * MS),
    JobTime(1000 * MS),
    JobTime(1000 * MS, 60_000 * MS),
)
"""The meters of every run, whatever its cost model: common steps and minimums, so that other models can price it later."""

KEPT_INTERVALS = 100_000
"""Up to this many jobs, a run also keeps its concurrency, which prices it as ``packed`` with any number of places."""

_ENOUGH = 4096
_CHUNK = 1 << 16  # rows: all meters pass over the same chunk, which then stays in the processor's cache


class Metering:
    """Counts what ``models`` need, `LEDGER`, and all ``measures``. Feed it ended jobs in any order, in batches of any size.

    ``steps``: the names of the steps of the run's jobs, where they have any.
    A meter that raises is dropped with its reason, and the others go on: a broken cost model never breaks a run.
    """

    def __init__(self, *models: CostModel, measures: Iterable[Measure] = (), steps: Collection[str] = ()) -> None:
        measures, self._model = tuple(measures), models[0] if models else None
        self._steps = steps
        # The same once more for the steps of a run that has any: under keys of their own, with the common meters.
        self._of_steps = Metering(measures=measures) if steps else None
        self._states: dict[str, MeterState] = {}
        self._broken: dict[str, str] = {}
        self._waiting: list[JobBatch] = []
        self._waiting_rows = 0
        self._last_ns = 0
        # What jobs report is kept as well, so that a run can be billed by it later, without its records.
        reported = (ReportedAmount(each.name, each.scale) for each in measures)
        for meter in (*LEDGER, *reported, *list_token_meters(measures)):
            self._add(meter)
        for model in models:
            self._add_model(model)
        spare = Concurrency(limit=KEPT_INTERVALS)
        if spare.key not in self._states:
            self._states[spare.key] = spare.state()

    def _add_model(self, model: CostModel) -> None:
        # The same error comes again in `price`, which reports it to the user. Here it only must not stop the others.
        _, wrong = call_safely(self._add_all, model)
        if wrong is not None:
            self._broken[f"model/{type(model).__qualname__}"] = wrong

    def _add_all(self, model: CostModel) -> None:
        for meter in model.meters():
            self._add(meter)

    def _add(self, meter: Meter) -> None:
        if isinstance(meter, OfSteps):
            counting = self if self._of_steps is None else self._of_steps
            counting._add(meter.of)  # noqa: SLF001 - of the same class
            return
        # The key goes into JSON and names the meter for ever, so it must survive being written and read.
        key = meter.key
        if not isinstance(key, str) or make_printable(key) != key:
            raise StrategyError(f"the key of a meter must be text, got {show_value(key)}")
        if key not in self._states:
            self._states[key] = meter.state()

    def feed(self, batch: JobBatch) -> None:
        """Count ended jobs. Each job once."""
        if self._of_steps is not None and batch.group is not None:
            # A job without steps is one step.
            without = find_groups_without_steps(batch.groups, self._steps)
            places = [i for i, name in enumerate(batch.groups) if name in without]
            self._of_steps.feed(batch.only(np.isin(batch.group, places)))
        if len(batch) >= _ENOUGH:
            for first in range(0, len(batch), _CHUNK):
                self._count(batch[first : first + _CHUNK])
        elif len(batch):
            # Small batches wait and are counted together. A copy, since the caller may write over its columns.
            self._waiting.append(JobBatch.concatenate([batch]))
            self._waiting_rows += len(batch)
            if self._waiting_rows >= _ENOUGH:
                self._flush()

    def feed_steps(self, batch: JobBatch) -> None:
        """Count steps of jobs, a row for each, once the job has ended."""
        assert self._of_steps is not None
        self._of_steps.feed(batch)

    def _flush(self) -> None:
        waiting, self._waiting, self._waiting_rows = self._waiting, [], 0
        if waiting:
            self._count(JobBatch.concatenate(waiting))

    def _count(self, batch: JobBatch) -> None:
        parts = StartedJobs(batch)
        self._last_ns = max(self._last_ns, int(np.max(batch.finished)), int(np.max(batch.released)))
        for key, state in list(self._states.items()):
            _, wrong = call_safely(state.feed, parts)
            self._drop_meter(key, wrong)

    def _drop_meter(self, key: str, wrong: str | None) -> None:
        if wrong is not None:
            del self._states[key]
            self._broken[key] = wrong

    def merge(self, other: Metering) -> None:
        """Add the counts of ``other``, another part of the *same* run, for instance from another process."""
        self._flush()
        other._flush()
        self._last_ns = max(self._last_ns, other._last_ns)
        self._broken = {**other._broken, **self._broken}
        if self._of_steps is not None and other._of_steps is not None:
            self._of_steps.merge(other._of_steps)
        for key in list(self._states):
            if key in other._states:
                _, wrong = call_safely(self._states[key].merge, other._states[key])
                self._drop_meter(key, wrong)
            else:
                # A meter that only one part kept knows nothing of the whole.
                del self._states[key]

    def count(self, *, rough: bool = False) -> MeteredCounts:
        """The exact counts of every meter, or, if ``rough``, cheap estimates for a live display. May be called again."""
        self._flush()
        counts: dict[str, dict[str, int]] = {}
        for key, state in list(self._states.items()):
            counted, wrong = call_safely(_read_counts, state, rough)
            if not rough:  # an estimate for a live display must not change the bill
                self._drop_meter(key, wrong)
            if counted is not None:
                counts[key] = counted
        additive = frozenset(key for key in counts if self._states[key].additive)
        whole = MeteredCounts(counts, additive, dict(self._broken))
        return whole if self._of_steps is None else whole.with_steps(self._of_steps.count(rough=rough))

    def close(self, run: RunInfo) -> Usage:
        """The exact usage. May be called again after more jobs."""
        return self.count().usage(run)

    def so_far(self, run: RunInfo | None = None) -> Fraction | None:
        """A cheap estimate of the cost so far under the first model, for a live display. None if it is unknown."""
        bill = self.bill_so_far(run)
        return None if bill is None else bill.total

    def bill_so_far(self, run: RunInfo | None = None) -> Cost | None:
        """A cheap estimate of the bill so far. None without a model."""
        if self._model is None:
            return None
        return estimate_bill(self.count(rough=True).usage(run or RunInfo(self._last_ns)), self._model)


def estimate_bill(usage: Usage, model: CostModel) -> Cost:
    """The cost so far of a run that goes on, and whether it can only grow."""
    monotone, _ = call_safely(lambda: model.monotone)
    return replace(price(usage, model), monotone=monotone is True)


def _read_counts(state: MeterState, rough: bool) -> dict[str, int] | None:
    """The counts of ``state``, checked."""
    counts: dict[Any, Any] | None = state.estimate_counts() if rough else state.read_counts()
    if counts is None:
        return None
    for label, count in counts.items():
        if not isinstance(label, str) or not isinstance(count, Integral) or int(count) < 0:
            raise StrategyError(
                f"a meter must count whole numbers from 0 up by name, got {show_value(label)}: {show_value(count)}"
            )
    return {make_printable(label): int(count) for label, count in counts.items()}
