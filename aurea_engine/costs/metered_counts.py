"""The counts of all meters of a run, as a value that can be merged, stored, and turned into a usage at any time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from aurea_engine.costs.usage import STEPS, RunInfo, Usage

T = TypeVar("T")


@dataclass(frozen=True)
class MeteredCounts:
    """Meter's key → label → exact count. ``broken``: the meters that raised or counted nonsense, and how.

    ``additive``: the keys of the meters that are sums over jobs. Only these can be added up over several parts of one run.
    The others look at jobs together: two parts with one instance each do not need two instances, and neither part's count
    says how many the whole needs. Those are counted again from the merged records.
    """

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    additive: frozenset[str] = frozenset()
    broken: Mapping[str, str] = field(default_factory=dict)

    def merge(self, other: MeteredCounts) -> MeteredCounts:
        """The additive counts of two parts of one run. A meter that only one of them kept is dropped, as partial."""
        # Where both broke, one of the two faults, whichever parts are merged into the others: the first in the alphabet.
        broken = {key: min(_faults(key, self, other)) for key in {**self.broken, **other.broken}}
        both = {key for key in self.additive & other.additive if key not in broken}
        return MeteredCounts(
            {key: _add(self.counts[key], other.counts[key]) for key in self.counts if key in both},
            frozenset(both),
            broken,
        )

    def with_steps(self, steps: MeteredCounts) -> MeteredCounts:
        """These counts of jobs and those of their ``steps``, in one: under keys of their own."""
        return MeteredCounts(
            {**self.counts, **_name_steps(steps.counts)},
            self.additive.union(STEPS + key for key in steps.additive),
            {**self.broken, **_name_steps(steps.broken)},
        )

    def usage(self, run: RunInfo) -> Usage:
        """The usage of the run that ``run`` describes."""
        return Usage(run, self.counts, self.broken)


def _name_steps(values: Mapping[str, T]) -> dict[str, T]:
    return {STEPS + key: value for key, value in values.items()}


def _faults(key: str, *counts: MeteredCounts) -> list[str]:
    return [each.broken[key] for each in counts if key in each.broken]


def _add(mine: Mapping[str, int], theirs: Mapping[str, int]) -> dict[str, int]:
    return {label: mine.get(label, 0) + theirs.get(label, 0) for label in {**mine, **theirs}}
