"""What a client would like: the ``Accept`` and ``Prefer`` headers, which are lists with parameters and quoted texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PART = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*")+')
_QUALITY = re.compile(r"\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE | re.ASCII)


def elements(headers: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """(element, its parameters) of a header that may be given more than once; elements in lower case."""
    for element in _ELEMENT.findall(",".join(headers)):
        first, *parameters = _PART.findall(element) or [""]
        yield first.strip().lower(), parameters


def preferred(accept: Iterable[str], known: Mapping[str, str]) -> str:
    """Of ``known`` (media type → value) what an ``Accept`` header likes best; the first where it likes none or all the same.

    Among those of equal quality, one that is named comes before one that a ``*`` allows (RFC 9110, 12.5.1).
    """
    liked = {name: _quality(parameters) for name, parameters in elements(accept)}
    best, value = (0.0, 0), next(iter(known.values()))
    for name, each in known.items():
        ranges = (name, f"{name.partition('/')[0]}/*", "*/*")
        rank = next(((liked[pattern], 2 - i) for i, pattern in enumerate(ranges) if pattern in liked), (0.0, 0))
        if rank[0] > 0 and rank > best:
            best, value = rank, each
    return value


def _quality(parameters: Iterable[str]) -> float:
    found = [float(match[1]) for parameter in parameters if (match := _QUALITY.fullmatch(parameter))]
    return found[0] if found else 1.0


def wants(prefer: Iterable[str], preference: str) -> bool:
    """Whether a ``Prefer`` header has that preference (RFC 7240)."""
    return any(name == preference for name, _ in elements(prefer))
