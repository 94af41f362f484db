"""What is compared: rows, their contenders, and what is asked of the first of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Figures = Mapping[str, float]
Unit = Literal["/s", "s", "ms", "µs", "MiB", "bytes", "cores", "%", "×", ""]

AUREA = "Aurea"
BEFORE = "Aurea before"
PROCESS = "process"
CORES = "cores"


# Everything here is a value: a row is data, and which rows there are stands in `__main__`.


class Absent(Exception):
    """A contender is not installed here, or cannot do the task; the text says which."""


@dataclass(frozen=True)
class Figure:
    """One column of a row's table. ``key`` names it in what contenders answer, in ``unit`` s when the unit is a time."""

    key: str
    label: str
    unit: Unit


@dataclass(frozen=True)
class Contender:
    """``run(**full)``, or ``run(**quick)`` in a trial of the scripts themselves, does the task once and answers figures.

    ``does``: what one iteration is, and what is recorded of it; the documentation prints it. ``seeded``: it takes the
    number of the round as ``seed``, so that contenders draw equally many streams, and a round can be repeated. ``engine``:
    the folder of another checkout, whose engine does it instead of this one's.
    """

    name: str
    run: Callable[..., Figures]
    does: str
    full: Mapping[str, float] = field(default_factory=dict)
    quick: Mapping[str, float] = field(default_factory=dict)
    seeded: bool = False
    engine: str | None = None


@dataclass(frozen=True)
class Bound:
    """A ``limit`` on Aurea's median ``figure``, or, with ``against``, on how many times better it is than that contender's.

    ``better`` says which way that is; ``prototype`` what was reached before there was an engine.
    """

    figure: str
    limit: float
    against: str | None = None
    better: Literal["more", "less"] = "more"
    prototype: str = ""


@dataclass(frozen=True)
class Row:
    """One task. The first contender is Aurea."""

    key: str
    title: str
    figures: tuple[Figure, ...]
    contenders: tuple[Contender, ...]
    bounds: tuple[Bound, ...]
    note: str = ""


def add_before(row: Row, engine: str) -> Row:
    """``row`` with one contender more: the same task done by the engine of another checkout."""
    # Second, so that in each round both engines run next to each other.
    ours = row.contenders[0]
    before = replace(ours, name=BEFORE, does=f"The same, by the engine in {engine}.", engine=engine)
    return replace(row, contenders=(ours, before, *row.contenders[1:]))
