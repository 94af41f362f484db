"""Credits belong to lines and not to names: whatever lines are called, a bill is right to the last digit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest

from aurea_engine.costs import (
    Allowance,
    Commitment,
    Composite,
    Cost,
    CostModel,
    Discount,
    Discounts,
    Fleet,
    Free,
    Line,
    PerJob,
    PerSecond,
    RunInfo,
    Serverless,
    TokenClass,
    TokenRequest,
    Tokens,
    Usage,
    measure,
    price,
    project,
)
from aurea_engine.records.batch import NS, JobBatch

F = Fraction
HALF = Discount("0.5")
MILLION = 10**6


def second(jobs: int = 1) -> JobBatch:
    """So many jobs of one second, all at once."""
    start = np.zeros(jobs, np.int64)
    return JobBatch(start, start, start, start + NS, np.ones(jobs, np.uint8))


def bill(model: CostModel, jobs: int = 1) -> Cost:
    cost = price(measure(second(jobs), RunInfo(NS), model), model)
    assert cost.problem is None
    assert cost.total == sum((line.amount or F(0) for line in cost.lines), F(0))
    assert cost.total == sum((money for _, money in cost.by_component), F(0))
    return cost


def month(model: CostModel, jobs: int) -> Fraction:
    """The bill of ``jobs`` jobs of a second, spread over a month."""
    hours = 730
    total = project(measure(second(), RunInfo(NS), model), model, Fraction(jobs, hours * 3600), hours).cost.total
    assert total is not None
    return total


def tokens(*classes: tuple[str, str]) -> Tokens:
    """A million tokens of each class in each job, at a price per million."""
    return Tokens(
        classes=tuple(TokenClass(name, cost) for name, cost in classes),
        requests=(TokenRequest((MILLION,) * len(classes)),),
    )


def test_lines_of_one_name_discounted_each() -> None:
    """Two lines of one name are each discounted twice."""
    model = Discounts(of=PerSecond(1) + PerSecond(2), discounts=(HALF, HALF))
    assert bill(model).total == F(3, 4)
    functions = Serverless(price="0.0069", memory_mb=1024) + Serverless(price="0.0069", memory_mb=2048)
    assert bill(Discounts(of=functions, discounts=(Discount("0.1"),) * 2)).total == F("0.0069") * 3 * F("0.81")


def test_allowance_counts_once_for_one_name() -> None:
    """An allowance is taken off once where two lines have one name."""
    model = Discounts(of=PerJob(1) + PerJob(2), allowances=(Allowance("jobs", 100),), discounts=(HALF,))
    assert month(model, 730 * 3600) == 3_941_900


def test_allowances_free_at_most_everything() -> None:
    """Two allowances free no more than there is."""
    twice = Discounts(of=PerJob(1), allowances=(Allowance("jobs", 100), Allowance("jobs", 100)))
    assert [month(twice, n) for n in (150, 200, 250)] == [0, 0, 50]
    mixed = Discounts(of=PerJob(1), allowances=(Allowance("jobs", 100), Allowance("jobs", 100, "spend")))
    assert [month(mixed, n) for n in (150, 250)] == [0, 50]


def test_allowance_after_discount_uses_net_price() -> None:
    """An allowance after a discount frees units at their discounted price."""
    inner = Discounts(of=PerJob(1), discounts=(HALF,))
    assert month(Discounts(of=inner, allowances=(Allowance("jobs", 100),)), 150) == 25


@pytest.mark.parametrize(
    ("names", "discount", "total"),
    [
        (("in", "in: cached"), Discount("0.5", ("in",)), F("2.5")),
        (("in", "in: cached"), HALF, F(2)),
        (("in", "in: cached"), Discount(1, ("in",)), F(1)),
        (("in", "in, tier 9"), Discount("0.5", ("in",)), F("2.5")),
        (("in", "in: discount"), Discount("0.5", ("in",)), F("2.5")),
    ],
)
def test_similar_names_are_different(names: tuple[str, str], discount: Discount, total: Fraction) -> None:
    """A name that begins as another is another."""
    classes = zip(names, ("3", "1"), strict=True)
    assert bill(Discounts(of=tokens(*classes), discounts=(discount,))).total == total


def test_discounts_nest_through_sums() -> None:
    """A discount within a sum within a discount."""
    inner = Discounts(of=PerSecond(1), discounts=(HALF,))
    assert bill(Discounts(of=Composite((inner, PerSecond(1))), discounts=(HALF,))).total == F(3, 4)
    assert bill(Discounts(of=inner, discounts=(HALF,))).total == F(1, 4)


def test_discount_of_rounded_bill_stays_positive() -> None:
    """A discount of a rounded bill never gives back more than was paid."""
    rounded = Discounts(of=PerSecond("0.3") + PerJob("0.3"), round_to=0)
    assert bill(rounded).total == 1
    assert bill(Discounts(of=rounded, discounts=(HALF,))).total == F(1, 2)
    nothing = Discounts(of=PerSecond("0.5"), round_to=0)
    assert bill(Discounts(of=nothing, discounts=(Discount("0.5", ("time",)),))).total == 0


def test_discount_halves_a_committed_bill() -> None:
    """A discount of a committed bill halves it."""
    inner = Discounts(of=PerJob(1), commitment=Commitment(1, "0.5"))
    assert [month(inner, 730 * n) for n in (1, 3)] == [730, 1460]
    assert [month(Discounts(of=inner, discounts=(HALF,)), 730 * n) for n in (1, 3)] == [365, 730]


def test_discounted_money_is_not_idle_or_wasted() -> None:
    """What a discount takes off is neither idle nor wasted."""
    fleet = Fleet(price=1, instances=10)
    full, cut = bill(fleet), bill(Discounts(of=fleet, discounts=(Discount("0.9"),)))
    assert (cut.idle, cut.wasted) == ((full.idle or F(0)) / 10, (full.wasted or F(0)) / 10)
    assert cut.idle
    assert cut.utilization == full.utilization


@dataclass(frozen=True)
class Own(CostModel):
    """Gives the lines that it was made with."""

    given: tuple[Line, ...] = ()

    def components(self) -> tuple[()]:
        return ()

    def lines(self, usage: Usage) -> list[Line]:
        return list(self.given)


def test_same_line_object_twice_is_two_lines() -> None:
    """One line object that stands twice is two lines."""
    line = Line("x", F(1), "Things", F(1))
    assert bill(Discounts(of=Own((line, line)), discounts=(HALF, HALF))).total == F(1, 2)
    dearer = replace(line, unit_price=F(3))
    assert bill(Discounts(of=Own((line, dearer)), discounts=(HALF, HALF))).total == 1


def test_components_are_net_of_credits() -> None:
    """Each component is told with its credits taken off."""
    model = Discounts(of=PerSecond(1) + PerJob(2) + Free(), discounts=(Discount("0.5", ("jobs",)),), round_to=0)
    assert bill(model).by_component == (("time", F(1)), ("jobs", F(1)))
    credit = Line("gift", F(1), "Credit", F(-1), "credit")
    assert bill(Own((Line("x", F(3), "Things", F(1)), credit))).by_component == (("x", F(2)),)
    assert bill(Own((Line("gift", F(1), "Credit", F(1), "credit"),))).by_component == (("gift", F(1)),)
