"""May two runs be compared at all, and what differs between them?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aurea_engine.codec.specifications import spec_to_dict
from aurea_engine.results.comparison import Remark
from aurea_engine.results.result import RunResult

MACHINE = ("machine", "cpu_model", "cpus", "cpus_usable")
"""Members of an environment that make another machine of it."""

VERSIONS = ("aurea", "python", "implementation", "system", "loop")
"""Members that make no other machine, and may explain a difference."""

MOST_DIFFERENCES = 6
"""Members of two specifications that are named."""


def find_obstacles(a: RunResult, b: RunResult) -> Iterator[Remark]:
    """Why the two cannot be compared; nothing where they can."""
    for name, each in (("A", a), ("B", b)):
        if each.verdict == "invalid":
            codes = ", ".join(finding.code for finding in each.findings if finding.severity.name == "INVALID")
            yield Remark("invalid_run", f"{name} is invalid ({codes}): measure it again")
    if a.spec.clock != b.spec.clock:
        yield Remark("other_clock", f"A is in {a.spec.clock} time, B in {b.spec.clock} time")
    # In virtual time a machine changes no figure.
    elif a.spec.clock == "real" and (differ := _list_differences(a.environment, b.environment, MACHINE)):
        yield Remark("other_machine", f"the machines differ: {', '.join(differ)}")


def note_differences(a: RunResult, b: RunResult) -> Iterator[Remark]:
    """What else differs: for the reader, who may have meant it so."""
    ours, theirs = (_flatten(spec_to_dict(each.spec)) for each in (a, b))
    seeds = ours.pop("seed", None), theirs.pop("seed", None)
    for spec in (ours, theirs):
        spec.pop("label", None)
    differ = _list_differences(ours, theirs, dict.fromkeys([*ours, *theirs]))
    if differ:
        more = f", and {len(differ) - MOST_DIFFERENCES} more" if len(differ) > MOST_DIFFERENCES else ""
        yield Remark("other_specification", f"{', '.join(differ[:MOST_DIFFERENCES])}{more}")
    if seeds[0] != seeds[1]:
        yield Remark("other_seed", f"{seeds[0]} and {seeds[1]}")
    if differ := _list_differences(a.environment, b.environment, VERSIONS):
        yield Remark("other_environment", ", ".join(differ))
    for name, each in (("A", a), ("B", b)):
        if each.verdict == "degraded":
            codes = ", ".join(finding.code for finding in each.findings if finding.severity.name == "DEGRADED")
            yield Remark("degraded_run", f"{name}: {codes}")
        if each.status != "completed":
            yield Remark("unended_run", f"{name} is {each.status}")


def _list_differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], names: Any) -> list[str]:
    """What differs, as ``name old → new``."""
    return [
        f"{name} {_show(ours.get(name))} → {_show(theirs.get(name))}"
        for name in names
        if ours.get(name) != theirs.get(name)
    ]


def _flatten(value: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Members of members by their paths, such as ``scheduler.slots``."""
    flat: dict[str, Any] = {}
    for name, member in value.items():
        flat |= _flatten(member, f"{path}{name}.") if isinstance(member, Mapping) else {f"{path}{name}": member}
    return flat


def _show(value: object) -> str:
    # Lists, such as the branches of a mix, are too long to be shown: that they differ is said, and not how.
    text = "null" if value is None else "…" if isinstance(value, (list, tuple)) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
