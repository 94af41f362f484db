"""Whether every machine of a cluster would run the same: what each has installed, compared with what is here."""

# Shards of two versions would make two workloads of one specification, and nobody would see it in the result: so all of them
# are compared before anything begins, and everything that does not fit is said at once.
#
# The scheduler is compared too. It reads the tasks that it passes on, so what they name must be there as well.

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

from aurea_engine.codec.catalog import GROUPS, default_catalog
from aurea_engine.fields.version import DISTRIBUTION
from aurea_engine.shards.dask_clock import name_machine

MISSING = "none"
"""The version of what is not installed."""


@dataclass(frozen=True)
class Installed:
    """What one process of a cluster has. ``kinds``: the packages, with their versions, that offer the kinds asked for; None
    if it was not asked.
    """

    where: str
    aurea: str
    python: str
    numpy: str
    kinds: Mapping[str, str] | None = None


def find_version(distribution: str) -> str:
    """Its installed version, or `MISSING`."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return MISSING


def find_own(foreign: Sequence[str]) -> Installed:
    """What this process has."""
    python = ".".join(platform.python_version_tuple()[:2])
    return Installed("here", find_version(DISTRIBUTION), python, find_version("numpy"), find_kinds(foreign))


def choose_foreign(kinds: Sequence[str]) -> list[str]:
    """Those of ``kinds`` that are not built in."""
    known = {kind for group in default_catalog().kinds.values() for kind in group}
    return sorted(set(kinds) - known)


def find_kinds(foreign: Sequence[str]) -> dict[str, str]:
    """Kind → the package that offers it here, with its version. Nothing of it is imported."""
    offered: dict[str, str] = {}
    for group in GROUPS:
        for entry in entry_points(group=f"aurea.{group}"):
            if entry.name in foreign:
                offered[entry.name] = _name_package(entry)
    return offered


def _name_package(entry: EntryPoint) -> str:
    return "a package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


def describe_host(foreign: Sequence[str]) -> dict[str, object]:
    """What only code of ours can tell of the machine that this is called on. Plain values: it crosses a network."""
    return {"host": platform.node()[:200], "machine": name_machine(), "kinds": find_kinds(foreign), "pid": os.getpid()}


def find_mismatches(own: Installed, others: Sequence[Installed], foreign: Sequence[str]) -> list[str]:
    """One line for each thing that differs, with all the places where it does."""
    found: dict[str, list[str]] = {}
    for other in others:
        for text in _compare(own, other, foreign):
            found.setdefault(text, []).append(other.where)
    return [f"{_join(places)}: {text}" for text, places in found.items()]


def _compare(own: Installed, other: Installed, foreign: Sequence[str]) -> Iterator[str]:
    assert own.kinds is not None
    pairs = {"Aurea": (own.aurea, other.aurea), "Python": (own.python, other.python), "numpy": (own.numpy, other.numpy)}
    for name, (ours, theirs) in pairs.items():
        if theirs == MISSING:
            yield f"{name} is not installed; here it is {ours}"
        elif ours != theirs:
            yield f"{name} {theirs}, and here it is {ours}"
    # Of one whose versions differ it is not known what it offers.
    if other.kinds is None:
        return
    for kind in foreign:
        ours, theirs = own.kinds.get(kind, MISSING), other.kinds.get(kind, MISSING)
        if theirs == MISSING:
            yield f"no package offers the kind {kind}, " + ("nor here" if ours == MISSING else f"and here {ours} does")
        elif ours != theirs:
            yield f"the kind {kind} is from {theirs}, and here from {ours}"


def _join(places: Sequence[str]) -> str:
    shown = ", ".join(places[:5])
    return shown if len(places) <= 5 else f"{shown} and {len(places) - 5} more"
