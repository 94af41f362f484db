"""How values of single requests are summed up: mean, median and 99th percentile, by the rule of each tool."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aurea_engine.records.batch import Floats
from aurea_engine.results.parity.requests import MS, Pooled

Report = Mapping[tuple[str, str], float | None]
"""(figure, statistic) → value, None where the records do not tell; the statistic is empty of a figure that is one number."""

STATISTICS = ("mean", "p50", "p99")
_QUANTILES = {"p50": 0.5, "p99": 0.99}


def spread(figure: str, values: Floats) -> dict[tuple[str, str], float | None]:
    """Mean, and quantiles by linear interpolation. vLLM prints 0 where there are no values."""
    found = values if len(values) else np.zeros(1)
    quantiles = {(figure, name): float(np.percentile(found, 100 * q)) for name, q in _QUANTILES.items()}
    return {(figure, "mean"): float(np.mean(found)), **quantiles}


def spread_or_none(figure: str, values: Floats) -> dict[tuple[str, str], float | None]:
    """The same, and None where there are no values: aiperf then leaves the figure out."""
    return spread(figure, values) if len(values) else dict.fromkeys([(figure, name) for name in STATISTICS])


def spread_pooled(figure: str, pooled: Pooled | None) -> dict[tuple[str, str], float | None]:
    """The same of gaps in ns, in ms."""
    if pooled is None or not pooled.count:
        return dict.fromkeys([(figure, name) for name in STATISTICS])
    quantiles = {(figure, name): pooled.quantile(q) / MS for name, q in _QUANTILES.items()}
    return {(figure, "mean"): pooled.mean / MS, **quantiles}


def spread_weighted(figure: str, values: Floats, weights: Floats) -> dict[tuple[str, str], float | None]:
    """Weighted mean, and quantiles as the smallest value at which the summed weights reach the share, as guidellm has them.

    It prints 0 where there are no values.
    """
    values, places = np.unique(values, return_inverse=True)
    summed = np.zeros(len(values))
    np.add.at(summed, places, weights)
    values, weights = values[summed > 0], summed[summed > 0]
    if not len(values):
        return dict.fromkeys([(figure, name) for name in STATISTICS], 0.0)
    shares = np.cumsum(weights / weights.sum())
    # The last share is 1 but for rounding, and a search beyond it would find nothing.
    ranks = {name: min(int(np.searchsorted(shares, q)), len(values) - 1) for name, q in _QUANTILES.items()}
    quantiles = {(figure, name): float(values[rank]) for name, rank in ranks.items()}
    return {(figure, "mean"): float((values * (weights / weights.sum())).sum()), **quantiles}
