"""How trials decide: a majority classifies a value, and replications on fresh seeds verify it.

One trial decides nothing: a stall of the machine in one trial of ten made 32 to 72 % of simulated searches with one trial
per load more than 10 % wrong, and majorities of three and seven whose bounds can be re-opened 2 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from aurea_engine.closed_sets import TrialOutcome
from aurea_engine.results.capacity import Trial, VerifiedObjective
from aurea_engine.spec import Objective

Looks = tuple[tuple[int, int], ...]
"""(replications, how many of them may miss), one look after the other, until one decides."""

LOOKS: Looks = ((5, 0), (11, 1))
PATIENT_LOOKS: Looks = (*LOOKS, (17, 3))
"""The median of the replications is within the objective with 95 % confidence: at a value where a replication misses as
often as not, all looks together pass with a probability of 1/32 + 12/2¹¹ + 834/2¹⁷ = 4.3 % at most (Bonferroni). The median,
since a stall in one replication of ten says nothing of the system, and a mean over five would be lost to it. A search does
not look a third time: it goes one width easier. Where one value is asked for, there is no other.
"""

MOST_LIMITED = 3
"""Trials at one value that the generator may spoil before the value counts as beyond the generator."""


def decide(trials: Sequence[Trial], need: int) -> TrialOutcome | None:
    """What ``need`` equal votes say of a value; None while too few have been cast."""
    for word in ("passed", "failed"):
        if count(trials, word) >= need:
            return word
    return "limited" if count(trials, "limited") >= max(need, MOST_LIMITED) else None


def count_missing(trials: Sequence[Trial], need: int) -> int:
    """So many votes more could decide, if they all agreed: the number to run at once."""
    return need - max(count(trials, "passed"), count(trials, "failed"))


def count(trials: Sequence[Trial], outcome: TrialOutcome) -> int:
    """Trials with this outcome."""
    return sum(trial.outcome == outcome for trial in trials)


def judge_replications(trials: Sequence[Trial], looks: Looks = LOOKS) -> TrialOutcome | None:
    """What fresh replications say after a look; None to go on to the next one, or at the end: not decided.

    By the same bound on the other side they may show that the value fails.
    """
    passed, failed = count(trials, "passed"), count(trials, "failed")
    if count(trials, "limited") > MOST_LIMITED:
        return "limited"
    for replications, allowed in looks:
        if passed + failed == replications:
            return "passed" if failed <= allowed else "failed" if passed <= allowed else None
    return None


def count_until_look(trials: Sequence[Trial], looks: Looks = LOOKS) -> int:
    """Replications to the next look; 0 where there is none left that could decide."""
    passed, failed = count(trials, "passed"), count(trials, "failed")
    if min(passed, failed) > looks[-1][1]:
        return 0
    return next((n - passed - failed for n, _ in looks if n > passed + failed), 0)


def bound_objectives(objectives: Sequence[Objective], trials: Sequence[Trial]) -> tuple[VerifiedObjective, ...]:
    """Each objective over replications: the median, and the order statistic that bounds the median from the wrong side."""
    judged = [trial for trial in trials if trial.outcome in ("passed", "failed")]
    return tuple(
        _bound(objective, [trial.observed[i] if i < len(trial.observed) else None for trial in judged])
        for i, objective in enumerate(objectives)
    )


def _bound(objective: Objective, observed: Sequence[float | None]) -> VerifiedObjective:
    known = sorted(each for each in observed if each is not None)
    allowed = next((allowed for n, allowed in reversed(PATIENT_LOOKS) if n <= len(observed)), None)
    middle = median(known) if known else None
    # A replication without a figure is as bad as any: no data is never a pass.
    if allowed is None or len(observed) - len(known) > allowed:
        return VerifiedObjective(str(objective), middle, None, met=False)
    if objective.at_least is not None:
        bound = known[max(allowed - (len(observed) - len(known)), 0)]
        return VerifiedObjective(str(objective), middle, bound, met=bound >= objective.at_least)
    bound = known[len(observed) - allowed - 1]
    return VerifiedObjective(str(objective), middle, bound, met=bound <= (objective.at_most or 0))
