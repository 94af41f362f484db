"""Asking a user's model, which may raise anything at all: what it raises is told and goes no further."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Answer = TypeVar("Answer")


def make_printable(text: str) -> str:
    """``text`` as UTF-8 can hold it."""
    return text.encode("utf-8", "replace").decode()


def describe_error(error: BaseException) -> str:
    """``Class: message``, at most 300 characters, even of an exception that cannot say what it is."""
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - a user's exception
        text = type(error).__name__
    return make_printable(text[:300])


def call_safely(ask: Callable[..., Answer], *given: Any) -> tuple[Answer | None, str | None]:
    """(what ``ask`` answers, None), or (None, what it raised). Only Ctrl-C goes through: SystemExit is an error here."""
    try:
        return ask(*given), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a user's model: it must not take the run with it
        return None, describe_error(error)
