"""The requests of a run to a language-model server, as the columns that formulas of other tools are written in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import NS, Floats, Instants, JobBatch
from aurea_engine.records.histogram import LatencyHistogram, value_of
from aurea_engine.records.measures import Schema

Mask = NDArray[np.bool_]
MS = 1_000_000

MARKS = ("first_frame", "first_token", "first_answer", "last_token", "last_frame")
MEASURES = ("input_tokens", "output_tokens", "frames")

BROKEN_OFF = "stream_error"
"""The class of the failures in which an error came within the stream of an answer."""


class Bounds(NamedTuple):
    """The service level that goodput is judged by, in seconds; None is no bound. What the tools call TTFT, TPOT and E2E."""

    first_token: float | None = None
    token_gap: float | None = None
    end_to_end: float | None = None


NO_BOUNDS = Bounds()


@dataclass(frozen=True)
class Pooled:
    """Values of all requests together, in ns, in rising order, and how often each occurs."""

    values: Floats
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, values: Instants) -> Pooled:
        """Of single values."""
        return cls(np.sort(values).astype(float), np.ones(len(values), np.int64))

    @classmethod
    def of_histogram(cls, histogram: LatencyHistogram) -> Pooled:
        """Of the buckets of a histogram, each by its middle: within 0.4 % of every value."""
        buckets, counts = histogram.list_filled()
        middles = np.array([value_of(int(bucket)) * NS for bucket in buckets])
        return cls(np.clip(middles, histogram.minimum, histogram.maximum), counts)

    def join(self, other: Pooled) -> Pooled:
        """The values of both."""
        values, counts = np.concatenate([self.values, other.values]), np.concatenate([self.counts, other.counts])
        order = np.argsort(values, kind="stable")
        return Pooled(values[order], counts[order])

    @property
    def count(self) -> int:
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        return float((self.values * self.counts).sum()) / self.count

    def quantile(self, q: float) -> float:
        """By linear interpolation between neighbours, type 7 of Hyndman and Fan (1996), as `numpy.percentile` does."""
        place = q * (self.count - 1)
        below = int(place)
        ends = np.cumsum(self.counts)
        low, high = (
            self.values[np.searchsorted(ends, at, side="right")] for at in (below, min(below + 1, self.count - 1))
        )
        return float(low + (place - below) * (high - low))


@dataclass(frozen=True, eq=False)
class Requests:
    """The started requests of a run, one row each. Instants in ns since the window opened, -1 where none came.

    ``gaps``: those between frames that carry content, None if they were not kept. ``began``: when measuring began, in ns.
    """

    started: Instants
    finished: Instants
    first_frame: Instants
    first_token: Instants
    first_answer: Instants
    last_token: Instants
    last_frame: Instants
    input_tokens: Instants
    output_tokens: Instants
    frames: Instants
    answered: Mask
    errored: Mask
    broken_off: Mask
    gaps: Pooled | None = field(default=None)
    began: int = 0

    def __len__(self) -> int:
        return len(self.started)

    @classmethod
    def of(cls, jobs: JobBatch, gaps: Pooled | None = None, began: int = 0) -> Requests:
        """Of the records of jobs of kind ``chat``: the started ones that were meant to start at ``began`` or later."""
        rows = jobs.only(jobs.was_started & (jobs.intended >= began))
        columns = {name: rows.mark(name) for name in MARKS} | {name: rows.measure(name) for name in MEASURES}
        failed = np.asarray((rows.outcome == Outcome.FAILED) | (rows.outcome == Outcome.TIMED_OUT))
        broken_off = np.zeros(len(rows), bool)
        if rows.failure is not None and BROKEN_OFF in rows.failures:
            broken_off = rows.failure == rows.failures.index(BROKEN_OFF)
        return cls(
            rows.started,
            rows.finished,
            **columns,
            answered=rows.was_served,
            errored=failed,
            broken_off=broken_off,
            gaps=gaps,
            began=began,
        )

    @property
    def tokens(self) -> Instants:
        """Output tokens as the server reported them; where it did not, the frames that carried content."""
        return np.where(self.output_tokens >= 0, self.output_tokens, np.maximum(self.frames, 0))

    @property
    def lacks_usage(self) -> Mask:
        """Mask of the requests of which the server reported no output tokens."""
        return np.asarray(self.output_tokens < 0)


def holds_chat(schema: Schema) -> bool:
    """Whether the records of a run with these columns are those of chat requests."""
    marks, measures = {each.name for each in schema.marks}, {each.name for each in schema.measures}
    return marks.issuperset(MARKS) and measures.issuperset(MEASURES)
