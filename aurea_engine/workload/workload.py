"""A workload: which jobs, and when they arrive."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, Count, PositiveSeconds, Seconds
from aurea_engine.records.measures import Schema
from aurea_engine.workload.arrivals import AllAtOnce, Arrivals
from aurea_engine.workload.distributions import Distribution
from aurea_engine.workload.jobs import JobSource, read_schema


@dataclass(frozen=True)
class Workload(Checked):
    """Jobs and their arrivals. Releasing stops after ``jobs`` arrivals or at ``duration`` seconds, whichever comes first.

    ``patience``: a job that waits longer than this after its intended start leaves the queue, *abandoned*. ``deadline``:
    seconds from the intended start; a job that waits then is *rejected*, and a job in service is stopped, *timed out*.
    ``drain``: seconds after the last arrival at which the remaining jobs are *cancelled*; None lets all jobs end.
    ``stop_at``: seconds after the opening of the window at which the run ends. Jobs that have not ended then are
    *cancelled*, and jobs that would arrive then or later do not arrive.
    """

    job: JobSource
    arrivals: Arrivals = field(default_factory=AllAtOnce)
    jobs: Count | None = None
    duration: PositiveSeconds | None = None
    patience: Distribution | None = None
    deadline: PositiveSeconds | None = None
    drain: Seconds | None = None
    stop_at: PositiveSeconds | None = None

    def check(self) -> list[Problem]:
        try:
            # The frozen value completes itself once, while it is made. Jobs that are bound are equal to those that are not.
            object.__setattr__(self, "job", self.job.bound_to(self.arrivals.token_lengths()))
            # Kept for the run, which reads it many times.
            _ = self.schema
        except SpecError as error:
            return [problem.within("job") for problem in error.problems]
        # These arrive at one instant without end, so even a duration of a second would never be over.
        if self.arrivals.ends == "with jobs" and self.jobs is None:
            return [Problem("jobs", "is required: these arrivals have no end of their own, whatever the duration")]
        # A run without an end would fill the memory. What ends the arrivals is known here, before anything runs.
        ends = (self.jobs, self.duration, self.stop_at)
        if self.arrivals.ends == "with jobs or duration" and all(end is None for end in ends):
            return [Problem("duration", "is required, or jobs or stop_at: this workload would never end")]
        return []

    @cached_property
    def schema(self) -> Schema:
        """The marks, measures and groups of its jobs: the columns that the run's records have beside the built-in ones."""
        return read_schema(self.job)

    @property
    def plain(self) -> bool:
        """Whether every job waits until it is served, and the run ends with its last job: nothing cuts it short."""
        return all(end is None for end in (self.patience, self.deadline, self.drain, self.stop_at))
