"""The status that a target answers with. It is the name of an answer and no quantity: a mean or a sum of it would be of
nothing, so runs count it by value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from aurea_engine.closed_sets import OTHER
from aurea_engine.records.batch import Instants
from aurea_engine.records.measures import Measure

STATUS = Measure("status", "code")
"""What a job declares that has one."""

MOST_STATUS = 999
"""The highest code that is counted by itself; those above are counted together, as one above it."""


def count_statuses(codes: Instants) -> Counter[int]:
    """Code → jobs that reported it, of a column of `STATUS`."""
    counted = np.bincount(np.minimum(codes[codes >= 0], MOST_STATUS + 1)).tolist()
    return Counter({code: jobs for code, jobs in enumerate(counted) if jobs})


def name_statuses(counted: Mapping[int, int]) -> dict[str, int]:
    """The same by the code as text, in rising order, and `OTHER` at the end."""
    return {str(code) if code <= MOST_STATUS else OTHER: jobs for code, jobs in sorted(counted.items())}
