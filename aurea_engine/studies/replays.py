"""Replays of a recorded sample in virtual time, and what they say together: each figure with its interval."""

# How far the answer can be trusted
#
# The record is a sample. The answer f(F) is a figure of the system with the true distribution F of service times; what can
# be worked out is f of a record, by simulation. Two errors come together, and the interval holds both:
#
# - *The sample's own error*: another recorded run would have had other service times. It is estimated by the bootstrap:
#   resample the record (in blocks of consecutive jobs, so that what neighbours have in common stays), and see how the figure
#   moves. Near saturation it is by far the greater of the two: at ρ = 0.8 a record of 20,000 exponential service times
#   leaves the mean response of four slots uncertain by 6 %.
# - *The simulation's error*: arrivals, and the order of jobs, are drawn. Each resample is replayed `PER_RESAMPLE` times,
#   with arrivals and an order of its own each time, and these replays differ by nothing else.
#
# This is the nested design of input uncertainty (Cheng and Holland 1997; Song, Nelson and Pegden 2014). With B resamples of
# m replays, let w be the mean variance within a resample, and b the variance of the resamples' means. Then s = b − w/m
# estimates the sample's variance alone, b/B is what is left of both after the mean over B, and the interval is
#
#     mean ± t(B − 1) · √(max(s, b/2) + b/B)
#
# A difference of two estimates may come out far too small by chance, most of all for p99, which a replay knows badly: hence
# the b/2, which makes an interval too wide at most.
#
# A replay that takes the record as it is would be no better: it has the sample's error all the same, and would not say so.

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aurea_engine.costs import CostModel, reprice
from aurea_engine.engine import simulate
from aurea_engine.errors import NeedsRecords
from aurea_engine.results.objectives import find_failure_ratio
from aurea_engine.results.result import ObjectiveResult, RunResult
from aurea_engine.results.statistics import Interval
from aurea_engine.results.student_t import find_t
from aurea_engine.results.what_if import WhatIfFigure
from aurea_engine.spec import RunSpec
from aurea_engine.studies.capacity_costs import read_currency
from aurea_engine.studies.recorded_sample import Recorded
from aurea_engine.workload.recorded_jobs import RecordedJobs
from aurea_engine.workload.streams import Streams, derive_seed

PER_RESAMPLE = 5
TIMES = ("mean", "p50", "p90", "p95", "p99")


@dataclass(frozen=True)
class Replayed:
    """What all replays say together: the figures, and the objectives by their outcome."""

    figures: tuple[WhatIfFigure, ...]
    objectives: tuple[ObjectiveResult, ...]


class Replays:
    """``count`` replays of ``spec``, whose jobs are ``recorded``. Only their figures are kept."""

    def __init__(self, spec: RunSpec, recorded: Recorded, costs: Mapping[str, CostModel], count: int) -> None:
        self._spec, self._recorded, self._costs, self._count = spec, recorded, costs, count

    def run(self, result: RunResult, whole: RunResult) -> Replayed:
        """All of them. ``result`` is the recorded run, ``whole`` a replay in the recorded order."""
        seen = [list(self._figures_of(replay)) for replay in self._replay()]
        recorded, figures = dict([*_list_figures(result), *self._list_costs(result)]), []
        currencies = {_name_cost(name): read_currency(model) for name, model in self._costs.items()}
        for i, (name, _) in enumerate(seen[0]):
            value, interval = estimate([each[i][1] for each in seen])
            figures.append(WhatIfFigure(name, recorded.get(name), value, interval, currencies.get(name)))
        n = len(whole.objectives)
        judged = tuple(_judge(each, figure) for each, figure in zip(whole.objectives, figures[:n], strict=True))
        return Replayed(tuple(figures[n:]), judged)

    def _replay(self) -> Iterator[RunResult]:
        seed = self._spec.seed or 0
        rng = Streams(seed).child("what-if").rng("resampling")
        n, block = len(self._recorded.sample), self._recorded.block
        starts = np.arange(0, n, block)
        for i in range(self._count):
            if i % PER_RESAMPLE == 0:
                # Blocks anywhere in the record, joined at its ends so that each job is as likely as any other.
                starts = rng.integers(0, n, -(-n // block))
            order = _join_blocks(rng.permutation(starts), block, n)
            workload = replace(self._spec.workload, job=RecordedJobs(self._recorded.sample, order))
            yield simulate(replace(self._spec, workload=workload, seed=derive_seed(seed, "what-if", i)))

    def _figures_of(self, replay: RunResult) -> Iterator[tuple[str, float | None]]:
        """What the objectives are about, and then every figure."""
        for judged in replay.objectives:
            yield str(judged.objective), judged.observed
        yield from _list_figures(replay)
        yield from self._list_costs(replay)

    def _list_costs(self, result: RunResult) -> Iterator[tuple[str, float | None]]:
        """Per million completed jobs; None where the records are needed to count what a model prices, and are not there."""
        for name, model in self._costs.items():
            try:
                per = reprice(result.usage, model, result.jobs, result.steps).per_success
            except NeedsRecords:
                per = None
            yield _name_cost(name), None if per is None else float(per * 1_000_000)


def _name_cost(model: str) -> str:
    return f"cost_per_million{'.' if model else ''}{model}"


def _join_blocks(starts: NDArray[np.int64], block: int, n: int) -> NDArray[np.intp]:
    """Rows of blocks that begin at ``starts``, ``n`` in all."""
    return np.asarray(((starts[:, None] + np.arange(block)) % n).ravel()[:n], np.intp)


def _list_figures(result: RunResult) -> Iterator[tuple[str, float | None]]:
    for name in TIMES:
        yield f"response_time.{name}", result.response_time.quantile(name)
    yield "waiting_time.mean", result.waiting_time.mean
    yield "throughput", result.throughput
    yield "utilization", result.utilization
    yield "failure_ratio", find_failure_ratio(result.counts)


def estimate(seen: list[float | None]) -> tuple[float | None, Interval | None]:
    """A figure and its 95 % interval from that of each replay, those of one resample together. None if any has none."""
    values = np.array([each for each in seen if each is not None])
    if len(values) < len(seen):
        return None, None
    nested = values.reshape(-1, PER_RESAMPLE)
    mean, resamples = float(values.mean()), len(nested)
    within, between = float(nested.var(axis=1, ddof=1).mean()), float(nested.mean(axis=1).var(ddof=1))
    sample = max(between - within / PER_RESAMPLE, between / 2)
    half = find_t(resamples - 1) * math.sqrt(sample + between / resamples)
    return mean, Interval(max(mean - half, 0.0), mean + half)


def _judge(judged: ObjectiveResult, figure: WhatIfFigure) -> ObjectiveResult:
    """By the interval over replays, and not by one of them."""
    if figure.interval is None or figure.value is None:
        return replace(judged, outcome="inconclusive", observed=None, interval=None)
    low, high, objective = figure.interval.low, figure.interval.high, judged.objective
    if objective.at_most is not None:
        outcome = "met" if high <= objective.at_most else "missed" if low > objective.at_most else "inconclusive"
    else:
        assert objective.at_least is not None
        outcome = "met" if low >= objective.at_least else "missed" if high < objective.at_least else "inconclusive"
    detail = f"95 % interval {low:.6g} to {high:.6g}, the record's own error included"
    return ObjectiveResult(objective, outcome, figure.value, detail, figure.interval)  # type: ignore[arg-type]
