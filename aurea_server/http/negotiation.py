"""Content negotiation (RFC 9110, section 12) and the ``Prefer`` header (RFC 7240).

A client lists media ranges with weights; the server has a few *offers*. The quality of an offer is the weight of the most
specific range that matches it: ``text/csv;charset=utf-8``, then ``text/csv``, then ``text/*``, then ``*/*``. An offer may be

- **acceptable**, with a weight above 0: the greatest weight wins;
- **refused**, with a weight of 0: it is never sent;
- **not listed**: it is sent only where nothing is acceptable. The RFC allows this, and it keeps clients working whose list
  is too narrow: a scraper that asks for a version which is not served gets one that is, and its answer says which.

Nothing here raises for a malformed header: a weight that cannot be read counts as if it were not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?$)|[^",;]+|[,;]', re.DOTALL)
"""A quoted text (one that is never closed goes to the end, so the scan is linear), anything else, or a separator."""

# Digits are bounded, since float() takes time for thousands of them and a header may hold so many.
_WEIGHT = re.compile(r"[0-9]{0,30}(?:\.[0-9]{0,30})?", re.ASCII)


@dataclass(frozen=True)
class Offer:
    """One form in which an answer can be sent: its media type and parameters, in lower case."""

    type: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MediaRange:
    """One element of an ``Accept`` header. ``place``: how many stood before it."""

    type: str
    parameters: Mapping[str, str]
    weight: float
    place: int

    def specificity(self, offer: Offer) -> tuple[int, int] | None:
        """How closely the range describes ``offer``; None if it does not match.

        A parameter that the offer does not have says nothing about it, and is passed over.
        """
        kind = offer.type.partition("/")[0]
        level = {offer.type: 2, f"{kind}/*": 1, "*/*": 0, "*": 0}.get(self.type)
        if level is None:
            return None
        shared = [name for name in self.parameters if name in offer.parameters]
        if any(self.parameters[name].lower() != offer.parameters[name] for name in shared):
            return None
        return level, len(shared)


@dataclass(frozen=True)
class Choice:
    """Number of the offer that is sent, and the range that asked for it; None if no range did."""

    index: int
    range: MediaRange | None


def parse_elements(headers: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """(element, its parameters) of a header that may be given more than once; elements in lower case."""
    for header in headers:
        parts = [""]
        # A comma at the end closes the last element; empty elements are allowed, and passed over (RFC 9110, 5.6.1).
        for piece in [*_TOKEN.findall(header), ","]:
            if piece == ";":
                parts.append("")
            elif piece != ",":
                parts[-1] += piece
            else:
                if name := parts[0].strip().lower():
                    yield name, parts[1:]
                parts = [""]


def parse_accept(accept: Iterable[str]) -> list[MediaRange]:
    """What an ``Accept`` header lists, in its order."""
    ranges = []
    for place, (name, texts) in enumerate(parse_elements(accept)):
        parameters, weight = _parse_parameters(texts)
        ranges.append(MediaRange(name, parameters, weight, place))
    return ranges


def choose(accept: Iterable[str], offers: Sequence[Offer]) -> Choice | None:
    """The best of ``offers`` for an ``Accept`` header; None if every one of them is refused.

    Offers of equal weight: one that is named comes before one that only a wildcard allows, then the client's order counts,
    then the order of ``offers``. Without a header, or where nothing that is offered is listed, the first offer is sent.
    """
    ranges = parse_accept(accept)
    best: tuple[tuple[float, int, int, int], Choice] | None = None
    unlisted: list[int] = []
    for index, offer in enumerate(offers):
        matching = [(found, each) for each in ranges if (found := each.specificity(offer)) is not None]
        if not matching:
            unlisted.append(index)
            continue
        # Where two ranges are as specific, the greater weight counts, then the earlier one: the RFC leaves it open.
        specificity, chosen = max(matching, key=lambda pair: (pair[0], pair[1].weight, -pair[1].place))
        rank = (chosen.weight, specificity[0], -chosen.place, -index)
        if chosen.weight > 0 and (best is None or rank > best[0]):
            best = rank, Choice(index, chosen)
    if best is not None:
        return best[1]
    return Choice(unlisted[0], None) if unlisted else None


def choose_coding(accept_encoding: Sequence[str], codings: Sequence[str]) -> str | None:
    """One of ``codings`` or ``identity`` for an ``Accept-Encoding`` header; None if all of them are refused.

    A coding is used only where it is asked for. ``identity`` is always acceptable unless it is refused, by name or by
    ``*;q=0`` (RFC 9110, 12.5.3); of equal weights the coding wins, since a client that lists it can read it.
    """
    weights: dict[str, float] = {}
    for name, texts in parse_elements(accept_encoding):
        # x-gzip is gzip by another name (RFC 9110, 8.4.1.3).
        coding = name.removeprefix("x-")
        weights[coding] = max(weights.get(coding, 0.0), _parse_parameters(texts)[1])
    if not weights:
        return "identity"
    anything = weights.get("*")
    listed = {coding: weights.get(coding, anything or 0.0) for coding in codings}
    best = max(codings, key=lambda coding: listed[coding], default="identity")
    identity = weights.get("identity", anything)
    # Of equal weights the coding wins: a client that lists it can read it, and it is shorter on the way.
    if listed.get(best, 0.0) > 0 and (identity is None or listed[best] >= identity):
        return best
    return None if identity == 0 else "identity"


def has_preference(prefer: Iterable[str], preference: str) -> bool:
    """Whether a ``Prefer`` header has that preference (RFC 7240)."""
    return any(name == preference for name, _ in parse_elements(prefer))


def _parse_parameters(texts: Iterable[str]) -> tuple[dict[str, str], float]:
    """(media type parameters, weight): the first ``q`` is the weight, and what follows it describes no media type."""
    parameters: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        name, value = name.strip().lower(), value.strip()
        if name == "q":
            return parameters, _weight(value)
        if name:
            parameters.setdefault(name, _unquote(value))
    return parameters, 1.0


def _weight(text: str) -> float:
    """From 0 to 1. What cannot be read is 1, as if it were not there; more digits than the RFC has are read all the same."""
    if _WEIGHT.fullmatch(text) is None or not text.strip("."):
        return 1.0
    return min(1.0, float(f"0{text}"))


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text
