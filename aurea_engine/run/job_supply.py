"""How many jobs of each leaf the plan has come to: the turn of each job, and the end of a plan whose supply is used up."""

# A leaf may have a supply, such as rows of data that are used once each. The plan ends at the first job, of whatever leaf,
# that there is no supply for: jobs of the other leaves would go on in another mix than the one that was asked for.
#
# Jobs are counted in the whole plan, before a shard keeps its own rows. So every shard gives job 17 the same turn, and all
# of them end at the same job, without a word between them.

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aurea_engine.errors import StrategyError
from aurea_engine.records.batch import Instants
from aurea_engine.workload.jobs import Job


class JobSupply:
    """Counts the jobs of ``leaves`` as blocks of a plan come up, and ends the plan."""

    def __init__(self, leaves: Sequence[Job]) -> None:
        self.supplies = [_check_supply(leaf, leaf.supply()) for leaf in leaves]
        """By leaf; None where there is any number of jobs."""
        counted = [leaf.counts_turns or supply is not None for leaf, supply in zip(leaves, self.supplies, strict=True)]
        self._counted = {number: 0 for number, is_counted in enumerate(counted) if is_counted}
        self.used_up: int | None = None
        """The supply that ended the plan, a number of jobs; None while there is some for every job."""

    def count(self, leaf: NDArray[np.intp]) -> Instants | None:
        """The turns of the next jobs, whose leaves are given: of as many of them as there is supply for.

        None if no leaf is counted; a job of a leaf that is not counted has turn -1.
        """
        if not self._counted:
            return None
        turns, end = np.full(len(leaf), -1, np.int64), len(leaf)
        for number, before in self._counted.items():
            rows = np.flatnonzero(leaf == number)
            turns[rows] = before + np.arange(len(rows))
            supply = self.supplies[number]
            if supply is not None and before + len(rows) > supply and rows[supply - before] < end:
                end, self.used_up = int(rows[supply - before]), supply
            self._counted[number] = before + len(rows)
        return turns[:end]


def _check_supply(leaf: Job, supply: object) -> int | None:
    # By the exact type: a bool is an int to Python, and no number of jobs to anybody else.
    if supply is None or (type(supply) is int and supply >= 0):
        return supply
    raise StrategyError(f"{type(leaf).__name__}.supply must give a number of jobs or None, not {supply!r:.100}")
