"""The client that people write with aiohttp for streams: ``python -m benchmarks.chat_aiohttp URL SECONDS STREAMS``.

Of each answer it finds what Aurea finds: the first frame, the first and the last token, the gap before each frame, the
server's usage, an error within the stream, and whether the stream said its end.
"""

from __future__ import annotations

import asyncio
import sys
from array import array
from time import perf_counter_ns
from typing import Any, NamedTuple

import aiohttp
import msgspec
import uvloop

BODY = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 128, "stream": True,
        "stream_options": {"include_usage": True}}  # fmt: skip
decode = msgspec.json.Decoder().decode


class Answer(NamedTuple):
    """One answer, as it is kept."""

    sent: int
    first_frame: int
    first_token: int
    last_token: int
    frames: int
    usage: Any
    is_right: bool


async def read_answer(session: aiohttp.ClientSession, url: str, gaps: array[int]) -> Answer:
    """One stream, read line by line, as aiohttp's manual has it."""
    first_frame = first_token = last_token = frames = 0
    usage, is_right = None, False
    sent = perf_counter_ns()
    async with session.post(url, json=BODY) as reply:
        async for line in reply.content:
            if not line.startswith(b"data:"):
                continue
            now, data = perf_counter_ns(), line[5:].strip()
            if data == b"[DONE]":
                is_right = reply.status == 200
                continue
            frame = decode(data)
            if "error" in frame:
                break
            first_frame = first_frame or now
            usage = frame.get("usage") or usage
            for choice in frame["choices"]:
                delta = choice["delta"]
                if delta.get("content") or delta.get("reasoning_content") or delta.get("tool_calls"):
                    if first_token:
                        gaps.append(now - last_token)
                    first_token, last_token = first_token or now, now
                    frames += 1
                    break
    return Answer(sent, first_frame, first_token, last_token, frames, usage, is_right)


async def send(url: str, seconds: float, streams: int) -> list[Answer]:
    """As many tasks as streams: each asks, reads to the end, and asks again."""
    answers, gaps = list[Answer](), array("q")
    ends = perf_counter_ns() + round(seconds * 1e9)

    async def repeat(session: aiohttp.ClientSession) -> None:
        while perf_counter_ns() < ends:
            answers.append(await read_answer(session, url, gaps))

    connector = aiohttp.TCPConnector(limit=streams)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(repeat(session) for _ in range(streams)))
    assert all(answer.is_right for answer in answers)
    return answers


if __name__ == "__main__":
    asked = f"{sys.argv[1]}/v1/chat/completions"
    print(sum(answer.frames for answer in uvloop.run(send(asked, float(sys.argv[2]), int(sys.argv[3])))))
