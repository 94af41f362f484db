"""A model server without a model: ``python -m benchmarks.chat_server FRAMES SPREAD``. Prebuilt frames, 50 a second a stream.

The first frame with content is due 50 ms after the request, one more every 20 ms, FRAMES in all, then usage and the end.
Streams begin up to SPREAD ms later than that, in turn: those that were asked for at once are else due at once for ever. With
0 it looks at the clock all the time, to be late by no more than microseconds.

It prints its address. A line of its input is answered with one of JSON: frames written, its processor time, and by how much
they were written after they were due. It ends with its input.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import resource
import sys
from itertools import count
from time import perf_counter

import numpy as np
import uvloop

FIRST, GAP, TICK = 0.05, 0.02, 0.001
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = (
    '{"id":"chatcmpl-%032x","object":"chat.completion.chunk","created":1764590000,"model":"tiny","choices":[{"index":0,'
    '"delta":%s,"logprobs":null,"finish_reason":null}]}'
)
END = (
    '{"id":"chatcmpl-%032x","object":"chat.completion.chunk","created":1764590000,"model":"tiny","choices":[],"usage":'
    '{"prompt_tokens":16,"completion_tokens":%d,"total_tokens":%d}}'
)
WORDS = (
    " the",
    " of",
    " latency",
    " queue",
    ",",
    " a",
    " server",
    " is",
    " tokens",
    " per",
    " second",
    ".",
    " and",
    " load",
)


def write_chunk(text: str) -> bytes:
    event = f"data: {text}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


class Streams:
    """All streams, by the instant at which their next frame is due."""

    def __init__(self, frames: int, spread: int) -> None:
        self.frames, self.numbers, self._spread = frames, count(1), spread
        self._due: list[tuple[float, int, Stream]] = []
        self.written, self.late = 0, list[float]()

    def begin(self, number: int, stream: Stream) -> None:
        """A request has come."""
        later = number % self._spread / 1000 if self._spread else 0.0
        heapq.heappush(self._due, (perf_counter() + FIRST + later, number, stream))

    def tick(self) -> None:
        loop, due = asyncio.get_running_loop(), self._due
        if self._spread:
            loop.call_later(TICK, self.tick)
        else:
            loop.call_soon(self.tick)
        while due and due[0][0] <= perf_counter():
            at, number, stream = due[0]
            if stream.write_next():
                heapq.heapreplace(due, (at + GAP, number, stream))
            else:
                heapq.heappop(due)
            self.written += 1
            if self.written % 16 == 0:
                self.late.append(perf_counter() - at)

    def tell(self) -> str:
        used = resource.getrusage(resource.RUSAGE_SELF)
        late, self.late = self.late or [0.0], []
        told = {"frames": self.written, "cpu": used.ru_utime + used.ru_stime, "late": float(np.quantile(late, 0.99))}
        return json.dumps(told)


class Stream(asyncio.Protocol):
    """One connection, and the stream that is under way on it."""

    def __init__(self, streams: Streams) -> None:
        self._streams, self._received = streams, b""
        self._words, self._last, self._sent = list[bytes](), b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        # Bodies are JSON with "messages", and short: the head and the body come in one segment, or in two.
        self._received += data
        if b"\r\n\r\n" in self._received and self._received.endswith(b"}"):
            self._received = b""
            number, frames = next(self._streams.numbers), self._streams.frames
            role = write_chunk(CHUNK % (number, '{"role":"assistant","content":""}'))
            self._transport.write(HEAD + role)  # type: ignore[attr-defined]
            self._words = [write_chunk(CHUNK % (number, f'{{"content":"{word}"}}')) for word in WORDS]
            self._last = write_chunk(END % (number, frames, 16 + frames)) + write_chunk("[DONE]") + b"0\r\n\r\n"
            self._sent = 0
            self._streams.begin(number, self)

    def write_next(self) -> bool:
        """Whether there is more."""
        sent, self._sent = self._sent, self._sent + 1
        is_last = sent == self._streams.frames
        if not self._transport.is_closing():
            piece = self._last if is_last else self._words[sent % len(self._words)]
            self._transport.write(piece)  # type: ignore[attr-defined]
        return not is_last


async def serve(frames: int, spread: int) -> None:
    loop, streams = asyncio.get_running_loop(), Streams(frames, spread)
    server = await loop.create_server(lambda: Stream(streams), "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    streams.tick()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(streams.tell(), flush=True)


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
