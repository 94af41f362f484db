"""The search for a capacity as a state machine: it says which trials to run, is told how they went, and decides.

No I/O, no clock, no randomness of its own: seeds are derived from one by name and index. The same seed and the same outcomes
give the same answer, however many trials run at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from aurea_engine.closed_sets import CapacityVariable, SearchPhase
from aurea_engine.results.capacity import CapacityAnswer, SearchProgress, Trial


@dataclass(frozen=True)
class TrialRequest:
    """A trial to run. ``value`` is None for the probe, which runs ``users`` in a closed loop."""

    index: int
    phase: SearchPhase
    value: float | None
    seed: int
    jobs: int
    users: int | None = None


class CapacitySearch:
    """Ask `next_trials`, run them in any order, `take` each; when there are none left, `answer`."""

    def __init__(self, variable: CapacityVariable, seed: int) -> None:
        self.variable, self._seed = variable, seed

    def next_trials(self) -> tuple[TrialRequest, ...]:
        """The trials to run now, at once if that is possible; none when the search has ended."""
        raise NotImplementedError

    def take(self, request: TrialRequest, trial: Trial) -> None:
        """How the trial of ``request`` went."""
        raise NotImplementedError

    def progress(self) -> SearchProgress:
        """What is known now."""
        raise NotImplementedError

    def answer(self, ended: str | None = None) -> CapacityAnswer:
        """The answer; ``ended`` says why a search that has not come to its end is ``undecided``."""
        raise NotImplementedError
