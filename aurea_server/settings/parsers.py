"""Parsers of settings: each reads a text, and raises ValueError, KeyError or OverflowError where it is no such value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MIB = 1024**2


def parse_size(text: str) -> int:
    """``2GiB``, ``512MiB`` or bytes."""
    units = {"kib": 1024, "mib": MIB, "gib": 1024**3, "b": 1}
    number = text.strip().lower()
    factor = 1
    for unit, bytes_ in units.items():
        if number.endswith(unit):
            number, factor = number[: -len(unit)].strip(), bytes_
            break
    value = float(number) * factor
    # Also for inf and nan, which float() reads: no comparison with nan holds.
    if not 0 <= value < 2**62:
        raise ValueError
    return int(value)


def size_parser(low: int, high: int) -> Callable[[str], int]:
    """A parser of sizes within bounds."""

    def read(text: str) -> int:
        value = parse_size(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return read


def number_parser(low: float, high: float, kind: type = int) -> Callable[[str], Any]:
    """A parser of numbers within bounds."""

    def read(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return read


def choice_parser(*choices: str) -> Callable[[str], str]:
    """A parser of one of a few words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return read


def parse_bool(text: str) -> bool:
    """Yes or no."""
    # A KeyError is as good as a ValueError to the caller. An empty variable counts as no: that is how shells unset one
    # for a command.
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}[text.lower()]


def parse_names(text: str) -> tuple[str, ...]:
    """Comma-separated."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
