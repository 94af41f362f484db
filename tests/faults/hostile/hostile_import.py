"""Packages that misbehave while they are imported: each name is one of them."""

from __future__ import annotations

from typing import Any

from hostile_judged import DEEDS, MadeJob

_NAMES = {"Exits": "sys.exit", "Ends": "os._exit", "Hangs": "sleep", "Raises": "raise", "Crashes": "segfault"}


def __getattr__(name: str) -> Any:
    """An entry point takes its class from the module, which then does as a module does that never finishes loading."""
    if name not in _NAMES:
        raise AttributeError(name)
    DEEDS[_NAMES[name]]()
    return MadeJob
