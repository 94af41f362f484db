"""JSON values → answers of capacity searches, and what is told of a search while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypeVar

import msgspec

from aurea_engine.errors import SpecError
from aurea_engine.results.capacity import CapacityAnswer, SearchProgress

T = TypeVar("T")

MOST_DIGITS = 400
"""Digits of an amount of money. Python takes quadratic time to read a long number."""


def capacity_from_dict(data: object) -> CapacityAnswer:
    """The answer that `capacity_to_dict` wrote as ``data``. Members that a later version adds are left out. Raises
    `SpecError` where something is missing, or is of another type.
    """
    if not isinstance(data, Mapping):
        raise SpecError("is not the answer of a capacity search")
    costs = [{**cost, "interval": _read_pair(cost.get("interval"))} for cost in _list_objects(data, "costs")]
    curves = [{**line, "points": _read_points(line)} for line in _list_objects(data, "curves")]
    return _convert({**data, "costs": costs, "curves": curves}, CapacityAnswer)


def search_progress_from_dict(data: object) -> SearchProgress:
    """The progress that `search_progress_to_dict` wrote. Raises `SpecError`."""
    return _convert(data, SearchProgress)


def _convert(data: object, cls: type[T]) -> T:
    try:
        return msgspec.convert(data, cls, dec_hook=_read_money)
    except (msgspec.ValidationError, ValueError, ZeroDivisionError) as error:
        raise SpecError(f"is not the answer of a capacity search: {error}") from None


def _list_objects(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = data.get(name)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _read_pair(interval: object) -> list[object]:
    """An interval is an object in JSON, and a pair in Python."""
    return [interval.get("low"), interval.get("high")] if isinstance(interval, Mapping) else [None, None]


def _read_points(line: Mapping[str, Any]) -> list[list[object]]:
    return [[point.get("rate"), point.get("per_million_good")] for point in _list_objects(line, "points")]


def _read_money(kind: type, value: object) -> object:
    """Money is decimal text."""
    if kind is not Fraction or not isinstance(value, str) or len(value) > MOST_DIGITS or "e" in value.lower():
        raise ValueError(f"must be an amount of money as text, and not {ascii(value)[:40]}")
    return Fraction(value)
