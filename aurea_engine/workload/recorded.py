"""Recorded workloads: `Trace`, the instants of arrivals, and `Replay`, the durations of jobs; from lists or files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from aurea_engine.closed_sets import ExecutorName
from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Name, Seconds, non_empty, show_value
from aurea_engine.fields.local_files import LOCAL, LOCAL_FILE, FileName
from aurea_engine.records.batch import NS, Floats, Instants
from aurea_engine.records.rows import seconds_of
from aurea_engine.workload.arrival_instants import BLOCK
from aurea_engine.workload.arrivals import Arrivals
from aurea_engine.workload.distributions import cut_to_whole_ns
from aurea_engine.workload.jobs import Job, Sleep
from aurea_engine.workload.time_parsing import TimeUnit, parse_time
from aurea_engine.workload.token_traces import FORMS as TOKEN_FORMS
from aurea_engine.workload.token_traces import TokenForm, TokenLengths, TraceTokens, read_token_trace
from aurea_engine.workload.trace_files import (
    FILE_MEMBERS,
    LIMIT,
    OR_FILE,
    Digest,
    Form,
    Rows,
    Source,
    Speed,
    Times,
    Unreadable,
    describe_place,
    read_times,
)

TraceForm = Literal[Form, TokenForm]
"""The forms of `Form` have the instants in one column; those of `TokenForm` have lengths beside them."""


@dataclass(frozen=True)
class Trace(Arrivals):
    """Arrivals at the recorded instants ``at``: seconds since the window opened, in order. Or at those of a ``file``.

    ``offset``: the instant in the file at which the window opens; None is the first of the slice. ``speed`` 2 takes half as
    long. ``sha256`` is filled in; if it is given, a changed file is refused. ``tokens``: the lengths of the requests that
    arrive ``at``; of a file in a ``format`` that has lengths, they are read with the instants.
    """

    at: Annotated[Annotated[tuple[Seconds, ...], non_empty("must hold at least one instant")] | None, OR_FILE] = None
    file: Annotated[FileName | None, LOCAL_FILE] = None
    format: Annotated[TraceForm | None, LOCAL] = None
    column: Annotated[Name | None, LOCAL] = None
    unit: Annotated[TimeUnit | None, LOCAL] = None
    offset: Annotated[float | Name | None, LOCAL] = None
    speed: Annotated[Speed, LOCAL] = 1.0
    slice: Annotated[Rows | None, LOCAL] = None
    sha256: Annotated[Digest | None, LOCAL] = None
    tokens: TraceTokens | None = None
    ends: ClassVar[Literal["by itself"]] = "by itself"
    recorded_ns: Instants = field(init=False, repr=False, compare=False)
    """The instants of the file, in ns since the window opened."""
    lengths: TokenLengths | None = field(init=False, default=None, repr=False, compare=False)
    """The lengths of its requests, None if it has none."""

    def check(self) -> list[Problem]:
        if self.file is not None:
            return self._read(self.file)
        if self.at is None:
            return [Problem("at", "is required, or file")]
        if self.tokens is not None:
            if len(self.tokens.input) != len(self.at):
                text = f"must have as many as there are instants, {len(self.at):,}"
                return [Problem("tokens.input", text, f"{len(self.tokens.input):,}")]
            object.__setattr__(self, "lengths", TokenLengths.of(self.tokens))
        problems = [Problem(name, "goes with file only") for name in FILE_MEMBERS if getattr(self, name) is not None]
        if self.offset is not None or self.speed != 1:
            problems.append(Problem("offset" if self.offset is not None else "speed", "goes with file only"))
        if problems:
            return problems
        late = np.flatnonzero(np.diff(self.at) < 0)
        if len(late):
            i = int(late[0]) + 1
            return [Problem(f"at[{i}]", "instants must be in order", f"{self.at[i]:g} after {self.at[i - 1]:g}")]
        return []

    def _read(self, file: str) -> list[Problem]:
        """Read the instants, and keep them beside the members, which say where they came from."""
        for name in ("at", "tokens"):
            if getattr(self, name) is not None:
                return [Problem(name, "cannot stand beside file: give one or the other")]
        try:
            source, times, lengths = self._load(Source(file, self.column, self.unit, self.slice))
            opening = int(times.ns[0]) if self.offset is None else find_opening(self.offset, times, source.unit)
            instants = scale_arrivals(source, times, opening, self.speed)
        except Unreadable as error:
            return [error.problem]
        # The frozen value completes itself once, while it is made. The digest goes into the result, so a later run can tell
        # whether the file is still the same.
        object.__setattr__(self, "sha256", times.sha256)
        object.__setattr__(self, "recorded_ns", instants)
        object.__setattr__(self, "lengths", lengths)
        return []

    def _load(self, source: Source) -> tuple[Source, Times, TokenLengths | None]:
        """What was read, the times in it, and the lengths, if the form has any."""
        form = self.format
        if form is None or form == "csv" or form == "jsonl":  # noqa: PLR1714 - only so mypy sees which forms are left
            return source, read_times(source, form, self.sha256), None
        for name in ("column", "unit"):
            if getattr(self, name) is not None:
                raise Unreadable(name, f"goes with csv and jsonl: the form {form} says it itself")
        columns = TOKEN_FORMS[form]
        named = replace(source, column=columns.time, unit=columns.unit)
        return named, *read_token_trace(named, form, self.sha256)

    def token_lengths(self) -> TokenLengths | None:
        return self.lengths

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        # Times of a list were checked to be in order as floats. Rounding cannot change the order.
        whole = np.rint(np.array(self.at) * NS).astype(np.int64) if self.file is None else self.recorded_ns
        for first in range(0, len(whole), BLOCK):
            yield whole[first : first + BLOCK]


@dataclass(frozen=True)
class Replay(Job):
    """Sleeps for recorded ``durations``, in their order, and starts again when they run out. Or for those of a ``file``.

    ``sha256`` is filled in; if it is given, a changed file is refused.
    """

    durations: Annotated[
        Annotated[tuple[Seconds, ...], non_empty("must hold at least one duration")] | None, OR_FILE
    ] = None
    file: Annotated[FileName | None, LOCAL_FILE] = None
    format: Annotated[Form | None, LOCAL] = None
    column: Annotated[Name | None, LOCAL] = None
    unit: Annotated[TimeUnit | None, LOCAL] = None
    slice: Annotated[Rows | None, LOCAL] = None
    sha256: Annotated[Digest | None, LOCAL] = None
    recorded_ns: Instants = field(init=False, repr=False, compare=False)
    """The durations of the file, in ns."""
    executor: ClassVar[ExecutorName] = "timers"

    def check(self) -> list[Problem]:
        if self.file is not None:
            return self._read(self.file)
        if self.durations is None:
            return [Problem("durations", "is required, or file")]
        return [Problem(name, "goes with file only") for name in FILE_MEMBERS if getattr(self, name) is not None]

    def _read(self, file: str) -> list[Problem]:
        if self.durations is not None:
            return [Problem("durations", "cannot stand beside file: give one or the other")]
        try:
            source = Source(file, self.column, self.unit, self.slice)
            times = read_times(source, self.format, self.sha256)
            object.__setattr__(self, "recorded_ns", check_durations(source, times))
        except Unreadable as error:
            return [error.problem]
        object.__setattr__(self, "sha256", times.sha256)
        return []

    async def run(self, demand: float) -> None:
        await Sleep().run(demand)

    def demands(self, rng: np.random.Generator, first: int, n: int) -> Floats:
        if self.durations is not None:
            # Job i has duration i modulo their number, whatever the block: the plan may ask from any job on.
            return cut_to_whole_ns(np.array(self.durations)[np.arange(first, first + n) % len(self.durations)])
        return np.asarray(self.recorded_ns[np.arange(first, first + n) % len(self.recorded_ns)] / NS)


def find_opening(offset: float | str, times: Times, unit: TimeUnit | None) -> int:
    """The instant in the file at which the window opens, in ns. ``offset``: a number in ``unit``, a duration, or a date."""
    cell = Decimal(repr(offset)) if isinstance(offset, float) else offset
    found = parse_time(cell, unit)
    if found is None or (found[1] is not None) is not times.dated:
        kind = "a date such as 2023-11-16T18:00:00" if times.dated else 'a number, or a duration such as "5m"'
        raise Unreadable("offset", f"must be {kind}, as the column has them", show_value(offset))
    return found[0]


def scale_arrivals(source: Source, times: Times, opening: int, speed: float) -> Instants:
    """Ns since the window opened, at ``speed``. Raises `Unreadable` if they are not in order, or before the opening."""
    # Sorting here would be convenient, and would tear the instants from the other columns of their rows (their durations,
    # in a replay of the same file).
    late = np.flatnonzero(np.diff(times.ns) < 0)
    if len(late):
        where = describe_place(source, times.lines(int(late[0]) + 1))
        raise Unreadable("file", f"must be in order of time: {where} is earlier than the row before it; sort the file, "
                         "with all of its columns, so that each row keeps its own")  # fmt: skip
    if times.ns[0] < opening:
        raise Unreadable(
            "offset", f"must not be after {describe_place(source, times.lines(0))}: leave earlier rows out by slice"
        )
    if int(times.ns[-1]) - opening >= LIMIT:
        raise Unreadable(
            "offset", f"is more than 146 years before {describe_place(source, times.lines(len(times.ns) - 1))}"
        )
    since = times.ns - opening
    if speed == 1:
        return since
    # Fractions, not floats: above 2⁵³ ns, 104 days, a float skips nanoseconds. repr is the decimal that the user wrote.
    exact = Fraction(repr(speed))
    slow = [round(Fraction(ns * exact.denominator, exact.numerator)) for ns in since.tolist()]
    if slow[-1] >= LIMIT:
        raise Unreadable("speed", "is so low that the trace would last more than 146 years", f"{speed:g}")
    return np.array(slow, np.int64)


def check_durations(source: Source, times: Times) -> Instants:
    """The durations, none of them a date or negative. Raises `Unreadable`."""
    if times.dated:
        raise Unreadable("column", f"must hold durations, and {describe_place(source, times.lines(0))} is a date")
    wrong = np.flatnonzero(times.ns < 0)
    if len(wrong):
        raise Unreadable("column", f"{describe_place(source, times.lines(int(wrong[0])))} is less than 0")
    return times.ns


def inline_files(data: object) -> object:
    """``data``, a specification, with recorded times instead of the files that it names. So it can be sent elsewhere.

    Raises `SpecError` for a file that cannot be read, or holds something else.
    """
    return _inline_value(data, "")


def _inline_value(value: object, path: str) -> object:
    if isinstance(value, list):
        return [_inline_value(item, f"{path}[{i}]") for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    # By the kind and a file: a member called "file" elsewhere belongs to a third-party kind, and is left alone.
    if value.get("kind") in ("trace", "replay") and value.get("file") is not None:
        return _inline_times(value, path)
    return {name: _inline_value(member, f"{path}.{name}".lstrip(".")) for name, member in value.items()}


def _inline_times(value: dict[str, Any], path: str) -> object:
    members = {name: member for name, member in value.items() if name != "kind"}
    try:
        read = Trace(**members) if value["kind"] == "trace" else Replay(**members)
    except TypeError:  # an unknown member: the codec will report it
        return value
    except SpecError as error:
        raise SpecError(problem.within(path) for problem in error.problems) from None
    times = [seconds_of(ns) for ns in read.recorded_ns.tolist()]
    if isinstance(read, Replay):
        return {"kind": "replay", "durations": times}
    tokens = {} if read.lengths is None else {"tokens": read.lengths.to_dict()}
    return {"kind": "trace", "at": times, **tokens}
