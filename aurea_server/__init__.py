"""Aurea over HTTP: a thin aiohttp app around `aurea_engine`."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it; `typing` itself would be the first thing that every process loads
if TYPE_CHECKING:
    from typing import Any

    from aurea_server.http.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """The app is loaded when it is asked for: a runner process is part of this package and has no use for it."""
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from aurea_server.http.app import create_app  # noqa: PLC0415 - see above

    return create_app
