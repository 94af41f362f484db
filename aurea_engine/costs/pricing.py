"""Pricing: usage and a model make a `Cost`. What a model does wrong is reported in the cost, and never raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from aurea_engine.costs.bill_lines import Line, SheetRef
from aurea_engine.costs.bill_validation import validate_lines, validate_sheets
from aurea_engine.costs.cost_model import CostModel
from aurea_engine.costs.credits import apply_credits
from aurea_engine.costs.decimals import decimal_text, exact_text
from aurea_engine.costs.meters import JobCount
from aurea_engine.costs.safe_call import call_safely, describe_error, make_printable
from aurea_engine.costs.started_jobs import lock_columns
from aurea_engine.costs.usage import Usage
from aurea_engine.errors import NeedsRecords, StrategyError
from aurea_engine.fields.checked import show_value
from aurea_engine.records.batch import JobBatch


@dataclass(frozen=True)
class Cost:
    """What a run cost, exactly. ``total`` is None if a price is missing or the model failed; ``problem`` says why.

    ``attempts``: jobs that started. ``successes``: jobs that completed. ``good``: jobs that also met the objectives, None
    without objectives. ``monotone``: during a run, whether the cost can only grow (`CostModel.monotone`).
    """

    currency: str
    lines: tuple[Line, ...]
    attempts: Fraction
    successes: Fraction
    good: Fraction | None = None
    problem: str | None = None
    sheets: tuple[SheetRef, ...] = ()
    monotone: bool = False

    # Sums of fractions, each asked for many times by whoever shows a bill. A cost is frozen, so they are worked out once.
    @cached_property
    def total(self) -> Fraction | None:
        if self.problem is not None:
            return None
        return sum((line.amount for line in self.lines if line.amount is not None), Fraction(0))

    def _per(self, count: Fraction | None) -> Fraction | None:
        return self.total / count if self.total is not None and count else None

    @property
    def per_attempt(self) -> Fraction | None:
        """The total over the jobs that started."""
        return self._per(self.attempts)

    @property
    def per_success(self) -> Fraction | None:
        """The total, failures included, over the jobs that completed."""
        return self._per(self.successes)

    @property
    def per_good(self) -> Fraction | None:
        """The total over the completed jobs that met the objectives."""
        return self._per(self.good)

    @property
    def allocated_cost(self) -> Fraction | None:
        """All that was paid for: the total."""
        return self.total

    @property
    def usage_cost(self) -> Fraction | None:
        """The part that jobs used: pay-per-use lines, and of what was kept ready, the share that jobs filled."""
        return None if self.total is None or self.idle is None else self.total - self.idle

    @cached_property
    def idle(self) -> Fraction | None:
        """The money for what was kept ready and filled by no job. Never negative."""
        # Idle and wasted are parts of a charge, so a discount of a half on the charge halves them, too.
        return self._sum_net_charges(lambda line: line.idle)

    @cached_property
    def wasted(self) -> Fraction | None:
        """The part that only rounding up to steps and minimums added."""
        return self._sum_net_charges(lambda line: line.wasted)

    def _sum_net_charges(self, part: Callable[[Line], Fraction]) -> Fraction | None:
        """The sum of ``part`` over all charges, each reduced as credits reduced the charge."""
        if self.problem is not None:
            return None
        return sum((due.scale_to_due(part(due.line)) for due in apply_credits(self.lines)), Fraction(0))

    @property
    def by_component(self) -> tuple[tuple[str, Fraction], ...]:
        """(component, money) of each charge, less the credits that belong to it. Together they are the total.

        Empty if there is no total. Several charges may belong to one component.
        """
        return () if self.total is None else tuple((due.line.component, due.money) for due in apply_credits(self.lines))

    @property
    def utilization(self) -> Fraction | None:
        """Usage cost ÷ allocated cost."""
        return self.usage_cost / self.total if self.total and self.usage_cost is not None else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: money and quantities as decimal text, totals also as exact ``p/q``. Never a NaN."""
        # Rationals as text: JSON readers make floats of numbers, and a float would lose the exactness. Only the utilization
        # is a number, since it is a ratio for people.
        utilization = self.utilization
        return {
            "currency": self.currency,
            "total": _format_money(self.total),
            "exact": None if self.total is None else f"{self.total.numerator}/{self.total.denominator}",
            "lines": [_encode_line(line) for line in self.lines],
            "per_attempt": _format_money(self.per_attempt),
            "per_success": _format_money(self.per_success),
            "per_good": _format_money(self.per_good),
            "usage_cost": _format_money(self.usage_cost),
            "allocated_cost": _format_money(self.allocated_cost),
            "idle": _format_money(self.idle),
            "wasted": _format_money(self.wasted),
            "utilization": None if utilization is None else float(utilization),
            "problem": self.problem,
            "sheets": [vars(sheet).copy() for sheet in self.sheets],
        }


def _format_money(value: Fraction | None) -> str | None:
    return None if value is None else decimal_text(value)


def _encode_line(line: Line) -> dict[str, Any]:
    return {
        "name": line.name,
        "quantity": decimal_text(line.quantity),
        "unit": line.unit,
        "unit_price": None if line.unit_price is None else exact_text(line.unit_price),
        "amount": _format_money(line.amount),
        "exact": None if line.amount is None else f"{line.amount.numerator}/{line.amount.denominator}",
        "basis": line.basis,
        "consumed": _format_money(line.consumed),
        "used": _format_money(line.used),
        "wasted": _format_money(line.wasted),
        "idle": _format_money(line.idle),
        "source": line.source,
    }


def price(usage: Usage, model: CostModel) -> Cost:
    """The cost of ``usage`` under ``model``. Never raises for what a model does.

    If a model raises, returns nonsense, or needs a meter that was not kept, the total is None and ``problem`` says so.
    (`reprice` raises `NeedsRecords` for the last, or counts the records.)
    """
    try:
        return price_from(usage, model)
    except NeedsRecords as error:
        return _make_cost(usage, model, (), describe_error(error))


def price_from(usage: Usage, model: CostModel) -> Cost:
    """`price`, but raises `NeedsRecords` if the run did not keep what ``model`` meters."""
    # NeedsRecords is no mistake of the model: the caller may have the records. Everything else that a model raises is one,
    # including SystemExit, and must not cost the user the other results of the run.
    lines: tuple[Line, ...] = ()
    try:
        lines, problem = validate_lines(model.lines(usage))
    except (NeedsRecords, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - a user's model may raise anything, and the run's results must stand
        problem = describe_error(error)
    return _make_cost(usage, model, lines, problem)


def _make_cost(usage: Usage, model: CostModel, lines: tuple[Line, ...], problem: str | None) -> Cost:
    currency, no_currency = call_safely(_read_currency, model)
    sheets, no_sheets = call_safely(lambda: validate_sheets(model.sheets()))
    problem = problem or no_sheets or no_currency
    # From the meter that every run keeps, not from RunInfo: a projection scales the counts of meters, and RunInfo stays.
    counts = usage.quanta.get(JobCount().key, {})
    return Cost(
        currency or "USD",
        lines,
        Fraction(sum(counts.values())),
        Fraction(counts.get("completed", 0)),
        None if usage.run.good is None else usage.run.good * (usage.factor or Fraction(1)),
        None if problem is None else f"the cost model {type(model).__qualname__}: {problem}"[:500],
        sheets or (),
    )


def _read_currency(model: CostModel) -> str:
    currency = model.currency
    if not isinstance(currency, str):
        raise StrategyError(f"its currency must be text, got {show_value(currency)}")
    return make_printable(currency)


def job_costs(model: CostModel, batch: JobBatch) -> list[float]:
    """`CostModel.per_job`, checked: finite and >= 0, else NaN. NaN for every job if a third-party model fails.

    These are for information. The bill is computed without them, so a mistake here changes no total.
    """
    # A copy of what the model returns, because it may return one of the job's own columns, or keep its array.
    unknown = np.full(len(batch), np.nan)
    costs, _ = call_safely(lambda: np.array(model.per_job(lock_columns(batch)), float))
    if costs is None or costs.shape != unknown.shape:
        costs = unknown
    return np.where((costs >= 0) & np.isfinite(costs), costs, np.nan).tolist()  # type: ignore[no-any-return]
