"""What happens to a run, as a numbered log that many may follow.

A follower holds a number, not a queue: all read the same ring. One that is so slow that the ring has moved past it is told
so and let go; the run never waits for anybody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import NamedTuple

import msgspec

KEPT = 2400
"""Events kept of a run: twenty minutes of progress twice a second, more than a run may last."""


class Event(NamedTuple):
    """``kind``: ``state``, ``progress``, ``finding`` or ``end``; ``data``: JSON."""

    number: int
    kind: str
    data: str


class Lagged(Exception):
    """The follower fell behind by more than what is kept."""


class TooManyFollowers(Exception):
    """There is no room for another."""


class Followers:
    """How many follow anything at all, and the most that may."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0


class EventLog:
    """The events of one run."""

    def __init__(self, followers: Followers, kept: int = KEPT) -> None:
        self._followers = followers
        self._events: deque[Event] = deque(maxlen=kept)
        self._news = asyncio.Event()
        self.closed = False
        self._number = 0

    def publish(self, kind: str, data: object) -> None:
        """Tell all followers."""
        self._number += 1
        self._events.append(Event(self._number, kind, msgspec.json.encode(data).decode()))
        self._wake()

    def close(self) -> None:
        """Nothing more will come."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def follow(self, after: int = 0) -> AsyncGenerator[Event, None]:
        """Events with numbers above ``after``, as far as they are kept, and then each as it comes, until the log closes.

        Raises `TooManyFollowers` before the first, `Lagged` when events were missed under way.
        """
        if self._followers.count >= self._followers.most:
            raise TooManyFollowers
        self._followers.count += 1
        try:
            at = min(after, self._number)
            started = False
            while True:
                news = self._news
                if started and self._events and self._events[0].number > at + 1:
                    raise Lagged
                started = True
                for event in [event for event in self._events if event.number > at]:
                    yield event
                    at = event.number
                if at < self._number:
                    continue
                if self.closed:
                    return
                await news.wait()
        finally:
            self._followers.count -= 1
