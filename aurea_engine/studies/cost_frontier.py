"""Time against money: every tried value with its p99 and its price, and what other rates would cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from aurea_engine.costs import CostModel, rates_between
from aurea_engine.results.capacity import CapacityAnswer, CostLine, FrontierPoint
from aurea_engine.studies.capacity_costs import (
    Bill,
    choose_verifying,
    find_good_share,
    find_place,
    is_projected,
    project_at,
    read_currency,
    size_fleet,
)

CURVE_POINTS = 81


def find_frontier(
    answer: CapacityAnswer, bills: Sequence[Bill], models: Mapping[str, CostModel]
) -> tuple[FrontierPoint, ...]:
    """Each tried value under each model: the longest trial's p99 and its price, and whether another is better in both."""
    longest: dict[float, Bill] = {}
    for bill in bills:
        value = bill.trial.value
        if value is not None and (value not in longest or bill.trial.jobs > longest[value].trial.jobs):
            longest[value] = bill
    points = [
        FrontierPoint(name, value, bill.trial.p99, _price_point(name, model, answer, bill), bill.trial.passed)
        for name, model in models.items()
        for value, bill in sorted(longest.items())
    ]
    return tuple(replace(point, dominated=any(_dominates(other, point) for other in points)) for point in points)


def _price_point(name: str, model: CostModel, answer: CapacityAnswer, bill: Bill) -> Fraction | None:
    if not is_projected(model):
        return bill.per_million[name]
    place = find_place(answer, bill.trial.value)
    return project_at(bill.usage, size_fleet(model, place.slots), place.rate, find_good_share([bill]))[1]


def _dominates(other: FrontierPoint, point: FrontierPoint) -> bool:
    if other.model != point.model or None in (other.p99, other.per_million_good, point.p99, point.per_million_good):
        return False
    mine, theirs = (point.p99, point.per_million_good), (other.p99, other.per_million_good)
    return mine != theirs and theirs[0] <= mine[0] and theirs[1] <= mine[1]  # type: ignore[operator]


def draw_cost_lines(
    answer: CapacityAnswer, bills: Sequence[Bill], models: Mapping[str, CostModel]
) -> tuple[CostLine, ...]:
    """The cost of a million good jobs from a tenth of the verified rate to ten times as much.

    Each rate is served by as many systems as it takes, and each of them is what was verified: measured capacity, and not
    Little's law, says how many. None where nothing was verified.
    """
    verifying, place = choose_verifying(answer, bills), find_place(answer, answer.value)
    if not verifying or place.rate is None:
        return ()
    share, usage = find_good_share(verifying), verifying[0].usage

    def price(model: CostModel) -> Iterator[tuple[float, Fraction | None]]:
        assert place.rate is not None
        for rate in rates_between(place.rate / 10, place.rate * 10, CURVE_POINTS):
            systems = math.ceil(rate / place.rate)
            slots = None if place.slots is None else place.slots * systems
            yield float(rate), project_at(usage, size_fleet(model, slots), rate, share)[1]

    return tuple(CostLine(name, read_currency(model), tuple(price(model))) for name, model in models.items())
