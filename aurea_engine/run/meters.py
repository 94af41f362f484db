"""What is known of the jobs that have ended, in fixed memory: counts, histograms, and the sums that rates are made of.

Theory of operation. Meters are fed batches of ended jobs, in any order and of any size. All that they hold is whole numbers
that are added, or an instant that is the least or the greatest of all. So they can be split and merged at will: the meters
of two sets of jobs, merged, are the meters of both sets together, to the last bit. That is why several processes can
measure one run, and why a run of ten million jobs keeps no more than a run of ten.

Two kinds of figures are out of their reach, because they depend on the *order* of the jobs: confidence intervals of means
(neighbouring jobs are alike, so the intervals come from means of batches), and a warm-up that is found in the data
(``warmup: "auto"``). `aurea_engine.results.summarize` works these out from the records, where records are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import Instants, JobBatch
from aurea_engine.records.exact_sums import summed
from aurea_engine.records.failure_classes import count_failures
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.measures import Mark
from aurea_engine.records.status_codes import STATUS, count_statuses
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
    ``good_within``: (metric, most) of each objective that binds a single job; a *good* job is within all of them.
    """

    warmup_ns: int = 0
    good_within: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, spec: RunSpec) -> CountingRules:
        """The rules of ``spec``, with the warm-up that is known before the run."""
        return cls(spec.warmup_ns, spec.good_within())

    def mask_good(self, jobs: JobBatch) -> NDArray[np.bool_]:
        """Mask of the jobs that completed within every bound of the objectives on single jobs."""
        # Only what completed can be good: a fast failure keeps no promise.
        good = jobs.was_served
        for metric, most in self.good_within:
            good = good & mask_within(metric, most, jobs)
        return good


@dataclass
class Meters:
    """All that is known of the jobs that have ended, under ``rules``.

    ``counts`` and ``good`` are of the whole run, ``counted`` of the jobs that were meant to start after the warm-up, the
    first of them at ``first_counted_ns``. ``times`` holds a histogram for each of `SPANS`, also without the warm-up. The
    figures ``…_in_window`` are of what happened after the warm-up. ``last_ns`` is when the last job ended, or was released.
    Of the job that was meant to start last, ``latest_intended_ns`` and ``latest_released_ns`` say when it was, and when it
    was released; of several at that instant, the one that was released last.

    ``reported`` holds a histogram for each of `measure_reports`, without the warm-up as ``times``; ``totals`` the sum of
    each measure over all jobs that reported it. ``statuses`` counts jobs by the code that they reported as `STATUS` (higher
    ones than `MOST_STATUS` together, one above it), ``failures`` by the class of their failure or timeout. ``groups`` holds
    meters of the jobs of each group alone.
    """

    # Rules are kept with what they were applied to, so that meters of different rules are never mixed up.
    rules: CountingRules = CountingRules()
    counts: Counter[Outcome] = field(default_factory=Counter)
    good: int = 0
    counted: Counter[Outcome] = field(default_factory=Counter)
    first_counted_ns: int | None = None
    times: dict[str, LatencyHistogram] = field(default_factory=lambda: {name: LatencyHistogram() for name in SPANS})
    reported: dict[str, LatencyHistogram] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    groups: dict[str, Meters] = field(default_factory=dict)
    finished_in_window: int = 0
    good_in_window: int = 0
    busy_in_window_ns: int = 0
    last_ns: int = 0
    latest_intended_ns: int = 0
    latest_released_ns: int = 0

    def feed(self, batch: JobBatch) -> None:
        """Take over jobs that have ended, each once, in any order."""
        if not len(batch):
            return  # an empty array has no maximum
        counted = _add_counts(self.counts, batch)
        if counted[Outcome.FAILED] or counted[Outcome.TIMED_OUT]:
            self.failures.update(count_failures(batch))
        self.last_ns = max(self.last_ns, int(batch.finished.max()), int(batch.released.max()))
        self._note_latest(batch)
        self._feed_window(batch)
        self._feed_reports(batch)
        # A job belongs to the warm-up by when it was *meant* to start. By its end, a slow job of the warm-up would count and
        # a fast one not, and the mean would be too high.
        if self.rules.warmup_ns:
            batch = batch.only(batch.intended >= self.rules.warmup_ns)
        if not len(batch):
            return
        # Where nobody says when releasing began, the offered rate counts from the first job that counts.
        self._note_first(int(batch.intended.min()))
        _add_counts(self.counted, batch)
        for metric, lasted in measure_times(batch).items():
            self.times[metric].record(lasted)
        for name, values in measure_reports(batch).items():
            self.reported.setdefault(name, LatencyHistogram()).record(values)

    def _feed_reports(self, batch: JobBatch) -> None:
        """Sums of measures, and the groups. Like the counts and the cost, these are of the whole run."""
        # What is not reported is −1, and adds nothing.
        if STATUS in batch.measures:
            self.statuses.update(count_statuses(batch.measures[STATUS]))
        for measure in batch.measures.keys() - {STATUS}:
            self.totals[measure.name] += summed(np.maximum(batch.measures[measure], 0))
        if batch.group is None:
            return
        # Sorted once and cut, so that the work does not grow with the number of groups. In 16 bits the sort is by counting,
        # five times as fast.
        group = batch.group.astype(np.int16) if len(batch.groups) < 2**15 else batch.group
        order = np.argsort(group, kind="stable")
        ends = np.searchsorted(group[order], np.arange(len(batch.groups)), side="right").tolist()
        # Jobs of no group are −1, and so before the first cut.
        first = int(np.searchsorted(group[order], 0))
        alike = replace(batch, group=None, groups=())
        for name, begin, end in zip(batch.groups, [first, *ends], ends, strict=False):
            part = alike[order[begin:end]]
            self.groups.setdefault(name, Meters(CountingRules(self.rules.warmup_ns))).feed(part)

    def _feed_window(self, batch: JobBatch) -> None:
        """What happened in the window. A job that was in service when the warm-up ended was busy in the window from then on,
        and if it was good, it finished in the window, although its times are in no histogram.
        """
        warmup, good, served = self.rules.warmup_ns, self.rules.mask_good(batch), batch.was_served
        started = batch.only(batch.was_started)
        count = int(good.sum())
        self.good += count
        if not warmup:  # everything is in the window: most runs, and half the work
            self.good_in_window += count
            self.finished_in_window += int(served.sum())
            self.busy_in_window_ns += summed(started.service_ns)
            return
        # Rates are of what *ended* inside the window, whenever it began: in a steady state as many jobs cross its beginning
        # as its end, and the rate comes out right.
        in_window = batch.finished >= warmup
        self.good_in_window += int((good & in_window).sum())
        self.finished_in_window += int((served & in_window).sum())
        # Only the part of the service inside the window; of a job that ended before the warm-up was over, nothing.
        begun = np.maximum(started.started, warmup)
        self.busy_in_window_ns += summed(np.maximum(started.finished - begun, 0))

    def _note_first(self, intended_ns: int) -> None:
        first = self.first_counted_ns
        self.first_counted_ns = intended_ns if first is None else min(first, intended_ns)

    def _note_latest(self, batch: JobBatch) -> None:
        # In real time batches come in the order of ends, so the latest job of a batch may be older than one seen before.
        latest = int(batch.intended.max())
        if latest < self.latest_intended_ns:
            return
        released = int(batch.released[batch.intended == latest].max())
        self._keep_latest(latest, released)

    def _keep_latest(self, intended: int, released: int) -> None:
        # Compared as pairs, so that it does not matter in which order jobs of one instant come.
        pair = max((self.latest_intended_ns, self.latest_released_ns), (intended, released))
        self.latest_intended_ns, self.latest_released_ns = pair

    def merge(self, other: Meters) -> None:
        """Take over all that ``other`` holds of *other* jobs of the same run. Raises ValueError under other rules."""
        if other.rules != self.rules:
            raise ValueError("meters under different rules count different things: they cannot be merged")
        # `Counter.update` adds, where that of a dict would replace.
        self.counts.update(other.counts)
        self.counted.update(other.counted)
        self.good += other.good
        self.good_in_window += other.good_in_window
        self.finished_in_window += other.finished_in_window
        self.busy_in_window_ns += other.busy_in_window_ns
        self.last_ns = max(self.last_ns, other.last_ns)
        self._keep_latest(other.latest_intended_ns, other.latest_released_ns)
        if other.first_counted_ns is not None:
            self._note_first(other.first_counted_ns)
        for metric, histogram in other.times.items():
            self.times[metric].merge(histogram)
        self.totals.update(other.totals)
        self.statuses.update(other.statuses)
        self.failures.update(other.failures)
        # What only one of them has seen, such as a group of which no job has ended elsewhere, is taken over.
        for name, histogram in other.reported.items():
            self.reported.setdefault(name, LatencyHistogram()).merge(histogram)
        for name, meters in other.groups.items():
            self.groups.setdefault(name, Meters(meters.rules)).merge(meters)

    def copy(self) -> Meters:
        """Independent meters of the same jobs."""
        # Merging adds what is given to what is there without keeping hold of it: nothing is shared afterwards.
        twin = Meters(self.rules)
        twin.merge(self)
        return twin


def _add_counts(counts: Counter[Outcome], batch: JobBatch) -> list[int]:
    """Adds the jobs of ``batch`` to ``counts``. Returns their numbers by outcome."""
    # One pass for all outcomes. Zeros are left out, so that equal counts are equal whatever batches they came in.
    counted: list[int] = np.bincount(batch.outcome, minlength=len(Outcome)).tolist()
    for outcome, n in enumerate(counted):
        if n:
            counts[Outcome(outcome)] += n
    return counted
