"""Why a run came to no result, as plain text: what was raised does not leave the runner process."""

from __future__ import annotations

from aurea_engine import SpecError, StrategyError
from aurea_server.runner.messages import Reason

MOST_PROBLEMS = 101
"""As many as the engine itself tells at once, and that there are more."""


def reason_of(error: BaseException) -> Reason:
    """Why a run came to no result, as plain text."""
    match error:
        case MemoryError():
            return Reason(code="memory", detail="the run needs more memory than the runner may use")
        case SpecError():
            problems = [(path, text, got) for path, text, got in error.problems[:MOST_PROBLEMS]]
            return Reason(code="invalid_spec", detail=text_of(error), problems=problems)
        case StrategyError():
            return Reason(code="strategy", detail=text_of(error))
        case _:
            return Reason(code="strategy", detail=f"{name_of(error)}: {text_of(error)}")


def name_of(error: BaseException) -> str:
    """The name of its class, which may be anybody's."""
    try:
        return ascii(type(error).__name__)[1:-1][:100]
    except BaseException:  # noqa: BLE001 - a metaclass may say anything
        return "an exception"


def text_of(error: BaseException) -> str:
    """What it says: ASCII, one line, at most 500 characters."""
    try:
        return ascii(str(error))[1:-1][:500]
    except BaseException:  # noqa: BLE001 - the exception is a job's own class
        return "(it cannot be shown)"
