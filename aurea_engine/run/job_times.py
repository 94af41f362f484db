"""Kinds of time, and what jobs report, as arrays over the columns of a batch; and which jobs count, and which are good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import Instants, JobBatch
from aurea_engine.records.measures import Mark
from aurea_engine.records.status_codes import STATUS
from aurea_engine.spec import RunSpec, split_metric


class Span(NamedTuple):
    """A kind of time: it passes between two columns of a record, and is reported ``of`` some of the jobs."""

    begins: str
    ends: str
    of: Literal["completed", "released", "failed"] = "completed"


# The one place where the name of a kind of time (in objectives, results and JSON) meets the columns of a record. Marks and
# measures, which jobs declare themselves, come in by `measure_reports`.
SPANS: Mapping[str, Span] = {
    "response_time": Span("intended", "finished"),
    "waiting_time": Span("intended", "started"),
    "service_time": Span("started", "finished"),
    "lag": Span("intended", "released", "released"),
    # Kept apart from the response times, since a fast error must not make a p99 look good.
    "failure_time": Span("intended", "finished", "failed"),
}


def measure_span(metric: str, jobs: JobBatch) -> Instants:
    """How long ``metric`` lasted for each of ``jobs``, in ns. Means something only for jobs that have both instants."""
    # Instants are stored, durations derived: a difference of two columns, never a column of its own.
    span = SPANS[metric]
    lasted: Instants = getattr(jobs, span.ends) - getattr(jobs, span.begins)
    return lasted


def measure_reports(jobs: JobBatch) -> dict[str, Instants]:
    """What completed jobs reported, each of those that reported it: amounts of measures by name, and for each mark the times
    from the intended start (by its name) and from the start (`name_from_start`), in ns.
    """
    # A job that failed may have reported something before. It is in the totals, which are paid for, but not in quantiles: a
    # first byte of an answer that never came is no figure of the service.
    if not (jobs.marks or jobs.measures):
        return {}
    served, values = jobs.only(jobs.was_served), dict[str, Instants]()
    for mark, at in served.marks.items():
        came = at >= 0
        values[mark.name] = (at - served.intended)[came]
        values[name_from_start(mark)] = (at - served.started)[came]
    for measure in served.measures.keys() - {STATUS}:
        values[measure.name] = (amounts := served.measures[measure])[amounts >= 0]
    return values


def name_from_start(mark: Mark) -> str:
    """Under which the times of a mark from the start of the service are metered. No column has a slash in its name."""
    return f"{mark.name}/from_start"


def mask_within(metric: str, most: int, jobs: JobBatch) -> NDArray[np.bool_]:
    """Mask of ``jobs`` that an objective on ``metric`` finds within ``most``; what was not reported never is."""
    group, figure = split_metric(metric)
    # An objective on a group binds no job of another group: those are within it.
    if group is not None:
        in_group = np.zeros(len(jobs), bool) if jobs.group is None else jobs.group == jobs.groups.index(group)
        return ~in_group | mask_within(figure, most, jobs)
    if figure in SPANS:
        return measure_span(figure, jobs) <= most
    if figure in [mark.name for mark in jobs.marks]:
        at = jobs.mark(figure)
        return (at >= 0) & (at - jobs.intended <= most)
    amounts = jobs.measure(figure)
    return (amounts >= 0) & (amounts <= most)


def mask_from(metric: str, least: int, jobs: JobBatch) -> NDArray[np.bool_]:
    """Mask of ``jobs`` that reported ``least`` or more of the measure ``metric``."""
    group, figure = split_metric(metric)
    if group is not None:
        in_group = np.zeros(len(jobs), bool) if jobs.group is None else jobs.group == jobs.groups.index(group)
        return ~in_group | mask_from(figure, least, jobs)
    return jobs.measure(figure) >= max(least, 0)  # what was not reported is -1


def mask_failed(jobs: JobBatch) -> NDArray[np.bool_]:
    """Mask of the jobs that were in service and did not complete: failed or timed out."""
    return np.asarray((jobs.outcome == Outcome.FAILED) | (jobs.outcome == Outcome.TIMED_OUT))


def measure_times(jobs: JobBatch) -> dict[str, Instants]:
    """Every kind of time of `SPANS`, in ns and in the order of ``jobs``, each of the jobs that it is reported of."""
    # The three choices are made once each. Of a batch in which all completed, the usual case, `only` copies nothing.
    chosen = {
        "completed": jobs.only(jobs.was_served),
        "released": jobs.only(jobs.released >= 0),
        "failed": jobs[mask_failed(jobs)],
    }
    return {metric: measure_span(metric, chosen[span.of]) for metric, span in SPANS.items()}


@dataclass(frozen=True)
class CountingRules:
    """Which jobs count, as the specification says. ``warmup_ns``: jobs meant to start before it are in no time and no rate.
    ``good_within``: (metric, most) of each objective that binds a single job, ``good_from``: (metric, least) of each that
    asks for so much of a measure; a *good* job is within all of them.
    """

    warmup_ns: int = 0
    good_within: tuple[tuple[str, int], ...] = ()
    good_from: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, spec: RunSpec) -> CountingRules:
        """The rules of ``spec``, with the warm-up that is known before the run."""
        return cls(spec.warmup_ns, spec.good_within(), spec.good_from())

    @property
    def binds_jobs(self) -> bool:
        """Whether a job that completed can be no good one."""
        return bool(self.good_within or self.good_from)

    def mask_good(self, jobs: JobBatch) -> NDArray[np.bool_]:
        """Mask of the jobs that completed within every bound of the objectives on single jobs."""
        # Only what completed can be good: a fast failure keeps no promise.
        good = jobs.was_served
        for metric, most in self.good_within:
            good = good & mask_within(metric, most, jobs)
        for metric, least in self.good_from:
            good = good & mask_from(metric, least, jobs)
        return good
