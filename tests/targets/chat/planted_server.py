"""A model server that plays what was planted, and keeps a log of what it did and when: the truth that clients are held to.

    python -m tests.targets.chat.planted_server

It prints its port. The text of the last message (or the prompt) is ``NUMBER SCENARIO``, and what is answered depends on it
alone. GET /log gives what was done for each number, in ns of the machine's monotonic clock, and forgets it; ``late`` is by
how much a step was written after it was due. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, NamedTuple

import httptools
import uvloop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
USAGE = {"prompt_tokens": 12, "prompt_tokens_details": {"cached_tokens": 5}}


class Step(NamedTuple):
    """After ``delay`` s ``pieces`` are written, each as one chunk. ``shows``: what a client sees of it: any of "frame",
    "token" and "answer". ``ends``: how the answer ends with it: "" (it goes on), "whole", "cut", or "reset".
    """

    delay: float
    pieces: tuple[bytes, ...]
    shows: tuple[str, ...] = ()
    ends: str = ""
    tokens: int = 0


def event(data: object) -> bytes:
    text = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    return b"data: " + text + b"\n\n"


def frame(delta: dict[str, Any], **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    return event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "choices": [choice], **more})


def usage(output: int, reasoning: int | None = None) -> dict[str, Any]:
    details = {} if reasoning is None else {"completion_tokens_details": {"reasoning_tokens": reasoning}}
    return {**USAGE, "completion_tokens": output, "total_tokens": 12 + output, **details}


ROLE = frame({"role": "assistant", "content": ""})
DONE = event(b"[DONE]")
GAP = 0.01
SEEN = ("frame", "token", "answer")


def word(i: int, **more: Any) -> bytes:
    return frame({"content": f" word{i}"}, **more)


def tell(output: int, reasoning: int | None = None) -> bytes:
    return event(
        {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": usage(output, reasoning)}
    )


def end(output: int, reasoning: int | None = None) -> list[Step]:
    return [Step(0.002, (tell(output, reasoning),), ("frame",)), Step(0.002, (DONE,), (), "whole")]


def words(n: int, gap: float = GAP) -> list[Step]:
    return [Step(gap, (word(i),), SEEN, tokens=1) for i in range(n)]


def role(delay: float = 0.005) -> Step:
    return Step(delay, (ROLE,), ("frame",))


def thoughts(n: int, name: str) -> list[Step]:
    return [Step(GAP, (frame({name: f" thought{i}"}),), ("frame", "token"), tokens=1) for i in range(n)]


CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": ""}}
PIECES = [{"index": 0, "function": {"arguments": text}} for text in ('{"a"', ": 1}")]
SPLIT = word(1)

SCENARIOS: dict[str, Callable[[], list[Step]]] = {
    # Right answers.
    "plain": lambda: [role(), Step(0.05, (word(0),), SEEN, tokens=1), *words(9), *end(10)],
    "one": lambda: [role(), Step(0.03, (word(0),), SEEN, tokens=1), *end(1)],
    "bundled": lambda: [role(), Step(0.03, (word(0) + word(1) + word(2),), SEEN, tokens=3),
                        Step(GAP, (word(3), word(4)), SEEN, tokens=2), *end(5)],
    "many_tokens": lambda: [role(), *[Step(GAP, (word(i),), SEEN, tokens=4) for i in range(5)], *end(20)],
    "reasoning": lambda: [role(), *thoughts(4, "reasoning_content"), *words(4), *end(8, 4)],
    "reasoning_other_name": lambda: [role(), *thoughts(3, "reasoning"), *words(3), *end(6, 3)],
    "tool": lambda: [role(), Step(0.02, (frame({"tool_calls": [CALL]}),), SEEN, tokens=1),
                     *[Step(GAP, (frame({"tool_calls": [piece]}),), SEEN, tokens=1) for piece in PIECES], *end(3)],
    "usage_everywhere": lambda: [role(), *[Step(GAP, (word(i, usage=usage(i + 1)),), SEEN, tokens=1) for i in range(6)],
                                 Step(0.002, (DONE,), (), "whole")],
    "no_usage": lambda: [role(), *words(5), Step(0.002, (DONE,), (), "whole")],
    "comments": lambda: [Step(0.005, (b": keep-alive\n\n",)), role(), Step(0.02, (b":\n\n",)), *words(4), *end(4)],
    "line_ends": lambda: [Step(0.005, (b"\xef\xbb\xbf" + ROLE.replace(b"\n", b"\r\n"),), ("frame",)),
                          *[Step(GAP, (word(i).replace(b"\n", b"\r"),), SEEN, tokens=1) for i in range(4)], *end(4)],
    "split": lambda: [role(), *words(1), Step(GAP, (SPLIT[:40],)), Step(0.005, (SPLIT[40:],), SEEN, tokens=1),
                      *words(2), *end(4)],
    "escapes": lambda: [role(), *[Step(GAP, (frame({"content": text}),), SEEN, tokens=1)
                                  for text in ("\n", '"', "é", "语", "\\", " a", "🙂")], *end(7)],
    "nothing": lambda: [role(), *end(0)],
    "no_last_chunk": lambda: [role(), *words(2), Step(0.002, (tell(2),), ("frame",)), Step(0.002, (DONE,), (), "cut")],
    # Failures.
    "cut": lambda: [role(), *words(3), Step(GAP, (), (), "cut")],
    "cut_with_usage": lambda: [role(), *[Step(GAP, (word(i, usage=usage(i + 1)),), SEEN, tokens=1) for i in range(3)],
                               Step(GAP, (), (), "cut")],
    "no_done": lambda: [role(), *words(3), Step(0.002, (tell(3),), ("frame",)), Step(0.002, (), (), "whole")],
    "reset": lambda: [role(), *words(3), Step(GAP, (), (), "reset")],
    "error": lambda: [role(), *words(2), Step(GAP, (event({"error": {"message": "out of memory", "code": 500}}),)),
                      Step(0.002, (DONE,), (), "whole")],
    "error_event": lambda: [role(), Step(GAP, (b'event: error\ndata: {"message": "gone"}\n\n',)),
                            Step(0.002, (), (), "whole")],
    "garbage": lambda: [role(), Step(GAP, (b"data: {not json}\n\n",)), Step(0.002, (), (), "whole")],
    "refused": list,
    "status": list,
}  # fmt: skip
FAILURES = {
    "cut": "closed_early", "cut_with_usage": "closed_early", "no_done": "closed_early", "reset": "reset",
    "error": "stream_error", "error_event": "stream_error", "garbage": "protocol", "refused": "closed_early",
    "status": "status",
}  # fmt: skip
"""Scenario → the class that it fails by; those that are not here complete."""

TOKENS: dict[str, int | None] = {
    name: None if name == "no_usage" else sum(step.tokens for step in make()) for name, make in SCENARIOS.items()
}
"""Scenario → output tokens that the server tells of, of those that complete."""


class Played(asyncio.Protocol):
    """One connection, on which one request is answered after the other."""

    log: dict[int, dict[str, Any]]

    def __init__(self, log: dict[int, dict[str, Any]]) -> None:
        self.log, self.loop = log, asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.begin()

    def begin(self) -> None:
        self.parser, self.body = httptools.HttpRequestParser(self), b""

    def data_received(self, data: bytes) -> None:
        self.received = perf_counter_ns()
        self.parser.feed_data(data)

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        method, asked = self.parser.get_method(), self.body
        self.begin()
        if method == b"GET":
            told = json.dumps(self.log).encode()
            self.log.clear()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))
            return
        body = json.loads(asked)
        number, scenario = (body["prompt"] if "prompt" in body else body["messages"][-1]["content"]).split()
        entry = {"received": self.received, "steps": [], "late": 0, "body": body, "scenario": scenario}
        self.log[int(number)] = entry
        if scenario == "refused":
            self.transport.close()
        elif scenario == "status":
            self.transport.write(b"HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        elif not body["stream"]:
            self.answer_at_once(SCENARIOS[scenario]())
        else:
            # The head goes with the first step, as most servers have it.
            self.play(SCENARIOS[scenario](), entry, self.received + 1_000_000, HEAD)

    def answer_at_once(self, steps: list[Step]) -> None:
        told = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "word"}}],
                "usage": usage(sum(step.tokens for step in steps))}  # fmt: skip
        text = json.dumps(told).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self.transport.write(head % len(text) + text)

    def play(self, steps: list[Step], entry: dict[str, Any], since: int, head: bytes = b"") -> None:
        if not steps:
            return
        due = since + round(steps[0].delay * 1e9)
        self.loop.call_later(max(due - perf_counter_ns() - 200_000, 0) / 1e9, self.write, steps, entry, due, head)

    def write(self, steps: list[Step], entry: dict[str, Any], due: int, head: bytes) -> None:
        while (now := perf_counter_ns()) < due:
            pass  # timers of event loops come in milliseconds
        step = steps[0]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in step.pieces)
        if step.ends == "whole":
            chunks += b"0\r\n\r\n"
        if self.transport.is_closing():
            return
        if head + chunks:
            self.transport.write(head + chunks)
        entry["late"] = max(entry["late"], now - due)
        entry["steps"].append([now, list(step.shows)])
        if step.ends == "cut":
            self.transport.close()
        elif step.ends == "reset":
            self.transport.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER of 0 s
            self.transport.abort()
        self.play(steps[1:], entry, due)


async def main() -> None:
    loop, log = asyncio.get_running_loop(), dict[int, dict[str, Any]]()
    server = await loop.create_server(lambda: Played(log), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    uvloop.run(main())
