"""The billing step: amounts are rounded up to whole steps, and to a minimum, before anything is summed.

Providers bill each job, instance or run by steps ("per 100 ms, at least one second"). Where the rounding happens decides
the bill: a thousand jobs of 1 ms are 100 s at a step of 100 ms for each job, and one second if only their sum is rounded.
So each meter and model says what it rounds, and all of them round here.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

# An exact number: a float would bill a step too many wherever its product falls just above a multiple.
# 23,000,000 ns × 1e-9 ÷ 0.001 is above 23, and its ceiling is 24.
Whole = TypeVar("Whole", int, NDArray[np.int64])


def count_steps(amount: Whole, step: int) -> Whole:
    """How many whole steps hold ``amount``: ⌈amount ÷ step⌉."""
    # Floor division rounds down also below zero, so that of the negative amount is the ceiling, without a float.
    return -(-amount // step)


def round_up(amount: int, step: int, minimum: int = 0) -> int:
    """``amount`` rounded up to a whole ``step``, at least ``minimum``."""
    return max(count_steps(amount, step) * step, minimum)


def round_up_each(amounts: NDArray[np.int64], step: int, minimum: int = 0) -> None:
    """The same for each of ``amounts``, in place."""
    # In place, and only what is asked for: these are columns of millions of jobs, passed over for every meter.
    if step > 1:
        amounts += step - 1
        amounts //= step
        amounts *= step
    if minimum:
        np.maximum(amounts, minimum, out=amounts)
