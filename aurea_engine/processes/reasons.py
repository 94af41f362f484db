"""Why a process gave no answer, as plain text. What was raised stays in its process: it may be of a class of anybody's."""

from __future__ import annotations

import signal

from aurea_engine.errors import ClusterRefused, SpecError, StrategyError
from aurea_engine.processes.messages import Reason

MAX_PROBLEMS = 101
"""As many as the engine itself tells at once, and that there are more."""


def explain_failure(error: BaseException) -> Reason:
    """Why a run came to no result, as plain text."""
    match error:
        case MemoryError():
            return Reason(code="memory", detail="the run needs more memory than the runner may use")
        case SpecError():
            problems = [(path, text, got) for path, text, got in error.problems[:MAX_PROBLEMS]]
            return Reason(code="invalid_spec", detail=show_text(error), problems=problems)
        case ClusterRefused():
            return Reason(code="shard_lost", detail=show_text(error))
        case StrategyError():
            return Reason(code="strategy", detail=show_text(error))
        case _:
            return Reason(code="strategy", detail=f"{name_class(error)}: {show_text(error)}")


def name_class(error: BaseException) -> str:
    """The name of its class, which may be anybody's."""
    try:
        # A class may have any text for a name, and its metaclass may raise when it is asked.
        return ascii(type(error).__name__)[1:-1][:100]
    except BaseException:  # noqa: BLE001 - a metaclass may say anything
        return "an exception"


def show_text(error: BaseException) -> str:
    """What it says: ASCII, one line, at most 500 characters."""
    try:
        # ASCII, so that no control character of a job's reaches a terminal or a log.
        return ascii(str(error))[1:-1][:500]
    except BaseException:  # noqa: BLE001 - the exception is a job's own class
        return "(it cannot be shown)"


def explain_death(code: int | None, output: bytes) -> Reason:
    """Why a process ended without an answer, as far as its exit code (below 0: a signal) and its last output tell."""
    # How a process says that it found no memory depends on who asked for it: Python, C++, the loader of libraries.
    if b"MemoryError" in output or b"bad_alloc" in output or b"Cannot allocate memory" in output:
        return Reason(code="memory", detail="the runner process found no memory left within its limit")
    if code is None or code >= 0:
        return Reason(code="runner_died", detail=f"the runner process exited with code {code}")
    # Python has no names for the real-time signals.
    by = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return Reason(code="runner_died", detail=f"the runner process was killed by {by}")
