"""Our own figures of the same requests, for the first column of a parity table."""

from __future__ import annotations

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import Instants, JobBatch
from aurea_engine.results.parity.summaries import STATISTICS, Report
from aurea_engine.results.result import RunResult
from aurea_engine.results.statistics import summarize_values

MEASURED = {"token_gap": 1000.0, "output_rate": 1.0}
"""Measures that are figures of the table, and how many of the table's units are one of theirs."""


def report_ours(result: RunResult, rows: JobBatch, *, are_all: bool) -> Report:
    """Every figure by (figure, statistic), in the units of the table. ``are_all``: rows are all jobs of the run. Of some of
    them, and of turns of conversations, it has no rates and no goodput of its own.
    """
    answered = rows.only(rows.was_served)
    times = {
        "first_token_time": _since_intended(answered, "first_token"),
        "first_answer_time": _since_intended(answered, "first_answer"),
        "end_to_end": answered.response_ns,
    }
    report: dict[tuple[str, str], float | None] = {}
    for figure, values in times.items():
        report |= _spread(figure, values, 10**9, 1000.0)
    for measure, column in answered.measures.items():
        if measure.name in MEASURED:
            report |= _spread(measure.name, column[column >= 0], measure.scale, MEASURED[measure.name])
    gaps = result.histograms.get("frame_gap")
    if gaps is not None and gaps.count:
        at = {"mean": gaps.mean, "p50": gaps.quantile(0.5), "p99": gaps.quantile(0.99)}
        report |= {("frame_gap", name): value * 1000 for name, value in at.items()}
    return report | {(name, ""): value for name, value in _count(result, rows, answered, are_all).items()}


def _since_intended(rows: JobBatch, mark: str) -> Instants:
    at = rows.mark(mark)
    since: Instants = (at - rows.intended)[at >= 0]
    return since


def _spread(figure: str, values: Instants, scale: int, unit: float) -> dict[tuple[str, str], float | None]:
    timing = summarize_values(values, scale)
    at = {name: timing.quantile(name) for name in STATISTICS}
    return {(figure, name): None if value is None else value * unit for name, value in at.items()}


def _count(result: RunResult, rows: JobBatch, answered: JobBatch, are_all: bool) -> dict[str, float | None]:
    begin, end = result.window
    length = end - begin
    spent = int(np.maximum(answered.measure("output_tokens"), 0).sum())
    asked = int(np.maximum(answered.measure("input_tokens"), 0).sum())
    failed = (rows.outcome == Outcome.FAILED) | (rows.outcome == Outcome.TIMED_OUT)
    # Without an objective on single requests every answer is good, and the figure says nothing.
    is_judged = result.spec.binds_jobs and are_all
    peak, rate = result.concurrency.peak, len(answered) / length if length else None
    return {
        "requests_answered": float(len(answered)),
        "requests_failed": float(failed.sum()),
        "duration": length,
        "request_rate": result.throughput if are_all else rate,
        "output_token_rate": spent / length if length else None,
        "token_rate": (asked + spent) / length if length else None,
        "goodput": result.goodput if is_judged else None,
        "good_share": result.good / result.counts.arrived if is_judged and result.counts.arrived else None,
        "peak_concurrency": None if peak is None or not are_all else float(peak),
    }
