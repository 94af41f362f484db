"""The events of a run, as a numbered log that many may follow, and the feed: those of all runs and searches.

A follower holds a number, not a queue: all of them read the same ring of the latest events. A follower that is so slow that
the ring has moved past its number gets a last event that says so, and is disconnected; the run never waits for a follower,
and what a slow follower costs is one connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from itertools import islice
from typing import NamedTuple

import msgspec

from aurea_server.runs.errors import FollowerLagged, TooManyFollowers

EVENTS_KEPT = 2400
"""Events kept of a run: twenty minutes of progress twice a second, more than a run may last by default."""

FEED_KEPT = 512
"""Events kept of all runs together, for slow followers of the feed: minutes of one run, seconds of many short ones."""


MOST_BYTES = 1_000_000
"""Bytes of events kept of a run: the logs of dozens of runs are kept."""


class Event(NamedTuple):
    """``kind``: ``state``, ``progress``, ``finding`` or ``end``; ``data``: JSON."""

    number: int
    kind: str
    data: str


class Followers:
    """How many followers there are, of all runs together, and how many there may be."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0

    def check_room(self) -> None:
        """Raises `TooManyFollowers` where there is no room for another."""
        if self.count >= self.most:
            raise TooManyFollowers


class EventLog:
    """The events of one run. ``echo`` hears of each, too."""

    def __init__(
        self, followers: Followers, kept: int = EVENTS_KEPT, echo: Callable[[Event], None] | None = None
    ) -> None:
        self._followers, self._echo = followers, echo
        self._events: deque[Event] = deque()
        self._kept, self._bytes = kept, 0
        self._news = asyncio.Event()
        self.closed = False
        self._number = 0

    def publish(self, kind: str, data: object) -> None:
        """Append an event and wake all followers."""
        self._number += 1
        event = Event(self._number, kind, msgspec.json.encode(data).decode())
        self._events.append(event)
        self._bytes += len(event.data)
        while len(self._events) > 1 and (len(self._events) > self._kept or self._bytes > MOST_BYTES):
            self._bytes -= len(self._events.popleft().data)
        self._wake()
        if self._echo is not None:
            self._echo(event)

    def close(self) -> None:
        """No more events will come: followers end after the last one."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        # A new asyncio.Event for what comes next: one that is set and cleared at once would lose followers that were
        # sending when it was set, since they look at it only when they wait again.
        self._news.set()
        self._news = asyncio.Event()

    def follow_news(self) -> AsyncGenerator[Event, None]:
        """`follow` from now on: what is published after this call, also before the follower asks for its first event."""
        return self.follow(self._number)

    async def follow(self, after: int = 0) -> AsyncGenerator[Event, None]:
        """Kept events with numbers above ``after``, and then each as it is published, until the log closes.

        Raises `TooManyFollowers` before the first, `FollowerLagged` when events were missed under way.
        """
        self._followers.check_room()
        self._followers.count += 1
        try:
            # A number above all that were published is one of an earlier server's log: begin after the newest.
            at = min(after, self._number)
            started = False
            while True:
                # Taken before the events are read: what is published while a follower sends sets this very object,
                # so nothing falls between reading the ring and waiting for more.
                news = self._news
                # Missing events are no error at first: a follower that comes late gets what is kept.
                if started and self._events and self._events[0].number > at + 1:
                    raise FollowerLagged
                started = True
                # From the newest back, since numbers have no gaps: a wake costs what is new, and not all that is kept.
                fresh = list(islice(reversed(self._events), self._number - at))
                for event in reversed(fresh):
                    yield event
                    at = event.number
                if at < self._number:
                    continue
                if self.closed:
                    return
                await news.wait()
        finally:
            self._followers.count -= 1


class Feed:
    """What happens to all runs and searches: the events of each, and its deletion, with its id and number in it.

    One connection is enough for a page that shows them all. It begins with the present: what was before is in the history
    and in the log of each run, so a feed keeps no more than what a slow follower needs to catch up.
    """

    def __init__(self, followers: Followers, kept: int = FEED_KEPT) -> None:
        self._log = EventLog(followers, kept)

    def pass_on(self, ident: str, event: Event) -> None:
        """An event of the run or search ``ident``."""
        # Its data is JSON already, and is put in as it stands.
        data = msgspec.Raw(event.data.encode())
        self._log.publish(event.kind, {"id": ident, "number": event.number, "data": data})

    def report_deletion(self, ident: str) -> None:
        """The run or search ``ident`` was deleted: an event that its own log cannot have, since that is gone."""
        self.pass_on(ident, Event(0, "deleted", "{}"))

    def follow(self) -> AsyncGenerator[Event, None]:
        """As `EventLog.follow_news`."""
        return self._log.follow_news()

    def close(self) -> None:
        """The server stops: followers end."""
        self._log.close()
