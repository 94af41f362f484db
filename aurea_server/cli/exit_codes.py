"""With which codes the commands end. ``aurea serve`` has more of its own, and a signal's is 128 + its number."""

from __future__ import annotations

from collections.abc import Iterable

MET, FAILED, BAD_INPUT, MISSED, NOT_DECIDED = 0, 1, 2, 3, 6


def code_of_run(status: str, verdict: str | None, outcomes: Iterable[str]) -> int:
    """The code of ``aurea run``; ``outcomes`` are those of its objectives.

    Figures of an invalid run decide nothing: neither a pass nor a miss is told by them.
    """
    if status not in {"completed", "aborted"}:
        return FAILED
    found = set(outcomes)
    if verdict == "invalid":
        return NOT_DECIDED
    if "missed" in found:
        return MISSED
    return MET if found <= {"met"} else NOT_DECIDED
