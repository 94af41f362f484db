"""What jobs report that do not run: amounts and instants from `Job.reports`, as the whole numbers that columns hold.

In virtual time, and for jobs that only let time pass, nobody is there to say what was seen. So a job may plan it, many jobs
at once, as it plans their demands. A plan is a strategy's and no measurement: one that cannot be is refused, and the run
ends.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aurea_engine.errors import StrategyError
from aurea_engine.records.batch import NEVER, NS, Floats
from aurea_engine.records.measures import Schema
from aurea_engine.workload.distributions import to_floats

Numbers = NDArray[np.float64] | NDArray[np.int64]
"""Floats, or integers where a float would not hold every digit."""

MOST_PLANNED = 2.0**62
"""Planned values are kept as −2 − v until their job has ended, so they need a little room below int64."""


def plan_reports(
    kind: str, schema: Schema, given: Mapping[str, Numbers] | None, demand: Floats
) -> dict[str, NDArray[np.int64]]:
    """What `Job.reports` of a ``kind`` of job gave, held to its contract, as a `Plan` has it. Raises `StrategyError`."""
    what, planned = f"{kind}.reports", dict[str, NDArray[np.int64]]()
    for name, values in (given or {}).items():
        mark, measure = schema.mark(name), schema.measure(name)
        if mark is None and measure is None:
            raise StrategyError(f"{what} names {ascii(name)[:80]}, which {kind} does not declare")
        numbers = _scale_exactly(values, NS if measure is None else measure.scale, len(demand), f"{what}[{name!r}]")
        # Both in whole ns, rounded alike: half of an odd number of them must not come out after the end.
        if measure is None and (numbers > np.rint(demand * NS)).any():
            raise StrategyError(f"{what} has the mark {name} later than the end of its job")
        planned[name] = numbers
    return planned


def _scale_exactly(values: Numbers, scale: int, n: int, what: str) -> NDArray[np.int64]:
    """``values × scale`` as whole numbers from 0 up, `NEVER` for NaN."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu" and scale == 1 and values.shape == (n,):
        numbers = values.astype(np.int64)  # not by way of floats, which end at 2⁵³
        if n and values.min() < 0:
            raise StrategyError(f"{what} must be >= 0, and is {values.min()}")
        return numbers
    scaled = to_floats(values, n, what) * scale
    known = ~np.isnan(scaled)
    if not ((scaled[known] >= 0) & (scaled[known] < MOST_PLANNED)).all():
        raise StrategyError(f"{what} must be >= 0, below 2^62 when scaled, or NaN for no report")
    if scale == 1 and (scaled[known] != np.rint(scaled[known])).any():
        raise StrategyError(f"{what} must be whole numbers: the measure has no scale")
    whole = np.full(n, NEVER, np.int64)
    whole[known] = np.rint(scaled[known]).astype(np.int64)
    return whole
