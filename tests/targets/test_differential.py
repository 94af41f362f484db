"""Aurea's HTTP client and two others, pycurl and aiohttp, against one hostile server: what each makes of the same bytes.

The server (`hostile/server.py`) knows the truth of each exchange, since it constructs it. Every client is held to it; where
one may say something else, `hostile/differences.py` says what and why. The server's log tells the rest: that no request was
sent twice, that each arrived whole, and that connections were used again where they must be and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.targets.hostile.aurea import by_aurea, by_aurea_shared
from tests.targets.hostile.cases import KINDS, conversation, path_of
from tests.targets.hostile.clients import Said, by_aiohttp, by_curl
from tests.targets.hostile.differences import DIFFERENCES, verdict
from tests.targets.hostile.parts import Exchange

EXCHANGES = 100_000
RACES = {"idle_close", "reset_after"}  # the end of the connection and the next request may cross
Conversations = dict[int, list[Said]]


@pytest.fixture(scope="module")
def seeds(campaign: Callable[[int], int]) -> range:
    """As many conversations as hold the exchanges of the campaign."""
    left, seed = campaign(EXCHANGES), 0
    while left > 0:
        left -= len(conversation(seed))
        seed += 1
    return range(seed)


def exchanges(said: Conversations) -> Iterator[tuple[int, int, Exchange, Said]]:
    for seed, replies in said.items():
        case = conversation(seed)
        assert len(case) == len(replies)
        for place, (exchange, reply) in enumerate(zip(case, replies, strict=True)):
            yield seed, place, exchange, reply


def judge(client: str, said: Conversations, crossed: Callable[[int, int], bool] | None = None) -> set[Any]:
    """The rows of the table of differences that the client needed; fails for what is in no row."""
    needed, wrong = set(), []
    for seed, place, exchange, reply in exchanges(said):
        row = client, exchange.kind, verdict(exchange.truth, reply)
        if row in DIFFERENCES:
            needed.add(row)
        elif row[2] != "right" and not (crossed and crossed(seed, place)):
            wrong.append((row, path_of(seed, place), reply))
    assert not wrong, (
        f"{len(wrong)} of {sum(map(len, said.values()))}, in all {Counter(row for row, *_ in wrong)}: {wrong[:5]}"
    )
    return needed


def judge_table(client: str, needed: set[Any]) -> None:
    assert {row for row in DIFFERENCES if row[0] == client} == needed, "rows that nothing needs"


@pytest.mark.long
@pytest.mark.parametrize("client", ["curl", "aiohttp"])
def test_oracles_agree(client: str, hostile: Any, seeds: range) -> None:
    """The truth is no invention of ours: two clients that the world uses say the same, but for what the table explains."""
    said = {"curl": by_curl, "aiohttp": by_aiohttp}[client](hostile.base, seeds)
    judge_table(client, judge(client, said))


@pytest.mark.long
def test_own_client_agrees(hostile: Any, seeds: range) -> None:
    """Status, length and checksum of each reply, or the class of its failure; and its bytes to the last one."""
    hostile.take_log()
    said = by_aurea(hostile.port, seeds)
    log = hostile.take_log()
    judge_table("aurea", judge("aurea", said, lambda seed, place: raced(said, log, seed, place)))
    judge_bytes(said, log)
    judge_requests(log)
    judge_connections(said, log)


@pytest.mark.long
def test_one_pool_for_all(hostile: Any, seeds: range) -> None:
    """What one exchange leaves behind on a connection is not seen by the next, whichever that is."""
    calm = [seed for seed in seeds if not RACES & {exchange.kind for exchange in conversation(seed)}]
    hostile.take_log()
    said = by_aurea_shared(hostile.port, calm)
    log = hostile.take_log()
    judge("aurea", said)
    judge_bytes(said, log)
    judge_requests(log)


def raced(said: Conversations, log: Sequence[dict[str, Any]], seed: int, place: int) -> bool:
    """The server closed after the exchange before, which showed only after the request was on its way: it never arrived."""
    if place == 0 or conversation(seed)[place - 1].kind not in RACES:
        return False
    arrived = any(seen["path"] == path_of(seed, place) for seen in log)
    return said[seed][place].failure in {"reset", "closed_early"} and not arrived


def judge_requests(log: Sequence[dict[str, Any]]) -> None:
    """Each request arrived as it should, and once: nothing is sent twice."""
    twice = [path for path, times in Counter(seen["path"] for seen in log).items() if times > 1]
    assert not twice
    wrong = [seen for seen in log if not seen["right"] and kind_of(seen) not in {"refused_by_reset", "not_continued"}]
    assert not wrong, wrong[:5]


def kind_of(seen: dict[str, Any]) -> str:
    _, seed, place = seen["path"].strip("/").split("/")
    return conversation(int(seed))[int(place)].kind


def judge_bytes(said: Conversations, log: Sequence[dict[str, Any]]) -> None:
    """What came of a whole reply is what the server sent, framing included; what was sent is what the server read."""
    read = {seen["path"]: seen["received"] for seen in log}
    for seed, place, exchange, reply in exchanges(said):
        if reply.failure is None and exchange.truth.received is not None:
            assert reply.received == exchange.truth.received, (seed, place, exchange.kind, reply)
            # A body that was refused was not sent; one that is replied to early may not have been read.
            if exchange.kind not in {"early_close", "not_continued"}:
                assert reply.sent == read[path_of(seed, place)], (seed, place, exchange.kind, reply)


def judge_connections(said: Conversations, log: Sequence[dict[str, Any]]) -> None:
    """A connection is used again where the reply allows it, and never where it does not."""
    on = {seen["path"]: seen["connection"] for seen in log}
    for seed, place, exchange, reply in exchanges(said):
        before, after = on.get(path_of(seed, place)), on.get(path_of(seed, place + 1))
        if before is None or after is None or exchange.truth.keeps is None:
            continue
        keeps = exchange.truth.keeps or (exchange.truth.aside is not None and reply.failure is None and before == after)
        assert (before == after) == keeps, (seed, place, exchange.kind, conversation(seed)[place + 1].kind)


@pytest.mark.long
def test_every_kind_is_played(seeds: range) -> None:
    counts = Counter(exchange.kind for seed in seeds for exchange in conversation(seed))
    assert set(counts) == set(KINDS)
    assert min(counts.values()) >= 5
