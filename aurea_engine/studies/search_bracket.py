"""The steps of a search that find and narrow its bracket: probe, first bracket, bisection, confirmation of both ends."""

from __future__ import annotations

from dataclasses import replace

from aurea_engine.results.capacity import Trial
from aurea_engine.studies.search_state import SearchState
from aurea_engine.studies.search_votes import count_missing, decide
from aurea_engine.studies.trial_requests import SearchEnded, Steps

JUMPS = 24
"""Values that the bracket is looked for at, each half or twice the last, before its end counts as the end of the range."""

MOST_USERS = 1024
"""Users of the probe where nothing says how many jobs there may be at once."""

GAIN = 1.03
"""A probe with four times the users that gains less than this has reached the ceiling."""


def probe(state: SearchState) -> Steps[None]:
    """One user in a closed loop is the floor; more of them, until the throughput gains no more, are the ceiling."""
    jobs = state.count_jobs(None, "wide")
    alone = yield from state.requests.run("probe", None, jobs, 1, users=1)
    if state.plan.has_floor and alone[0].outcome == "failed":
        yield from _test_floor(state, list(alone))
    best, users = alone[0].throughput or 0.0, 1
    if state.plan.variable == "slots" and best:
        # One user has one job after the other, so the load is the rate times the inverse of the throughput. On so few
        # slots jobs are served no faster than they arrive.
        load = (state.plan.rate or 0.0) / best
        state.known.hint = int(load) if load >= 1 else None
        return
    slots = state.plan.slots or MOST_USERS
    while best and users < 4 * slots:
        users *= 4
        more = yield from state.requests.run("probe", None, jobs, 1, users=users)
        reached = more[0].throughput or 0.0
        gained, best = reached > best * GAIN, max(best, reached)
        if not gained:
            # Within 3 % of the ceiling, and chance adds its own. That it fails there will have to be confirmed.
            state.known.hint = state.axis.clamp(best * 1.05)
            break
    state.known.ceiling = best or None


def _test_floor(state: SearchState, trials: list[Trial]) -> Steps[None]:
    need, jobs = state.plan.settings.confirmations, state.count_jobs(None, "middle")
    while decide(trials, need) is None:
        trials += yield from state.requests.run("probe", None, jobs, count_missing(trials, need), users=1)
    if decide(trials, need) == "failed":
        raise SearchEnded("infeasible", "not even one job at a time is within the objectives")


def _find_start(state: SearchState) -> float:
    plan = state.plan
    if plan.variable == "slots":
        return state.axis.clamp((state.known.hint or 0) + 1)
    if state.known.ceiling is not None:
        return state.axis.clamp(state.known.ceiling / 2)
    if plan.low is not None and plan.high is not None:
        return state.axis.middle(plan.low, plan.high)
    return state.axis.clamp(plan.high or plan.rate or plan.low or 1.0)


def find_bracket(state: SearchState) -> Steps[None]:
    """One value that passes and one that fails; None where the range ends before."""
    known, axis, value = state.known, state.axis, _find_start(state)
    for jump in range(JUMPS):
        word = yield from state.classify("bracket", value, "wide", state.plan.settings.votes)
        if word == "passed":
            known.good = value
            if known.bad is None and known.hint is not None and axis.is_harder(known.hint, value):
                known.bad = None if axis.is_harder(known.hint, axis.hardest) else known.hint
        else:
            known.bad = value
        if None not in (known.good, known.bad) or value == (axis.hardest if word == "passed" else axis.easiest):
            return
        value = axis.jump(value, jump, harder=word == "passed")
    # Far enough: what was tried last counts as the end of the range.
    if known.bad is not None:
        state.axis = replace(axis, easiest=known.bad)
    elif known.good is not None:
        state.axis = replace(axis, hardest=known.good)


def bisect(state: SearchState) -> Steps[None]:
    """Halve the bracket until it is narrow."""
    known, axis = state.known, state.axis
    while known.good is not None and known.bad is not None and not axis.is_narrow(known.good, known.bad):
        value, stage = axis.middle(known.good, known.bad), axis.choose_stage(known.good, known.bad)
        word = yield from state.classify("bisect", value, stage, state.plan.settings.votes)
        known.place(value, word)


def confirm(state: SearchState) -> Steps[bool]:
    """Whether both ends hold under more votes. One that does not becomes the other end, and a new one is looked for."""
    known, need = state.known, state.plan.settings.confirmations
    good, bad = known.good, known.bad
    if good is None or bad is None:
        return False
    word = yield from state.classify("confirm", good, "deciding", need)
    if word != "passed":
        known.bad = good
        yield from reopen(state, good, harder=False)
        return False
    if bad in known.unverified:
        return True
    word = yield from state.classify("confirm", bad, "deciding", need)
    if word == "passed":
        known.good = bad
        yield from reopen(state, bad, harder=True)
        return False
    return True


def reopen(state: SearchState, value: float, *, harder: bool) -> Steps[None]:
    """A new end beyond ``value``: four widths harder or two easier, and then twice as many each time."""
    known, axis, widths = state.known, state.axis, 4 if harder else 2
    while value != (axis.hardest if harder else axis.easiest):
        value = axis.harder(value, widths if harder else -widths)
        word = yield from state.classify("bracket", value, "narrow", state.plan.settings.votes)
        known.place(value, word)
        if (word == "passed") != harder:
            return
        widths *= 2
    if harder:
        known.bad = None
    else:
        known.good = None
