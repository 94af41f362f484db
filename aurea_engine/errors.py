"""Every error that Aurea raises on purpose.

AureaError
├── SpecError (ValueError)            what was asked for cannot be done; lists every problem
│   └── NotSimulable                  a job without a known demand, in virtual time
├── StrategyError (RuntimeError)      a strategy broke its contract while the run was on
│   └── InvalidReport                 a job reported a mark or a measure that is none
├── NeedsRecords (LookupError)        the answer needs job records that were not kept
├── NotReported (LookupError)         a mark, measure or group that no job of the run declares
└── DamagedParts (ValueError)         stored parts of a run, or their records, are not what was written
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

LOCAL_REFERENCE = "names a file, and a specification that comes over HTTP names none: send the values themselves"
"""What is wrong with a member of a specification from elsewhere that would have a file of this machine read."""


class Problem(NamedTuple):
    """One thing that is wrong with a specification.

    ``path`` names the member (``workload.arrivals.rate``), ``problem`` says what is wrong and what would be right,
    ``got`` is what stood there, cut to a printable length.
    """

    path: str
    problem: str
    got: str = ""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        got = f", got {self.got}" if self.got else ""
        return f"{where}{self.problem}{got}"

    def within(self, parent: str) -> Problem:
        """The same problem, seen from the object that holds this one as ``parent``."""
        if not self.path:
            return self._replace(path=parent)
        joint = "" if self.path.startswith("[") else "."
        return self._replace(path=f"{parent}{joint}{self.path}")


class AureaError(Exception):
    """The root of the tree: catch it to catch all that Aurea raises on purpose."""


class SpecError(AureaError, ValueError):
    """A specification or a strategy's parameter is wrong. ``problems`` holds all that was found, not only the first."""

    def __init__(self, problems: Iterable[Problem] | str) -> None:
        found = (Problem("", problems),) if isinstance(problems, str) else tuple(problems)
        # Without a problem nothing would be wrong for whoever collects them.
        self.problems: tuple[Problem, ...] = found or (Problem("", "is refused, and nothing says why"),)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class NotSimulable(SpecError):
    """The job has no demand that is known before it runs, so virtual time cannot tell when it would end."""


class StrategyError(AureaError, RuntimeError):
    """A strategy did what its contract forbids (arrivals out of order, a scheduler that invents jobs, a NaN cost)."""


class InvalidReport(StrategyError):
    """A job reported what it had not declared, or a value that cannot be: the job fails, and the run goes on."""


class NeedsRecords(AureaError, LookupError):
    """The question can only be answered from job records, and this run kept none."""


class NotReported(AureaError, LookupError):
    """A mark, a measure or a group was asked for by a name that no job of the run declares."""


class DamagedParts(AureaError, ValueError):
    """Stored parts of a run, or the records in them, are not what was written: cut off, changed, or something else."""
