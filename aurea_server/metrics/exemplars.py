"""Which run moved a series last: its id is an exemplar, which only OpenMetrics shows, and never a label.

A label would make a new series for each run, without end. An exemplar replaces the one before, so their number is that of
the series, however many runs there were.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from prometheus_client.samples import Exemplar

Key = tuple[str, ...]
"""Values of a series' labels, in order; empty if it has none."""

MOST_CHARACTERS = 128
"""Of all names and values of an exemplar's labels together (OpenMetrics 1.0, "Exemplars")."""


@dataclass(frozen=True)
class ExemplarSource:
    """A run, and the instant (seconds since 1970) at which it moved what is marked. ``run_id``: "" marks nothing;
    ``trace_id``: that of the request which started the run, "" where it is not known.
    """

    run_id: str
    at: float
    trace_id: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """Within what OpenMetrics allows: the run before the trace."""
        labels = {"run_id": self.run_id}
        both = {**labels, "trace_id": self.trace_id}
        return both if self.trace_id and sum(map(len, [*both, *both.values()])) <= MOST_CHARACTERS else labels


class Exemplars:
    """The latest exemplar of each series. There are as many as series, however many runs there were."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, Key], Exemplar] = {}

    def record(self, metric: str, moved: Mapping[Key, int | Fraction], run: ExemplarSource) -> None:
        """Each series of ``moved`` that ``run`` moved now names it; the exemplar's value is the amount of that run."""
        for key, amount in moved.items():
            # A series that a run did not move keeps the run that did: that is the one to look at.
            if amount and run.run_id:
                self._latest[metric, key] = Exemplar(run.labels, float(amount), run.at)

    def record_buckets(self, metric: str, largest: Iterable[float | None], run: ExemplarSource) -> None:
        """The same for buckets of a histogram, by their number; ``largest``: a duration that fell into each, or None."""
        # The largest duration of a bucket: of the jobs in it, the one that is most worth looking at.
        for number, seconds in enumerate(largest):
            if seconds is not None and run.run_id:
                self._latest[metric, (str(number),)] = Exemplar(run.labels, seconds, run.at)

    def of(self, metric: str, key: Key = ()) -> Exemplar | None:
        """The exemplar of one series, None before the first."""
        return self._latest.get((metric, key))

    def of_bucket(self, metric: str, number: int) -> Exemplar | None:
        """The exemplar of a histogram's bucket, None before the first."""
        return self.of(metric, (str(number),))
