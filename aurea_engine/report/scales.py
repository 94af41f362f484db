"""Axes: from figures to places on a chart, with round numbers as ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


class Scale(Protocol):
    """From ``low`` to ``high``."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high end; what lies beyond an end is drawn there."""

    def ticks(self, most: int) -> list[float]:
        """Round numbers within the ends, rising."""


@dataclass(frozen=True)
class Linear:
    low: float
    high: float

    def place(self, value: float) -> float:
        return min(max((value - self.low) / (self.high - self.low or 1.0), 0.0), 1.0)

    def ticks(self, most: int) -> list[float]:
        step = choose_step((self.high - self.low) / most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


@dataclass(frozen=True)
class Logarithmic:
    """Both ends are above 0."""

    low: float
    high: float

    def place(self, value: float) -> float:
        if value <= self.low:
            return 0.0
        return min(math.log(value / self.low) / (math.log(self.high / self.low) or 1.0), 1.0)

    def ticks(self, most: int) -> list[float]:
        # The finest series of round numbers of which not too many lie within; a narrow range has linear ones.
        for digits in ((1, 2, 5), (1, 3), (1,)):
            found = [
                digit * 10.0**power
                for power in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
                for digit in digits
                if self.low * (1 - 1e-9) <= digit * 10.0**power <= self.high * (1 + 1e-9)
            ]
            if len(found) <= most:
                break
        if len(found) > most:
            found = found[:: math.ceil(len(found) / most)]
        return found if len(found) > 2 else Linear(self.low, self.high).ticks(most)


def choose_step(least: float) -> float:
    """1, 2 or 5 times a power of ten: the first at or above ``least``."""
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next((power * digit for digit in (1, 2, 5) if power * digit >= least * (1 - 1e-9)), power * 10)


def scale_from_zero(values: Iterable[float | None]) -> Linear:
    """From 0 to a round number above all of ``values``."""
    top = max((value for value in values if value is not None), default=0.0)
    if top <= 0:
        return Linear(0.0, 1.0)
    step = choose_step(top / 4)
    return Linear(0.0, step * math.ceil(top / step * (1 + 1e-9)))


def scale_around(values: Iterable[float | None]) -> Scale:
    """From 0, or logarithmic where values differ so much that the small ones would lie on the axis."""
    # From 0 wherever that is possible: lengths can be compared then.
    known = [value for value in values if value is not None and value > 0]
    if not known or max(known) < 20 * min(known):
        return scale_from_zero(known)
    return Logarithmic(min(known) * 0.85, max(known) * 1.15)


def time_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Instants of a run at round numbers of seconds, minutes or hours, with how they are written: ``45 s``, ``2:30``."""
    span = high - low
    # Of a clock, since 100 s or 1,000 s are no round times.
    steps = [unit * digit for unit in (1, 60) for digit in (1, 2, 5, 10, 15, 30)]
    steps += [3600 * hours for hours in (1, 2, 3, 6, 12, 24, 48, 120, 240)]
    step = choose_step(span / most) if span < 5 else next((each for each in steps if span / each <= most), span / most)
    ticks = [number * step for number in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]
    return [(tick, f"{tick:.6g} s" if high < 120 else _write_clock(tick)) for tick in ticks]


def _write_clock(at: float) -> str:
    minutes, seconds = divmod(round(at), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def label_seconds(value: float) -> str:
    """A time as a tick, without digits that say nothing: ``50 ms``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size * 0.9995:
            return f"{value / size:,.4g} {unit}" if value < 10_000 else f"{value:,.0f} s"
    return f"{value * 1e9:.3g} ns" if value else "0"


def label_number(value: float) -> str:
    """A count or a rate as a tick: ``250``, ``1.5k``, ``2M``."""
    for letter, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size * 0.9995:
            return f"{value / size:.4g}{letter}"
    return label_amount(value)


def label_amount(value: float) -> str:
    """Money, or what else may be tiny, as a tick: ``0.00005``, ``250,000``; powers of ten only beyond what can be read."""
    short = f"{value:.6g}"
    return f"{Decimal(short):,f}" if not value or 1e-9 <= abs(value) < 1e15 else short
