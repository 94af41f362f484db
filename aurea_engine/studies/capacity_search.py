"""The search for a capacity as a state machine: it says which trials to run, is told how they went, and decides.

No I/O, no clock, no randomness of its own: seeds are derived from one by name and index. The same seed and the same outcomes
give the same answer, however many trials run at once: a batch of trials is decided on as a whole, in the order of requests.

The way: a probe in a closed loop, whose throughput no open system exceeds; a bracket between a value that holds and one that
does not; bisection by votes; confirmation of both ends, each of which is opened again where it does not hold; verification
on fresh seeds, since the value that passed a search is rather too good (the winner's curse). Each step is a generator that
yields the trials it needs, so it reads from top to bottom.
"""

from __future__ import annotations

from aurea_engine.results.capacity import SearchProgress, Trial
from aurea_engine.studies.search_bracket import bisect, confirm, find_bracket, probe
from aurea_engine.studies.search_plan import SearchPlan
from aurea_engine.studies.search_state import SearchState
from aurea_engine.studies.search_verification import require, settle_easiest, settle_hardest, verify_downwards
from aurea_engine.studies.trial_requests import SearchEnd, SearchEnded, Steps, TrialRequest

REOPENINGS = 12
"""So often ends of the bracket may turn out to be wrong before the search gives up."""


class CapacitySearch:
    """Ask `next_trials`, run them in any order, `take` each; when there are none left, `end` says how it ended."""

    def __init__(self, plan: SearchPlan) -> None:
        self.plan = plan
        self.trials: list[Trial] = []
        self.end: SearchEnd | None = None
        self.state = SearchState(plan)
        self._batch: tuple[TrialRequest, ...] = ()
        self._taken: dict[int, Trial] = {}
        self._steps = self._search()
        self._advance(None)

    # --- For whoever runs the trials ---

    def next_trials(self) -> tuple[TrialRequest, ...]:
        """The trials to run now, at once if that is possible; none when the search has ended."""
        return tuple(request for request in self._batch if request.index not in self._taken)

    def take(self, request: TrialRequest, trial: Trial) -> None:
        """How the trial of ``request`` went. When all of its batch have been taken, the search goes on."""
        self._taken[request.index] = trial
        if len(self._taken) == len(self._batch):
            trials = tuple(self._taken[each.index] for each in self._batch)
            self._taken = {}
            self.trials += trials
            self._advance(trials)

    def stop(self, reason: str) -> None:
        """End the search with what it knows: ``undecided``. One that has ended stays as it is."""
        if self.end is None:
            # What was taken of an unfinished batch was run and paid for, so it is shown.
            self.trials += [self._taken[each.index] for each in self._batch if each.index in self._taken]
            self._finish(SearchEnd("undecided", reason))

    def progress(self) -> SearchProgress:
        """What is known now."""
        ended = [*self.trials, *self._taken.values()]
        return SearchProgress(
            self.state.requests.phase,
            self.plan.variable,
            self.state.bracket(),
            len(ended),
            self.plan.limits.trials,
            self._batch[0].value if self._batch else None,
            ended[-1] if ended else None,
        )

    def _advance(self, trials: tuple[Trial, ...] | None) -> None:
        try:
            self._batch = next(self._steps) if trials is None else self._steps.send(trials)
        except SearchEnded as ended:
            self._finish(ended.end)

    def _finish(self, end: SearchEnd) -> None:
        self.end, self._batch, self._taken = end, (), {}

    # --- The way ---

    def _search(self) -> Steps[None]:
        if self.plan.required is not None:
            yield from require(self.state, self.plan.required)
        if self.plan.probes:
            yield from probe(self.state)
        yield from find_bracket(self.state)
        for _ in range(REOPENINGS):
            if self.state.known.bad is None:
                yield from settle_hardest(self.state)
            if self.state.known.good is None:
                yield from settle_easiest(self.state)
            yield from bisect(self.state)
            if (yield from confirm(self.state)):
                yield from verify_downwards(self.state)
        raise SearchEnded("undecided", f"the ends of the bracket turned out to be wrong {REOPENINGS} times")
