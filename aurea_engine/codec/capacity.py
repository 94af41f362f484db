"""Answers of capacity searches → JSON values. Money is decimal text, as in every bill."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from typing import Any

from aurea_engine.costs.decimals import decimal_text
from aurea_engine.results.capacity import CapacityAnswer, CapacityCost, CostLine, FrontierPoint, SearchProgress, Trial


def capacity_to_dict(answer: CapacityAnswer) -> dict[str, Any]:
    """``answer`` as JSON values: what ``aurea capacity --json`` prints. No NaN or Infinity is in it."""
    return {
        "status": answer.status,
        "reason": answer.reason,
        "variable": answer.variable,
        "value": answer.value,
        "interval": asdict(answer.interval),
        "clock": answer.clock,
        "objectives": list(answer.objectives),
        "required": answer.required,
        "rate": answer.rate,
        "slots": answer.slots,
        "ceiling": answer.ceiling,
        "utilization": answer.utilization,
        "verification": None if answer.verification is None else asdict(answer.verification),
        "confirmation": None if answer.confirmation is None else asdict(answer.confirmation),
        "costs": [_encode_cost(cost) for cost in answer.costs],
        "frontier": [_encode_point(point) for point in answer.frontier],
        "curves": [_encode_line(line) for line in answer.curves],
        "cost_of_search": _encode_money(answer.cost_of_search),
        "currency": answer.currency,
        "trials": [trial_to_dict(trial) for trial in answer.trials],
    }


def trial_to_dict(trial: Trial) -> dict[str, Any]:
    """One trial as JSON values; ``passed`` is null where it says nothing of the objectives."""
    return {**asdict(trial), "passed": trial.passed, "cost": _encode_money(trial.cost)}


def search_progress_to_dict(progress: SearchProgress) -> dict[str, Any]:
    """A search while it goes on, as JSON values: what its events carry."""
    latest = None if progress.latest is None else trial_to_dict(progress.latest)
    return {**asdict(progress), "latest": latest}


def _encode_cost(cost: CapacityCost) -> dict[str, Any]:
    low, high = cost.interval
    return {
        **asdict(cost),
        "per_million_good": _encode_money(cost.per_million_good),
        "interval": {"low": _encode_money(low), "high": _encode_money(high)},
        "per_hour": _encode_money(cost.per_hour),
    }


def _encode_point(point: FrontierPoint) -> dict[str, Any]:
    return {**asdict(point), "per_million_good": _encode_money(point.per_million_good)}


def _encode_line(line: CostLine) -> dict[str, Any]:
    points = [{"rate": rate, "per_million_good": _encode_money(money)} for rate, money in line.points]
    return {"model": line.model, "currency": line.currency, "points": points}


def _encode_money(value: Fraction | None) -> str | None:
    return None if value is None else decimal_text(value)
