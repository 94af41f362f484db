"""What a capacity search answers with, and what is known of it while it goes on. Values only; the search is a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from aurea_engine.closed_sets import CapacityStatus, CapacityVariable, CostBasis, RunClock, SearchPhase, TrialOutcome


@dataclass(frozen=True)
class Bracket:
    """Between which values the answer lies, jobs per second or slots. None where nothing is known yet.

    ``low`` and ``high`` are in the order of numbers: of a rate ``low`` holds and ``high`` fails, of slots it is reversed.
    """

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Trial:
    """One run of a search. ``value``: its rate or slots, None of a run in a closed loop, which has ``users`` instead.

    ``observed``: the figure of each objective, in their order, None where too few jobs supported it. ``p99`` of the response
    time, seconds. ``cost``: what the run cost, None if it could not be priced. ``run_id``: the run of the history, if any.
    ``problem``: why it says nothing of the system.
    """

    value: float | None
    seed: int
    jobs: int
    phase: SearchPhase
    outcome: TrialOutcome
    observed: tuple[float | None, ...] = ()
    throughput: float | None = None
    p99: float | None = None
    utilization: float | None = None
    good_share: float | None = None
    cost: Fraction | None = None
    users: int | None = None
    run_id: str | None = None
    problem: str | None = None

    @property
    def passed(self) -> bool | None:
        """Whether the objectives held; None where the trial says nothing of them."""
        return {"passed": True, "failed": False}.get(self.outcome)


@dataclass(frozen=True)
class VerifiedObjective:
    """An objective over the fresh replications at one value: the median of what was observed, and its one-sided 95 % bound.

    ``bound`` is an order statistic: no distribution is assumed. None if there are too few replications.
    """

    objective: str
    median: float | None
    bound: float | None
    met: bool


@dataclass(frozen=True)
class Verification:
    """Replications on fresh seeds, at ``value`` and on ``clock``. ``passed``: every objective is met by its bound."""

    value: float
    clock: RunClock
    passed: bool
    seeds: tuple[int, ...]
    objectives: tuple[VerifiedObjective, ...] = ()


@dataclass(frozen=True)
class CapacityCost:
    """What a million good jobs cost at the verified value under one model; a job is good if it is within all objectives.

    ``basis``: ``measured`` from the bills of the replications, with the 95 % interval of Student's t over them; a fleet is
    ``projected`` at the rate for ``instances``, with the interval that the bracket leaves. ``idle_share``: of the money,
    what was kept ready and filled by no job. ``problem``: why there is no price.
    """

    model: str
    currency: str
    basis: CostBasis
    per_million_good: Fraction | None
    interval: tuple[Fraction | None, Fraction | None] = (None, None)
    per_hour: Fraction | None = None
    instances: int | None = None
    idle_share: float | None = None
    cheapest: bool = False
    problem: str | None = None


@dataclass(frozen=True)
class FrontierPoint:
    """One tried value: its p99 (seconds) and what a million good jobs cost there. ``dominated``: another is no worse in
    both, and better in one.
    """

    model: str
    value: float
    p99: float | None
    per_million_good: Fraction | None
    passed: bool | None
    dominated: bool = False


@dataclass(frozen=True)
class CostLine:
    """What a million good jobs cost under one model at other rates, each with as many systems of the verified kind as it
    takes: (jobs per second, money), None where there is no price.
    """

    model: str
    currency: str
    points: tuple[tuple[float, Fraction | None], ...]


@dataclass(frozen=True)
class CapacityAnswer:
    """The answer of a capacity search: the largest rate, or the fewest slots, at which the objectives hold.

    ``value`` was verified, or is the bound that ``status`` names; None where there is no such value. ``interval``: the final
    bracket. ``slots`` and ``rate``: the one that was not varied, where it is known. ``ceiling``: the throughput of the
    closed-loop probe. ``cost_of_search``: what all trials cost under the model of the specification, on ``clock`` virtual
    what they would have cost. ``confirmation``: the verification for real, where one was asked for.
    """

    status: CapacityStatus
    reason: str
    variable: CapacityVariable
    clock: RunClock
    objectives: tuple[str, ...]
    value: float | None = None
    interval: Bracket = Bracket()
    trials: tuple[Trial, ...] = field(default=(), repr=False)
    verification: Verification | None = None
    confirmation: Verification | None = None
    costs: tuple[CapacityCost, ...] = ()
    frontier: tuple[FrontierPoint, ...] = field(default=(), repr=False)
    curves: tuple[CostLine, ...] = field(default=(), repr=False)
    cost_of_search: Fraction | None = None
    currency: str = "USD"
    required: float | None = None
    rate: float | None = None
    slots: int | None = None
    ceiling: float | None = None
    utilization: float | None = None

    @property
    def priced_in(self) -> str:
        """The currencies of its prices, such as ``USD``, or ``USD, EUR``."""
        return ", ".join(dict.fromkeys(cost.currency for cost in self.costs)) or self.currency


@dataclass(frozen=True)
class SearchProgress:
    """A search while it goes on, told at its start and after each trial. ``latest``: the trial that has just ended.

    ``trials`` have ended so far; ``current`` is the value that is tried now. ``most_trials``: the search ends by then.
    """

    phase: SearchPhase
    variable: CapacityVariable
    bracket: Bracket
    trials: int
    most_trials: int
    current: float | None = None
    latest: Trial | None = None
