"""A request's body that is not handed over at once: it is large, or waits until the server asks for it."""

# A transport takes whatever it is given and keeps it in memory. So it is given no more while it says that it holds enough,
# and what it holds when an exchange ends is what was not sent: the count of bytes is exact to the byte. A request that fits
# into its buffer takes none of this; it is written by `Connection.transmit` in one call.

from __future__ import annotations

import asyncio

PIECE = 64 * 1024
"""Bytes handed to the transport at once."""

PATIENCE = 1.0
"""Seconds for which a body waits for the reply 100. A server need not send one (RFC 9110, 10.1.1), so then it is sent."""


class BodyWriter:
    """``handed``: bytes that the transport has been given. It is given no more while it holds as much as it wants."""

    __slots__ = ("_body", "_held", "_paused", "_timer", "_transport", "handed")

    def __init__(self, transport: asyncio.Transport, body: bytes) -> None:
        self.handed = 0
        self._transport = transport
        self._body = memoryview(body)
        self._paused = self._held = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_done(self) -> bool:
        """Whether all of it was handed over."""
        return self.handed == len(self._body)

    def hold(self) -> None:
        """Wait for `release`, or for `PATIENCE`."""
        self._held = True
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self.release)

    def release(self) -> None:
        """The server wants it."""
        self._held = False
        self.push()

    def pause(self) -> None:
        """The transport holds enough."""
        self._paused = True

    def resume(self) -> None:
        """The transport takes more."""
        self._paused = False
        self.push()

    def push(self) -> None:
        """Hand over what is wanted now."""
        # `pause` may be called from within `write`.
        while not self._paused and not self._held and self.handed < len(self._body):
            piece = self._body[self.handed : self.handed + PIECE]
            self.handed += len(piece)
            self._transport.write(piece)

    def stop(self) -> None:
        """The exchange is over: the rest of the body is not handed over any more."""
        self._held = True
        if self._timer is not None:
            self._timer.cancel()
