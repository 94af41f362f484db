"""What pools of chats have in common, whether a job is one request or a conversation: the client, probes, gaps of frames."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from array import array
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.targets.chat.answer import TakeGap, ignore_gap
from aurea_engine.targets.chat.client import ChatClient
from aurea_engine.targets.chat.columns import FRAME_GAP
from aurea_engine.targets.chat.prompt_source import Ask, PromptSource
from aurea_engine.targets.chat.request_body import RequestBodies
from aurea_engine.targets.chat.stream_connection import ChatReply
from aurea_engine.targets.chat.usage import Usage
from aurea_engine.targets.http.prepared import PreparedRequest, prepare_request
from aurea_engine.targets.http.replies import ReplyRules
from aurea_engine.targets.http.templates import Names, RowFields
from aurea_engine.workload.callbacks import CallbackPool, PoolState
from aurea_engine.workload.job_setup import JobSetup

if TYPE_CHECKING:
    from aurea_engine.targets.chat.job import Chat

FOLD = 16_384
"""Gaps between frames that are counted at once."""

# Jobs are numbered from 0. What is asked before the window has numbers below.


class ChatPool(CallbackPool):
    """Does the jobs of one `Chat` in one run. It is the `ChatUser` of its client."""

    def __init__(self, chat: Chat, setup: JobSetup, source: PromptSource) -> None:
        self._source, self._counts_turns = source, chat.counts_turns
        self.keeps_text = chat.conversation is not None
        prepared = prepare_chat(chat, setup)
        fixed = prepared.request.fixed
        assert isinstance(fixed, bytes)  # its headers have no templates: see `Chat.check`
        bodies = RequestBodies(chat, fixed, is_shared=source.is_shared and not self.keeps_text)
        self._client = ChatClient(prepared, bodies, setup, self)
        self._probes: dict[int, tuple[Ask, asyncio.Future[Usage | None]]] = {}
        self._gaps, self._frame_gaps = array("q"), LatencyHistogram()

    @property
    def now(self) -> Callable[[], int]:
        """The clock of all stamps. The run sets it, and the connections read it themselves."""
        return self._client.now

    @now.setter
    def now(self, now: Callable[[], int]) -> None:
        self._client.now = now

    async def open(self) -> None:
        """Ask what has to be known before, and open the connections that the run can use."""
        await self._source.calibrate(self._probe)
        await self._client.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _probe(self, ask: Ask) -> Usage | None:
        token = -1 - len(self._probes)
        future: asyncio.Future[Usage | None] = asyncio.get_running_loop().create_future()
        self._probes[token] = ask, future
        self._client.send(token)
        return await future

    def state(self) -> PoolState:
        return self._client.state()

    def take_run_measures(self) -> Mapping[str, LatencyHistogram]:
        self._fold_gaps()
        taken, self._frame_gaps = self._frame_gaps, LatencyHistogram()
        return {FRAME_GAP.name: taken}

    def _fold_gaps(self) -> None:
        # Frames only append: to find the bucket of each by itself would cost as much as all else that is done for it.
        self._frame_gaps.record(np.array(self._gaps, np.int64))
        del self._gaps[:]

    def _turn_of(self, job: int) -> int:
        return self.turn(job) if self._counts_turns else -1

    # --- What the client asks for ------------------------------------------------------------------------------------

    def ask_of(self, token: int) -> Ask:
        return self._probes[token][0] if token < 0 else self._ask(token)

    def gaps_of(self, token: int) -> TakeGap:
        return self._gaps.append if token >= 0 and self.is_counted(token) else ignore_gap

    def ended(self, token: int, reply: ChatReply, failure: str | None) -> None:
        if token < 0:
            future = self._probes[token][1]
            if not future.done():  # else the run was given up meanwhile
                future.set_result(None if failure is not None else reply.answer.usage)
            return
        if len(self._gaps) >= FOLD:
            self._fold_gaps()
        self._take_answer(token, reply, failure)

    def waits_until(self, token: int, deadline: int | None) -> int | None:
        return self._waits_until(token, deadline) if token >= 0 else None

    @abstractmethod
    def _ask(self, job: int) -> Ask:
        """What ``job`` asks now."""

    @abstractmethod
    def _take_answer(self, job: int, reply: ChatReply, failure: str | None) -> None:
        """Its answer is over."""

    @abstractmethod
    def _waits_until(self, job: int, deadline: int | None) -> int | None:
        """As `Sender.waits_until`."""

    @abstractmethod
    def gave_up(self, token: int, instant: int) -> None:
        """As `Sender.gave_up`."""


def prepare_chat(chat: Chat, setup: JobSetup) -> PreparedRequest:
    """The request that carries ``chat``, made ready. Raises `SpecError` for a secret that cannot be read."""
    prepared = prepare_request(chat.members(), Names(RowFields(())), setup.access)
    # What kind of reply it is, its headers say; an answer in one piece is read when it is there.
    return replace(prepared, rules=ReplyRules(keep_headers=True, keep_body=True, is_stream=chat.stream))
