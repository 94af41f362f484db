"""What a million good jobs cost at the verified value, under several models side by side.

A model that bills jobs is *measured*: by the bills of the verifying replications. A fleet runs whether jobs come or not, so
a replication of some seconds says nothing of it: it is *projected* over a month at the rate, with as many instances as have
the slots that were verified. Little's law would only say how many are needed to keep up, and nothing of the objectives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from aurea_engine.costs import Composite, CostModel, FlatPeriod, Fleet, Usage, project, reprice
from aurea_engine.costs.projection import MONTH
from aurea_engine.costs.safe_call import call_safely
from aurea_engine.errors import NeedsRecords
from aurea_engine.results.capacity import CapacityAnswer, CapacityCost, Trial
from aurea_engine.results.result import RunResult
from aurea_engine.results.student_t import find_t

MILLION = 1_000_000


@dataclass(frozen=True)
class Bill:
    """What one trial cost under each model, for a million good jobs; None where it has no price, and then why."""

    trial: Trial
    usage: Usage
    per_million: Mapping[str, Fraction | None]
    problems: Mapping[str, str]


@dataclass(frozen=True)
class Place:
    """A rate and the slots that serve it, None where they have no limit."""

    rate: Fraction | None
    slots: int | None


def name_models(models: Mapping[str, CostModel] | Iterable[CostModel], first: CostModel) -> dict[str, CostModel]:
    """Each model under a name of its own, ``first`` the one of the specification; one that is given twice stands once."""
    if isinstance(models, Mapping):
        given = dict(models)
        return given if first in given.values() else {_name(first, given): first, **given}
    named: dict[str, CostModel] = {}
    for model in (first, *models):
        if model not in named.values():
            named[_name(model, named)] = model
    return named


def _name(model: CostModel, taken: Mapping[str, CostModel]) -> str:
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(model).__name__).lower()
    return next(name for name in (kind, *(f"{kind}_{i}" for i in range(2, 10_000))) if name not in taken)


def bill_trial(trial: Trial, result: RunResult, models: Mapping[str, CostModel]) -> Bill:
    """The prices of one trial, from its usage, and from its records where a model needs them."""
    prices: dict[str, Fraction | None] = {}
    problems: dict[str, str] = {}
    for name, model in models.items():
        try:
            cost = reprice(result.usage, model, result.jobs, result.steps)
        except NeedsRecords as error:
            prices[name], problems[name] = None, str(error)
            continue
        # Without an objective on single jobs, all that complete are good.
        each = cost.per_success if cost.good is None else cost.per_good
        prices[name] = None if each is None else each * MILLION
        if each is None:
            problems[name] = cost.problem or "no job was good"
    return Bill(trial, result.usage, prices, problems)


def price_capacity(
    answer: CapacityAnswer, bills: Sequence[Bill], models: Mapping[str, CostModel]
) -> tuple[CapacityCost, ...]:
    """Each model at the verified value of ``answer``; none where nothing was verified."""
    verifying = choose_verifying(answer, bills)
    if not verifying:
        return ()
    costs = [
        _project(name, model, answer, verifying) if is_projected(model) else _measure(name, model, verifying)
        for name, model in models.items()
    ]
    return tuple(_mark_cheapest(costs))


def choose_verifying(answer: CapacityAnswer, bills: Sequence[Bill]) -> list[Bill]:
    """The bills of the replications that verified ``answer``; none where nothing was verified."""
    verification = answer.verification
    if verification is None or not verification.passed:
        return []
    seeds = set(verification.seeds)
    wanted = [bill for bill in bills if bill.trial.phase == "verify" and bill.trial.seed in seeds]
    return [bill for bill in wanted if bill.trial.outcome in ("passed", "failed")]


def is_projected(model: CostModel) -> bool:
    """Whether a part of the bill is for time that passes with or without jobs."""
    inner = getattr(model, "of", ())
    parts = inner if isinstance(model, Composite) else (inner,)
    return isinstance(model, Fleet | FlatPeriod) or any(
        is_projected(each) for each in parts if isinstance(each, CostModel)
    )


def read_currency(model: CostModel) -> str:
    """The currency of ``model``; that of most, where it does not say."""
    currency, _ = call_safely(lambda: str(model.currency))
    return currency or "USD"


def _measure(name: str, model: CostModel, bills: Sequence[Bill]) -> CapacityCost:
    prices = [price for bill in bills if (price := bill.per_million[name]) is not None]
    if len(prices) < len(bills):
        problem = next(bill.problems[name] for bill in bills if name in bill.problems)
        return CapacityCost(name, read_currency(model), "measured", None, problem=problem)
    mean = sum(prices, Fraction(0)) / len(prices)
    cost = reprice(bills[0].usage, model) if _is_priced(bills[0].usage, model) else None
    utilization = None if cost is None else cost.utilization
    return CapacityCost(
        name,
        read_currency(model),
        "measured",
        mean,
        _find_interval(prices, mean),
        idle_share=None if utilization is None else 1 - float(utilization),
    )


def _is_priced(usage: Usage, model: CostModel) -> bool:
    try:
        reprice(usage, model)
    except NeedsRecords:
        return False
    return True


def _find_interval(prices: Sequence[Fraction], mean: Fraction) -> tuple[Fraction | None, Fraction | None]:
    """95 % of Student's t over replications."""
    n = len(prices)
    if n < 2:
        return None, None
    spread = math.sqrt(sum((float(each) - float(mean)) ** 2 for each in prices) / (n - 1) / n)
    half = Fraction(f"{find_t(n - 1) * spread:.9g}")
    return max(mean - half, Fraction(0)), mean + half


def _project(name: str, model: CostModel, answer: CapacityAnswer, bills: Sequence[Bill]) -> CapacityCost:
    usage, share = bills[0].usage, find_good_share(bills)
    place = find_place(answer, answer.value)
    sized = size_fleet(model, place.slots)
    per_hour, per_million, problem = project_at(usage, sized, place.rate, share)
    if per_million is None:
        return CapacityCost(name, read_currency(model), "projected", None, problem=problem)
    idle = None
    if place.rate is not None:
        utilization = project(usage, sized, place.rate, MONTH).cost.utilization
        idle = None if utilization is None else 1 - float(utilization)
    # The money of an hour is the same whatever the capacity is, so its bounds are those of the price, the other way round.
    low, high = answer.interval.low, answer.interval.high
    bounds = (per_million, per_million)
    if answer.variable == "rate" and low and high and place.rate:
        bounds = (per_million * place.rate / Fraction(f"{high:.9g}"), per_million * place.rate / Fraction(f"{low:.9g}"))
    instances = count_instances(sized, usage, place.rate)
    return CapacityCost(name, read_currency(model), "projected", per_million, bounds, per_hour, instances, idle)


def find_place(answer: CapacityAnswer, value: float | None) -> Place:
    """The rate and the slots at ``value`` of the variable."""
    rate = value if answer.variable == "rate" else answer.rate
    slots = answer.slots if answer.variable == "rate" else None if value is None else int(value)
    return Place(None if rate is None else Fraction(f"{rate:.9g}"), slots)


def find_good_share(bills: Sequence[Bill]) -> Fraction:
    """Good jobs ÷ arrived ones, over replications."""
    shares = [bill.trial.good_share for bill in bills if bill.trial.good_share is not None]
    return Fraction(f"{sum(shares) / len(shares):.9g}") if shares else Fraction(1)


def size_fleet(model: CostModel, slots: int | None) -> CostModel:
    """``model`` with as many instances as have ``slots`` together: so many were shown to hold the objectives."""
    if isinstance(model, Fleet) and model.instances is None and slots is not None:
        return replace(model, instances=-(-slots // model.slots))
    if isinstance(model, Composite):
        return replace(model, of=tuple(size_fleet(each, slots) for each in model.of))
    return model


def project_at(
    usage: Usage, model: CostModel, rate: Fraction | None, good_share: Fraction
) -> tuple[Fraction | None, Fraction | None, str | None]:
    """(money of an hour, money of a million good jobs, why there is none) at ``rate``, kept up for a month."""
    if not good_share:
        return None, None, "no job was good"
    # A model from outside may raise anything, and must not cost the user the answer.
    projection, problem = call_safely(lambda: project(usage, model, rate, MONTH))
    if projection is None:
        return None, None, problem
    per_million = projection.per_million
    return projection.per_hour, None if per_million is None else per_million / good_share, projection.cost.problem


def count_instances(model: CostModel, usage: Usage, rate: Fraction | None) -> int | None:
    """Instances of a fleet that ``model`` is or has: what was given, or what Little's law needs at ``rate``."""
    if isinstance(model, Composite):
        return next((found for each in model.of if (found := count_instances(each, usage, rate)) is not None), None)
    if not isinstance(model, Fleet):
        return None
    if model.instances is not None or rate is None:
        return model.instances
    lines = project(usage, model, rate, MONTH).cost.lines
    return int(lines[0].quantity / MONTH) if lines else None


def _mark_cheapest(costs: Sequence[CapacityCost]) -> list[CapacityCost]:
    """The cheapest of each currency, where there is a choice."""
    marked = []
    for cost in costs:
        rivals = [each.per_million_good for each in costs if each.currency == cost.currency]
        priced = [each for each in rivals if each is not None]
        marked.append(replace(cost, cheapest=len(priced) > 1 and cost.per_million_good == min(priced)))
    return marked
