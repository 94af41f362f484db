"""A reply whose head is known is not parsed: the record of each exchange is the one that the parser would have made."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from itertools import count, pairwise
from typing import Any

import pytest

from aurea_engine.targets.http.connection import Connection
from aurea_engine.targets.http.connection_options import ConnectionOptions
from aurea_engine.targets.http.origin import Origin
from aurea_engine.targets.http.pool import ConnectionPool
from aurea_engine.targets.http.replies import ReplyRules
from aurea_engine.targets.http.reply_memo import MOST, MOST_BYTES, PAUSE_NS, ReplyMemo
from aurea_engine.workload.access import Access
from tests.targets.connections.exchanges import GET, OK, PLAIN, Recorder, Seen
from tests.targets.hostile.cases import KINDS

NEVER_LEARNS = 2**63
RULES = [*[PLAIN] * 8, ReplyRules(keep_body=True), ReplyRules(keep_headers=True), ReplyRules(head=True)]

FIRST = [*[b""] * 12, b"\r\n", b"\r\n\r\n", b"\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 E\n\n"]
LINES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 200 OK",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 204 N",
    b"HTTP/1.1 304 N",
    b"HTTP/1.1 503",
]
HEADERS = [
    b"Content-Length: 2", b"Content-Length: 2", b"Content-Length: 2", b"content-length:4 ", b"Content-Length: 02",
    b"Content-Length: 0", b"Content-Length: 2, 2", b"Transfer-Encoding: chunked", b"Transfer-Encoding:",
    b"Connection: keep-alive", b"Keep-Alive: timeout=5, max=3", b"X-Content-Length: 4", b"Upgrade: x",
    b"Trailer: a", b"Connection: close",
]  # fmt: skip
ENDS = [b"\r\n"] * 40 + [b"\n"]
BODIES = [
    b"",
    b"ok",
    b"no",
    b"okay",
    b"\r\n",
    b"\r\n\r\n",
    b"ok\r\n",
    b"0\r\n\r\n",
    b"2\r\nok\r\n0\r\n\r\n",
    b"\n\r\n\r",
]


class Transport(asyncio.Transport):
    """Takes everything, and sends nothing."""

    def write(self, data: Any) -> None: ...

    def abort(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


class Client:
    """A pool of which one connection is used, as long as it lasts, with a clock that counts how often it is read."""

    def __init__(self, *, learns: bool) -> None:
        options = ConnectionOptions(Origin("http", "127.0.0.1", 80), warm=False)
        self.pool = ConnectionPool(options, Access(), count(1).__next__)
        self._sender, self._learns = Recorder(), learns

    def exchange(self, pieces: Sequence[bytes], rules: ReplyRules, request: bytes | tuple[bytes, bytes] = GET) -> Seen:
        """The server answers with ``pieces``, and closes the connection where that is no whole reply."""
        if not self.pool.idle or self.pool.idle[-1].transport is None:
            added = Connection(self.pool)
            self.pool.connections.add(added)
            added.connection_made(Transport())
        connection = self.pool.idle[-1]
        self._sender.request = request
        done = len(self._sender.seen) + 1
        self.pool.memo.learns_at = 0 if self._learns else NEVER_LEARNS
        self.pool.send(self._sender, done, rules, None, None)
        for piece in pieces:
            # Also what comes when the exchange is over: it closes the connection.
            connection.data_received(piece)
        if len(self._sender.seen) < done:
            connection.connection_lost(None)
        assert len(self._sender.seen) == done
        return self._sender.seen[-1]


def compare(exchanges: Iterator[tuple[bytes, list[bytes], ReplyRules]]) -> int:
    """Each exchange, with and without a memo. Returns how many heads were known."""
    knowing, parsing = Client(learns=True), Client(learns=False)
    hits = 0
    for data, pieces, rules in exchanges:
        known = knowing.pool.memo.known.get(len(pieces[0]))
        hits += known is not None and pieces[0].startswith(known[0]) and rules == PLAIN
        found, expected = (client.exchange(pieces, rules) for client in (knowing, parsing))
        assert found == expected, (data, pieces, rules)
        assert [each.pool.opened for each in (knowing, parsing)] == [knowing.pool.opened] * 2, (data, pieces, rules)
        assert len(knowing.pool.idle) == len(parsing.pool.idle), (data, pieces, rules)
    assert not parsing.pool.memo.known
    return hits


def cut(draw: random.Random, data: bytes) -> list[bytes]:
    """``data`` in one piece, nearly always, or in two or three."""
    places = sorted(draw.randrange(len(data)) for _ in range(draw.choice([0, 0, 0, 0, 0, 1, 2])))
    ends = [0, *places, len(data)]
    return [data[a:b] for a, b in pairwise(ends) if a < b]


def make_reply(draw: random.Random) -> bytes:
    """Most are right, or nearly."""
    lines = [draw.choice(LINES), *draw.choices(HEADERS, k=draw.choice([1, 1, 1, 2]))]
    head = b"".join(line + draw.choice(ENDS) for line in lines) + draw.choice(ENDS)
    return draw.choice(FIRST) + head + draw.choice(BODIES)


def change(draw: random.Random, data: bytes) -> bytes:
    """One byte is another, is missing, or is there twice."""
    at = draw.randrange(len(data))
    return data[:at] + draw.choice([b"", b"\r", b"\n", b"2", data[at : at + 1] * 2]) + data[at + 1 :]


def random_exchanges(
    draw: random.Random, size: int, replies: Sequence[bytes]
) -> Iterator[tuple[bytes, list[bytes], Any]]:
    """Exchanges with a server that has a few replies only, and now and then changes one."""
    for _ in range(size):
        data = draw.choice(replies)
        while draw.random() < 0.1 and len(data) > 1:
            data = change(draw, data)
        yield data, cut(draw, data), draw.choice(RULES)


@pytest.mark.parametrize("part", range(8))
def test_memo_changes_no_record(part: int) -> None:
    """Random heads, bodies, ends of lines and segments: status, stamps, counts, failures and use of connections."""
    hits = 0
    for seed in range(part * 100, part * 100 + 100):
        draw = random.Random(seed)
        replies = [make_reply(draw), make_reply(draw), draw.choice([*LEARNED.values()])]
        hits += compare(random_exchanges(draw, 60, replies))
    assert hits > 500


def test_memo_under_hostile_servers() -> None:
    """The same with the bytes of all kinds of hostile replies."""
    hits = 0
    for seed, name in enumerate([*KINDS] * 4):
        draw = random.Random(seed)
        sent = [step[1] for step in KINDS[name][1](draw).steps if step[0] == "send" and step[1]]
        data = b"".join(piece for piece in sent if isinstance(piece, bytes))
        if 0 < len(data) < 200_000:
            hits += compare(random_exchanges(draw, 20, [data, data, OK]))
    assert hits > 300


LEARNED = {
    "length": OK,
    "empty": b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "old, kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
}
NOT_LEARNED = {
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    "blank lines": b"\r\n\r\n" + OK,
    "blank line behind": OK + b"\r\n",
    "blank line behind nothing": b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n\r\n",
    "closing": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "something behind": OK + b"x",
    "long head": b"HTTP/1.1 200 OK\r\nX: " + b"x" * MOST_BYTES + b"\r\nContent-Length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("name", [*LEARNED, *NOT_LEARNED])
def test_which_heads_are_learned(name: str) -> None:
    """Those whose reply ends where their length says, or where the same bytes end."""
    client = Client(learns=True)
    client.exchange([{**LEARNED, **NOT_LEARNED}[name]], PLAIN)
    assert bool(client.pool.memo.known) == (name in LEARNED)


@pytest.mark.parametrize("rules", RULES[8:])
def test_closer_look_uses_no_memo(rules: ReplyRules) -> None:
    """Neither is learned from a reply that is looked at, nor is a known head taken for it: its body must be the new one."""
    client = Client(learns=True)
    head = OK[:-2]
    client.exchange([head] if rules.head else [OK], rules)
    assert not client.pool.memo.known
    client.exchange([OK], PLAIN)
    assert client.exchange([head] if rules.head else [head + b"no"], rules).body == (b"no" if rules.keep_body else b"")


async def test_known_reply_before_its_request() -> None:
    """A body that still waits for 100 when a known reply comes was not sent: the connection is not used again."""
    client = Client(learns=True)
    client.exchange([OK], PLAIN)
    seen = client.exchange([OK], ReplyRules(expect_continue=True), (b"head", b"body"))
    assert (seen.status, seen.bytes_sent, client.pool.idle) == (200, 4, [])


def test_limits_of_a_known_reply() -> None:
    """What Keep-Alive says binds each connection, also the one whose first reply is known already."""
    client = Client(learns=True)
    for _ in range(6):
        client.exchange([b"HTTP/1.1 200 OK\r\nKeep-Alive: max=2\r\nContent-Length: 2\r\n\r\nok"], PLAIN)
    assert client.pool.opened == 2


def test_memo_is_bounded() -> None:
    """In heads, and in the time that learning takes: one head in a pause."""
    memo = ReplyMemo()
    for size in range(3 * MOST):
        memo.learn(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size, 200, 7)
        assert len(memo.known) <= MOST
    assert (len(memo.known), memo.learns_at) == (MOST, 7 + PAUSE_NS)
