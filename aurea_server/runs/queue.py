"""Which run is next, and whether another one may wait. It decides and does nothing else: no I/O, no clock.

Runs are executed one at a time, in the order of their acceptance: a second one at once would be measured with the first. A
search is one entry: it keeps its turn while its trials run.

    reserve ──▶ enter ──▶ take ──▶ finish
                  └──▶ withdraw

A place is *reserved* while the run is being written to the history, which takes a disk's time: meanwhile others arrive, and
they must see that the place is taken. Only a run that is in the history *enters* the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from aurea_server.runs.errors import QueueFull, Stopping


class QueueEntry(Protocol):
    """**Protocol:** a run, or a search. ``time_left``: seconds until its end by its own estimate, None where it has none."""

    @property
    def time_left(self) -> float | None: ...


class RunQueue:
    """``most``: runs that may wait beside the one that is running. ``on_change`` is called with the number that wait."""

    def __init__(self, most: int, on_change: Callable[[int], None] = lambda _: None) -> None:
        self._most, self._on_change = most, on_change
        self._waiting: deque[QueueEntry] = deque()
        self._reserved = 0
        self._open = True
        self._entered = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.running: QueueEntry | None = None

    def close(self) -> None:
        """Accept no more runs; those that were accepted keep their order."""
        self._open = False

    @property
    def is_open(self) -> bool:
        return self._open

    def check_open(self) -> None:
        """Raises `Stopping` where no more runs are accepted."""
        # Checked before room: a server that stops should say so rather than ask clients to come back.
        if not self._open:
            raise Stopping

    def check_room(self) -> None:
        """Raises `QueueFull` if no more may wait."""
        # While nothing is running, the first of those that are accepted is about to start: it does not wait.
        waiting = len(self._waiting) + self._reserved - (self.running is None)
        if waiting >= self._most:
            text = f"{self._most} runs are waiting already; try again later."
            raise QueueFull(text, self._seconds_until_room())

    def _seconds_until_room(self) -> int:
        """When the running one will have ended, by its own estimate, within a minute."""
        left = None if self.running is None else self.running.time_left
        return max(1, min(60, round(left))) if left is not None else 5

    @property
    def is_idle(self) -> bool:
        """Whether a run that is accepted now starts at once."""
        return self.running is None and not self._waiting and not self._reserved

    @contextlib.contextmanager
    def reserve(self) -> Iterator[None]:
        """A place for a run that is being written to the history."""
        self._reserved += 1
        try:
            yield
        finally:
            self._reserved -= 1

    def enter(self, run: QueueEntry) -> None:
        """It waits for its turn."""
        self._waiting.append(run)
        self._quiet.clear()
        self._entered.set()
        self._on_change(len(self._waiting))

    async def take(self) -> QueueEntry:
        """The next run, which is `running` until `finish`; waits where there is none."""
        while not self._waiting:
            self._entered.clear()
            # Quiet: no run waits or runs. A new queue is, and so is one whose last run has ended and that waits for
            # another.
            self._quiet.set()
            await self._entered.wait()
        self.running = self._waiting.popleft()
        self._on_change(len(self._waiting))
        return self.running

    def finish(self) -> None:
        """The running one has ended."""
        self.running = None

    def withdraw(self, run: QueueEntry) -> bool:
        """Take a waiting run out of the queue; False if it does not wait."""
        if run not in self._waiting:
            return False
        self._waiting.remove(run)
        self._on_change(len(self._waiting))
        return True

    def position(self, run: QueueEntry) -> int:
        """How many runs are before this one, the running one included."""
        ahead = 1 if self.running is not None and run is not self.running else 0
        return ahead + (self._waiting.index(run) if run in self._waiting else 0)

    def entries(self) -> list[QueueEntry]:
        """Those that wait, in order, and then the running one."""
        return [*self._waiting, *([self.running] if self.running else [])]

    async def wait_until_quiet(self) -> None:
        """Until no run waits or runs."""
        await self._quiet.wait()
