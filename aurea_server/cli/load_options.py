"""The options of `aurea http` about the load: how many requests, and when. And which flag stands for which member."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from cyclopts import Parameter

from aurea_engine import Problem, SpecError
from aurea_server.cli.http_options import FLAG, MANY, maybe_quantity, without_none
from aurea_server.cli.objective_option import parse_objective
from aurea_server.cli.run_options import parse_quantity, parse_whole

DEFAULT_RATE, DEFAULT_DURATION = 50, "10s"

FLAGS = {
    "workload.job.url": "URL",
    "workload.job.method": "--method",
    "workload.job.headers": "--header",
    "workload.job.body": "--data",
    "workload.job.file": "--data",
    "workload.job.json": "--data-json",
    "workload.job.form": "--form",
    "workload.job.expect.status": "--expect-status",
    "workload.job.expect.contains": "--expect-contains",
    "workload.job.timeout": "--timeout",
    "workload.job.connect_timeout": "--connect-timeout",
    "workload.job.connections": "--connections",
    "workload.job.tls.ca": "--cacert",
    "workload.job.tls.cert": "--cert",
    "workload.job.tls.key": "--key",
    "workload.job.tls": "--insecure",
    "workload.job.redirects": "--redirects",
    "workload.job.auth": "--user",
    "workload.job.cookies": "--cookie",
    "workload.arrivals.rate": "--rate",
    "workload.arrivals.users": "--users",
    "workload.jobs": "--jobs",
    "workload.duration": "--duration",
    "warmup": "--warmup",
    "seed": "--seed",
    "label": "--label",
    "objectives": "--objective",
}
"""Member of the specification → the flag that a user of the command line knows it by."""


@Parameter(name="*")
@dataclass(frozen=True)
class LoadOptions:
    """How many requests, and when."""

    rate: str | None = None
    "How many requests begin per second (open loop), evenly, such as 500/s; 50 if not given."

    duration: Annotated[str | None, Parameter(name=["--duration", "-z"])] = None
    "For how long requests begin, such as 2m; 10s if neither this nor --jobs is given."

    users: Annotated[int | None, Parameter(name=["--users", "-c"], converter=parse_whole)] = None
    "How many users (closed loop), in place of --rate: each sends a request, waits for its end, and sends the next."

    jobs: Annotated[int | None, Parameter(name=["--jobs", "-n"], converter=parse_whole)] = None
    "How many requests to send in all."

    poisson: Annotated[bool, FLAG] = False
    "Begin requests at random, as independent users do, and not evenly."

    warmup: str | None = None
    "How much of the beginning to leave out of the figures, such as 5s, or auto."

    objective: Annotated[list[str], MANY] = field(default_factory=list)
    "What must hold (SLO), such as 'p99 <= 250ms' or 'failure_ratio <= 0.01'; may be given more than once."

    seed: int | None = None
    "Seed of all random streams."

    label: str | None = None
    "A name for the result."

    # What other programs call it. Not shown: they are here to be answered.
    threads: Annotated[str | None, Parameter(name=["--threads", "-t"], show=False)] = None
    rate_of_each: Annotated[str | None, Parameter(name=["-q", "--qps", "--rps"], show=False)] = None

    def add_to(self, job: dict[str, Any]) -> dict[str, Any]:
        """The specification. Raises SpecError."""
        return self.make_document(job, str(DEFAULT_RATE), DEFAULT_DURATION)

    def make_document(self, job: dict[str, Any], rate_if_none: str, duration_if_none: str) -> dict[str, Any]:
        """The specification, with what holds where nothing is given. Raises SpecError."""
        self._refuse_foreign()
        if self.rate is not None and self.users is not None:
            raise SpecError(
                [Problem("--users", "cannot stand beside --rate: requests begin at a rate, or when users are free")]
            )
        if self.poisson and self.users is not None:
            raise SpecError([Problem("--poisson", "goes with --rate: users begin when they are free")])
        rate = parse_quantity(self.rate or rate_if_none)
        arrivals = {"kind": "poisson" if self.poisson else "constant", "rate": rate}
        if self.users is not None:
            arrivals = {"kind": "closed", "users": self.users}
        duration = self.duration or (duration_if_none if self.jobs is None else None)
        workload = {"job": job, "arrivals": arrivals, "jobs": self.jobs, "duration": maybe_quantity(duration)}
        document = {"workload": without_none(workload), "warmup": maybe_quantity(self.warmup)}
        document |= {"seed": self.seed, "label": self.label}
        document |= {"objectives": [parse_objective(text) for text in self.objective] or None}
        return without_none(document)

    def _refuse_foreign(self) -> None:
        problems = []
        if self.threads is not None:
            problems.append(Problem("-t", "is no option here: one process sends all; a time limit is --timeout"))
        if self.rate_of_each is not None:
            problems.append(Problem("-q", f"is --rate here, of all requests together: --rate {self.rate_of_each[:20]}"))
        if problems:
            raise SpecError(problems)


@Parameter(name="*")
@dataclass(frozen=True)
class ChatLoadOptions(LoadOptions):
    """The same for requests to language models, which are few and long."""

    # In this module, since annotations of fields that it inherits are read as if they stood in its own.
    rate: str | None = None
    "How many requests begin per second (open loop), evenly, such as 5 or 30/m; 1 if not given."

    duration: Annotated[str | None, Parameter(name=["--duration", "-z"])] = None
    "For how long requests begin, such as 2m; 30s if neither this nor --jobs is given."

    objective: Annotated[list[str], MANY] = field(default_factory=list)
    "What must hold (SLO), such as 'p95 first_token <= 500ms' or 'cost <= 0.5'; may be given more than once."

    slots: Annotated[int | None, Parameter(converter=parse_whole)] = None
    "How many requests may be in service at once; others wait here, and their wait counts. No limit if not given."

    def add_to(self, job: dict[str, Any]) -> dict[str, Any]:
        """The specification. Raises SpecError."""
        document = self.make_document(job, "1", "30s")
        return document if self.slots is None else document | {"scheduler": {"kind": "fifo", "slots": self.slots}}


def name_flags(error: SpecError, flags: Mapping[str, str] = FLAGS) -> SpecError:
    """The same problems, by the ``flags`` that the user knows."""
    return SpecError([problem._replace(path=_flag_of(problem.path, flags)) for problem in error.problems])


def _flag_of(path: str, flags: Mapping[str, str]) -> str:
    # Longer members stand before those that they begin with.
    for member, flag in flags.items():
        if path == member or path.startswith((f"{member}.", f"{member}[")):
            return flag + (f" {path[len(member) :].lstrip('.')}" if path != member else "")
    return path
