"""Replies of any size pass through at flat memory."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap

import pytest

from aurea_engine.targets.http.replies import ReplyRules
from tests.targets.connections.exchanges import PLAIN, Recorder, Script, exchange, pool_for, serve

MIB = 1024**2

# In a process of its own: the most memory that a process ever had never falls again. The server is in it, too, and holds
# one piece at a time.
PROGRAM = """
import asyncio, resource, sys
sys.path.insert(0, {root!r})
from tests.targets.connections.exchanges import PLAIN, Recorder, exchange, pool_for, serve
from aurea_engine.targets.http.replies import ReplyRules
import uvloop

SIZE, RULES, PIECE = {size}, {rules}, bytes(256 * 1024)

async def script(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\n" + {head!r} + b"\\r\\n")
    for _ in range(SIZE // len(PIECE)):
        writer.write(PIECE)
        await writer.drain()

async def main():
    async with serve(script) as port, pool_for(port) as pool:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seen = await exchange(pool, Recorder(), RULES, timeout_ns=None)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(seen.failure, seen.status, seen.bytes_received, after - before)

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
"""


def grow(size: int, head: bytes, rules: str, root: str) -> tuple[str, int, int, int]:
    """(failure, status, bytes received, KiB by which the process grew)."""
    program = textwrap.dedent(PROGRAM).format(root=root, size=size, head=head, rules=rules)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    failure, status, received, grown = done.stdout.split()
    return failure, int(status), int(received), int(grown)


@pytest.mark.parametrize("rules", ["PLAIN", "ReplyRules(keep_headers=True)", "ReplyRules(most_body=2**40)"])
@pytest.mark.parametrize("framing", ["length", "close"])
@pytest.mark.long
def test_gibibyte_passes_at_flat_memory(rules: str, framing: str, request: pytest.FixtureRequest) -> None:
    """1 GiB, whoever looks at it, however it ends: the process grows by less than 16 MiB."""
    size = 1024 * MIB
    head = b"Content-Length: %d\r\n" % size if framing == "length" else b""
    failure, status, received, grown = grow(size, head, rules, str(request.config.rootpath))
    assert (failure, status, received) == ("None", 200, size + len(b"HTTP/1.1 200 OK\r\n\r\n" + head))
    assert grown < 16 * 1024


def send_for_ever(head: bytes, piece: bytes) -> Script:
    """A server that never stops."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()

    return script


@pytest.mark.parametrize(
    ("head", "piece", "rules", "failure"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1000, PLAIN, "too_large"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000, PLAIN, "too_large"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", PLAIN, "too_large"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10_000, ReplyRules(keep_body=True), "too_large"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10_000, ReplyRules(most_body=100_000), "too_large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"x" * 10_000, PLAIN, None),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10_000, PLAIN, "timeout"),
    ],
    ids=["header", "headers", "interim", "kept body", "bounded body", "leftovers", "body"],
)
async def test_endless_replies_end(head: bytes, piece: bytes, rules: ReplyRules, failure: str | None) -> None:
    """By their size where that is bounded, else by the timeout."""
    async with serve(send_for_ever(head, piece)) as port, pool_for(port) as pool:
        timeout_ns = 200_000_000 if failure == "timeout" else None
        seen = await exchange(pool, Recorder(), rules, timeout_ns=timeout_ns)
        assert pool.state().open == 0
    assert seen.failure == failure
