"""What a job is told when a run sets it up: see `Job.opened_in`."""

from __future__ import annotations

from dataclasses import dataclass, field

from aurea_engine.workload.access import Access
from aurea_engine.workload.pacing import SendPacer
from aurea_engine.workload.streams import Streams


@dataclass(frozen=True)
class JobSetup:
    """The run that a job is set up for, as far as the job may know of it.

    ``access``: what the jobs of this leaf may reach; where there is a ceiling of connections, its ``most_connections`` are
    the leaf's share of it. ``streams``: random streams of this leaf alone, for draws while the run goes on; no draw from
    them changes the plan. ``jobs``, ``slots`` and ``users`` are upper bounds of this process: jobs that can come, jobs that
    can be in service at once, and users of a closed model; None where nothing bounds them. ``pacer``: the ceiling on the
    rate of all that the run sends, None if there is none. ``part``: (index, of), which part of what is divided among shards
    this process has. ``processes``: so many processes of this machine run jobs of the run at once, this one included.
    """

    access: Access = field(default_factory=Access)
    streams: Streams = field(default_factory=lambda: Streams(0))
    jobs: int | None = None
    slots: int | None = None
    users: int | None = None
    pacer: SendPacer | None = None
    part: tuple[int, int] = (0, 1)
    processes: int = 1

    def share(self, limit: int | None) -> int | None:
        """This process's share of a limit that all jobs of the run have together."""
        index, of = self.part
        # Dealt out like jobs, one to each shard in turn: shares differ by one at most, and add up to the whole.
        return limit if limit is None else -(-(limit - index) // of)

    @property
    def most_in_service(self) -> int | None:
        """The most jobs that can be in service at once; None where nothing bounds them."""
        # A user has one job at a time, and no more jobs can be in service than there are.
        return min((bound for bound in (self.jobs, self.slots, self.users) if bound is not None), default=None)
