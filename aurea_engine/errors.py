"""Every error that Aurea raises on purpose.

AureaError
├── SpecError (ValueError)            a specification cannot be run; lists every problem
│   └── NotSimulable                  a job without a known demand, in virtual time
├── StrategyError (RuntimeError)      a strategy broke its contract during a run
│   └── InvalidReport                 a job reported an invalid mark or measure
├── NeedsRecords (LookupError)        the answer needs job records that were not kept
├── NotReported (LookupError)         a mark, measure or group that no job of the run declares
├── TargetRefused (RuntimeError)      a target that the run may not send to
├── ClusterRefused (RuntimeError)     a Dask cluster that cannot be reached, or cannot run the specification
├── DamagedParts (ValueError)         stored parts of a run, or their records, are damaged
└── DamagedRunFile (ValueError)       a run file is damaged, or in a newer format, or something else
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

LOCAL_REFERENCE = (
    "names a file, an environment variable or a socket of the server's machine, and a specification that comes over HTTP "
    "may not: use what the operator published (--data-dir, --secret, --allow-target), or write the content in its place"
)
"""The problem of a member that would use something of this machine, in a specification from elsewhere."""

LITERAL_CREDENTIAL = (
    "holds a credential as it is, and specifications are stored and shown: put a reference in its place, or in auth: "
    '{"secret": NAME} to what the operator published, or on the command line {"env": VARIABLE} or {"file": PATH}'
)
"""The problem of a member that would put a credential into a specification from elsewhere."""

TARGET_NOT_ALLOWED = (
    "sends to a target that this server does not allow: its operator allows targets with --allow-target"
)
"""The problem of a job that sends to another target."""


class Problem(NamedTuple):
    """One problem of a specification.

    ``path`` names the member (``workload.arrivals.rate``). ``problem`` says what is wrong and what would be right. ``got``
    is the value, cut to a printable length.
    """

    path: str
    problem: str
    got: str = ""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        got = f", got {self.got}" if self.got else ""
        return f"{where}{self.problem}{got}"

    def within(self, parent: str) -> Problem:
        """The same problem, as seen from the object that holds this one as ``parent``."""
        if not self.path:
            return self._replace(path=parent)
        # "a" within "b" is b.a, and "[0]" within "b" is b[0].
        joint = "" if self.path.startswith("[") else "."
        return self._replace(path=f"{parent}{joint}{self.path}")


class AureaError(Exception):
    """The root of the tree: catch it to catch everything that Aurea raises on purpose."""


class SpecError(AureaError, ValueError):
    """A specification, or a parameter of a strategy, is wrong. ``problems`` holds all problems, not only the first."""

    def __init__(self, problems: Iterable[Problem] | str) -> None:
        found = (Problem("", problems),) if isinstance(problems, str) else tuple(problems)
        # Callers show the problems. An error without any (a strategy may raise one) would look like success.
        self.problems: tuple[Problem, ...] = found or (Problem("", "is refused, and nothing says why"),)
        super().__init__("; ".join(str(problem) for problem in self.problems))


@contextmanager
def within(parent: str) -> Iterator[None]:
    """Problems that come up are those of the object that the specification holds as ``parent``."""
    try:
        yield
    except SpecError as error:
        raise SpecError(problem.within(parent) for problem in error.problems) from None


class NotSimulable(SpecError):
    """The demand of the job is unknown before it runs, so virtual time cannot tell when it would end."""


class StrategyError(AureaError, RuntimeError):
    """A strategy broke its contract: arrivals out of order, a scheduler that invents jobs, a NaN cost."""


class InvalidReport(StrategyError):
    """A job reported something undeclared, or an impossible value. The job fails, and the run goes on."""


class NeedsRecords(AureaError, LookupError):
    """The question can only be answered from job records, and this run kept none."""


class NotReported(AureaError, LookupError):
    """A mark, a measure or a group was asked for by a name that no job of the run declares."""


class TargetRefused(AureaError, RuntimeError):
    """A run may not send to this target. Failed jobs are counted as ``target_not_allowed``."""

    failure = "target_not_allowed"


class ClusterRefused(AureaError, RuntimeError):
    """A run cannot be executed on this Dask cluster: the text says everything that stands against it. Nothing was begun."""

    exit_code = 2


class DamagedParts(AureaError, ValueError):
    """Stored parts of a run, or the records in them, are truncated, changed, or something else."""


class DamagedRunFile(AureaError, ValueError):
    """A file that should hold a whole run is truncated, changed, in a newer format, or something else."""
