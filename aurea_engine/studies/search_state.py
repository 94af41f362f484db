"""What a search knows and has asked for: what its steps share."""

from __future__ import annotations

from dataclasses import dataclass, field

from aurea_engine.closed_sets import SearchPhase, TrialOutcome
from aurea_engine.results.capacity import Bracket, Trial
from aurea_engine.studies.search_plan import Axis, SearchPlan, Stage
from aurea_engine.studies.search_votes import count_missing, decide
from aurea_engine.studies.trial_requests import Steps, TrialRequests


@dataclass
class Known:
    """``good`` holds or is hoped to, ``bad`` does not; ``hint`` is where the probe says that it fails.

    ``words``: what votes or replications said of a value. ``unverified``: values that votes passed and fresh seeds did not.
    ``replications``: value, trials and whether they passed, of the last verification.
    """

    good: float | None = None
    bad: float | None = None
    hint: float | None = None
    ceiling: float | None = None
    words: dict[float, TrialOutcome] = field(default_factory=dict)
    unverified: set[float] = field(default_factory=set)
    replications: tuple[float, tuple[Trial, ...], bool] | None = None

    def place(self, value: float, word: TrialOutcome) -> None:
        """``value`` becomes the end of the bracket that ``word`` says."""
        if word == "passed":
            self.good = value
        else:
            self.bad = value


class SearchState:
    """One search under way."""

    def __init__(self, plan: SearchPlan) -> None:
        self.plan, self.axis, self.requests = plan, Axis.of(plan), TrialRequests(plan)
        self.known = Known()
        self._votes: dict[float, list[tuple[int, Trial]]] = {}

    def count_jobs(self, value: float | None, stage: Stage) -> int:
        """Jobs of a trial at ``value``."""
        rate = value if self.plan.variable == "rate" else self.plan.rate
        return self.plan.settings.lengths.count_jobs(stage, rate, self.plan.limits.jobs_of_trial)

    def classify(self, phase: SearchPhase, value: float, stage: Stage, need: int) -> Steps[TrialOutcome]:
        """Whether the objectives hold at ``value``, by ``need`` equal votes of trials that are long enough."""
        jobs, votes = self.count_jobs(value, stage), self._votes.setdefault(value, [])
        while True:
            # Shorter ones tell less: at a value that is looked at again, more closely, they have no vote. By what was asked
            # for, since a run that was lost early has fewer jobs.
            long = [trial for asked, trial in votes if asked >= jobs]
            word = decide(long, need)
            if word is not None:
                self.known.words[value] = word
                return word
            trials = yield from self.requests.run(phase, value, jobs, count_missing(long, need))
            votes += [(jobs, trial) for trial in trials]

    def bracket(self) -> Bracket:
        """The hardest value that holds, as far as is known, and the easiest that failed."""
        good, bad = (
            value if value is not None and self.known.words.get(value) == word else None
            for value, word in ((self.known.good, "passed"), (self.known.bad, "failed"))
        )
        return Bracket(good, bad) if self.plan.variable == "rate" else Bracket(bad, good)
