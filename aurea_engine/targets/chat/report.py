"""What a chat reports at its end: the marks and measures of `columns`, from the connection's record of the answer."""

from __future__ import annotations

from aurea_engine.records.batch import NS
from aurea_engine.targets.chat.answer import Answer
from aurea_engine.targets.chat.stream_connection import ChatReply
from aurea_engine.targets.chat.usage import UNKNOWN
from aurea_engine.targets.http.replies import NEVER

MOST_RATE = 10.0**15
"""Tokens per second. What no clock could have told apart is stored as this: a multiple of it has to fit in 64 bits."""

NOT_WANTED = NEVER, NEVER
Report = tuple[tuple[int, ...], tuple[float, ...]]
"""(marks, measures), in the order of their declaration; a measure with a scale in its unit."""


def report_answer(reply: ChatReply, failure: str | None, wanted: tuple[int, int] | None) -> Report:
    """What is reported. A failed answer has no gap and no rate: it has no end. ``wanted``: (input, output) tokens that were
    asked for, None if no length was.
    """
    answer = reply.answer
    tokens, cached, output, reasoning = answer.usage
    marks = (
        reply.connected,
        reply.sent,
        reply.first_byte,
        answer.first_frame,
        answer.first_token,
        answer.first_answer,
        answer.last_token,
        answer.last_frame,
    )
    gap, rate = (NEVER, NEVER) if failure is not None else (find_gap(answer), find_rate(reply, output))
    frames = NEVER if reply.first_byte == NEVER else answer.frames
    counts = (reply.status, reply.bytes_sent, reply.bytes_received)
    return marks, (*counts, tokens, cached, output, reasoning, frames, gap, rate, *(wanted or NOT_WANTED))


def find_gap(answer: Answer) -> float:
    """Seconds from one token to the next, on average; `NEVER` for one token, or where nobody says how many there were."""
    # From the first frame to the last there are as many gaps as there are tokens after the first: a frame may hold several.
    gaps = answer.usage.output - 1
    if gaps < 1 or answer.first_token == NEVER:
        return NEVER
    return (answer.last_token - answer.first_token) / gaps / NS


def find_rate(reply: ChatReply, output: int) -> float:
    """Tokens per second, from the request to the end of the answer."""
    lasted = reply.finished - reply.sent
    if output == UNKNOWN or lasted <= 0:
        return NEVER
    return min(output / (lasted / NS), MOST_RATE)
