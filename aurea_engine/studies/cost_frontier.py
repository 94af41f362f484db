"""Time against money: every tried value with its p99 and its price, and what other rates would cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from aurea_engine.costs import CostModel, rates_between
from aurea_engine.results.capacity import CapacityAnswer, CostLine, FrontierPoint
from aurea_engine.studies.capacity_checks import MOST_RATE
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
    """Each tried value under each model: p99 and price of its median trial, and whether another value is better in both."""
    tried = {value: _choose_median(bills, value) for bill in bills if (value := bill.trial.value) is not None}
    points = [
        FrontierPoint(name, value, bill.trial.p99, _price_point(name, model, answer, bill), passed)
        for name, model in models.items()
        for value, (bill, passed) in sorted(tried.items())
    ]
    return tuple(replace(point, dominated=any(_dominates(other, point) for other in points)) for point in points)


def _choose_median(bills: Sequence[Bill], value: float) -> tuple[Bill, bool | None]:
    """The trial in the middle of the longest ones at ``value``, by its p99, and whether most of them passed."""
    here = [bill for bill in bills if bill.trial.value == value]
    most = max(bill.trial.jobs for bill in here)
    # Arrivals by time differ a little in number; what is half as long was another stage of the search.
    long = [bill for bill in here if bill.trial.jobs > 0.7 * most]
    votes = [bill.trial.passed for bill in long if bill.trial.passed is not None]
    middle = sorted(long, key=lambda bill: bill.trial.p99 or 0.0)[(len(long) - 1) // 2]
    return middle, sum(votes) > len(votes) / 2 if votes else None


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
        # Where nothing is the limit, as of slots without a number, the answer may be the highest rate there is.
        for rate in rates_between(place.rate / 10, min(place.rate * 10, Fraction(MOST_RATE)), CURVE_POINTS):
            systems = math.ceil(rate / place.rate)
            slots = None if place.slots is None else place.slots * systems
            yield float(rate), project_at(usage, size_fleet(model, slots), rate, share)[1]

    return tuple(CostLine(name, read_currency(model), tuple(price(model))) for name, model in models.items())
