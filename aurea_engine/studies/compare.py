"""Is run B slower than run A, or was it chance? `compare` answers with a word for each figure and for the whole.

Every figure gets its shift from A to B and an interval of it. Where the whole interval is above the tolerance the figure is
``worse``, below ``better``, within it ``same``, and else it is ``inconclusive``: more jobs, or replications, are needed.
No answer is taken from the figures alone, and no difference is called none because it was not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from aurea_engine.closed_sets import COMPARED_FIGURES, ComparisonWord
from aurea_engine.errors import Problem, SpecError
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.quantiles import count_samples_needed
from aurea_engine.results.comparison import Comparison, Effect, LeftOut, Remark
from aurea_engine.results.result import RunResult
from aurea_engine.studies.comparability import find_obstacles, note_differences
from aurea_engine.studies.figure_draws import QUANTILES, FigureDraws
from aurea_engine.studies.histogram_draws import draw_from_histograms
from aurea_engine.studies.record_draws import Recorded, are_paired, draw_alone, draw_together
from aurea_engine.studies.replication_draws import draw_from_replications, have_equal_seeds
from aurea_engine.studies.shifts import Shift, find_shift, judge_shifts, judge_whole

TOLERANCE = 0.03
"""The default. Two runs of one program on one machine, one after the other, differ by 1 or 2 % for reasons that nobody finds
(pages of memory, clock rates, the order of linking: Mytkowicz et al., ASPLOS 2009). A smaller tolerance asks about these.
"""

FEWEST_JOBS = 100
"""Jobs of each run, below which a figure of them is not decided: too few blocks of neighbours to know their spread."""


_UNDECIDED = frozenset({"too_few_jobs", "no_steady_state", "no_interval", "nothing_to_compare"})


def compare(
    a: RunResult, b: RunResult, tolerance: float = TOLERANCE, *, anyway: bool = False, seed: int = 0
) -> Comparison:
    """Run ``b`` against run ``a``. ``tolerance``: the shift up to which a figure is the same, relative to A (of the failure
    ratio absolute); 0.03 is 3 %. ``anyway``: judge also what cannot be compared. ``seed``: of the bootstrap.

    Results should have their records, as those of a run here or of a run file do; else histograms are compared, and a note
    says what that costs. Raises `SpecError` for a tolerance that is none.
    """
    check_tolerance(tolerance)
    obstacles, notes = list(find_obstacles(a, b)), list(note_differences(a, b))
    ours, theirs, paired = _draw_both(a, b, seed)
    if paired:
        notes.append(Remark("same_arrivals", "jobs arrived at the same instants: what both runs share cancels out"))
    shifts, left_out = _find_shifts(ours, theirs, a.cost.currency != b.cost.currency)
    remarks = [*ours.remarks, *theirs.remarks, *_find_doubts(ours, theirs, shifts)]
    # Two things that cannot be compared: the figures are shown, and nothing is said of them.
    figures = judge_shifts(shifts, tolerance, decides=anyway or not obstacles)
    return Comparison(
        word=_limit_whole(judge_whole(figures), remarks),
        comparable=not obstacles,
        reasons=(*obstacles, *(each for each in remarks if each.code in _UNDECIDED)),
        notes=(*notes, *(each for each in remarks if each.code not in _UNDECIDED)),
        tolerance=tolerance,
        names=(a.benchmark_id, b.benchmark_id),
        figures=tuple(figures),
        left_out=tuple(left_out),
        effect=_find_effect(a, b),
        currency=b.cost.currency if any(each.figure == "cost_per_million" for each in figures) else None,
    )


def check_tolerance(tolerance: float) -> None:
    """Raises `SpecError` unless it is a share, from 0 up."""
    # A hundred per cent: whoever has more in mind asks something else.
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance <= 1:
        raise SpecError(
            [Problem("tolerance", "must be a number from 0 to 1, such as 0.03 for 3 %", repr(tolerance)[:40])]
        )


def _limit_whole(word: ComparisonWord, remarks: list[Remark]) -> ComparisonWord:
    """With too few completed jobs nobody knows of times: that as many failed in both makes no two runs the same."""
    few = any(each.code == "too_few_jobs" for each in remarks)
    return "inconclusive" if few and word in ("same", "better") else word


def _draw_both(a: RunResult, b: RunResult, seed: int) -> tuple[FigureDraws, FigureDraws, bool]:
    """Draws of both runs, and whether they were drawn in pairs."""
    if a.replications is not None and b.replications is not None:
        paired = have_equal_seeds(a.replications, b.replications)
        ours_drawn, theirs_drawn = (
            _draw_one(each, None, seed, name, paired=paired) for each, name in ((a, "A"), (b, "B"))
        )
        return ours_drawn, theirs_drawn, paired
    ours, theirs = (None if each.jobs is None else Recorded.of(each, each.jobs) for each in (a, b))
    if ours is not None and theirs is not None and are_paired(ours, theirs):
        return *draw_together(ours, theirs, seed), True
    return _draw_one(a, ours, seed, "A"), _draw_one(b, theirs, seed, "B"), False


def _draw_one(
    result: RunResult, recorded: Recorded | None, seed: int, name: str, *, paired: bool = False
) -> FigureDraws:
    """Draws from the best that is left of a run."""
    if result.replications is not None:
        purpose = "pair" if paired else name
        return draw_from_replications(result.replications, seed, name, purpose)
    return draw_from_histograms(result, seed, name) if recorded is None else draw_alone(recorded, seed, name)


def _find_shifts(ours: FigureDraws, theirs: FigureDraws, currencies: bool) -> tuple[list[Shift], list[LeftOut]]:
    shifts, left_out = [], []
    for figure in COMPARED_FIGURES:
        why = _explain_absence(figure, ours, theirs)
        if figure == "cost_per_million" and currencies and why is None:
            why = "the bills are in different currencies"
        a, b = ours.values.get(figure), theirs.values.get(figure)
        if why is not None or a is None or b is None:
            left_out.append(LeftOut(figure, why or ""))
            continue
        both = (ours.draws[figure], theirs.draws[figure]) if figure in ours.draws.keys() & theirs.draws.keys() else None
        shift = find_shift(figure, a, b, both, max(ours.slack, theirs.slack))
        if shift is None:
            left_out.append(
                LeftOut(figure, "it is 0 in both" if b == 0 else "it is 0 in A, so there is no relative shift")
            )
        else:
            few = min(each.count_jobs(figure) for each in (ours, theirs)) < FEWEST_JOBS
            shifts.append(replace(shift, few=few))
    return shifts, left_out


def _explain_absence(figure: str, ours: FigureDraws, theirs: FigureDraws) -> str | None:
    """Why a figure is not compared; None if both runs have it."""
    absent = [name for name, each in (("A", ours), ("B", theirs)) if figure not in each.values]
    if not absent:
        return None
    who = "neither run has" if len(absent) == 2 else f"{absent[0]} has no"
    q = QUANTILES.get(figure)
    needs = "" if q is None else f", which takes {count_samples_needed(q)} completed jobs"
    return f"{who} {figure}{needs}"


def _find_doubts(ours: FigureDraws, theirs: FigureDraws, shifts: list[Shift]) -> Iterator[Remark]:
    for name, each in (("A", ours), ("B", theirs)):
        if each.completed < FEWEST_JOBS:
            yield Remark(
                "too_few_jobs",
                f"{name} has {each.completed} completed jobs: at least {FEWEST_JOBS} decide a figure of them",
            )
    if not shifts:
        yield Remark("nothing_to_compare", "there is no figure that both runs have")


def _find_effect(a: RunResult, b: RunResult) -> Effect | None:
    """How likely a job of B takes longer than one of A, by histograms: within 0.4 % two times are a tie."""
    ours, theirs = (each.histograms.get("response_time", LatencyHistogram()) for each in (a, b))
    if not ours.count or not theirs.count:
        return None
    (at, counts), (their_at, their_counts) = (each.list_filled() for each in (ours, theirs))
    below = np.concatenate([[0], np.cumsum(counts)])
    # For each bucket of B: the jobs of A in lower buckets, and half of those in the same one.
    slower = below[np.searchsorted(at, their_at, "left")] + below[np.searchsorted(at, their_at, "right")]
    return Effect.of(float((slower / 2 * their_counts).sum()) / ours.count / theirs.count)
