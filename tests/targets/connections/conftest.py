"""Connections are tested on both event loops: their transports differ in what they say, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

uvloop = pytest.importorskip("uvloop")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
