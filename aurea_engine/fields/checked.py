"""Typed, bounded fields: one check for values made in Python and values read from JSON.

A strategy is a frozen dataclass whose annotations say what each field may be (``Annotated[float, Meta(gt=0)]`` with
msgspec's ``Meta``). The same annotations describe the HTTP interface. `Checked` runs the check when a value is made.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, Union

from msgspec import Meta

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.units import DURATION, RATE, Unit

MAX_SECONDS = 1e9
"""The longest instant or span in a specification. Int64 nanoseconds reach 292 years; this is 31."""

Seconds = Annotated[float, Meta(ge=0, le=MAX_SECONDS), DURATION]
"""A field in seconds also accepts ``"250ms"``, and a rate ``"500/s"``: see `aurea_engine.fields.units`."""
PositiveSeconds = Annotated[float, Meta(gt=0, le=MAX_SECONDS), DURATION]
Rate = Annotated[float, Meta(gt=0, le=1e9), RATE]
RateOrZero = Annotated[float, Meta(ge=0, le=1e9), RATE]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=10**12)]
Weight = Annotated[float, Meta(ge=0, le=1e12)]
Name = Annotated[str, Meta(max_length=256)]


def non_empty(empty: str) -> Meta:
    """A list that must not be empty. ``empty``: the message if it is."""
    return Meta(min_length=1, extra={"empty": empty})


def show_value(value: object) -> str:
    """``value`` for a message: printable, one line, at most 60 characters."""
    match value:
        case None:
            text = "null"
        case bool():
            text = str(value).lower()
        case int() if value.bit_length() > 200:
            text = f"an integer of {value.bit_length()} bits"
        case int() | float() | Decimal():
            text = str(value)
        case dict():
            text = f"an object of {len(value)}"
        case list() | tuple():
            text = f"a list of {len(value)}"
        case _:
            text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def format_number(number: float) -> str:
    """A number as people write it, never in powers of ten."""
    if number == int(number):
        return f"{int(number):,}"
    return f"{number:.12f}".rstrip("0") if abs(number) < 1e-4 else f"{number:g}"


NOT_UNICODE = "must be Unicode: there is half a surrogate pair in it"

MOST_PROBLEMS = 100
"""How many problems are reported at once. More would not help, and a body of some hundred KiB may have thousands."""


class Invalid(Exception):
    """Raised by the ``coerce`` of a field. The message says what would be right."""


def convert(value: object, hint: Any, path: str, problems: list[Problem]) -> Any:
    """``value`` as ``hint`` describes it. If it does not fit, a problem is appended and the result is None."""
    # The first rule that can judge the value decides. Rules with `coerce` take the whole value, a unit takes text only, and
    # what is left is bounds.
    origin = typing.get_origin(hint)
    if origin is Annotated:
        base, *rest = typing.get_args(hint)
        for rule in rest:
            if hasattr(rule, "coerce"):
                return _coerce(value, rule.coerce, path, problems)
            if isinstance(rule, Unit) and isinstance(value, str):
                return _convert_text_with_unit(value, rule, hint, path, problems)
        return _convert_scalar(value, base, [meta for meta in rest if isinstance(meta, Meta)], path, problems)
    if origin in (Union, types.UnionType):
        return _convert_union(value, typing.get_args(hint), path, problems)
    if origin is Literal:
        return _convert_literal(value, typing.get_args(hint), path, problems)
    if origin is tuple:
        return _convert_list(value, typing.get_args(hint), path, problems)
    if hint in (int, float, str, bool):
        return _convert_scalar(value, hint, [], path, problems)
    return _convert_instance(value, origin or hint, path, problems)


def _convert_literal(value: object, allowed: tuple[Any, ...], path: str, problems: list[Problem]) -> Any:
    if value in allowed:
        return value
    names = ", ".join(ascii(option) for option in allowed)
    problems.append(Problem(path, f"must be one of {names}", show_value(value)))
    return None


def _convert_list(value: object, inner: tuple[Any, ...], path: str, problems: list[Problem]) -> Any:
    if not isinstance(value, (list, tuple)):
        problems.append(Problem(path, "must be a list", show_value(value)))
        return None
    if inner[-1:] == (...,):
        inner = inner[:1] * len(value)
    if len(inner) != len(value):
        problems.append(Problem(path, f"must be a list of {len(inner)}", show_value(value)))
        return None
    converted = []
    for i, (item, kind) in enumerate(zip(value, inner, strict=True)):
        if len(problems) > MOST_PROBLEMS:
            break  # more are not reported
        converted.append(convert(item, kind, f"{path}[{i}]", problems))
        if len(problems) >= MOST_PROBLEMS:
            break
    return tuple(converted)


def _convert_union(value: object, options: tuple[Any, ...], path: str, problems: list[Problem]) -> Any:
    if value is None and type(None) in options:
        return None
    # If no option fits, the problems of the first are shown: those of all would contradict each other.
    found: list[Problem] = []
    for option in options:
        if option is not type(None):
            attempt: list[Problem] = []
            converted = convert(value, option, path, attempt)
            if not attempt:
                return converted
            found = found or attempt
    problems += found
    return None


def _convert_instance(value: object, hint: Any, path: str, problems: list[Problem]) -> Any:
    # An instance is taken as it is. Anything else may be turned into one, such as a number into a constant distribution.
    coerce = getattr(hint, "coerce", None)
    try:
        fits = hint is Any or isinstance(value, hint)
    except TypeError:  # an annotation that only a type checker understands: a NewType, a Protocol
        return value
    if not fits and coerce is not None:
        return _coerce(value, coerce, path, problems)
    if not fits:
        problems.append(Problem(path, f"must be a {hint.__name__}", show_value(value)))
        return None
    return value


def _coerce(value: object, coerce: Callable[[object], Any], path: str, problems: list[Problem]) -> Any:
    try:
        return coerce(value)
    except Invalid as error:
        problems.append(Problem(path, str(error), show_value(value)))
    except SpecError as error:
        problems += [problem.within(path) for problem in error.problems]
    return None


def _convert_text_with_unit(text: str, unit: Unit, hint: Any, path: str, problems: list[Problem]) -> Any:
    """The number that a text with a unit stands for, within the bounds of ``hint``."""
    metas = [meta for meta in typing.get_args(hint)[1:] if isinstance(meta, Meta)]
    number = unit.read(text)
    if number is None:
        limits = " and ".join(limit for meta in metas for limit in _describe_bounds(meta))
        problems.append(
            Problem(path, f"must be a number {limits}, or {unit.form}{unit.suggest(text)}", show_value(text))
        )
        return None
    attempt: list[Problem] = []
    converted = _convert_scalar(float(number), float, metas, path, attempt)
    problems += [problem._replace(got=show_value(text)) for problem in attempt]
    return converted


def _convert_scalar(value: object, base: Any, metas: list[Meta], path: str, problems: list[Problem]) -> Any:
    if base not in (int, float, str, bool):
        converted = convert(value, base, path, problems)
        if converted == ():
            problems += [Problem(path, meta.extra["empty"]) for meta in metas if meta.extra and "empty" in meta.extra]
        return converted
    wanted = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}[base]
    accepts: Any = {int: int, float: (int, float, Decimal), str: str, bool: bool}[base]
    # In Python True is an int. In a specification it is not a number.
    fits = isinstance(value, accepts) and (base is bool or not isinstance(value, bool))
    if fits and base is float:
        # NaN and infinity pass any comparison or none. JSON has neither, but TOML and Python do.
        value = _to_float(value)
        fits = math.isfinite(value)
        wanted = "a finite number"
    if fits and isinstance(value, str) and not is_unicode(value):
        problems.append(Problem(path, NOT_UNICODE, show_value(value)))
        return None
    if not fits or any(_is_out_of_bounds(value, meta) for meta in metas):
        limits = [text for meta in metas for text in _describe_bounds(meta)]
        problems.append(Problem(path, f"must be {' '.join([wanted, ' and '.join(limits)]).strip()}", show_value(value)))
        return None
    return value


def is_unicode(text: str) -> bool:
    """Whether ``text`` can be encoded. JSON and command lines may contain half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _to_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _describe_bounds(meta: Meta) -> Iterator[str]:
    for sign, bound in ((">=", meta.ge), (">", meta.gt), ("<=", meta.le), ("<", meta.lt)):
        if bound is not None:
            yield f"{sign} {format_number(bound)}"
    if meta.max_length is not None:
        yield f"of at most {meta.max_length} characters"


def _is_out_of_bounds(value: Any, meta: Meta) -> bool:
    # "not value >= bound" instead of "value < bound": both are False for NaN, and only the first refuses it.
    return (
        (meta.ge is not None and not value >= meta.ge)
        or (meta.gt is not None and not value > meta.gt)
        or (meta.le is not None and not value <= meta.le)
        or (meta.lt is not None and not value < meta.lt)
        or (meta.max_length is not None and len(value) > meta.max_length)
    )


@functools.cache
def resolve_hints(cls: Any) -> dict[str, Any]:
    """Field name → annotation with its bounds, for every field of the constructor."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


class Checked:
    """Mixin of frozen dataclasses: every field is converted and checked, then `check` may compare them.

    Raises `SpecError` with all problems of all fields.
    """

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        for name, hint in resolve_hints(type(self)).items():  # type: ignore[arg-type]
            # The converted value replaces the given one, so a list becomes a tuple and the frozen value is hashable.
            object.__setattr__(self, name, convert(getattr(self, name), hint, name, problems))
        if not problems:
            problems += self.check()
        if problems:
            raise SpecError(problems)

    def check(self) -> Iterator[Problem] | list[Problem]:
        """Problems that only show when fields are seen together."""
        return []
