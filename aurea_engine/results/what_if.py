"""The answer of a what-if: a recorded run replayed under other conditions, with what that assumes."""

from __future__ import annotations

from dataclasses import dataclass

from aurea_engine.results.result import RunResult
from aurea_engine.results.statistics import Interval


@dataclass(frozen=True)
class WhatIfFigure:
    """One figure, in the unit of the result: as it was ``recorded``, and what it would be, with its 95 % ``interval``.

    None is what too few jobs support, or what the recorded result does not hold. ``currency``: of an amount of money,
    that of its model.
    """

    figure: str
    recorded: float | None
    value: float | None
    interval: Interval | None
    currency: str | None = None


@dataclass(frozen=True)
class WhatIf:
    """What a recorded run would have been like. ``recorded``: its id. ``sample``: how many of its jobs were replayed.

    ``result`` is one replay, of the recorded jobs in their own order, and its objectives are judged by the intervals.
    ``figures`` are over ``replays`` replays; their intervals hold the recorded sample's own error too. ``assumptions``: what
    the answer takes for granted; ``warnings``: what in the recorded run speaks against it.
    """

    recorded: str
    sample: int
    replays: int
    result: RunResult
    figures: tuple[WhatIfFigure, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def figure(self, name: str) -> WhatIfFigure:
        """The figure of that name, such as ``response_time.p99``. Raises KeyError for another."""
        found = next((each for each in self.figures if each.figure == name), None)
        if found is None:
            raise KeyError(f"{name}: the figures are {', '.join(each.figure for each in self.figures)}")
        return found
