"""The record of the exchange under way on a connection: its sender, its stamps, its counts, and when it times out."""

from __future__ import annotations

from collections.abc import Callable

from aurea_engine.targets.http.replies import NEVER, ReplyRules, Sender
from aurea_engine.targets.http.reply_memo import ReplyMemo
from aurea_engine.targets.http.reply_reader import ReplyReader
from aurea_engine.targets.http.timeouts import FOREVER, Timeouts


class Exchange(ReplyReader):
    """The reader of the reply, too: a connection, its reader and its record are one object, and a request is none.

    ``sender`` is None while there is no exchange. ``expires``: the instant at which it is over. The rest is as in `Reply`.
    """

    __slots__ = (
        "_now", "_timeouts", "bytes_sent", "connected", "expires", "finished", "first_byte", "sender", "sent",
        "started", "token",
    )  # fmt: skip

    def __init__(self, now: Callable[[], int], timeouts: Timeouts, memo: ReplyMemo) -> None:
        super().__init__(memo)
        self._now, self._timeouts = now, timeouts
        self.sender: Sender | None = None
        self.token = 0
        self.started = self.connected = self.sent = self.first_byte = self.finished = NEVER
        self.bytes_sent = 0
        self.expires = FOREVER

    def reserve(
        self,
        sender: Sender,
        token: int,
        rules: ReplyRules,
        timeout_ns: int | None,
        deadline: int | None,
        limit: int | None,
    ) -> None:
        """The service of a job begins, on this connection."""
        # Once for each request, and so in one piece. What the reader needs is reset here, too, where nothing else is left of
        # the reply before: that is the usual case.
        self.started = started = self._now()
        self.sender, self.token = sender, token
        self.connected = self.sent = self.first_byte = self.status = NEVER
        self.bytes_sent = self.bytes_received = 0
        self.complete = self.has_head = False
        if rules is not self.rules or not self.is_simple or self._seen_head or self._pieces:
            self.begin_reply(rules)
        expires = FOREVER if timeout_ns is None else started + timeout_ns
        if limit is not None and started + limit < expires:
            expires = started + limit
        if deadline is not None and deadline < expires:
            expires = deadline
        self.expires = expires
        # The whole of a timeout, as long as it does not come: see `Timeouts`.
        if expires < self._timeouts.soonest:
            self._timeouts.note(expires)

    def set_clock(self, now: Callable[[], int], shift: int) -> None:
        """Stamp with another clock, which is ``shift`` ns ahead of the old one."""
        self._now = now
        self.finished += shift

    def serves(self, sender: Sender, token: int) -> bool:
        """Whether the exchange under way is this one."""
        return self.sender is sender and self.token == token
