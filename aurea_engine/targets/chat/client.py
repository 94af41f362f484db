"""Sends asks to one server, and tells of their answers: what both single chats and conversations are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter_ns
from typing import Protocol, cast

from aurea_engine.targets.chat.answer import TakeGap
from aurea_engine.targets.chat.prompt_source import Ask
from aurea_engine.targets.chat.request_body import RequestBodies
from aurea_engine.targets.chat.stream_connection import ChatReply, StreamConnection
from aurea_engine.targets.http.pools import Pools
from aurea_engine.targets.http.prepared import PreparedRequest
from aurea_engine.targets.http.replies import Reply
from aurea_engine.workload.callbacks import PoolState
from aurea_engine.workload.job_setup import JobSetup


class ChatUser(Protocol):
    """**Protocol:** whoever sends asks. A token stands for one that is under way. ``keeps_text``: texts of answers are kept,
    for `Answer.text`.
    """

    keeps_text: bool

    def ask_of(self, token: int) -> Ask:
        """What to ask. Called when there is a connection for it; what this raises fails it, by the exception's type."""

    def gaps_of(self, token: int) -> TakeGap:
        """What takes the gaps between the frames of its answer."""

    def ended(self, token: int, reply: ChatReply, failure: str | None) -> None:
        """The answer is over. ``failure``: its class, None for a right one. ``reply`` is only valid in here."""

    def waits_until(self, token: int, deadline: int | None) -> int | None:
        """As `Sender.waits_until`."""

    def gave_up(self, token: int, instant: int) -> None:
        """As `Sender.gave_up`."""


class ChatClient:
    """The connections to the server of ``prepared``, for one run. It is the `Sender` of all of its requests."""

    def __init__(self, prepared: PreparedRequest, bodies: RequestBodies, setup: JobSetup, user: ChatUser) -> None:
        self._prepared, self._bodies, self._setup, self._user = prepared, bodies, setup, user
        self.keeps_text = user.keeps_text
        connect = partial(StreamConnection, lines={})
        # Until the run sets its own clock, for what happens before the window.
        self._pools = Pools(setup.access, perf_counter_ns, share=setup.share, connect=connect)
        self._pool = self._pools.get(prepared.options)
        self._rules, self._timeout_ns = prepared.rules, prepared.timeout_ns
        self.gaps_of, self.waits_until, self.gave_up = user.gaps_of, user.waits_until, user.gave_up

    @property
    def now(self) -> Callable[[], int]:
        """The clock of all stamps."""
        return self._pools.now

    @now.setter
    def now(self, now: Callable[[], int]) -> None:
        self._pools.now = now

    async def open(self) -> None:
        """Open the connections that the run can use."""
        await self._pools.open(self._prepared.options, self._setup)

    async def close(self) -> None:
        """Close all connections."""
        await self._pools.close()

    def send(self, token: int, limit: int | None = None, deadline: int | None = None) -> None:
        """Ask what `ChatUser.ask_of` says when there is a connection for it. ``limit``, ``deadline``: as for
        `CallbackPool.start`.
        """
        self._pool.send(self, token, self._rules, self._timeout_ns, deadline, limit)

    def encode(self, token: int) -> bytes:
        return self._bodies.encode(self._user.ask_of(token))

    def replied(self, token: int, reply: Reply, failure: str | None) -> None:
        chat = cast(ChatReply, reply)
        # A refusal is one however long it is: that most of it was not kept says nothing of the server.
        if failure is None or (failure == "too_large" and reply.status >= 300):
            failure = chat.answer.problem if 200 <= reply.status < 300 else "status"
        self._user.ended(token, chat, failure)

    def cancel(self, token: int) -> int | None:
        """As `ConnectionPool.cancel`."""
        return self._pool.cancel(token, self)

    def state(self) -> PoolState:
        """How the connections stand."""
        return self._pools.state()
