"""From columns to figures: the recorder keeps meters, cost and series up to date with what has ended."""

# The recorder is the columns of a run (`JobColumns`: what drivers write) and a digestion of them. A driver writes a job's
# end and goes on; now and then, in batches, `digest` takes the records of all jobs that have ended since and feeds them to
# the counters. So what is counted costs a few vector operations for each batch instead of a few calls for each job, and it
# is the same for every driver and both clocks.
#
# Whether it digests under way depends on who waits for it. With records kept and no observer, one digestion at the end
# does. It changes nothing but memory: all that is fed adds up whole numbers, in any order and in batches of any size.

from __future__ import annotations

import numpy as np

from aurea_engine.costs import Metering
from aurea_engine.records.batch import Instants, JobBatch
from aurea_engine.records.series import Series
from aurea_engine.run.job_columns import JobColumns
from aurea_engine.run.job_times import CountingRules
from aurea_engine.run.meters import Meters
from aurea_engine.run.shard import Shard
from aurea_engine.run.step_columns import ROWS_AT_ONCE, StepColumns
from aurea_engine.spec import RunSpec

BATCH = 65_536
"""Ended jobs digested in one go where nothing waits for it; small enough for the caches."""

BATCH_REALTIME = 4096
"""The same during a run in real time: it takes less than a millisecond, and no job is released meanwhile."""


class Recorder(JobColumns):
    """The columns of one run, and the figures of those of its jobs that have ended. ``live``: the run is observed."""

    def __init__(self, spec: RunSpec, metering: Metering, live: bool, shard: Shard | None = None) -> None:
        super().__init__(spec, shard)
        self.meters = Meters(CountingRules.of(spec))
        self.series = Series()
        self.metering = metering
        self.live = live

    def digest_batch(self, batch: int) -> None:
        """Digest ``batch`` ended jobs where so many have come together, and the run is watched or keeps no records."""
        if len(self.done) >= batch and (self.live or not self.keep):
            self._digest(batch)
        # Whoever looks: as tuples, steps take ten times the memory that they take as columns.
        if self.steps is not None:
            self._digest_steps(self.steps, ROWS_AT_ONCE)

    def digest(self) -> None:
        """Bring meters, cost and series up to date with every job that has ended."""
        while self.done:
            self._digest(BATCH)
        if self.steps is not None:
            self._digest_steps(self.steps)

    def _digest_steps(self, steps: StepColumns, least: int = 1) -> None:
        ended = steps.digest(least)
        if ended is not None:
            self.metering.feed_steps(ended)

    def _digest(self, batch: int) -> None:
        ended = self._cut_out(np.array(self.done[:batch], np.int64) - self.base)
        self.metering.feed(ended)
        self.series.add(ended)
        self.meters.feed(ended)
        del self.done[:batch]
        # Only now: what was in ``done`` still had its rows.
        if not self.keep:
            self.forget()

    def _cut_out(self, rows: Instants) -> JobBatch:
        """Rows that ended in the order in which they came are cut out whole, which is cheaper than picking each."""
        first, n = int(rows[0]), len(rows)
        in_order = int(rows[-1]) - first == n - 1 and bool((np.diff(rows) == 1).all())
        return self.select(slice(first, first + n) if in_order else rows)

    def is_counted(self, job: int) -> bool:
        """Whether ``job`` was meant to start after the warm-up that was known before the run."""
        warmup_ns = self.meters.rules.warmup_ns
        return not warmup_ns or self.intended[job - self.base] >= warmup_ns

    def latest_release(self, arrived: int) -> tuple[int, int]:
        """(when it was meant to be, when it was), ns, of the latest of ``arrived`` jobs. Where its row is gone it has ended,
        and the meters know.
        """
        row = arrived - 1 - self.base
        if 0 <= row < len(self.released):
            return max(self.intended[row], 0), self.released[row]
        return self.meters.latest_intended_ns, self.meters.latest_released_ns

    def close(self) -> JobBatch | None:
        """Everything digested; the records of all jobs in order of arrival, or None if records are not kept."""
        self.digest()
        return self.select_ended() if self.keep else None
