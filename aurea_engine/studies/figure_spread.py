"""One figure over several replications: its mean, its interval, its spread, and which replications are outlying.

**Interval.** Replications with independent seeds are independent, whatever the jobs within each of them are to one another:
that is what makes their figures a plain sample, and mean ± t · s/√n a 95 % interval of the expected figure (Law, *Simulation
Modeling and Analysis*, chapter 9, replication/deletion). A quantile is treated in the same way: the figure is the mean of
the replications' own quantiles. Of few jobs that is not quite the quantile of all of them, which is why that stands beside.

**Outlying.** By the modified z-score 0.6745 · (x − median) / MAD of Iglewicz and Hoaglin (*How to Detect and Handle
Outliers*, 1993), which outliers themselves do not hide from. Their limit of 3.5 would name a replication in 10 to 20 % of
the studies of 5 to 50 replications with nothing wrong, so the limit grows as samples become small: 4.2 · (1 + 7/n) names one
in 1 to 4 % of them. Where half of the figures are equal, the MAD is 0, and none is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from aurea_engine.results.replications import Spread
from aurea_engine.results.statistics import Interval
from aurea_engine.results.student_t import TWO_SIDED, find_t

FEWEST_TO_NAME = 5
"""Replications from which on one of them can be told to be far from the others."""


def spread_figure(name: str, values: Mapping[int, float | None], pooled: float | None = None) -> Spread | None:
    """The figure ``name`` over replications: their ``values``, by number. None if one of them has none."""
    known = [value for value in values.values() if value is not None]
    # A mean over those that have it would be one of a choice: of p999, say, of the replications with the most jobs.
    if not known or len(known) < len(values):
        return None
    return Spread(
        name,
        find_mean(known),
        find_interval(known),
        find_deviation(known),
        min(known),
        max(known),
        pooled,
        name_outlying({number: value for number, value in values.items() if value is not None}),
    )


def find_mean(values: Sequence[float]) -> float:
    """The mean, the same in whatever order they come."""
    return math.fsum(values) / len(values)


def find_deviation(values: Sequence[float]) -> float | None:
    """The standard deviation of the population that they are a sample of; None of one value."""
    if len(values) < 2:
        return None
    middle = find_mean(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))


def find_interval(values: Sequence[float], level: float = TWO_SIDED) -> Interval | None:
    """The interval of their mean, each end of which errs with chance 1 − ``level``; None of one value. No figure of a run is
    below 0, so neither is its lower end.
    """
    deviation = find_deviation(values)
    if deviation is None:
        return None
    middle, half = find_mean(values), find_t(len(values) - 1, level) * deviation / math.sqrt(len(values))
    return Interval(max(middle - half, 0.0), middle + half)


def name_outlying(values: Mapping[int, float]) -> tuple[int, ...]:
    """The numbers of those that are far from the others; see above."""
    n = len(values)
    if n < FEWEST_TO_NAME:
        return ()
    middle = median(values.values())
    deviation = median(abs(value - middle) for value in values.values())
    limit = 4.2 * (1 + 7 / n) * deviation / 0.6745
    return tuple(number for number, value in values.items() if deviation and abs(value - middle) > limit)
