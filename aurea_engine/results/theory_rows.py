"""What queueing theory says of a specification, beside what was measured, and how far apart they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aurea_engine.results.figures import Figures
from aurea_engine.results.result import RunResult, TheoryRow
from aurea_engine.results.statistics import BATCHES, T_29
from aurea_engine.results.theory import Prediction

DISPATCH_NS = 100_000
"""A job that starts within this of its release did not wait for a slot but for the engine."""


def compare_with_theory(result: RunResult, figures: Figures, predictions: Iterable[Prediction]) -> Iterator[TheoryRow]:
    """A row for each figure that theory gives for what ran."""
    long_enough = _is_long(figures)
    for model, figure, expected in predictions:
        measured, error = _measured_figure(result, figures, figure)
        # Without enough jobs the standard error itself is wrong, and a z of 5 would mean nothing.
        z = (measured - expected) / error if measured is not None and error and long_enough else None
        yield TheoryRow(model, figure, expected, measured, z)


def _is_long(figures: Figures) -> bool:
    """Whether batch means say how far a mean wait may be off.

    Waits forget where they began after some 1/(1 − ρ)² jobs (the relaxation time of M/M/1). A batch must be long beside
    that, or its neighbours are alike, and the empty system of the start still shows.
    """
    idle = 1 - min(figures.utilization or 0.0, 0.999)
    return figures.times["response_time"].count >= BATCHES * 20 / idle**2


def _measured_figure(result: RunResult, figures: Figures, figure: str) -> tuple[float | None, float | None]:
    """(value, its standard error) where they are known."""
    if figure == "rejected_ratio":
        counted = figures.counted
        return counted.rejected / counted.arrived if counted.arrived else None, None
    if figure == "wait_ratio":
        return _share_that_waited(figures), None
    kind, _, name = figure.partition(".")
    if not name:
        return getattr(result, kind), None
    timing = figures.times[kind]
    interval = timing.mean_interval if name == "mean" else None
    error = (interval.high - timing.mean) / T_29 if interval is not None and timing.mean is not None else None
    return timing.quantile(name), error


def _share_that_waited(figures: Figures) -> float | None:
    """Of the jobs that started, the share that found no free slot. Only single records tell."""
    jobs = figures.counted_jobs()
    if jobs is None or not len(jobs):
        return None
    started = jobs.only(jobs.was_started)
    # In real time even a free slot takes some microseconds to reach.
    waited = (started.started - started.released) > (DISPATCH_NS if figures.spec.clock == "real" else 0)
    return float(waited.mean()) if len(started) else None
