"""Draws of the figures of a run whose records are there: blocks of neighbouring jobs, drawn again.

Everything that a job has a share in is drawn by blocks of jobs in the order of arrival: times, failures, costs. A quantile
is not worked out anew for every draw. The share of jobs in a draw that are at or below the observed quantile says how much
the draw's distribution has moved there, and the quantile moves as far the other way through the sorted times (Woodruff
1952; Bahadur 1966).

**Throughput** is no share of jobs: a run of N jobs has N of them in every draw. What varies is when they come. The window is
cut into stretches of equal time, and blocks of these are drawn with the jobs that completed in them. So an open model's
throughput is as uncertain as its arrivals are: 1/√N for a Poisson process, next to nothing for a constant rate.

**Cost** is what jobs cost by themselves, drawn with them, and the rest of the bill (fleets, minimum periods), which is taken
as proportional to time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs import job_costs
from aurea_engine.records.batch import NS, Floats, Instants, JobBatch
from aurea_engine.results.comparison import Remark
from aurea_engine.results.result import RunResult
from aurea_engine.studies.block_bootstrap import (
    BlockLength,
    Blocks,
    choose_block_length,
    choose_row_size,
    limit_length,
    sum_rows,
)
from aurea_engine.studies.figure_draws import (
    QUANTILES,
    FigureDraws,
    draw_failure_ratio,
    find_values,
    move_probability,
)

UNSTEADY = "it drifts, so its jobs are hardly a sample of anything: compare replications (--repeat 10)"

_JOBS_A_STRETCH = 8
_STRETCHES = (16, 4096)
"""Fewest and most stretches of time."""


@dataclass(frozen=True)
class Recorded:
    """The records of one run as rows of sums, made ready to be drawn. ``ordered``: response times of the completed jobs, ns,
    rising; ``columns``: sums over neighbouring jobs; ``finishes``: completed jobs by stretch of the window; ``own_cost``:
    the share of the bill that jobs have by themselves.
    """

    result: RunResult
    intended: Instants
    ordered: Instants
    columns: dict[str, Floats]
    finishes: Floats
    own_cost: float
    job_blocks: BlockLength
    time_blocks: BlockLength

    @classmethod
    def of(cls, result: RunResult, jobs: JobBatch) -> Recorded | None:
        """None if no job was meant to start after the warm-up."""
        is_counted = np.asarray(jobs.intended >= round(result.window[0] * NS))
        counted = jobs.only(is_counted)
        if not len(counted):
            return None
        ordered = np.sort(counted.response_ns[counted.was_served])
        # A job without a cost of its own has NaN.
        costs = np.nan_to_num(np.array(job_costs(result.spec.cost, jobs)))
        total = float(result.cost.total or 0)
        columns = _sum_columns(counted, ordered, costs[is_counted])
        finishes = _count_finishes(jobs, result.window)
        return cls(
            result,
            counted.intended,
            ordered,
            columns,
            finishes,
            min(float(costs.sum()) / total, 1.0) if total else 1.0,
            choose_block_length(columns["response"]),
            choose_block_length(finishes),
        )

    @property
    def failure_ratio(self) -> float | None:
        """Of the jobs after the warm-up."""
        ended = float(self.columns["ended"].sum())
        return float(self.columns["bad"].sum()) / ended if ended else None


def are_paired(a: Recorded, b: Recorded) -> bool:
    """Whether job i of one belongs to job i of the other: they arrived at the same instants, as with equal seeds they do.

    Then what is common to both (common random numbers) cancels in the shift, whether the jobs themselves are alike or not.
    """
    return np.array_equal(a.intended, b.intended)


def draw_together(a: Recorded, b: Recorded, seed: int) -> tuple[FigureDraws, FigureDraws]:
    """Draws of two runs whose jobs belong together: the same blocks of both."""
    lengths = tuple(max(x.rows, y.rows) for x, y in ((a.job_blocks, b.job_blocks), (a.time_blocks, b.time_blocks)))
    return _draw(a, lengths, seed, "pair", "A"), _draw(b, lengths, seed, "pair", "B")


def draw_alone(run: Recorded, seed: int, name: str) -> FigureDraws:
    """Draws of one run, independent of those of a run of another ``name``."""
    return _draw(run, (run.job_blocks.rows, run.time_blocks.rows), seed, name, name)


def _draw(run: Recorded, lengths: tuple[int, ...], seed: int, purpose: str, name: str) -> FigureDraws:
    jobs = Blocks(len(run.columns["served"]), lengths[0], seed, f"{purpose} jobs")
    # The stretches of the other run of a pair may be many more, and its blocks longer than all of these.
    stretches = len(run.finishes)
    time = Blocks(stretches, limit_length(lengths[1], stretches), seed, f"{purpose} time")
    drawn, stretch = jobs.draw(run.columns), jobs.draw_stretch()
    throughput = _stretch(time.draw({"finishes": run.finishes})["finishes"], time.draw_stretch())
    values, draws = find_values(run.result, run.failure_ratio), {}
    if "response_time.mean" in values:
        mean = _stretch(_divide(drawn["response"], drawn["served"]), stretch)
        draws["response_time.mean"] = values["response_time.mean"] * mean
    for figure, q in QUANTILES.items():
        if figure in values:
            share = float(run.columns[figure].sum()) / len(run.ordered)
            shares = share * _divide(drawn[figure], drawn["served"])
            draws[figure] = _draw_quantiles(run.ordered, q, share, shares, stretch)
    if "throughput" in values:
        draws["throughput"] = values["throughput"] * throughput
    if "failure_ratio" in values:
        draws["failure_ratio"] = _draw_failures(run, drawn, values["failure_ratio"], seed, name)
    if "cost_per_million" in values:
        by_job = _stretch(_divide(drawn["cost"], drawn["served"]), stretch)
        cost = run.own_cost * by_job + (1 - run.own_cost) / throughput
        draws["cost_per_million"] = values["cost_per_million"] * cost
    remarks = () if run.job_blocks.steady else (Remark("no_steady_state", f"{name}: {UNSTEADY}"),)
    return FigureDraws(values, draws, len(run.ordered), round(run.columns["ended"].sum()), remarks=remarks)


def _divide(sums: Floats, counts: Floats) -> Floats:
    """NaN for a draw without any such job, as there may be where all of them came in a row: it tells nothing."""
    return np.asarray(np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0))


def _stretch(relative: Floats, stretch: Floats) -> Floats:
    """Draws about 1, their distance from it stretched; a figure that cannot be below 0 stays above it."""
    return np.maximum(1 + (relative - 1) * stretch, 1e-9)


def _draw_quantiles(ordered: Instants, q: float, share: float, drawn: Floats, stretch: Floats) -> Floats:
    """Quantile ``q`` of each draw, s. ``share`` of the jobs are at or below the observed one, and ``drawn`` in each draw,
    NaN if there are none in it.
    """
    n, is_empty = len(ordered), np.isnan(drawn)
    drawn = np.where(is_empty, share, drawn)
    moved = (_find_log_odds(drawn, n) - _find_log_odds(np.array(share), n)) * stretch
    ranks = np.ceil(move_probability(q, -moved) * n - 1e-9 * n).astype(np.int64)
    values = ordered[np.clip(ranks, 1, n) - 1] / NS
    # From the largest of the sample on nothing is known of how far the quantile might go, unless all are alike there.
    return np.where(is_empty, np.nan, np.where((ranks >= n) & (moved != 0), np.inf, values))


def _find_log_odds(share: Floats, n: int) -> Floats:
    inside = np.clip(share, 0.5 / n, 1 - 0.5 / n)
    return np.asarray(np.log(inside / (1 - inside)))


def _draw_failures(run: Recorded, drawn: dict[str, Floats], ratio: float, seed: int, purpose: str) -> Floats:
    jobs = float(run.columns["ended"].sum())
    spread = float(np.nanstd(_divide(drawn["bad"], drawn["ended"]) * ratio))
    alone = ratio * (1 - ratio) / jobs
    # How many jobs that fail together are worth one that fails alone.
    return draw_failure_ratio(ratio, jobs, spread**2 / alone if alone else 1.0, seed, purpose)


def _sum_columns(counted: JobBatch, ordered: Instants, costs: Floats) -> dict[str, Floats]:
    size, n = choose_row_size(len(counted)), len(ordered)
    served, response = counted.was_served, counted.response_ns
    cancelled = np.asarray(counted.outcome == Outcome.CANCELLED)
    columns = {
        "served": sum_rows(served, size),
        "response": sum_rows(np.where(served, response, 0), size),
        "ended": sum_rows(~cancelled, size),
        "bad": sum_rows(~cancelled & ~served, size),
        "cost": sum_rows(costs, size),
    }
    # Where every job failed there is no quantile.
    for name, q in QUANTILES.items() if n else ():
        rank = int(np.ceil(q * n - 1e-9 * n))
        columns[name] = sum_rows(served & (response <= ordered[max(rank, 1) - 1]), size)
    return columns


def _count_finishes(jobs: JobBatch, window: tuple[float, float]) -> Floats:
    """Completed jobs in each of equal stretches of the window, by when they ended."""
    finished = jobs.finished[jobs.was_served] / NS
    stretches = int(np.clip(len(finished) // _JOBS_A_STRETCH, *_STRETCHES))
    counts, _ = np.histogram(finished, stretches, (window[0], max(window[1], window[0] + 1e-9)))
    return counts.astype(float)
