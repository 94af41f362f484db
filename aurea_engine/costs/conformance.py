"""The checks that every cost model must pass, built in or yours. They need no test framework and raise AssertionError.

Each check is a property over random runs: it must hold for any jobs, so no expected bill is needed.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
import typing
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs.cloud_models import InstanceBusy, Packed
from aurea_engine.costs.cost_model import CostModel, Free
from aurea_engine.costs.decimals import Exact
from aurea_engine.costs.discounts import ROUNDING
from aurea_engine.costs.metering import Metering
from aurea_engine.costs.pricing import Cost, price
from aurea_engine.costs.quantities import BilledTime
from aurea_engine.costs.repricing import measure
from aurea_engine.costs.usage import RunInfo, Usage
from aurea_engine.fields.checked import Checked, resolve_hints
from aurea_engine.records.batch import NEVER, NS, JobBatch
from aurea_engine.records.measures import Measure

_STARTED_AT = datetime(2026, 11, 22, tzinfo=UTC)


def check_cost_model(
    model: CostModel, *, seed: int = 0, runs: int = 8, scales: bool = True, measures: Iterable[Measure] = ()
) -> None:
    """Raises AssertionError that names the property, if ``model`` does not behave as a cost model must.

    Over random runs: the order of jobs and the size of batches change nothing; merged parts cost as much as the whole; the
    lines add up to the total; nothing is negative; stored usage gives the same bill as the records; three times the prices
    are three times the cost; without jobs only fees and what is kept ready cost anything; the jobs' columns are unchanged.

    ``scales=False`` leaves out the check of three times the prices, for a model whose prices are not all fields (`Price`).
    """
    measures, rng = tuple(measures), np.random.default_rng(seed)
    for n in [0, 1, *rng.integers(2, 400, runs).tolist()]:
        batch = _add_measures(make_random_jobs(rng, n), measures, rng)
        run = make_run_info(batch)
        cost = _check_repeatable(model, batch, run)
        _check_order_and_batches(model, batch, run, cost, rng)
        _check_lines(cost)
        _check_stored(model, batch, run, cost)
        if scales:
            _check_scaled(model, batch, run, cost)
        _check_per_job(model, batch)
        if n == 0:
            _check_no_jobs(cost)


def make_random_jobs(rng: np.random.Generator, n: int) -> JobBatch:
    """``n`` ended jobs of all outcomes, with durations from 0 to a minute and many ties."""
    intended = rng.integers(0, 50, n) * (NS // 10)
    started = intended + rng.choice([0, 1, NS // 1000, NS // 10], n)
    # Around the common billing steps, one ns below, at and above them: that is where rounding goes wrong.
    lasted = rng.choice([0, 1, 999_999, 1_000_000, 1_000_001, NS // 10, NS, 61 * NS], n) + rng.integers(0, 2, n)
    # Three jobs of eight complete. Every other outcome occurs as well.
    outcome = rng.choice(np.array([1, 1, 1, 2, 3, 4, 5, 6], np.uint8), n)
    turned_away = (outcome == Outcome.REJECTED) | (outcome == Outcome.ABANDONED)
    never = turned_away | ((outcome == Outcome.CANCELLED) & (rng.random(n) < 0.5))
    finished = np.where(outcome == Outcome.REJECTED, NEVER, started + lasted)
    return JobBatch(intended, intended, np.where(never, NEVER, started), finished, outcome)


def _add_measures(batch: JobBatch, measures: Iterable[Measure], rng: np.random.Generator) -> JobBatch:
    """``batch`` with a random report of each of ``measures``, from nothing to a million; some jobs report none."""
    amounts = {each: rng.choice([NEVER, 0, 1, 999, 10**6], len(batch)) for each in measures}
    reports = {each: np.where(batch.was_started, column, NEVER) for each, column in amounts.items()}
    return dataclasses.replace(batch, measures=reports)


def make_run_info(batch: JobBatch) -> RunInfo:
    """The `RunInfo` of a run with the jobs of ``batch``."""
    counts = {each: int((batch.outcome == each).sum()) for each in Outcome if (batch.outcome == each).any()}
    window = int(batch.finished.max(initial=0)) or NS
    return RunInfo(window, None, counts, counts.get(Outcome.COMPLETED, 0) // 2, _STARTED_AT)


def _require_total(cost: Cost, what: str) -> Fraction:
    assert cost.total is not None, f"{what}: there is no total: {cost.problem}"
    return cost.total


def _check_repeatable(model: CostModel, batch: JobBatch, run: RunInfo) -> Cost:
    # A copy, to see whether the model wrote to the columns: that would change the records of the run.
    before = JobBatch.concatenate([batch])
    cost = price(measure(batch, run, model), model)
    _require_total(cost, "pricing a run")
    now = batch.columns()
    for name, column in before.columns().items():
        assert np.array_equal(column, now[name]), f"jobs are left as they were: the model wrote to the column {name}"
    again = price(measure(batch, run, model), model)
    assert again.lines == cost.lines, "the same run costs the same twice"
    return cost


def _check_order_and_batches(
    model: CostModel, batch: JobBatch, run: RunInfo, cost: Cost, rng: np.random.Generator
) -> None:
    # Meters see jobs in the order in which they end, in batches of any size, and in parts from several processes. The sums
    # are integers, so equality must be exact, not approximate.
    order = rng.permutation(len(batch))
    cuts = np.sort(rng.integers(0, len(batch) + 1, 3)).tolist()
    parts = [batch[order[a:b]] for a, b in zip([0, *cuts], [*cuts, len(batch)], strict=True)]
    shuffled = price(measure(parts, run, model), model)
    assert shuffled.lines == cost.lines, "neither the order of jobs nor the size of batches changes the bill"
    first, second = Metering(model), _send(Metering(model))
    for i, part in enumerate(parts):
        (first if i % 2 else second).feed(part)
    # A live display asks in the middle of a run. That must not change the bill.
    first.so_far()
    first.merge(second)
    merged = price(first.close(run), model)
    assert merged.lines == cost.lines, "two parts of a run, merged, cost as the whole"


def _send(metering: Metering) -> Metering:
    """As it arrives in another process, if its class can be found there. A class made on the spot cannot."""
    try:
        sent: Metering = pickle.loads(pickle.dumps(metering))  # noqa: S301 - just written
    except (pickle.PicklingError, AttributeError):
        return metering
    return sent


def _check_lines(cost: Cost) -> None:
    amounts = [line.quantity * line.unit_price for line in cost.lines if line.unit_price is not None]
    assert sum(amounts, Fraction(0)) == cost.total, "the lines add up to the total"
    assert _require_total(cost, "the total") >= 0, "the total is not negative"
    for line in cost.lines:
        assert line.basis == "credit" or (line.amount or 0) >= 0, f"{line.name}: only a credit may be negative"
        assert line.wasted >= 0, f"{line.name}: rounding never takes away"
        assert line.idle >= 0, f"{line.name}: nothing is used beyond what is paid for"


def _check_stored(model: CostModel, batch: JobBatch, run: RunInfo, cost: Cost) -> None:
    # allow_nan=False: a NaN would be written as a word that JSON does not have.
    written = json.dumps(measure(batch, run, model).to_dict(), allow_nan=False)
    stored = price(Usage.from_dict(json.loads(written)), model)
    assert stored.lines == cost.lines, "a bill from stored usage is the bill from the records"
    json.dumps(cost.to_dict(), allow_nan=False)


def _check_scaled(model: CostModel, batch: JobBatch, run: RunInfo, cost: Cost) -> None:
    # Rounding to an invoice is not linear, and a price that is no field cannot be multiplied: then there is no check.
    if any(_multiply_prices(leaf, 3) is leaf for leaf in _find_leaves(model)) or _has_rounding(cost):
        return
    dearer = _multiply_prices(model, 3)
    total = _require_total(price(measure(batch, run, dearer), dearer), "pricing at three times the prices")
    assert total == 3 * _require_total(cost, "the total"), "three times the prices are three times the cost"


def _has_rounding(cost: Cost) -> bool:
    return any(line.name == ROUNDING for line in cost.lines)


def _find_leaves(model: CostModel) -> Iterator[CostModel]:
    """The models that ``model`` is made of. One without a price in a field cannot be scaled; a free one need not be."""
    values = (getattr(model, name) for name in resolve_hints(type(model)))
    inner = [each for value in values for each in (value if isinstance(value, tuple) else (value,))]
    models = [each for each in inner if isinstance(each, CostModel)]
    if models:
        for each in models:
            yield from _find_leaves(each)
    elif not isinstance(model, Free):
        yield model


def _multiply_prices(value: Any, factor: int) -> Any:
    """``value`` with each price field multiplied, or ``value`` itself if it has none."""
    if isinstance(value, tuple):
        made = tuple(_multiply_prices(each, factor) for each in value)
        return value if all(a is b for a, b in zip(made, value, strict=True)) else made
    kind: Any = type(value)
    if not issubclass(kind, Checked):
        return value
    changes: dict[str, Any] = {}
    for name, hint in resolve_hints(kind).items():
        old = getattr(value, name)
        new = old * factor if _is_price(hint) and old is not None else _multiply_prices(old, factor)
        if new is not old:
            changes[name] = new
    return dataclasses.replace(value, **changes) if changes else value


def _is_price(hint: Any) -> bool:
    return any(
        (isinstance(each, Exact) and each.what == "a price") or (typing.get_args(each) and _is_price(each))
        for each in typing.get_args(hint)
    )


def _check_per_job(model: CostModel, batch: JobBatch) -> None:
    costs = np.asarray(model.per_job(batch))
    assert costs.shape == (len(batch),), "per_job gives one number for each job"
    assert costs.dtype == np.float64, "per_job gives float64"
    assert not (costs < 0).any(), "no job costs less than nothing"
    assert not np.isinf(costs).any(), "no job costs infinitely much"


def _check_no_jobs(cost: Cost) -> None:
    for line in cost.lines:
        assert line.basis != "usage" or line.amount == 0, f"{line.name}: no jobs, no usage"


def check_interval_chain(batch: JobBatch, concurrency: int) -> None:
    """Σd/c ≤ ∫⌈L/c⌉dt ≤ Σ of busy periods ≤ Σd, for any jobs. Raises AssertionError if it does not hold."""
    shared, busy = Packed(price=1, concurrency=concurrency), InstanceBusy(price=1, concurrency=concurrency, step=0)
    usage = measure(batch, make_run_info(batch), shared, busy)
    time = BilledTime().read(usage)
    chain = [
        time / concurrency,
        _require_total(price(usage, shared), "packed"),
        _require_total(price(usage, busy), "busy"),
        time,
    ]
    assert chain == sorted(chain), f"the interval chain does not hold: {[float(each) for each in chain]}"
