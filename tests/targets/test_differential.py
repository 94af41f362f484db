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

from aurea_engine import run_sync, spec_from_dict
from tests.targets.hostile.aurea import by_aurea, by_aurea_paths, by_aurea_shared
from tests.targets.hostile.cases import KINDS, case_at, conversation, path_of, plain_get
from tests.targets.hostile.clients import Said, by_aiohttp, by_curl
from tests.targets.hostile.differences import BY_CHANCE, DIFFERENCES, verdict
from tests.targets.hostile.every_byte import every_byte
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
    unused = {row for row in DIFFERENCES if row[0] == client} - needed - BY_CHANCE
    assert not unused


@pytest.mark.long
@pytest.mark.parametrize("client", ["curl", "aiohttp"])
def test_oracles_agree_on_exchanges(client: str, hostile: Any, seeds: range) -> None:
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
def test_tls_changes_nothing(hostile: Any, authority: Any, campaign: Callable[[int], int]) -> None:
    """The same conversations over TLS, on connections that end with and without its farewell, are told of in the same words.

    Bytes are those of HTTP: over TLS as many as without it.
    """
    hostile.take_log()
    said = by_aurea(hostile.tls_port, range(campaign(10_000)), authority.ca)
    log = hostile.take_log()
    judge("aurea", said, lambda seed, place: raced(said, log, seed, place))
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


@pytest.mark.service
@pytest.mark.parametrize("looks_away", [False, True])
def test_every_byte_of_a_reply(hostile: Any, looks_away: bool) -> None:
    """Ten replies, of every form, split at each byte and cut off at each byte, whether or not somebody looks at the body."""
    paths = list(every_byte())
    hostile.take_log()
    said = by_aurea_paths(hostile.port, paths, looks_away=looks_away)
    log = hostile.take_log()
    wrong = [(path, said[path]) for path in paths if verdict(case_at(path).truth, said[path]) != "right"]
    assert not wrong, wrong[:5]
    assert [seen["path"] for seen in log if not seen["right"]] == []
    assert sorted(seen["path"] for seen in log) == sorted(paths)
    for path, reply in said.items():
        if reply.failure is None:
            assert reply.received == case_at(path).truth.received


@pytest.mark.long
@pytest.mark.parametrize("connections", [1, 20])
def test_whole_run_tells_the_truth(hostile: Any, campaign: Callable[[int], int], connections: int) -> None:
    """The same through the whole engine: the records of a run are the truth, job by job, and its result adds them up."""
    jobs = campaign(20_000)
    job = {"kind": "http", "url": f"{hostile.base}/get/{{{{index}}}}", "connections": connections, "timeout": 60}
    workload = {"job": job, "arrivals": {"kind": "closed", "users": 20}, "jobs": jobs}
    hostile.take_log()
    result = run_sync(spec_from_dict({"workload": workload, "seed": 1}))
    arrived = {seen["path"] for seen in hostile.take_log()}
    assert result.jobs is not None
    statuses, failures = Counter[str](), Counter[str]()
    for record in map(result.jobs.record, range(jobs)):
        truth, status = plain_get(record.number).truth, record.measures.get("status")
        statuses.update([] if status is None else [str(status)])
        failures.update([] if record.failure is None else [record.failure])
        if record.failure in {"reset", "closed_early"} and f"/get/{record.number}" not in arrived:
            continue  # the server had just closed the connection, see RACES
        failed = record.failure not in {None, "status"}
        said = (
            Said(failure=record.failure)
            if failed
            else Said(int(status or 0), received=record.measures["bytes_received"])
        )
        row = "aurea", plain_get(record.number).kind, verdict(truth, said)
        assert row[2] == "right" or row in DIFFERENCES, (record, row)
        assert failed or (record.failure == "status") == (not 200 <= said.status < 400)
        assert failed or truth.received in {None, said.received}, (record, row)
    assert (result.statuses, result.failures) == (statuses, failures)


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
