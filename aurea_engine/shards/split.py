"""Cutting a run into shards: what each of them runs, how many there are, and what cannot be cut."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast, get_args

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import show_value
from aurea_engine.run.shard import Shard
from aurea_engine.spec import RunSpec
from aurea_engine.workload.access import Access

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
        text = "cannot be used in virtual time, which takes one core: leave it out, or set the clock to real"
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


@dataclass(frozen=True)
class Sharding:
    """In how many processes a run is executed, and what happens when one of them is lost. Both stand beside a specification
    and not in it, for figures do not depend on them. ``is_auto``: nobody said a number; on a cluster it is then one for
    each worker, and not ``processes``, which is this machine's.
    """

    processes: int = 1
    on_loss: OnLoss = "fail"
    is_auto: bool = False

    @classmethod
    def take_from(cls, document: object) -> tuple[object, Sharding | None]:
        """``document`` without its members ``processes`` and ``on_loss``, and what they say; None where it has neither.
        Raises SpecError.
        """
        if not isinstance(document, Mapping) or not ("processes" in document or "on_loss" in document):
            return document, None
        rest = {name: value for name, value in document.items() if name not in ("processes", "on_loss")}
        found = cls.of(document.get("processes", 1), document.get("on_loss", "fail"))
        return rest, replace(found, is_auto=found.is_auto or "processes" not in document)

    @classmethod
    def of(cls, processes: object, on_loss: object) -> Sharding:
        """Both as they are written. Raises SpecError."""
        return cls(count_processes(processes), check_on_loss(on_loss), is_auto=processes == "auto")
