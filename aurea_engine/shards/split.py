"""Cutting a run into shards: what each of them runs, how many there are, and what cannot be cut."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import show_value
from aurea_engine.run.shard import Shard
from aurea_engine.spec import RunSpec
from aurea_engine.studies.repetition import Repetition
from aurea_engine.workload.access import Access

T = TypeVar("T")

Processes = int | Literal["auto"]
OnLoss = Literal["fail", "continue"]

MOST_PROCESSES = 256
"""Processes on one machine. Each draws the whole plan, so far fewer of them are of use."""


def count_processes(wanted: object) -> int:
    """The number that ``wanted`` says; ``"auto"``: a process for each core that this one may use. Raises SpecError."""
    if wanted == "auto":
        return count_cores()
    if not isinstance(wanted, int) or isinstance(wanted, bool) or not 1 <= wanted <= MOST_PROCESSES:
        text = f'must be a whole number from 1 to {MOST_PROCESSES}, or "auto"'
        raise SpecError([Problem("processes", text, show_value(wanted))])
    return wanted


def check_on_loss(wanted: object) -> OnLoss:
    """The same, if it is one. Raises SpecError."""
    if isinstance(wanted, str) and wanted in get_args(OnLoss):
        return cast(OnLoss, wanted)
    raise SpecError([Problem("on_loss", 'must be "fail" or "continue"', show_value(wanted))])


def count_cores() -> int:
    """Processors that this process may use, as its affinity and its control group say: 1 at least."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A container has the affinity of the whole machine and a quota of time. Half a core more than whole ones is no core: a
    # generator that is throttled is late.
    return max(1, min([usable, *(int(quota) for quota in _read_quotas())], default=1))


def _read_quotas(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[float]:
    """Cores by the quota of each control group that this process is in, as far as there are any."""
    for folder in _list_groups(root, own):
        try:
            quota, _, period = (folder / "cpu.max").read_text("ascii").strip().partition(" ")
            if quota != "max":
                yield int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue


def _list_groups(root: Path, own: Path) -> Iterator[Path]:
    """The folders of the group of version 2 that this process is in, and of all above it."""
    try:
        lines = own.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return
    path = next((line[3:] for line in lines if line.startswith("0::")), "/")
    folder = root / path.lstrip("/")
    # Inside a container the path may be the host's, and not be there: then the group's own files are at the root.
    yield from (each for each in (folder, *folder.parents) if each == root or root in each.parents)


def prepare_spec(spec: RunSpec, processes: int) -> RunSpec:
    """The specification that every shard is given. Raises SpecError with everything that cannot be cut."""
    # One seed for all, drawn here where there is none: shards that drew their own would run different jobs.
    seeded = spec if spec.seed is not None else replace(spec, seed=secrets.randbits(53))
    # No shard sees enough to end the run by an objective: the coordinator does.
    shared = replace(seeded, objectives=tuple(replace(each, abort=False) for each in spec.objectives))
    problems = []
    if spec.clock == "virtual":
        text = "cannot be used in virtual time, which takes one core: leave it out, set the clock to real, or repeat the run"
        problems.append(Problem("processes", text, f"{processes}"))
    try:
        Shard(0, processes).check(shared)
    except SpecError as error:
        problems += error.problems
    if problems:
        raise SpecError(problems)
    return shared


def share_access(access: Access, shard: Shard) -> Access:
    """``access`` with this shard's share of the ceilings, which are of the whole run."""
    connections, rate = access.most_connections, access.most_rate
    # At least one connection, for without any a shard would never end.
    return replace(
        access,
        most_connections=None if connections is None else max(1, shard.count_of(connections)),
        most_rate=None if rate is None else rate / shard.of,
    )


MEMBERS = ("processes", "on_loss", "repeat", "until")
_UNSAID: object = object()
"""Of `MEMBERS`, what is not there; null is."""


@dataclass(frozen=True)
class Sharding:
    """In how many processes a run is executed, what happens when one of them is lost, and how often it is repeated. All of
    it stands beside a specification and not in it: figures do not depend on processes, and replications are runs of it.

    ``is_auto``: nobody said a number, or ``"auto"``; on a cluster it is then one for each worker, and not ``processes``,
    which is this machine's.
    """

    processes: int = 1
    on_loss: OnLoss = "fail"
    is_auto: bool = False
    repetition: Repetition | None = None

    @classmethod
    def take_from(cls, document: object) -> tuple[object, Sharding | None]:
        """``document`` without its members `MEMBERS`, and what they say; None where it has none of them. Raises SpecError
        with all that is wrong with them.
        """
        if not isinstance(document, Mapping) or not any(name in document for name in MEMBERS):
            return document, None
        rest = {name: value for name, value in document.items() if name not in MEMBERS}
        return rest, cls.of(**{name: document[name] for name in MEMBERS if name in document})

    @classmethod
    def of(
        cls, processes: object = _UNSAID, on_loss: object = "fail", repeat: object = None, until: object = None
    ) -> Sharding:
        """Each as it is written, those that are. Raises SpecError with all that is wrong."""
        problems: list[Problem] = []
        counted = 1 if processes is _UNSAID else _collect(problems, lambda: count_processes(processes)) or 1
        lost = _collect(problems, lambda: check_on_loss(on_loss)) or "fail"
        is_repeated = repeat is not None or until is not None
        repetition = _collect(problems, lambda: Repetition.of(repeat, until)) if is_repeated else None
        if problems:
            raise SpecError(problems)
        return cls(counted, lost, processes is _UNSAID or processes == "auto", repetition)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Sharding:
        """The inverse of `to_plain`."""
        repetition = None if plain["most"] is None else Repetition(plain["most"], plain["until"])
        return cls(plain["processes"], plain["on_loss"], plain["is_auto"], repetition)

    def to_plain(self) -> dict[str, Any]:
        """As plain data, for another process of ours."""
        most, until = (None, None) if self.repetition is None else (self.repetition.most, self.repetition.until)
        return {
            "processes": self.processes,
            "on_loss": self.on_loss,
            "is_auto": self.is_auto,
            "most": most,
            "until": until,
        }

    def count_for(self, spec: RunSpec) -> int:
        """Processes of this machine for ``spec``. Where nobody said a number: as many virtual replications at once as there
        are cores.
        """
        if self.repetition is None or not self.is_auto or spec.clock == "real":
            return self.processes
        return min(count_cores(), self.repetition.most)

    def check(self, spec: RunSpec) -> None:
        """Raises SpecError where ``spec`` cannot be executed so: replications are not cut, unless they are in real time."""
        number = self.count_for(spec)
        if self.repetition is None or (spec.clock == "real" and number > 1):
            prepare_spec(spec, number)


def refuse_repetition(sharding: Sharding | None) -> None:
    """Raises SpecError where a specification that is to be searched or tried says that it be repeated."""
    if sharding is not None and sharding.repetition is not None:
        # Of no use there, and each trial would take so many times as long.
        raise SpecError([Problem("repeat", "goes with a run: a search repeats its trials by itself, so leave it out")])


def _collect(problems: list[Problem], read: Callable[[], T]) -> T | None:
    try:
        return read()
    except SpecError as error:
        problems += error.problems
        return None
