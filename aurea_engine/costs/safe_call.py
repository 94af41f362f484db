"""Calls into third-party code, such as a user's cost model. What it raises is reported as text and goes no further."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Answer = TypeVar("Answer")


def make_printable(text: str) -> str:
    """``text`` with all that UTF-8 cannot encode (lone surrogates) replaced, so that it can be logged and sent."""
    return text.encode("utf-8", "replace").decode()


def describe_error(error: BaseException) -> str:
    """``Class: message``, at most 300 characters, even if the exception's own ``__str__`` raises."""
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - a user's exception
        text = type(error).__name__
    return make_printable(text[:300])


def call_safely(ask: Callable[..., Answer], *given: Any) -> tuple[Answer | None, str | None]:
    """(the return value of ``ask``, None), or (None, a description of what it raised). Only Ctrl-C goes through."""
    # BaseException, not Exception: a model that calls sys.exit, or raises GeneratorExit, must not end the run.
    # KeyboardInterrupt alone is the operator's, who wants the whole program to stop.
    try:
        return ask(*given), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a user's model: it must not take the run with it
        return None, describe_error(error)
