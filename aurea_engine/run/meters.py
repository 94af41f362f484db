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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import JobBatch
from aurea_engine.records.exact_sums import summed
from aurea_engine.records.failure_classes import count_failures
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.measures import Measure
from aurea_engine.records.status_codes import STATUS, count_statuses
from aurea_engine.run.job_times import SPANS, CountingRules, measure_reports, measure_times


@dataclass
class Meters:
    """All that is known of the jobs that have ended, under ``rules``.

    ``counts`` and ``good`` are of the whole run, ``counted`` of the jobs that were meant to start after the warm-up, the
    first of them at ``first_counted_ns``. ``times`` holds a histogram for each of `SPANS`, also without the warm-up. The
    figures ``…_in_window`` are of what happened after the warm-up. ``last_ns`` is when the last job ended, or was released.
    Of the job that was meant to start last, ``latest_intended_ns`` and ``latest_released_ns`` say when it was, and when it
    was released; of several at that instant, the one that was released last.

    ``reported`` holds a histogram for each of `measure_reports`, without the warm-up as ``times``; ``totals`` the sum of
    each measure over all jobs that reported it, ``window_totals`` over those that completed in the window. ``statuses``
    counts jobs by the code that they reported as `STATUS` (higher ones than `MOST_STATUS` together, one above it),
    ``failures`` by the class of their failure or timeout. ``groups`` holds meters of the jobs of each group alone.
    """

    # Rules are kept with what they were applied to, so that meters of different rules are never mixed up.
    rules: CountingRules = field(default_factory=CountingRules)
    counts: Counter[Outcome] = field(default_factory=Counter)
    good: int = 0
    counted: Counter[Outcome] = field(default_factory=Counter)
    first_counted_ns: int | None = None
    times: dict[str, LatencyHistogram] = field(default_factory=lambda: {name: LatencyHistogram() for name in SPANS})
    reported: dict[str, LatencyHistogram] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)
    window_totals: Counter[str] = field(default_factory=Counter)
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
        added = [measure for measure in batch.measures if measure != STATUS and not measure.is_ratio]
        ended = batch.only(batch.was_served & (batch.finished >= self.rules.warmup_ns)) if added else batch
        for measure in added:
            self.totals[measure.name] += summed(np.maximum(batch.measures[measure], 0))
            self.window_totals[measure.name] += summed(np.maximum(ended.measures[measure], 0))
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

    def add_run_measures(self, amounts: Mapping[str, LatencyHistogram], group: str | None) -> None:
        """Amounts that are of no single job, by name: of jobs of ``group``, None where jobs have none."""
        for name, histogram in amounts.items():
            self.reported.setdefault(name, LatencyHistogram()).merge(histogram)
        if group is not None:
            self.groups.setdefault(group, Meters(CountingRules(self.rules.warmup_ns))).add_run_measures(amounts, None)

    def take_run_measures(self, other: Meters, measures: Iterable[Measure]) -> None:
        """Those of ``other``, of the same jobs. Meters that are made of records alone lack them."""
        for measure in measures:
            if measure.name in other.reported:
                self.reported[measure.name] = other.reported[measure.name]
        for name, meters in self.groups.items():
            if name in other.groups:
                meters.take_run_measures(other.groups[name], measures)

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
        self.window_totals.update(other.window_totals)
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
