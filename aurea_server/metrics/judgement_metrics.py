"""How the current run was judged, or the last: one series for each word that there is, and 1 at the one that holds.

An objective is known by its position in the specification, never by its text, which a client chooses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily

from aurea_engine.closed_sets import OBJECTIVE_OUTCOMES, VERDICTS

MOST_OBJECTIVES = 8
"""Positions that have series; the objectives after them have none."""


class JudgementMetrics:
    """Of runs of one clock. ``prefix``: of the metrics' names; ``about``: the end of what they say."""

    def __init__(self, prefix: str, about: str) -> None:
        self._prefix, self._about = prefix, about
        self._verdict: str | None = None
        self._outcomes: Sequence[str] = ()

    def start_run(self) -> None:
        """A run has begun: nothing is known of it, and the last one's judgement is not its own."""
        self._verdict, self._outcomes = None, ()

    def update_run(self, outcomes: Sequence[str]) -> None:
        """Outcomes of its objectives so far, in their order."""
        self._outcomes = outcomes

    def end_run(self, verdict: str | None = None, outcomes: Sequence[str] = ()) -> None:
        """It has ended; without a result there is no judgement."""
        self._verdict, self._outcomes = verdict, outcomes

    def families(self) -> Iterator[GaugeMetricFamily]:
        """No sample of what is not known: a run that goes on has no verdict yet."""
        text = f"1 at the verdict on the last run, 0 at the others; none while a run is active.{self._about}"
        verdict = GaugeMetricFamily(f"{self._prefix}_run_verdict", text, labels=["verdict"])
        _add_words(verdict, [], VERDICTS, self._verdict)
        yield verdict
        text = "1 at the outcome of the objective at this position, so far or at the end, 0 at the others."
        outcomes = GaugeMetricFamily(
            f"{self._prefix}_objective_outcome", text + self._about, labels=["position", "result"]
        )
        for position, outcome in enumerate(self._outcomes[:MOST_OBJECTIVES], 1):
            _add_words(outcomes, [str(position)], OBJECTIVE_OUTCOMES, outcome)
        yield outcomes


def _add_words(family: GaugeMetricFamily, labels: list[str], words: Sequence[str], holds: str | None) -> None:
    # A word from a newer runner would be a new label, and is no judgement that this server knows.
    if holds in words:
        for word in words:
            family.add_metric([*labels, word], float(word == holds))
