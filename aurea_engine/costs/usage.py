"""Usage: the exact counts of one run. Most models can price the run again from them, without its records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Protocol, TypeVar

from aurea_engine.closed_sets import FINAL, Outcome
from aurea_engine.costs.decimals import exact_text
from aurea_engine.errors import NeedsRecords, Problem, SpecError
from aurea_engine.fields.checked import show_value

T = TypeVar("T")

Quanta = Mapping[str, int | Fraction]
"""The counts of one meter, by label (an outcome, or a level of concurrency). Whole numbers, unless projected."""

STEPS = "step/"
"""Begins the keys of meters that counted steps. No meter of jobs has such a key."""

# Of the JSON form. It changes when an old reader would misread a new usage.
VERSION = 1

_NUMBER = re.compile(r"[0-9]{1,400}(\.[0-9]{1,400}|/0*[1-9][0-9]{0,399})?", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,400}", re.ASCII)
_OUTCOMES = {each.name.lower(): each for each in FINAL}


@dataclass(frozen=True)
class RunInfo:
    """What a price may depend on besides the jobs.

    ``window_ns``: length of the measured window. ``slots``: the scheduler's, None without a limit. ``counts``: ended jobs by
    outcome. ``good``: completed jobs that met the objectives, None without objectives. ``started_at``: the instant at which
    the window opened, with a time zone; it selects the prices that held then.
    """

    window_ns: int
    slots: int | None = None
    counts: Mapping[Outcome, int] = field(default_factory=dict)
    good: int | None = None
    started_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.window_ns < 0:
            raise SpecError([Problem("window_ns", "must be >= 0", str(self.window_ns))])
        if self.started_at is not None and self.started_at.tzinfo is None:
            raise SpecError([Problem("started_at", "must have a time zone, such as UTC", str(self.started_at))])

    @property
    def arrived(self) -> int:
        return sum(self.counts.values())

    def merge(self, other: RunInfo) -> RunInfo:
        """Two runs, one after the other: windows and counts add up, and the earlier start is kept."""
        starts = [run.started_at for run in (self, other) if run.started_at is not None]
        return RunInfo(
            self.window_ns + other.window_ns,
            self.slots if self.slots == other.slots else None,
            {each: self.counts.get(each, 0) + other.counts.get(each, 0) for each in {*self.counts, *other.counts}},
            # Unknown in one of the two is unknown in the sum.
            None if self.good is None or other.good is None else self.good + other.good,
            min(starts, default=None),
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            # Counts as text: they may exceed 2⁵³, above which JSON readers that use floats lose digits.
            "window_ns": str(self.window_ns),
            "slots": self.slots,
            "counts": {Outcome(each).name.lower(): str(count) for each, count in sorted(self.counts.items())},
            "good": None if self.good is None else str(self.good),
            "started_at": None if self.started_at is None else self.started_at.astimezone(UTC).isoformat(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunInfo:
        """Read what `to_dict` wrote. Raises `SpecError` that names the wrong member."""
        slots, good, started_at = (data.get(name) for name in ("slots", "good", "started_at"))
        counts = _require_object(data.get("counts", {}), "counts")
        return cls(
            _parse_whole(data.get("window_ns"), "window_ns"),
            None if slots is None else _parse_whole(slots, "slots", least=1),
            {_parse_outcome(name): _parse_whole(count, f"counts.{name}") for name, count in counts.items()},
            None if good is None else _parse_whole(good, "good"),
            None if started_at is None else _parse_instant(started_at),
        )


class Keyed(Protocol):
    """**Protocol:** anything with the key of a meter, such as the meter itself."""

    @property
    def key(self) -> str:
        """Its name in a usage. It holds every parameter that changes the count."""


@dataclass(frozen=True)
class Usage:
    """The counts of every meter in one run. Converts to and from JSON, can be merged, and is enough to price the run again.

    ``broken``: meters that raised or returned nonsense, and why. ``factor``: how many times the run was repeated to fill a
    billing period, None if it is not a projection. Free allowances and commitments apply to projections only.
    """

    run: RunInfo
    quanta: Mapping[str, Quanta]
    broken: Mapping[str, str] = field(default_factory=dict)
    factor: Fraction | None = None

    def of(self, meter: Keyed) -> Quanta:
        """The counts of ``meter``. Raises `NeedsRecords` if it was not kept: an answer is never approximated."""
        return self.at(meter.key)

    def at(self, key: str) -> Quanta:
        """The counts of the meter with this key. Raises `NeedsRecords` if it was not kept, ValueError if it broke."""
        # A broken meter is an error of its model, not a matter of missing records: counting again would break again.
        if key in self.broken:
            raise ValueError(self.broken[key])
        if key not in self.quanta:
            raise NeedsRecords(f"the run did not keep the meter {key!r}: price it from its records, or run it again")
        return self.quanta[key]

    @property
    def has_steps(self) -> bool:
        """Whether the jobs of the run had steps."""
        # The common meters are kept of the steps of every run that has any, so one key at least tells.
        return any(key.startswith(STEPS) for key in (*self.quanta, *self.broken))

    def of_steps(self) -> Usage:
        """The same run by its steps, as if each were a job. Of a run without steps it is the run: a job is one step."""
        if not self.has_steps:
            return self
        return replace(self, quanta=_keep_steps(self.quanta), broken=_keep_steps(self.broken))

    def merge(self, other: Usage) -> Usage:
        """The usage of two runs, one after the other. Only meters that both kept remain."""
        if self.factor is not None or other.factor is not None:
            raise SpecError("projected usages cannot be merged: merge the runs, then project the whole")
        # A meter that only one of them kept would count only a part, and nothing in the sum would show it.
        both = {
            key: {label: mine.get(label, 0) + theirs.get(label, 0) for label in {**mine, **theirs}}
            for key, mine in self.quanta.items()
            if (theirs := other.quanta.get(key)) is not None
        }
        return Usage(self.run.merge(other.run), both, {**self.broken, **other.broken})

    def scaled(self, factor: Fraction, window_ns: int) -> Usage:
        """The same jobs ``factor`` times, in a window of ``window_ns``: a projection to a billing period."""
        quanta = {key: {label: n * factor for label, n in labels.items()} for key, labels in self.quanta.items()}
        return Usage(replace(self.run, window_ns=window_ns), quanta, self.broken, factor)

    def to_dict(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "run": self.run.to_dict(),
            "quanta": {
                key: {label: exact_text(Fraction(count)) for label, count in sorted(labels.items())}
                for key, labels in sorted(self.quanta.items())
            },
            "broken": dict(self.broken),
            "factor": None if self.factor is None else exact_text(self.factor),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Usage:
        """Read what `to_dict` wrote. Raises `SpecError` that names the wrong member."""
        with _prefix_problems("usage"):
            if _require_object(data, "").get("version") != VERSION:
                raise _make_error("version", f"must be {VERSION}", data.get("version"))
            quanta = {
                str(key): {
                    str(label): _parse_number(count, f"quanta.{_quote_name(key)}.{_quote_name(label)}")
                    for label, count in _require_object(labels, f"quanta.{_quote_name(key)}").items()
                }
                for key, labels in _require_object(data.get("quanta"), "quanta").items()
            }
            broken = {str(key): str(text) for key, text in _require_object(data.get("broken", {}), "broken").items()}
            factor = None if data.get("factor") is None else Fraction(_parse_number(data["factor"], "factor"))
            with _prefix_problems("run"):
                run = RunInfo.from_dict(_require_object(data.get("run"), ""))
            return cls(run, quanta, broken, factor)


# Usage from outside (a stored result, a request) is read strictly: it decides about money, so a wrong member is refused by
# its path, and never replaced by a default.
@contextmanager
def _prefix_problems(parent: str) -> Iterator[None]:
    try:
        yield
    except SpecError as error:
        raise SpecError(problem.within(parent) for problem in error.problems) from None


def _make_error(path: str, problem: str, got: object) -> SpecError:
    return SpecError([Problem(path, problem, show_value(got))])


def _quote_name(key: object) -> str:
    return show_value(key).strip("'")


def _keep_steps(values: Mapping[str, T]) -> dict[str, T]:
    """What is of meters of steps, under the keys of the meters themselves."""
    return {key.removeprefix(STEPS): value for key, value in values.items() if key.startswith(STEPS)}


def _require_object(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _make_error(path, "must be an object, as Usage.to_dict writes it", value)
    return value


def _parse_whole(value: object, path: str, least: int = 0) -> int:
    number = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number < 10**400:
        raise _make_error(path, f"must be a whole number >= {least}", value)
    return number


def _parse_outcome(name: str) -> Outcome:
    if name not in _OUTCOMES:
        raise _make_error(f"counts.{_quote_name(name)}", f"must be one of {', '.join(_OUTCOMES)}", name)
    return _OUTCOMES[name]


def _parse_instant(value: object) -> datetime:
    try:
        return datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise _make_error("started_at", "must be an instant such as 2026-11-22T10:00:00+00:00", value) from None


def _parse_number(text: object, path: str) -> int | Fraction:
    # Checked before a fraction is made: that of "1e999999999" would fill the memory.
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise _make_error(path, 'must be a number >= 0 as text, such as "12" or "1/3"', text)
    number = Fraction(text)
    return number.numerator if number.denominator == 1 else number
