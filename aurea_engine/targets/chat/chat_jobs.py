"""The jobs of one `Chat` during a run: what each asks, and its report to the run."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.targets.chat.answer import TakeGap, ignore_gap
from aurea_engine.targets.chat.client import ChatClient
from aurea_engine.targets.chat.columns import FRAME_GAP
from aurea_engine.targets.chat.job import Chat
from aurea_engine.targets.chat.prompt_source import Ask, PromptSource
from aurea_engine.targets.chat.report import report_answer
from aurea_engine.targets.chat.request_body import RequestBodies
from aurea_engine.targets.chat.stream_connection import ChatReply
from aurea_engine.targets.chat.usage import Usage
from aurea_engine.targets.http.http_jobs import outcome_of
from aurea_engine.targets.http.paced_start import PacedStart
from aurea_engine.targets.http.prepared import PreparedRequest, prepare_request
from aurea_engine.targets.http.replies import ReplyRules
from aurea_engine.targets.http.templates import Names, RowFields
from aurea_engine.workload.callbacks import CallbackPool, PoolState
from aurea_engine.workload.job_setup import JobSetup

FOLD = 16_384
"""Gaps between frames that are counted at once."""

# Jobs are numbered from 0. What is asked before the window has numbers below.


class ChatJobs(CallbackPool):
    """Does the jobs of one `Chat` in one run. Made by `open_chats`."""

    keeps_text = False

    def __init__(self, chat: Chat, setup: JobSetup, source: PromptSource) -> None:
        self._source, self._counts_turns = source, chat.counts_turns
        prepared = prepare_chat(chat, setup)
        fixed = prepared.request.fixed
        assert isinstance(fixed, bytes)  # its headers have no templates: see `Chat.check`
        bodies = RequestBodies(chat, fixed, is_shared=source.is_shared)
        self._client = ChatClient(prepared, bodies, setup, self)
        self._paced = PacedStart(self, setup.pacer, self._client.send, self.gave_up)
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
        """Close all connections, and forget the jobs that wait for their time."""
        self._paced.close()
        await self._client.close()

    async def _probe(self, ask: Ask) -> Usage | None:
        token = -1 - len(self._probes)
        future: asyncio.Future[Usage | None] = asyncio.get_running_loop().create_future()
        self._probes[token] = ask, future
        self._client.send(token)
        return await future

    # --- What the run asks for ---------------------------------------------------------------------------------------

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        if not self._paced.holds(job, limit, deadline):
            self._client.send(job, limit, deadline)

    def cancel(self, job: int) -> int | None:
        return None if self._paced.cancel(job) else self._client.cancel(job)

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

    # --- What the client asks for ------------------------------------------------------------------------------------

    def ask_of(self, token: int) -> Ask:
        if token < 0:
            return self._probes[token][0]
        return self._source.ask(self.number(token), self.turn(token) if self._counts_turns else -1)

    def gaps_of(self, token: int) -> TakeGap:
        return self._gaps.append if token >= 0 and self.is_counted(token) else ignore_gap

    def ended(self, token: int, reply: ChatReply, failure: str | None) -> None:
        if token < 0:
            self._probes[token][1].set_result(None if failure is not None else reply.answer.usage)
            return
        if len(self._gaps) >= FOLD:
            self._fold_gaps()
        marks, measures = report_answer(reply, failure)
        # Two of the measures have a scale, and such a one may be a fraction.
        amounts = cast("Sequence[int]", measures)
        self.done(token, reply.started, reply.finished, outcome_of(failure), marks, amounts, failure)

    def waits_until(self, token: int, deadline: int | None) -> int | None:
        return self.leaves_at(token) if token >= 0 else None

    def gave_up(self, token: int, instant: int) -> None:
        self.leave(token)


def prepare_chat(chat: Chat, setup: JobSetup) -> PreparedRequest:
    """The request that carries ``chat``, made ready. Raises `SpecError` for a secret that cannot be read."""
    prepared = prepare_request(chat.members(), Names(RowFields(())), setup.access)
    # What kind of reply it is, its headers say; an answer in one piece is read when it is there.
    return replace(prepared, rules=ReplyRules(keep_headers=True, keep_body=True, is_stream=chat.stream))


async def open_chats(chat: Chat, setup: JobSetup) -> ChatJobs:
    """What does the jobs of ``chat`` in one run. Raises `SpecError` for what cannot be read."""
    jobs = ChatJobs(chat, setup, await chat.open_prompts(setup))
    try:
        await jobs.open()
    except BaseException:
        await jobs.close()
        raise
    return jobs
