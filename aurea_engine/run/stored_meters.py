"""Meters as plain values, to be written as JSON and read back; every value is checked for what it must be.

Equal meters have equal values here, however they came about: sums of squares are about 0, and not about the first value that
a histogram happened to see. The types carry their bounds, so that `msgspec` refuses a number out of range while it reads.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, Any

from msgspec import Meta

from aurea_engine.closed_sets import MOST_FAILURE_NAME, Outcome
from aurea_engine.errors import DamagedParts
from aurea_engine.records.histogram import BUCKETS, LatencyHistogram
from aurea_engine.records.status_codes import MOST_STATUS
from aurea_engine.run.job_times import SPANS, CountingRules
from aurea_engine.run.meters import Meters

_SUMS = (
    "good",
    "finished_in_window",
    "good_in_window",
    "busy_in_window_ns",
    "last_ns",
    "latest_intended_ns",
    "latest_released_ns",
)
"""The figures of `Meters` that are one number each."""


# A whole number that may leave 64 bits, as text. At most 400 digits: the time that `int` takes grows with their square.
BigWhole = Annotated[str, Meta(pattern=r"^[0-9]{1,400}\Z")]
# Of a run no sum has more: squares of int64, of as many jobs as an int64 can count, have 57. So each fits a float, and each
# figure that is a ratio of two.
Sum = Annotated[str, Meta(pattern=r"^[0-9]{1,60}\Z")]
Whole = Annotated[int, Meta(ge=0, le=2**63 - 1)]
StatusCode = Annotated[int, Meta(ge=0, le=MOST_STATUS + 1)]
FailureClass = Annotated[str, Meta(max_length=MOST_FAILURE_NAME)]


@dataclass(frozen=True)
class StoredHistogram:
    """A histogram. ``squares`` are about 0: about which value they are kept depends on the order in which values came."""

    # Sums leave 64 bits (a million jobs of a day each), and squares of nanoseconds do after a second or two.
    count: Whole
    total: Sum
    squares: Sum
    minimum: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    maximum: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    buckets: list[Whole]
    counts: list[Whole]


# A class of its own beside `Meters`, since a format that is stored must not change whenever a field is renamed.


@dataclass(frozen=True)
class StoredMeters:
    # The rules go along: meters under other rules must not be merged, wherever they come from.
    warmup_ns: Whole
    good_within: list[tuple[str, Whole]]
    counts: dict[str, Whole]
    counted: dict[str, Whole]
    first_counted_ns: Whole | None
    numbers: dict[str, Sum]
    times: dict[str, StoredHistogram]
    reported: dict[str, StoredHistogram]
    totals: dict[str, Sum]
    # Parts of earlier versions have neither, and said elsewhere which classes there were: see `parts_file`.
    statuses: list[tuple[StatusCode, Whole]] = field(default_factory=list)
    failures: dict[FailureClass, Whole] | None = None
    window_totals: dict[str, Sum] = field(default_factory=dict)
    good_from: list[tuple[str, Whole]] = field(default_factory=list)


@dataclass(frozen=True)
class StoredRunMeters(StoredMeters):
    """Of a whole run: with those of its groups."""

    # Two types for two levels. One type that holds itself would let the writer of the bytes choose how deep it nests.

    groups: dict[str, StoredMeters] = field(default_factory=dict)


def store_run_meters(meters: Meters) -> StoredRunMeters:
    """The meters of a run and of its groups."""
    return StoredRunMeters(
        **vars(_store_meters(meters)), groups={name: _store_meters(each) for name, each in meters.groups.items()}
    )


def load_run_meters(stored: StoredRunMeters) -> Meters:
    """The inverse of `store_run_meters`. Raises `DamagedParts`, or KeyError for the name of an outcome that there is not."""
    # A group's type has no groups, so nothing that is read can nest deeper than this.
    meters = _load_meters(stored)
    meters.groups.update({name: _load_meters(each) for name, each in stored.groups.items()})
    return meters


def _store_meters(meters: Meters) -> StoredMeters:
    return StoredMeters(
        meters.rules.warmup_ns,
        list(meters.rules.good_within),
        # By name: the numbers of outcomes are stored in records too, but a name can be read by people.
        {outcome.name.lower(): count for outcome, count in meters.counts.items()},
        {outcome.name.lower(): count for outcome, count in meters.counted.items()},
        meters.first_counted_ns,
        {name: str(getattr(meters, name)) for name in _SUMS},
        {metric: _store_histogram(histogram) for metric, histogram in meters.times.items()},
        {name: _store_histogram(histogram) for name, histogram in meters.reported.items()},
        {name: str(total) for name, total in meters.totals.items()},
        sorted(meters.statuses.items()),
        dict(meters.failures),
        {name: str(total) for name, total in meters.window_totals.items()},
        list(meters.rules.good_from),
    )


def _load_meters(stored: StoredMeters) -> Meters:
    # All of them and no other: a figure that is missing would silently be 0.
    if set(stored.numbers) != set(_SUMS) or set(stored.times) != set(SPANS):
        raise DamagedParts("these parts of a run are damaged: their meters are not those of a run")
    # Python's whole numbers have no limit, so the sums of any run fit.
    numbers: dict[str, Any] = {name: int(text) for name, text in stored.numbers.items()}
    return Meters(
        CountingRules(stored.warmup_ns, tuple(stored.good_within), tuple(stored.good_from)),
        Counter({Outcome[name.upper()]: count for name, count in stored.counts.items()}),
        counted=Counter({Outcome[name.upper()]: count for name, count in stored.counted.items()}),
        first_counted_ns=stored.first_counted_ns,
        # In the order of `SPANS`, which is that of every table.
        times={metric: _load_histogram(stored.times[metric]) for metric in SPANS},
        reported={name: _load_histogram(histogram) for name, histogram in stored.reported.items()},
        totals=Counter({name: int(text) for name, text in stored.totals.items()}),
        statuses=Counter(dict(stored.statuses)),
        failures=Counter(stored.failures or {}),
        window_totals=Counter({name: int(text) for name, text in stored.window_totals.items()}),
        **numbers,
    )


def _store_histogram(histogram: LatencyHistogram) -> StoredHistogram:
    whole: dict[str, Any] = histogram.to_dict()
    shift, total = int(whole["shift_ns"]), int(whole["total_ns"])
    # Σx² = Σ(x − a)² + 2a·Σx − n·a², in whole numbers. About which a the histogram keeps it depends on the first value that
    # it saw, hence on the order of jobs and shards; about 0 it depends on nothing.
    squares = int(whole["squares"]) + 2 * shift * total - whole["count"] * shift * shift
    # Only filled buckets: some hundred of the 8,321 that there are.
    bounds = (whole["min_ns"], whole["max_ns"])
    return StoredHistogram(whole["count"], str(total), str(squares), *bounds, whole["buckets"], whole["counts"])


def _load_histogram(stored: StoredHistogram) -> LatencyHistogram:
    # Buckets out of order would be counted twice, and one beyond the last is outside of the array of counts.
    rising = all(a < b for a, b in zip(stored.buckets, stored.buckets[1:], strict=False))
    in_range = not stored.buckets or stored.buckets[-1] < BUCKETS
    if not (rising and in_range and len(stored.buckets) == len(stored.counts) and sum(stored.counts) == stored.count):
        raise DamagedParts("these parts of a run are damaged: a histogram does not add up")
    histogram = LatencyHistogram.from_dict(
        {
            "count": stored.count,
            "total_ns": stored.total,
            "squares": stored.squares,
            "shift_ns": 0,
            "min_ns": stored.minimum,
            "max_ns": stored.maximum,
            "buckets": stored.buckets,
            "counts": stored.counts,
        }
    )
    # Sums that no values have would only be noticed far from here: as the root of a negative number, or a negative quantile.
    if wrong := histogram.find_contradiction():
        raise DamagedParts(f"these parts of a run are damaged: a histogram contradicts itself: {wrong}")
    return histogram
