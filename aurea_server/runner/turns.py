"""Work that is done one piece at a time, while a bounded number wait for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Busy(Exception):
    """Too many wait already."""


class Turns:
    """One at a time, in order of arrival, and only so many in all."""

    def __init__(self) -> None:
        self._asked = 0
        self._lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def turn(self, most: int) -> AsyncIterator[None]:
        """Wait for it. Raises `Busy` where ``most`` have or await their turn already."""
        if self._asked >= most:
            raise Busy
        self._asked += 1
        try:
            async with self._lock:
                yield
        finally:
            self._asked -= 1
