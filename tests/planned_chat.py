"""Chat requests that are planned and not sent, so that what is computed of them can be tested in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from aurea_engine import Constant, Mark, Measure, Sleep
from aurea_engine.workload.distributions import Floats

MARKS = ("first_frame", "first_token", "first_answer", "last_token", "last_frame")
TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "frames")


@dataclass(frozen=True)
class PlannedChat(Sleep):
    """``usage``: input, cached and output tokens of each job, in turn; None is a job whose server says nothing."""

    duration: Any = field(default_factory=lambda: Constant(1.0))
    usage: tuple[tuple[int, int, int] | None, ...] = ((100, 40, 20),)
    max_tokens: int | None = 128
    marks: ClassVar = tuple(map(Mark, MARKS))
    measures: ClassVar = (
        *(Measure(name, "tokens") for name in TOKENS),
        Measure("token_gap", "s/token", 10**9),
        Measure("output_rate", "tokens/s", 1000),
    )

    def reports(self, rng: np.random.Generator, first: int, demand: Floats) -> Mapping[str, Floats]:
        told = [self.usage[(first + i) % len(self.usage)] for i in range(len(demand))]
        tokens = np.array([(np.nan,) * 3 if each is None else each for each in told], float).reshape(-1, 3)
        output = tokens[:, 2]
        gap = np.where(output > 1, 0.8 * demand / np.maximum(output - 1, 1), np.nan)
        return {
            "first_frame": 0.1 * demand,
            "first_token": 0.1 * demand,
            "first_answer": 0.1 * demand,
            "last_token": 0.9 * demand,
            "last_frame": 0.9 * demand,
            "input_tokens": tokens[:, 0],
            "cached_tokens": tokens[:, 1],
            "output_tokens": output,
            "reasoning_tokens": np.where(np.isnan(output), np.nan, 0.0),
            "frames": np.full(len(demand), 20.0),
            "token_gap": gap,
            "output_rate": output / demand,
        }
