"""The jobs of one `Chat` during a run, each of which is one request: what it asks, and its report to the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from aurea_engine.targets.chat.chat_pool import ChatPool
from aurea_engine.targets.chat.conversation_jobs import ConversationJobs
from aurea_engine.targets.chat.prompt_source import Ask, PromptSource
from aurea_engine.targets.chat.report import report_answer
from aurea_engine.targets.chat.stream_connection import ChatReply
from aurea_engine.targets.http.http_jobs import outcome_of
from aurea_engine.targets.http.paced_start import PacedStart
from aurea_engine.workload.job_setup import JobSetup

if TYPE_CHECKING:
    from aurea_engine.targets.chat.job import Chat


class ChatJobs(ChatPool):
    """Does the jobs of one `Chat` in one run. Made by `open_chats`."""

    def __init__(self, chat: Chat, setup: JobSetup, source: PromptSource) -> None:
        super().__init__(chat, setup, source)
        self._paced = PacedStart(self, setup.pacer, self._client.send, self.gave_up)

    async def close(self) -> None:
        """Close all connections, and forget the jobs that wait for their time."""
        self._paced.close()
        await super().close()

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        if not self._paced.holds(job, limit, deadline):
            self._client.send(job, limit, deadline)

    def cancel(self, job: int) -> int | None:
        return None if self._paced.cancel(job) else self._client.cancel(job)

    def _ask(self, job: int) -> Ask:
        return self._source.ask(self.number(job), self._turn_of(job))

    def _take_answer(self, job: int, reply: ChatReply, failure: str | None) -> None:
        marks, measures = report_answer(reply, failure, self._source.wanted(self.number(job)))
        # Two of the measures have a scale, and such a one may be a fraction.
        amounts = cast("Sequence[int]", measures)
        self.done(job, reply.started, reply.finished, outcome_of(failure), marks, amounts, failure)

    def _waits_until(self, job: int, deadline: int | None) -> int | None:
        return self.leaves_at(job)

    def gave_up(self, token: int, instant: int) -> None:
        self.leave(token)


async def open_chats(chat: Chat, setup: JobSetup) -> ChatJobs | ConversationJobs:
    """What does the jobs of ``chat`` in one run. Raises `SpecError` for what cannot be read."""
    kind = ChatJobs if chat.conversation is None else ConversationJobs
    jobs = kind(chat, setup, await chat.open_prompts(setup))
    try:
        await jobs.open()
    except BaseException:
        await jobs.close()
        raise
    return jobs
