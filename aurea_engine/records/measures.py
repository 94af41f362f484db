"""What a job may report of itself: marks (instants inside its service) and measures (amounts), each one int64 column.

A job class declares them, so that a run knows its columns before its first job::

    class Query(Job):
        marks = (Mark("first_row"),)
        measures = (Measure("rows", "rows"),)

A mark is stored as `started` is: nanoseconds since the window opened. A measure is stored as ``value × scale``, a whole
number from 0 up. `NEVER` stands for what a job did not report. Integers, so that sums are exact: bills are made of them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Any, TypeVar

from msgspec import Meta

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, Invalid, show_value
from aurea_engine.records.column_names import RESERVED

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_GROUP = re.compile(r"[^:=+@\s-][^:]{0,127}")

MOST_COLUMNS = 64
"""Marks and measures of one run: each costs eight bytes a job, and two histograms."""


class _ColumnName:
    """Lower-case letters, digits and underscores; no name that a record or an objective has already."""

    pattern = f"^{_NAME.pattern}$"

    def coerce(self, value: object) -> str:
        # A name becomes a column of CSV files, a member of JSON and the metric of an objective: one word in each.
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise Invalid("must be a name of lower-case letters, digits and underscores that begins with a letter")
        if value in RESERVED:
            raise Invalid("is the name of a built-in column or metric: choose another one")
        return value


class _GroupName:
    """Printable text of at most 128 characters; no colon, which ends the name in ``group:NAME:metric``."""

    pattern = f"^{_GROUP.pattern}$"

    def coerce(self, value: object) -> str:
        # Groups stand in CSV files, and = + - @ begin a formula in a spreadsheet.
        if not isinstance(value, str) or not value.isprintable() or not _GROUP.fullmatch(value):
            raise Invalid(
                "must be at most 128 printable characters without a colon, the first none of = + - @ and space"
            )
        return value


ColumnName = Annotated[str, _ColumnName()]
Scale = Annotated[int, Meta(ge=1, le=10**12)]
GroupName = Annotated[str, _GroupName()]


@dataclass(frozen=True)
class Mark(Checked):
    """An instant inside a job's service, such as the first row of an answer. A job may end without it."""

    name: ColumnName


@dataclass(frozen=True)
class Measure(Checked):
    """An amount that a job reports when it ends, in ``unit``: bytes, rows, tokens.

    A unit with a slash is that of a ratio, such as tokens/s. Stored as ``value × scale``: with ``scale=1`` only whole
    numbers can be reported, with 1000 thousandths as well.
    """

    name: ColumnName
    unit: Annotated[str, Meta(max_length=64)]
    scale: Scale = 1

    @property
    def is_ratio(self) -> bool:
        """Whether it is an amount per something, of which a sum would be of nothing."""
        return "/" in self.unit

    def to_unit(self, stored: int) -> float:
        """A stored amount, or a sum of such, in the unit: a whole number where only whole ones can be reported."""
        return stored if self.scale == 1 else stored / self.scale


Declared = TypeVar("Declared", bound=Mark | Measure)


@dataclass(frozen=True)
class Schema:
    """The columns that the records of one run have beside the built-in ones. Without any, a record takes 33 bytes.

    ``groups``: the names that the numbers in the column ``group`` stand for. ``steps``: the same of the records of steps,
    which are a batch of their own and no column of the jobs. ``run_measures``: amounts of the run as a whole, in no column.
    """

    marks: tuple[Mark, ...] = ()
    measures: tuple[Measure, ...] = ()
    groups: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    run_measures: tuple[Measure, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.marks or self.measures or self.groups)

    @property
    def declared(self) -> tuple[Mark | Measure, ...]:
        """Marks, then measures: the order of every report and of every file."""
        return (*self.marks, *self.measures)

    def measure(self, name: str) -> Measure | None:
        """The measure of that name, None if no job declares it."""
        return find_declared(self.measures, name)

    def amount(self, name: str) -> Measure | None:
        """The measure of that name, of single jobs or of the run as a whole; None if there is none."""
        return find_declared((*self.measures, *self.run_measures), name)

    def mark(self, name: str) -> Mark | None:
        """The mark of that name, None if no job declares it."""
        return find_declared(self.marks, name)


def find_declared(declared: Iterable[Declared], name: str) -> Declared | None:
    """The mark or measure of that name among ``declared``."""
    return next((each for each in declared if each.name == name), None)


def join_declared(kinds: Sequence[object]) -> tuple[tuple[Mark, ...], tuple[Measure, ...]]:
    """The marks and measures of all ``kinds`` of jobs of one run, each once, in the order of their first declaration.

    Raises `SpecError` if a declaration is none, or where two kinds mean different things by one name: one column holds
    both, and a sum over it would be of nothing.
    """
    # Dictionaries keep the order of the first declaration, which is the order of columns in every file and report.
    marks, measures, problems = dict[str, Mark](), dict[str, Measure](), list[Problem]()
    for kind in kinds:
        _collect(kind, "marks", Mark, marks, problems)
        _collect(kind, "measures", Measure, measures, problems)
    problems += [
        Problem("", f"{name} is declared both as a mark and as a measure: one column cannot be both")
        for name in marks.keys() & measures.keys()
    ]
    if len(marks) + len(measures) > MOST_COLUMNS:
        problems.append(Problem("", f"must declare at most {MOST_COLUMNS} marks and measures together"))
    if problems:
        raise SpecError(problems)
    return tuple(marks.values()), tuple(measures.values())


def join_run_measures(kinds: Sequence[object], columns: Sequence[Mark | Measure]) -> tuple[Measure, ...]:
    """The amounts of the run as a whole that any of ``kinds`` declares. ``columns``: what single jobs report.

    Raises `SpecError` where a declaration is none, or two things have one name.
    """
    found, problems = dict[str, Measure](), list[Problem]()
    for kind in kinds:
        _collect(kind, "run_measures", Measure, found, problems)
    taken = {each.name for each in columns}
    problems += [
        Problem("", f"{name} is declared for single jobs and for the run: one name must be one thing")
        for name in found
        if name in taken
    ]
    if problems:
        raise SpecError(problems)
    return tuple(found.values())


def _collect(kind: Any, member: str, wanted: type, found: dict[str, Any], problems: list[Problem]) -> None:
    """Add what ``kind`` declares as ``member`` to ``found``."""
    name, declared = type(kind).__name__, getattr(kind, member, ())
    if not isinstance(declared, tuple) or not all(isinstance(each, wanted) for each in declared):
        text = f"{name}.{member} must be a tuple of {wanted.__name__}"
        problems.append(Problem("", text, show_value(declared)))
        return
    if len({each.name for each in declared}) < len(declared):
        problems.append(Problem("", f"{name}.{member} must have different names"))
    for each in declared:
        # Two kinds may declare the same: a mix of reads and writes counts the rows of both in one column.
        if found.setdefault(each.name, each) != each:
            text = f"{name} declares {each.name} otherwise than another job of the run: give both one unit and scale"
            problems.append(Problem("", text))


def number_repeated(names: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """``names`` made different: what occurs more than once, or is ``taken``, becomes ``name_1``, ``name_2`` and so on."""
    occurrences, used, numbers = Counter(names), {*taken}, defaultdict[str, Iterator[int]](lambda: count(1))
    unique = []
    for name in names:
        # A numbered name may be one that the user gave: then the next number is tried.
        chosen = name
        while chosen in used or (chosen == name and occurrences[name] > 1):
            chosen = f"{name}_{next(numbers[name])}"
        used.add(chosen)
        unique.append(chosen)
    return unique
