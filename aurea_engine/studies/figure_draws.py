"""The figures that two runs are compared by, of one run: what they are, and draws of what they might have been.

| draws from | where the run has | module |
|---|---|---|
| replications | at least three that count | `replication_draws` |
| records | all of its jobs | `record_draws` |
| histograms | nothing else any more | `histogram_draws` |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aurea_engine.closed_sets import COMPARED_FIGURES
from aurea_engine.records.batch import Floats
from aurea_engine.results.comparison import Remark
from aurea_engine.results.objectives import find_failure_ratio
from aurea_engine.results.result import RunResult
from aurea_engine.studies.block_bootstrap import DRAWS
from aurea_engine.workload.streams import Streams

OF_ALL_JOBS = frozenset({"throughput", "failure_ratio"})
"""Figures that jobs have a share in which did not complete."""

QUANTILES = {"response_time.p50": 0.5, "response_time.p90": 0.9, "response_time.p95": 0.95, "response_time.p99": 0.99}


@dataclass(frozen=True)
class FigureDraws:
    """``values``: the figures that the run supports; ``draws``: for each of them `DRAWS` values that another run of the same
    specification might as well have come to, infinite where nothing bounds them, and NaN where nothing tells them. A figure
    may have no draws.

    ``completed``, ``ended``: jobs that the figures are of, the latter also those that failed; ``slack``: the relative error
    of quantiles that no draw shows.
    """

    values: Mapping[str, float]
    draws: Mapping[str, Floats]
    completed: int
    ended: int
    slack: float = 0.0
    remarks: tuple[Remark, ...] = field(default=())

    def count_jobs(self, figure: str) -> int:
        """How many jobs a figure is of."""
        return self.ended if figure in OF_ALL_JOBS else self.completed


def find_values(result: RunResult, failure_ratio: float | None = None) -> dict[str, float]:
    """The figures of a run by name. ``failure_ratio``: that of the jobs after the warm-up, where records tell."""
    million = result.cost.per_success
    times = {name: getattr(result.response_time, name.partition(".")[2]) for name in COMPARED_FIGURES if "." in name}
    found: dict[str, float | None] = {
        **times,
        "throughput": result.throughput,
        "failure_ratio": find_failure_ratio(result.counts) if failure_ratio is None else failure_ratio,
        "cost_per_million": None if million is None else float(million * 1_000_000),
    }
    return {name: value for name, value in found.items() if value is not None}


def move_probability(q: float, moved: Floats) -> Floats:
    """Where ``q`` comes to when its logarithmic odds move by so much.

    Three times as many jobs beyond a bound are then as far up as a third of them is down. Moved on its own scale, a p99
    would soon be beyond every job.
    """
    return np.asarray(1 / (1 + (1 - q) / q * np.exp(-np.clip(moved, -50, 50))))


def draw_failure_ratio(ratio: float, jobs: float, inflation: float, seed: int, purpose: str) -> Floats:
    """Draws of a failure ratio of so many ``jobs``, ``inflation`` of which are worth one independent job.

    From a beta distribution with Jeffreys' prior (Brown, Cai and DasGupta 2001): where no job has failed, another run might
    still have a few, and to draw the observed jobs again would never show it.
    """
    worth = jobs / max(inflation, 1.0)
    rng = Streams(seed).rng(f"{purpose} failures")
    return np.asarray(rng.beta(ratio * worth + 0.5, (1 - ratio) * worth + 0.5, DRAWS))
