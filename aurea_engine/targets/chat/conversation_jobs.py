"""The conversations of one run: the turn that each is at, its next request, and its report to the run."""

# As a flow of HTTP requests (`aurea_engine.targets.http.flow_jobs`), a conversation under way is one state and nothing else:
# no task, and no timer of its own. It is in one of three places:
#
#     the client    a turn is under way, or waits for a connection              (`ChatClient`)
#     the agenda    the user thinks, or the run's ceiling holds the turn back   (`Agenda`)
#     nowhere       only within a call of this module
#
# A turn is meant to begin when the last byte of the answer before it had come, plus the think time. The run's bounds are of
# the conversation: a limit counts from the beginning of the first turn's service. A turn that fails ends it.

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from aurea_engine.closed_sets import Outcome
from aurea_engine.targets.chat.chat_pool import ChatPool
from aurea_engine.targets.chat.conversation_state import ConversationState
from aurea_engine.targets.chat.prompt_source import Ask, PromptSource
from aurea_engine.targets.chat.report import report_answer
from aurea_engine.targets.chat.stream_connection import ChatReply
from aurea_engine.targets.http.http_jobs import outcome_of
from aurea_engine.targets.http.replies import NEVER
from aurea_engine.targets.http.think_times import Agenda, ThinkTimes
from aurea_engine.workload.job_setup import JobSetup

if TYPE_CHECKING:
    from aurea_engine.targets.chat.job import Chat

TIMED_OUT, CANCELLED = int(Outcome.TIMED_OUT), int(Outcome.CANCELLED)


class ConversationJobs(ChatPool):
    """Does the jobs of one `Chat` that are conversations, in one run."""

    def __init__(self, chat: Chat, setup: JobSetup, source: PromptSource) -> None:
        super().__init__(chat, setup, source)
        assert chat.conversation is not None
        self._turns = chat.conversation.turns
        self._thinks, self._pacer = ThinkTimes(chat.conversation.thinks(), setup.streams), setup.pacer
        self._agenda = Agenda(self._read_clock, self._wake)
        self._talks: dict[int, ConversationState] = {}

    def _read_clock(self) -> int:
        return self.now()

    async def close(self) -> None:
        """Wake nobody any more, and close all connections."""
        self._agenda.close()
        await super().close()

    # --- A turn begins -----------------------------------------------------------------------------------------------

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        talk = self._talks[job] = ConversationState(self.number(job), self._turn_of(job), limit, deadline)
        self._release(job, talk)

    def _release(self, job: int, talk: ConversationState) -> None:
        """The time of the next turn has come."""
        talk.released = self.now()
        if self._pacer is not None:
            at = self._pacer.reserve(talk.released)
            if at > talk.released:
                # A conversation that is over before has waited until then, and nothing is sent for it.
                until = self._waits_until(job, talk.end)
                talk.due, talk.held = at if until is None else min(at, until), True
                self._agenda.note(talk.due, job)
                return
        self._send(job, talk)

    def _send(self, job: int, talk: ConversationState) -> None:
        self._client.send(job, None if talk.at else talk.limit, talk.end)

    def _ask(self, job: int) -> Ask:
        talk = self._talks[job]
        number, turn = self._number_of(talk), talk.turn * self._turns + talk.at
        return talk.continue_with(self._source.ask(number, turn if self._counts_turns else -1))

    def _number_of(self, talk: ConversationState) -> int:
        """The number of the turn's prompt: each turn has one of its own, and the same in every shard."""
        return talk.number * self._turns + talk.at

    def _waits_until(self, job: int, deadline: int | None) -> int | None:
        # Before its first request it is not in service, and may still leave.
        return deadline if self._talks[job].at else self.leaves_at(job)

    def gave_up(self, token: int, instant: int) -> None:
        talk = self._talks[token]
        if not talk.at:
            del self._talks[token]
            self.leave(token)
            return
        times = talk.intended, talk.released, instant, instant
        self.record_step(token, talk.at, times, TIMED_OUT, (), (), "timeout")
        self._end(token, talk, instant, "timeout")

    # --- A turn ends -------------------------------------------------------------------------------------------------

    def _take_answer(self, job: int, reply: ChatReply, failure: str | None) -> None:
        talk, finished = self._talks[job], reply.finished
        marks, measures = report_answer(reply, failure, talk.find_wanted(self._source.wanted(self._number_of(talk))))
        talk.add(reply, marks, measures)
        times = talk.intended, talk.released, reply.started, finished
        # Measures with a scale may be fractions.
        amounts = cast("Sequence[int]", measures)
        self.record_step(job, talk.at, times, outcome_of(failure), marks, amounts, failure)
        if failure is not None or talk.at == self._turns - 1:
            self._end(job, talk, finished, failure)
            return
        talk.answer(reply.answer.text, reply.answer.usage)
        self._go_on(job, talk, finished)

    def _end(self, job: int, talk: ConversationState, finished: int, failure: str | None) -> None:
        del self._talks[job]
        self.done(job, talk.started, finished, outcome_of(failure), talk.marks, talk.measures, failure)

    def _go_on(self, job: int, talk: ConversationState, ended: int) -> None:
        """To the next turn, at once or when the user has thought. Last in every call: it may send."""
        talk.at += 1
        think = self._thinks.before(talk.at, talk.number)
        talk.intended = ended + think
        if not think:
            self._release(job, talk)
            return
        talk.due = talk.intended if talk.end is None else min(talk.intended, talk.end)
        self._agenda.note(talk.due, job)

    def _wake(self, job: int, due: int) -> None:
        talk = self._talks.get(job)
        # It may have ended meanwhile, or be at another turn by now.
        if talk is None or talk.due != due:
            return
        talk.due = NEVER
        if talk.held:
            talk.held = False
            until = self._waits_until(job, talk.end)
            if until is None or due < until:
                self._send(job, talk)
            else:
                self.gave_up(job, self.now())
        elif talk.end is not None and talk.end <= talk.intended:
            # The user was still thinking: no turn is under way, and none will be.
            self._end(job, talk, self.now(), "timeout")
        else:
            self._release(job, talk)

    # --- The end of the run ------------------------------------------------------------------------------------------

    def cancel(self, job: int) -> int | None:
        talk = self._talks[job]
        # One that thinks is between two turns, and its next one is not reached.
        if talk.due == NEVER or talk.held:
            began = None if talk.held else self._client.cancel(job)
            started = NEVER if began is None else began
            self.record_step(job, talk.at, (talk.intended, talk.released, started, NEVER), CANCELLED)
            if not talk.at:
                talk.started = started
        del self._talks[job]
        return None if talk.started == NEVER else talk.started
