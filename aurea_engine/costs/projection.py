"""From a run to a month: the cost of the same jobs at a rate kept up for hours, where tiers and allowances belong.

A projection takes the run's jobs as typical and repeats them. Quantities grow in proportion to the number of arrivals, and
the billing period replaces the window of the run. ``assumptions`` says what that assumes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs.cost_model import CostModel
from aurea_engine.costs.decimals import Exact, Number, decimal_text
from aurea_engine.costs.interval_meters import BusyTime, Concurrency
from aurea_engine.costs.meters import JobCount
from aurea_engine.costs.pricing import Cost, price_from
from aurea_engine.costs.repricing import measure
from aurea_engine.costs.usage import RunInfo, Usage
from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Invalid, show_value
from aurea_engine.records.batch import NS, JobBatch

MONTH = 730
"""Hours in a billing month: 365 × 24 ÷ 12, as clouds count it."""

_RATE = Exact("a rate in jobs per second", most=10**9, floats=True, above=True)
_HOURS = Exact("hours", most=10**6, floats=True, above=True)

TYPICAL = "the jobs of the period are like those of the run: the same mix, service times and outcomes"
SHARING = (
    "jobs share instances as in the run: at a higher rate they would share more, and cost less; at a lower rate, more"
)


@dataclass(frozen=True)
class Projection:
    """The cost of ``rate`` arrivals a second, kept up for ``hours``."""

    cost: Cost
    rate: Fraction
    hours: Fraction
    assumptions: tuple[str, ...]

    @property
    def per_hour(self) -> Fraction | None:
        return None if self.cost.total is None else self.cost.total / self.hours

    @property
    def per_million(self) -> Fraction | None:
        """The cost of a million arrivals."""
        return None if self.per_hour is None else self.per_hour / (self.rate * 3600) * 1_000_000

    def to_dict(self) -> dict[str, Any]:
        return {
            "rate": decimal_text(self.rate),
            "hours": decimal_text(self.hours),
            "per_hour": None if self.per_hour is None else decimal_text(self.per_hour),
            "per_million": None if self.per_million is None else decimal_text(self.per_million),
            "assumptions": list(self.assumptions),
            "cost": self.cost.to_dict(),
        }


def _coerce_exact(rule: Exact, value: object, path: str) -> Fraction:
    try:
        return rule.coerce(value)
    except Invalid as error:
        raise SpecError([Problem(path, str(error), show_value(value))]) from None


def _count_arrived(usage: Usage) -> int | Fraction:
    # The usage of records alone has no counts of outcomes. Then the started jobs are the arrivals.
    arrived = usage.run.arrived or sum(usage.quanta.get(JobCount().key, {}).values(), Fraction(0))
    if not arrived:
        raise SpecError([Problem("usage", "must hold at least one job to take as typical")])
    if usage.factor is not None:
        raise SpecError([Problem("usage", "must be a run's, not a projection's")])
    return arrived


def project(
    usage: Usage, model: CostModel, rate: Number | float | None = None, hours: Number | float = MONTH
) -> Projection:
    """The cost of ``hours`` at ``rate`` arrivals a second, by default the rate of the run.

    Raises `NeedsRecords` if the run did not keep what ``model`` meters, `SpecError` if it had no jobs.
    """
    arrived = _count_arrived(usage)
    if rate is None and not usage.run.window_ns:
        raise SpecError([Problem("rate", "must be given: the run's window has no length")])
    per_second = Fraction(arrived * NS, usage.run.window_ns) if rate is None else _coerce_exact(_RATE, rate, "rate")
    period = _coerce_exact(_HOURS, hours, "hours")
    return _project_jobs(usage, model, per_second * 3600 * period, period)


def _project_jobs(usage: Usage, model: CostModel, jobs: Fraction, hours: Fraction) -> Projection:
    scaled = usage.scaled(jobs / _count_arrived(usage), round(hours * 3600 * NS))
    # Interval meters scale in proportion, too, which assumes that sharing stays as it was: say so.
    shares = any(isinstance(meter, (BusyTime, Concurrency)) for meter in model.meters())
    return Projection(
        price_from(scaled, model), jobs / (hours * 3600), hours, (TYPICAL, SHARING) if shares else (TYPICAL,)
    )


@dataclass(frozen=True)
class CurvePoint:
    """The cost at ``rate``: per hour, per million arrivals, and ``marginal``: what one more job in the period adds."""

    rate: Fraction
    per_hour: Fraction | None
    per_million: Fraction | None
    marginal: Fraction | None


def cost_curve(
    usage: Usage, model: CostModel, rates: Iterable[Number | float], hours: Number | float = MONTH
) -> tuple[CurvePoint, ...]:
    """The cost under ``model`` at each rate. The average of a fleet is a saw-tooth; its marginal cost is 0 until a step."""
    period = _coerce_exact(_HOURS, hours, "hours")
    points = []
    for i, rate in enumerate(rates):
        jobs = _coerce_exact(_RATE, rate, f"rates[{i}]") * 3600 * period
        # The difference of two exact bills, one job apart. A derivative would miss the steps of tiers and fleets.
        here, next_job = (_project_jobs(usage, model, count, period) for count in (jobs, jobs + 1))
        costs = here.cost.total, next_job.cost.total
        marginal = None if costs[0] is None or costs[1] is None else costs[1] - costs[0]
        points.append(CurvePoint(here.rate, here.per_hour, here.per_million, marginal))
    return tuple(points)


def one_job(service_time: Number | float, *models: CostModel) -> Usage:
    """The usage of one completed job of ``service_time`` seconds, for projections without a run."""
    seconds = _coerce_exact(Exact("seconds", most=10**9, floats=True, above=True), service_time, "service_time")
    zero, end = np.zeros(1, np.int64), np.array([round(seconds * NS)], np.int64)
    batch = JobBatch(zero, zero, zero, end, np.array([Outcome.COMPLETED], np.uint8))
    return measure(batch, RunInfo(int(end[0]), counts={Outcome.COMPLETED: 1}), *models)


@dataclass(frozen=True)
class BreakEven:
    """At ``rate`` two models cost the same, or one overtakes the other in a step. ``below`` is the cheaper one below it."""

    rate: Fraction
    below: CostModel
    above: CostModel


def rates_between(low: Number | float, high: Number | float, count: int = 101) -> tuple[Fraction, ...]:
    """``count`` rates in equal ratios from ``low`` to ``high``."""
    first, last = _coerce_exact(_RATE, low, "low"), _coerce_exact(_RATE, high, "high")
    if last <= first:
        raise SpecError([Problem("high", "must be above low", show_value(high))])
    # Equal ratios, because rates span decades. The ends are exact; between them nine digits are enough for a curve.
    inner = np.geomspace(float(first), float(last), max(2, count))[1:-1].tolist()
    return (first, *(Fraction(f"{rate:.9g}") for rate in inner), last)


def break_even(
    usage: Usage, a: CostModel, b: CostModel, rates: Iterable[Number | float], hours: Number | float = MONTH
) -> tuple[BreakEven, ...]:
    """Every rate at which the cheaper of two models changes, if ``rates`` (rising) are fine enough to show it.

    Exact if both models are straight lines between two of the rates, else to nine digits.
    """
    if a.currency != b.currency:
        remedy = "convert one of them with a dated rate (Discounts, convert)"
        raise SpecError(
            [Problem("currency", f"must be the same for both models: {remedy}", f"{a.currency}, {b.currency}")]
        )
    period = _coerce_exact(_HOURS, hours, "hours")

    def difference(rate: Fraction) -> Fraction:
        costs = [_project_jobs(usage, model, rate * 3600 * period, period).cost for model in (a, b)]
        for cost in costs:
            if cost.total is None:
                raise SpecError([Problem("model", f"has no cost to compare: {cost.problem}")])
        return (costs[0].total or Fraction(0)) - (costs[1].total or Fraction(0))

    def find_crossings() -> Iterator[BreakEven]:
        found = [(rate, difference(rate)) for rate in (_coerce_exact(_RATE, each, "rates") for each in rates)]
        # Rates at which both cost exactly the same are skipped: the sign on either side says whether they cross there.
        for (low, before), (high, after) in pairwise([point for point in found if point[1] != 0]):
            if (before > 0) != (after > 0):
                below, above = (b, a) if before > 0 else (a, b)
                yield BreakEven(_find_root(difference, low, before, high, after), below, above)

    return tuple(find_crossings())


def _find_root(difference: Any, low: Fraction, before: Fraction, high: Fraction, after: Fraction) -> Fraction:
    # Between two steps most models are straight lines, and then the secant's root is the exact one. Otherwise bisection:
    # it needs no smoothness, so it also finds the place of a step, to one part in 10⁹.
    straight = low + (high - low) * before / (before - after)
    if difference(straight) == 0:
        return straight
    while high - low > high / 10**9:
        # Through a float of 15 digits: exact middles double the digits of the fraction at each turn.
        middle = Fraction(f"{float((low + high) / 2):.15g}")
        if not low < middle < high:
            break
        value = difference(middle)
        if value == 0:
            return middle
        low, high = (low, middle) if (value > 0) != (before > 0) else (middle, high)
    return Fraction(f"{float(high):.9g}")
