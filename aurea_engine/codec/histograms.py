"""Histograms ↔ JSON values, compactly: the filled buckets are one text, since a printed list takes a line an item.

A bucket is written as its number, a colon and how many values it holds: ``"3841:12 3842:1"``. Sums are texts of digits,
because they leave the 53 bits that other readers of JSON keep of a number. A histogram without values is null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from aurea_engine.errors import Problem
from aurea_engine.fields.checked import show_value
from aurea_engine.records.histogram import BUCKETS, LatencyHistogram

_BUCKET = re.compile(r"([0-9]{1,5}):([0-9]{1,19})", re.ASCII)
_DIGITS = re.compile(r"-?[0-9]{1,60}", re.ASCII)
_MOST_TEXT = BUCKETS * 26
"""Characters of the longest text that can be right: longer text is refused before it is parsed."""
_MOST_NS, _MOST_SUM = 2**63, 10**60


def histogram_to_dict(histogram: LatencyHistogram) -> dict[str, Any] | None:
    """``histogram`` as JSON values, None if it is empty."""
    if not histogram.count:
        return None
    members: dict[str, Any] = histogram.to_dict()
    return {
        "count": histogram.count,
        "total_ns": str(histogram.total),
        # About 0: about the first value it would depend on the order in which the jobs ended and were looked at.
        "squares": str(histogram.squares_about_0),
        "min_ns": histogram.minimum,
        "max_ns": histogram.maximum,
        "buckets": " ".join(f"{at}:{n}" for at, n in zip(members["buckets"], members["counts"], strict=True)),
    }


def histogram_from_dict(data: object, path: str, problems: list[Problem]) -> LatencyHistogram:
    """The histogram that `histogram_to_dict` wrote. What cannot be one is appended to ``problems``, and comes back empty."""
    if data is None:
        return LatencyHistogram()
    if not isinstance(data, Mapping):
        problems.append(Problem(path, "must be a histogram, or null", show_value(data)))
        return LatencyHistogram()
    found = len(problems)
    sums = {name: _whole(data.get(name), f"{path}.{name}", problems) for name in _SUMS}
    buckets, counts = _buckets(data.get("buckets"), f"{path}.buckets", problems)
    if len(problems) > found:
        return LatencyHistogram()
    # Bucket numbers are in range and rising by now: numpy would wrap a negative one around, and take the last of two.
    histogram = LatencyHistogram.from_dict({**sums, "shift_ns": 0, "buckets": buckets, "counts": counts})
    if wrong := histogram.find_contradiction():
        problems.append(Problem(path, f"contradicts itself: {wrong}"))
        return LatencyHistogram()
    return histogram


_SUMS = ("count", "total_ns", "squares", "min_ns", "max_ns")


def _whole(value: object, path: str, problems: list[Problem]) -> int:
    # The digits of a text are counted before it is read: Python takes quadratic time to read a long number.
    number = int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value
    if not isinstance(number, int) or isinstance(number, bool) or abs(number) >= _MOST_SUM:
        problems.append(Problem(path, "must be a whole number of at most 60 digits", show_value(value)))
        return 0
    return number


def _buckets(text: object, path: str, problems: list[Problem]) -> tuple[list[int], list[int]]:
    """Numbers of buckets, rising, and how many values each of them holds."""
    pieces = text.split(" ") if isinstance(text, str) and len(text) <= _MOST_TEXT else [""]
    found = [_BUCKET.fullmatch(piece) for piece in pieces]
    pairs = [(int(match[1]), int(match[2])) for match in found if match is not None]
    buckets, counts = [at for at, _ in pairs], [n for _, n in pairs]
    rising = all(low < high for low, high in pairwise(buckets))
    if len(pairs) < len(found) or not rising or buckets[-1] >= BUCKETS or min(counts) < 1 or sum(counts) >= _MOST_NS:
        form = f'must be rising numbers below {BUCKETS} with counts, such as "3841:12"'
        problems.append(Problem(path, form, show_value(text)))
        return [], []
    return buckets, counts
