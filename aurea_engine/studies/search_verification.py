"""The steps of a search that end it: verification on fresh seeds, and what follows where a range or its end decides."""

from __future__ import annotations

from typing import NoReturn

from aurea_engine.closed_sets import CapacityStatus, TrialOutcome
from aurea_engine.results.capacity import Trial
from aurea_engine.studies.search_bracket import reopen
from aurea_engine.studies.search_state import SearchState
from aurea_engine.studies.search_votes import LOOKS, PATIENT_LOOKS, count_until_look, judge_replications
from aurea_engine.studies.trial_requests import SearchEnded, Steps

STEPS_DOWN = 6
"""So many values, each one width easier than the last, are verified. Wider steps, or more of them, would sooner end with an
answer than with undecided, and with a wrong one: of 200 simulated searches with stalls 17 were more than 10 % wrong where
steps grew to four widths, and 2 with these.
"""


def require(state: SearchState, value: float) -> Steps[None]:
    """Verify one value, and search for no other."""
    word = yield from _verify(state, value)
    if word == "passed":
        raise SearchEnded(_beyond(state, harder=True), "the objectives hold there, verified on fresh seeds", value)
    if word == "failed":
        state.known.bad = value
        raise SearchEnded(_beyond(state, harder=False), "the objectives do not hold there, on fresh seeds", value)
    _end_unverified(word, value)


def settle_hardest(state: SearchState) -> Steps[None]:
    """The hardest value of the range holds, as far as a few votes tell."""
    value = state.axis.hardest
    word = yield from state.classify("confirm", value, "deciding", state.plan.settings.confirmations)
    if word != "passed" or (yield from _verify(state, value)) != "passed":
        state.known.bad = value
        yield from reopen(state, value, harder=False)
        return
    if state.plan.variable == "slots" and value == 1:
        raise SearchEnded("found", "verified on fresh seeds, and there is nothing below one slot", value)
    why = "the objectives hold at the end of the range, verified on fresh seeds"
    raise SearchEnded(_beyond(state, harder=True), why, value)


def settle_easiest(state: SearchState) -> Steps[None]:
    """The easiest value of the range fails, as far as a few votes tell."""
    value, plan = state.axis.easiest, state.plan
    word = yield from state.classify("confirm", value, "deciding", plan.settings.confirmations)
    if word == "limited":
        _end_unverified(word, value)
    if word == "passed":
        # It only just holds, and all that is harder does not: verification has the last word.
        state.known.good = value
        yield from verify_downwards(state)
    if (plan.low if plan.variable == "rate" else plan.high) is None:
        raise SearchEnded("infeasible", f"the objectives do not hold at {value:g} either, nor at anything harder")
    raise SearchEnded(_beyond(state, harder=False), "the objectives do not hold in the whole range", value)


def verify_downwards(state: SearchState) -> Steps[None]:
    """Verify the end that holds; where that fails, a little easier, and again."""
    value = state.known.good
    assert value is not None
    for _ in range(STEPS_DOWN):
        word = yield from _verify(state, value)
        if word == "passed":
            _end_verified(state, value)
        if word == "limited":
            _end_unverified(word, value)
        if word == "failed":
            state.known.bad = value
        if value == state.axis.easiest:
            break
        value = state.axis.harder(value, -1)
    _end_unverified(None, value)


def _verify(state: SearchState, value: float) -> Steps[TrialOutcome | None]:
    """What replications on fresh seeds say of ``value``; None where they do not decide."""
    trials: list[Trial] = []
    word: TrialOutcome | None = None
    looks = LOOKS if state.plan.required is None else PATIENT_LOOKS
    while word is None and (number := count_until_look(trials, looks)):
        trials += yield from state.requests.run("verify", value, state.count_jobs(value, "verifying"), number)
        word = judge_replications(trials, looks)
    state.known.replications = (value, tuple(trials), word == "passed")
    if word == "passed":
        state.known.good = value
    else:
        state.known.unverified.add(value)
    if word in ("passed", "failed"):
        state.known.words[value] = word
    return word


def _beyond(state: SearchState, *, harder: bool) -> CapacityStatus:
    """The answer is harder than a value, or easier: more of a rate is harder, and fewer slots are."""
    return "at_least" if harder == (state.plan.variable == "rate") else "at_most"


def _end_unverified(word: TrialOutcome | None, value: float) -> NoReturn:
    if word == "limited":
        why = f"the generator was the limit at {value:g}, and not the system"
        raise SearchEnded("generator_limited", why)
    raise SearchEnded("undecided", f"votes passed {value:g}, and replications on fresh seeds did not verify it")


def _end_verified(state: SearchState, value: float) -> NoReturn:
    if state.known.words.get(state.known.bad or 0.0) == "limited":
        why = "verified on fresh seeds, but beyond it the generator was the limit, and not the system"
        raise SearchEnded("generator_limited", why, value)
    raise SearchEnded("found", "verified on fresh seeds, and what is next to it fails", value)
