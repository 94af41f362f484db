"""Where one flow in flight is, and what it has seen so far."""

from __future__ import annotations

from aurea_engine.targets.http.cookies import CookieJar
from aurea_engine.targets.http.data import Row
from aurea_engine.targets.http.replies import NEVER, Reply


class FlowState:
    """One flow in flight. ``at``: the number of its step; ``due``: the instant at which it is to be woken, `NEVER` if it is
    at a pool; ``held``: only the run's ceiling of requests holds its step back; ``end``: the instant at which it is over.
    """

    __slots__ = (
        "at", "due", "end", "held", "intended", "jar", "limit", "marks", "number", "received", "released", "row", "sent",
        "started", "status", "variables",
    )  # fmt: skip

    def __init__(self, number: int, row: Row, limit: int | None, end: int | None) -> None:
        self.number, self.row, self.limit, self.end = number, row, limit, end
        self.at, self.due, self.held = 0, NEVER, False
        self.started = self.intended = self.released = NEVER
        self.marks = (NEVER, NEVER, NEVER)
        self.status, self.sent, self.received = NEVER, 0, 0
        self.variables: dict[str, object] = {}
        self.jar: CookieJar | None = None

    @property
    def measures(self) -> tuple[int, int, int]:
        """What the flow reports, as the job declares it."""
        return self.status, self.sent, self.received

    def add(self, reply: Reply) -> None:
        """A step has ended, with this reply."""
        if not self.at:
            self.started, self.marks = reply.started, (reply.connected, reply.sent, reply.first_byte)
            if self.limit is not None:
                over = reply.started + self.limit
                self.end = over if self.end is None else min(self.end, over)
        if reply.status >= 0:
            self.status = reply.status
        self.sent += reply.bytes_sent
        self.received += reply.bytes_received
