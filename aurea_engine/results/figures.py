"""The figures of a run, computed once from its parts. Everything that judges or shows a run takes them from here.

Counts, sums and rates always come from the meters. Records are only asked for what needs single jobs in their order: exact
quantiles, confidence intervals by batch means, and a warm-up that is found in the data (MSER-5). Such a warm-up was not
known while the run was metered, so the meters are then made again from the records, by the same code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from aurea_engine.closed_sets import FINAL, Outcome
from aurea_engine.records.batch import NS, JobBatch
from aurea_engine.records.measures import Measure
from aurea_engine.results.result import Counts
from aurea_engine.results.statistics import Timing, find_warmup_mser5, summarize_histogram, summarize_values
from aurea_engine.results.step_figures import StepFigures, work_out_step_figures
from aurea_engine.run.job_times import CountingRules, measure_times
from aurea_engine.run.meters import Meters
from aurea_engine.run.parts import RunParts
from aurea_engine.spec import RunSpec


@dataclass(frozen=True)
class Figures:
    """``meters`` are under the warm-up that holds; ``counted`` are the jobs that were meant to start after it, and ``times``
    are of these. ``jobs`` are all records, None if none were kept. ``is_steady``: whether the warm-up that was asked for
    could be found.

    The window is that of all jobs (``ended_ns`` is when the last of them ended), and stays open until releasing ended.
    """

    spec: RunSpec
    meters: Meters
    times: Mapping[str, Timing]
    jobs: JobBatch | None
    ended_ns: int
    release_end_ns: int | None
    is_steady: bool
    steps: StepFigures | None = None

    @property
    def warmup_ns(self) -> int:
        """What was left out of the window, ns."""
        return self.meters.rules.warmup_ns

    @property
    def closed_ns(self) -> int:
        """When the last job had ended and nothing was released any more, ns."""
        return max(self.ended_ns, self.release_end_ns or 0)

    @property
    def window(self) -> tuple[float, float]:
        """(begin, end), s. It never ends before it begins, also where the warm-up is longer than the run."""
        return self.warmup_ns / NS, max(self.closed_ns, self.warmup_ns) / NS

    @property
    def length(self) -> float:
        """Of the window, s."""
        return (max(self.closed_ns, self.warmup_ns) - self.warmup_ns) / NS

    @property
    def counted(self) -> Counts:
        """The jobs that were meant to start after the warm-up."""
        return count_outcomes(self.meters.counted)

    @property
    def throughput(self) -> float | None:
        """Completed jobs per second of the window."""
        # By when jobs end, not by when they arrive: what leaves the system in a second is its throughput.
        return self.meters.finished_in_window / self.length if self.length else None

    @property
    def goodput(self) -> float | None:
        """Good jobs per second of the window."""
        return self.meters.good_in_window / self.length if self.length else None

    @property
    def mean_concurrency(self) -> float | None:
        """Jobs in service, averaged over the window."""
        # The integral of the jobs in service is the sum of their service times inside the window (Little 1961).
        return self.meters.busy_in_window_ns / NS / self.length if self.length else None

    @property
    def utilization(self) -> float | None:
        """The share of the slots' time in the window in which they were busy; None without a number of slots."""
        slots = self.spec.scheduler.slots
        return self.meters.busy_in_window_ns / NS / (slots * self.length) if slots and self.length else None

    @property
    def offered_rate(self) -> float | None:
        """Arrivals per second of the time in which they were released: n ÷ (n·gap), never n ÷ ((n − 1)·gap).

        Where nobody says when releasing ended, n − 1 of them took from the first to the last; one alone has the window.
        """
        arrived = self.counted.arrived
        # A fencepost: between n arrivals there are n − 1 gaps, and the last of n gaps ends after the last arrival.
        if self.release_end_ns is not None:
            span = (self.release_end_ns - self.warmup_ns) / NS
        elif arrived > 1:
            first = self.meters.first_counted_ns or 0
            arrived, span = arrived - 1, (self.meters.latest_intended_ns - first) / NS
        else:
            span = self.length
        return arrived / span if span > 0 else None

    def counted_jobs(self) -> JobBatch | None:
        """The records of the jobs that were meant to start after the warm-up."""
        if self.jobs is None or not self.warmup_ns:
            return self.jobs
        return self.jobs.only(self.jobs.intended >= self.warmup_ns)

    def meters_of(self, group: str) -> Meters:
        """The meters of one group: of the jobs of a branch, or of a step."""
        # A group of which no job came has no meters, and is in the result with counts of 0.
        steps = self._steps_of(group)
        whole = self.meters if steps is None else steps.meters
        return whole.groups.get(group) or Meters(whole.rules)

    def counted_of(self, group: str) -> JobBatch | None:
        """The records of one group, after the warm-up; None if none were kept."""
        steps = self._steps_of(group)
        jobs = self.counted_jobs() if steps is None else steps.counted
        # A run in which no job ended has no groups.
        return jobs if jobs is None else jobs[:0] if jobs.group is None else jobs.of_group(group)

    def _steps_of(self, group: str) -> StepFigures | None:
        return self.steps if group in self.spec.workload.schema.steps else None


def work_out_figures(spec: RunSpec, parts: RunParts) -> Figures:
    """All figures of a run that has ended."""
    jobs, drained = parts.records, parts.status == "completed"
    warmup_ns, is_steady = _find_warmup(spec, jobs)
    meters = _count_under(
        replace(CountingRules.of(spec), warmup_ns=warmup_ns), parts, spec.workload.schema.run_measures
    )
    # A run that was ended has no last job: its window closes when it was ended, whatever was still to be released.
    figures = Figures(
        spec,
        meters,
        {},
        jobs,
        meters.last_ns if drained else parts.elapsed_ns,
        parts.release_end_ns if drained else None,
        is_steady,
        work_out_step_figures(parts.steps, warmup_ns),
    )
    return _with_times(figures)


def work_out_figures_so_far(spec: RunSpec, parts: RunParts) -> Figures:
    """The figures of the jobs that have ended in a run that has not: without records, and without a warm-up that only the
    end can tell. It takes less than a millisecond, since the generator waits for it.
    """
    rules = parts.meters.rules
    steps = work_out_step_figures(parts.steps, rules.warmup_ns)
    figures = Figures(spec, parts.meters, {}, None, parts.elapsed_ns, None, True, steps)
    return _with_times(figures)


def _count_under(rules: CountingRules, parts: RunParts, of_run: Iterable[Measure]) -> Meters:
    """The meters of the run under ``rules``: its own, or made again from the records where it was metered under others.

    That is so where the warm-up was found afterwards, and where a stored run is judged by other objectives.
    """
    # Nearly always: a warm-up in seconds and the objectives were known when the run was metered.
    if parts.meters.rules == rules:
        return parts.meters
    if parts.records is None:
        raise ValueError("these parts were measured with another warm-up or other objectives, and have no records")
    meters = Meters(rules)
    meters.feed(parts.records)
    meters.take_run_measures(parts.meters, of_run)
    return meters


def _with_times(figures: Figures) -> Figures:
    return replace(figures, times=summarize_times(figures.meters, figures.counted_jobs()))


def summarize_times(meters: Meters, counted: JobBatch | None) -> dict[str, Timing]:
    """Every kind of time: of the rows in ``counted``, and where none were kept, of the histograms of ``meters``."""
    if counted is None:
        return {metric: summarize_histogram(histogram) for metric, histogram in meters.times.items()}
    return {metric: summarize_values(lasted) for metric, lasted in measure_times(counted).items()}


def _find_warmup(spec: RunSpec, jobs: JobBatch | None) -> tuple[int, bool]:
    """(ns to leave out, whether a steady state was found)."""
    if spec.warmup != "auto":
        return spec.warmup_ns, True
    if jobs is None:
        return 0, False
    served = jobs[jobs.was_served]
    # The cut is a number of jobs. What is left out is a stretch of time, so that arrivals and busy time are cut alike.
    cut = find_warmup_mser5(served.response_ns)
    if cut >= len(served):
        return 0, False
    return int(served.intended[cut]) if cut else 0, True


def count_outcomes(counts: Mapping[Outcome, int]) -> Counts:
    """Counts by outcome as a result has them."""
    each = {outcome.name.lower(): counts.get(outcome, 0) for outcome in FINAL}
    return Counts(arrived=sum(each.values()), **each)
