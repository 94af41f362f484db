"""The loop that people write with aiohttp's client: ``python -m benchmarks.http_aiohttp URL SECONDS CONNECTIONS``."""

from __future__ import annotations

import asyncio
import sys
import time

import aiohttp
import uvloop


async def send(url: str, seconds: float, connections: int) -> list[float]:
    """Response times, s, of as many tasks as connections: each sends, reads, notes the time, and sends again."""
    times: list[float] = []
    ends = time.perf_counter() + seconds

    async def repeat(session: aiohttp.ClientSession) -> None:
        while (began := time.perf_counter()) < ends:
            async with session.get(url) as answer:
                await answer.read()
                answer.raise_for_status()
            times.append(time.perf_counter() - began)

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(repeat(session) for _ in range(connections)))
    return times


if __name__ == "__main__":
    print(len(uvloop.run(send(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))))
