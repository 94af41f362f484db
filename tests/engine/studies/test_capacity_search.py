"""The search as a state machine, against systems whose capacity is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import comb

import pytest

from aurea_engine.closed_sets import TrialOutcome
from aurea_engine.results.capacity import Trial
from aurea_engine.spec import Objective
from aurea_engine.studies.search_plan import Lengths, SearchLimits, SearchPlan, SearchSettings
from aurea_engine.studies.search_votes import (
    LOOKS,
    PATIENT_LOOKS,
    bound_objectives,
    count_until_look,
    decide,
    judge_replications,
)
from aurea_engine.studies.trial_requests import TrialRequest
from tests.engine.studies.simulated_systems import hold_up_to, make_trial, search, simulate_stalled

RATE = 53.948


def test_rate_is_found_exactly_without_noise() -> None:
    """Within the width of the bracket, which ends around the capacity."""
    machine = search(SearchPlan("rate", 1), hold_up_to(RATE))
    assert machine.end is not None
    assert machine.end.status == "found"
    low, high = machine.state.bracket().low, machine.state.bracket().high
    assert low is not None
    assert high is not None
    assert low == machine.end.value <= RATE < high <= low * 1.0051


def test_noise_of_trials_is_outvoted() -> None:
    """With the noise that the p99 of M/M/1 has: within 2 % in each of 60 searches, and never too high by half of that."""
    for seed in range(60):
        end = search(SearchPlan("rate", seed), hold_up_to(RATE, 0.008)).end
        assert end is not None
        assert end.status == "found"
        assert end.value is not None
        assert -0.02 <= end.value / RATE - 1 <= 0.01


@pytest.mark.parametrize(
    ("bounds", "status", "value"),
    [
        ({}, "found", None),
        ({"high": 40}, "at_least", 40),
        ({"low": 60}, "at_most", 60),
        ({"low": 20, "high": 53.9}, "at_least", 53.9),
        ({"low": 53.9, "high": 54}, "found", None),
        ({"low": 200, "high": 300}, "at_most", 200),
        ({"required": 50}, "at_least", 50),
        ({"required": 60}, "at_most", 60),
    ],
)
def test_bounds_of_a_rate_decide_the_status(bounds: dict[str, float], status: str, value: float | None) -> None:
    end = search(SearchPlan("rate", 1, **bounds), hold_up_to(RATE)).end
    assert end is not None
    assert end.status == status
    assert value is None or end.value == value


@pytest.mark.parametrize(
    ("bounds", "status", "value"),
    [
        ({}, "found", 5),
        ({"low": 2, "high": 9}, "found", 5),
        ({"low": 6}, "at_most", 6),
        ({"high": 4}, "at_least", 4),
        ({"low": 5}, "at_most", 5),
        ({"required": 7}, "at_most", 7),
        ({"required": 3}, "at_least", 3),
    ],
)
def test_bounds_of_slots_decide_the_status(bounds: dict[str, float], status: str, value: int) -> None:
    """At 90 jobs per second, each of a thirtieth of a second, three slots are busy; five are needed."""
    end = search(SearchPlan("slots", 1, rate=90, **bounds), needs_slots(5)).end
    assert end is not None
    assert (end.status, end.value) == (status, value)


def needs_slots(fewest: int) -> Callable[[TrialRequest], TrialOutcome]:
    return lambda request: "passed" if (request.value or 0) >= fewest else "failed"


def test_one_slot_is_an_answer() -> None:
    """There is nothing below it, so it is found and no bound."""
    end = search(SearchPlan("slots", 1, rate=3), needs_slots(1)).end
    assert end is not None
    assert (end.status, end.value) == ("found", 1)


def test_nothing_holds_is_infeasible() -> None:
    """Never the last value that was tried."""
    for variable in ("rate", "slots"):
        machine = search(SearchPlan(variable, 1, rate=90), lambda _: "failed")  # type: ignore[arg-type]
        assert machine.end is not None
        assert (machine.end.status, machine.end.value) == ("infeasible", None)


def test_everything_holds_is_a_bound() -> None:
    end = search(SearchPlan("rate", 1), lambda _: "passed", ceiling=1e12).end
    assert end is not None
    assert end.status == "at_least"


def test_generator_ends_the_search() -> None:
    """What was verified below is given with it; a search in which it was always the limit has no value."""
    machine = search(SearchPlan("rate", 1), lambda request: "limited" if (request.value or 0) > 20 else "passed")
    assert machine.end is not None
    assert machine.end.status == "generator_limited"
    assert machine.end.value == pytest.approx(20, rel=0.006)
    assert machine.state.bracket().high is None
    end = search(SearchPlan("rate", 1, low=10, high=90), lambda _: "limited").end
    assert end is not None
    assert (end.status, end.value) == ("generator_limited", None)


def test_one_spoilt_trial_is_run_again() -> None:
    """A limit of the generator in one trial of ten is no limit of the search."""
    judge = hold_up_to(RATE)
    end = search(SearchPlan("rate", 3), lambda each: "limited" if each.seed % 10 == 0 else judge(each)).end
    assert end is not None
    assert end.status == "found"
    assert end.value == pytest.approx(RATE, rel=0.006)


def test_floor_alone_decides() -> None:
    """One user in a closed loop that misses the objective, in a majority of seven: no rate will meet it."""
    machine = search(SearchPlan("rate", 1), lambda _: "passed")
    assert machine.end is not None
    machine = type(machine)(SearchPlan("rate", 1))
    while requests := machine.next_trials():
        for each in requests:
            machine.take(each, Trial(None, each.seed, each.jobs, "probe", "failed", throughput=30.0, users=each.users))
    assert machine.end is not None
    assert machine.end.status == "infeasible"
    assert len(machine.trials) == 4


def test_wrong_end_is_opened_again() -> None:
    """A probe that saw half of the ceiling, and a first verdict that was wrong: both are found out and corrected."""
    end = search(SearchPlan("rate", 1), hold_up_to(RATE), ceiling=30.0).end
    assert end is not None
    assert end.value == pytest.approx(RATE, rel=0.006)
    seen: Counter[float | None] = Counter()

    def judge(request: TrialRequest) -> TrialOutcome:
        # The first two trials at each value go wrong: a stall that lasted.
        seen[request.value] += 1
        right = hold_up_to(RATE)(request)
        return "failed" if request.phase == "bisect" and 40 < (request.value or 0) < 50 else right

    end = search(SearchPlan("rate", 1), judge).end
    assert end is not None
    assert end.value == pytest.approx(RATE, rel=0.02)


def test_order_within_a_batch_changes_nothing() -> None:
    """So a runner of any width comes to the same answer, trial by trial."""
    plan = SearchPlan("rate", 11)
    ahead, back = (search(plan, hold_up_to(RATE, 0.008), backwards=each) for each in (False, True))
    assert ahead.trials == back.trials
    assert ahead.end == back.end


def test_verification_has_seeds_of_its_own() -> None:
    machine = search(SearchPlan("rate", 5), hold_up_to(RATE, 0.008))
    fresh = {trial.seed for trial in machine.trials if trial.phase == "verify"}
    others = {trial.seed for trial in machine.trials if trial.phase != "verify"}
    assert len(fresh) >= 5
    assert not fresh & others
    assert len(fresh) + len(others) == len(machine.trials)


def test_limits_end_the_search() -> None:
    """By trials and by jobs, and a caller may stop it: what is known stays known."""
    for limits in (SearchLimits(trials=9), SearchLimits(jobs=100_000)):
        machine = search(SearchPlan("rate", 1, limits=limits), hold_up_to(RATE))
        assert machine.end is not None
        assert (machine.end.status, machine.end.value) == ("undecided", None)
        assert "used up" in machine.end.reason
        assert machine.state.bracket().low is not None
    assert all(
        trial.jobs <= 777
        for trial in search(SearchPlan("rate", 1, limits=SearchLimits(jobs_of_trial=777)), hold_up_to(RATE)).trials
    )


def test_stop_keeps_what_is_known() -> None:
    machine = search(SearchPlan("rate", 1, limits=SearchLimits(trials=12)), hold_up_to(RATE))
    machine = type(machine)(SearchPlan("rate", 1))
    for _ in range(6):
        for request in machine.next_trials():
            machine.take(request, make_trial(request, hold_up_to(RATE)))
    first = machine.next_trials()[0]
    machine.take(first, make_trial(first, hold_up_to(RATE)))
    taken = machine.progress().trials
    machine.stop("the search was stopped")
    assert machine.end is not None
    assert machine.end.status == "undecided"
    assert machine.next_trials() == ()
    assert len(machine.trials) == taken
    machine.stop("again")
    assert machine.end.reason == "the search was stopped"


def vote(words: str) -> list[Trial]:
    names: dict[str, TrialOutcome] = {"p": "passed", "f": "failed", "l": "limited"}
    return [Trial(1.0, i, 1, "verify", names[word]) for i, word in enumerate(words)]


@pytest.mark.parametrize(
    ("votes", "need", "word"),
    [
        ("p", 2, None),
        ("pp", 2, "passed"),
        ("pf", 2, None),
        ("pff", 2, "failed"),
        ("llp", 2, None),
        ("lll", 2, "limited"),
    ],
)
def test_majority_classifies(votes: str, need: int, word: str | None) -> None:
    assert decide(vote(votes), need) == word


@pytest.mark.parametrize(
    ("votes", "word", "more"),
    [
        ("ppppp", "passed", 0),
        ("pppp", None, 1),
        ("fffff", "failed", 0),
        ("ppppf", None, 6),
        ("ppppfpppppp", "passed", 0),
        ("pppff", None, 0),
        ("llll", "limited", 5),
    ],
)
def test_replications_verify(votes: str, word: str | None, more: int) -> None:
    assert judge_replications(vote(votes)) == word
    if word is None:
        assert count_until_look(vote(votes)) == more


def test_verification_errs_in_at_most_5_percent() -> None:
    """At the capacity itself a replication passes as often as not: by all looks together with 4.35 %."""
    for looks in (LOOKS, PATIENT_LOOKS):
        chance = sum(sum(comb(n, k) for k in range(allowed + 1)) / 2**n for n, allowed in looks)
        assert chance <= 0.05


def test_bound_is_the_order_statistic_of_the_look() -> None:
    """Of 5 the greatest, of 11 the second: and it is met exactly where the replications pass."""
    upper, lower = Objective("response_time", at_most=1.0, quantile=0.9), Objective("throughput", at_least=10.0)

    def trials(*observed: tuple[float | None, float | None]) -> list[Trial]:
        return [Trial(1.0, i, 1, "verify", "passed", each) for i, each in enumerate(observed)]

    five = bound_objectives((upper, lower), trials((0.5, 11), (0.9, 12), (0.7, 13), (0.6, 9), (0.8, 14)))
    assert [(each.median, each.bound, each.met) for each in five] == [(0.7, 0.9, True), (12, 9, False)]
    eleven = bound_objectives((upper,), trials(*((0.1 * i, 0) for i in range(1, 12))))
    assert eleven[0].bound == pytest.approx(1.0)
    assert not bound_objectives((upper,), trials(*((0.5, 0),) * 4, (None, 0)))[0].met
    assert bound_objectives((upper,), trials((0.5, 0)))[0].bound is None


@pytest.mark.long
def test_searches_with_stalls(campaign: Callable[[int], int]) -> None:
    """A stall of 150 ms in one trial of ten, 10 s each: of 200 searches for the capacity of M/M/1 at a p99 of 20 ms, which
    is 769.7/s, at most 5 % are more than 10 % wrong, and each that is called found was verified on fresh seeds.
    """
    searches, wrong = campaign(200), 0
    settings = SearchSettings(width=0.02, lengths=Lengths.real(10, 600))
    for seed in range(searches):

        def judge(request: TrialRequest) -> TrialOutcome:
            assert request.value is not None
            return "passed" if simulate_stalled(request.value, request.jobs, request.seed, 0.1) <= 0.02 else "failed"

        machine = search(SearchPlan("rate", seed, settings=settings), judge, ceiling=1000.0)
        assert machine.end is not None
        wrong += machine.end.value is not None and abs(machine.end.value / 769.7 - 1) > 0.1
        if machine.end.status == "found":
            assert machine.state.known.replications is not None
            value, trials, passed = machine.state.known.replications
            assert passed
            assert value == machine.end.value
            assert sum(trial.outcome == "passed" for trial in trials) >= 5
            assert sum(trial.outcome == "failed" for trial in trials) <= 1
    print(f"{wrong} of {searches} searches were more than 10 % wrong")
    assert wrong <= 0.05 * searches
