"""Draws of the figures of a repeated run: its replications are an independent sample, and nothing else is needed.

The mean over n replications is drawn as ``m + Σ gᵢ(xᵢ − m)/√(n(n−1)) · √((n−1)/χ²)`` with normal gᵢ: exactly Student's t
about the observed mean. So two repeated runs are compared as Welch (1947) has it. Where replication i of both has the same
seed, the same gᵢ are taken for both, and what each pair shares cancels.
"""

from __future__ import annotations

import numpy as np

from aurea_engine.closed_sets import COMPARED_FIGURES
from aurea_engine.records.batch import Floats
from aurea_engine.results.comparison import Remark
from aurea_engine.results.replications import Replications
from aurea_engine.studies.block_bootstrap import DRAWS
from aurea_engine.studies.figure_draws import FigureDraws, draw_failure_ratio
from aurea_engine.workload.streams import Streams

FEWEST_REPLICATIONS = 3
"""Two have an interval, too: by Student's t with one degree of freedom, which is as good as none."""


def have_equal_seeds(a: Replications, b: Replications) -> bool:
    """Whether replication i of one belongs to replication i of the other."""
    return [each.seed for each in a.counted] == [each.seed for each in b.counted]


def draw_from_replications(replications: Replications, seed: int, name: str, purpose: str) -> FigureDraws:
    """Draws of a repeated run. ``purpose``: equal ones draw the same numbers."""
    counted = replications.counted
    values, samples = {}, {}
    for figure in COMPARED_FIGURES:
        sample = [each.figures.get(figure) for each in counted]
        # A figure that one replication does not support is none of the whole.
        if sample and None not in sample:
            samples[figure] = np.array(sample, float)
            values[figure] = float(samples[figure].mean())
    n, jobs = len(counted), (sum(each.completed for each in counted), sum(each.arrived for each in counted))
    if n < FEWEST_REPLICATIONS:
        why = f"{name}: {n} of its replications count, and {FEWEST_REPLICATIONS} are needed for an interval"
        return FigureDraws(values, {}, *jobs, remarks=(Remark("no_interval", why),))
    rng = Streams(seed).rng(f"{purpose} replications")
    directions = rng.normal(size=(DRAWS, n)) / np.sqrt(n * (n - 1))
    stretch = np.sqrt((n - 1) / rng.chisquare(n - 1, DRAWS))
    draws = {figure: _draw_mean(sample, directions, stretch) for figure, sample in samples.items()}
    if "failure_ratio" in samples:
        draws["failure_ratio"] = _draw_failures(samples["failure_ratio"], jobs[1], seed, name)
    note = Remark("from_replications", f"{name}: {n} replications")
    return FigureDraws(values, draws, *jobs, remarks=(note,))


def _draw_mean(sample: Floats, directions: Floats, stretch: Floats) -> Floats:
    mean = sample.mean()
    # Products are summed row by row and not by BLAS, whose order of adding depends on the machine.
    moved = (directions * (sample - mean)).sum(axis=1) * stretch
    return np.asarray(np.maximum(mean + moved, mean * 1e-9))


def _draw_failures(sample: Floats, jobs: int, seed: int, name: str) -> Floats:
    ratio = float(sample.mean())
    alone = ratio * (1 - ratio) / jobs
    inflation = float(sample.var(ddof=1)) / len(sample) / alone if alone else 1.0
    return draw_failure_ratio(ratio, jobs, inflation, seed, name)
