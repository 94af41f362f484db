"""The exit code of a command that ran something: which of `ExitCode` follows from a result."""

from __future__ import annotations

from collections.abc import Iterable

from aurea_engine.closed_sets import ExitCode


def choose_exit_code(status: str, verdict: str | None, outcomes: Iterable[str]) -> ExitCode:
    """The exit code of ``aurea run``; ``outcomes`` are those of its objectives.

    The figures of an invalid run decide nothing: it neither meets nor misses an objective.
    """
    # An aborted run is an answer too: its objective was lost, which is what ended it.
    if status not in {"completed", "aborted"}:
        return ExitCode.FAILED
    found = set(outcomes)
    if verdict == "invalid":
        return ExitCode.NOT_DECIDED
    if "missed" in found:
        return ExitCode.MISSED
    return ExitCode.MET if found <= {"met"} else ExitCode.NOT_DECIDED


def choose_search_exit_code(status: str, *, is_verified: bool) -> ExitCode:
    """The exit code of ``aurea capacity``: an answer that fresh runs verified is met, also one that is only a bound."""
    if status in {"generator_limited", "undecided"}:
        return ExitCode.NOT_DECIDED
    # A bound from the other side: the objectives hold at none of the values that were allowed, or not at the required one.
    return ExitCode.MET if is_verified and status != "infeasible" else ExitCode.MISSED
