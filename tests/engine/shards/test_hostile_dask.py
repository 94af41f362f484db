"""What comes from a cluster is not believed: whatever a shard sends, or the process of Dask's client, the run ends well."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from aurea_engine import (
    ClusterAddress,
    ClusterRefused,
    ConstantRate,
    RunSpec,
    Shard,
    Sleep,
    SpecError,
    StrategyError,
    Workload,
    execute,
    summarize,
)
from aurea_engine.processes.child import ParentConnection
from aurea_engine.processes.frames import split
from aurea_engine.processes.worker_process import make_order
from aurea_engine.shards import dask_link
from aurea_engine.shards.coordinator import Coordinator
from aurea_engine.shards.dask_link import ShardEnd, open_link
from aurea_engine.shards.dask_shard import DaskShard
from aurea_engine.shards.dask_workers import Worker
from aurea_engine.shards.split import prepare_spec
from aurea_engine.shards.transport import ShardLost
from aurea_engine.workload.access import LOCAL_USER

SPEC = RunSpec(Workload(Sleep(0.001), ConstantRate(1000), jobs=20), seed=1)
PARTS = execute(replace(SPEC, clock="virtual"), Shard(1, 2))
WORKER = Worker("tls://10.0.0.2:4000", "b", 1, 5_000_000_000, 700)


class FakeLink:
    """Remembers what is said to a cluster; nobody is there."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.said.append(message)


def make_shard(*answers: dict[str, Any], parts: bytes = b"") -> tuple[DaskShard, FakeLink]:
    """A shard of which all is said already: ``parts`` in pieces, then the answers."""
    link = FakeLink()
    end = ShardEnd(link, 1, "r")  # type: ignore[arg-type]
    for piece in split("1", parts):
        end.pieces.add({**piece, "content": bytes(piece["content"])})
    for answer in answers:
        end.put(answer)
    order = make_order(SPEC, Shard(1, 2), None, LOCAL_USER) | {"processes": 1}
    return DaskShard(end, WORKER, order), link


END = {"answer": True}


async def finish(*answers: dict[str, Any], parts: bytes = b"") -> Any:
    shard, _ = make_shard({"ready": True}, *answers, parts=parts)
    await shard.prepare()
    return await shard.finish(lambda _: None)


async def test_parts_know_the_clock_of_their_machine() -> None:
    """The start is told in its time. All that it reports is in its own, with how far that is ahead."""
    heard = []
    shard, link = make_shard({"ready": True}, {"progress": PARTS.to_bytes()}, END, parts=PARTS.to_bytes())
    await shard.prepare()
    shard.start(1_000_000_000)
    for parts in (await shard.finish(heard.append), *heard):
        facts = parts.shards[0].process
        assert (facts.clock_offset_ns, facts.clock_bound_ns) == (5_000_000_000, 700)
    assert [message for message in link.said if "begin" in message] == [{"of": 1, "begin": 6_000_000_000}]
    assert len(heard) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0" * 100,
        PARTS.to_bytes()[:-1],
        execute(replace(SPEC, clock="virtual"), Shard(0, 2)).to_bytes(),
        execute(replace(SPEC, clock="virtual")).to_bytes(),
        replace(PARTS, shards=(replace(PARTS.shards[0], status=None),)).to_bytes(),
    ],
    ids=["nothing", "zeros", "cut", "another shard", "whole run", "not ended"],
)
async def test_parts_that_are_none(sent: bytes) -> None:
    """The shard is lost, and its machine named."""
    with pytest.raises(ShardLost, match=r"it sent .* \(Dask worker tls://10\.0\.0\.2:4000 on b\)"):
        await finish(END, parts=sent)


@pytest.mark.parametrize("sent", [None, 7, "text", b"", {"a": 1}, [b"x"]])
async def test_progress_that_is_none(sent: object) -> None:
    with pytest.raises(ShardLost, match="it sent what no shard sends"):
        await finish({"progress": sent}, END)


@pytest.mark.parametrize(
    "sent", [None, 7, {}, {"reason": {"code": "nothing", "detail": ""}}, {"reason": {"code": "memory"}}]
)
async def test_failure_that_is_none(sent: object) -> None:
    with pytest.raises(ShardLost, match="it sent what no shard sends"):
        await finish(END | {"failure": sent})


async def test_failures_are_what_they_are_here() -> None:
    """A specification that cannot be run there, a strategy that breaks its contract, and what costs the process."""
    problems = [("workload.job", "cannot be opened", "x")]
    with pytest.raises(SpecError, match=r"workload\.job: cannot be opened, got x"):
        await finish(END | {"failure": {"reason": {"code": "invalid_spec", "detail": "", "problems": problems}}})
    with pytest.raises(StrategyError, match="out of order"):
        await finish(END | {"failure": {"reason": {"code": "strategy", "detail": "out of order"}}})
    with pytest.raises(ShardLost, match=r"no memory \(Dask worker"):
        await finish(END | {"failure": {"reason": {"code": "memory", "detail": "no memory"}}})
    with pytest.raises(ShardLost, match="gone"):
        await finish(END | {"lost": "gone"})


async def test_stop_before_the_set_up_is_passed_on() -> None:
    shard, link = make_shard({"ready": True})
    shard.stop("cancelled")
    await shard.prepare()
    shard.stop("timed_out")
    assert [message.get("halt") for message in link.said] == [None, "cancelled", "timed_out"]


async def test_lost_shards_of_a_cluster_end_the_run() -> None:
    """One has ended well, one is lost while it is set up: nothing was begun."""
    shared = prepare_spec(SPEC, 2)
    lost, _ = make_shard(END | {"lost": "it ended"}, {"dropped": True})
    good, _ = make_shard({"ready": True}, END | {"lost": "stopped"}, {"dropped": True})
    parts = await Coordinator(SPEC, shared, [good, lost]).run()
    result = summarize(SPEC, parts)
    assert (result.status, result.reason and result.reason.code) == ("failed", "shard_lost")


# The process of Dask's client: what takes its place here says what its test wants.


def _answer(parent: ParentConnection, answers: list[Any]) -> Callable[[Any], None]:
    def handle(order: Any) -> None:
        for answer in answers:
            parent.send(answer)

    return handle


def refuse(parent: ParentConnection, _: object) -> Callable[[Any], None]:
    return _answer(parent, [{"refused": "no \x1b[31m\nnight"}])


def send_nonsense(parent: ParentConnection, _: object) -> Callable[[Any], None]:
    return _answer(parent, [{"workers": [{"address": "a" * 1000, "host": "b", "threads": -1}]}])


def end_at_once(parent: ParentConnection, _: object) -> Callable[[Any], None]:
    raise SystemExit(7)


def name_nobody(parent: ParentConnection, _: object) -> Callable[[Any], None]:
    workers = [msgspec.to_builtins(WORKER)]
    return _answer(parent, [{"workers": workers}, {"of": 99, "answer": True}])


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    def choose(function: Any) -> None:
        monkeypatch.setattr(dask_link, "PROGRAM", f"{function.__module__}:{function.__name__}")

    return choose


@pytest.mark.service
@pytest.mark.parametrize(
    ("function", "told"),
    [
        (refuse, r"^no \\x1b\[31m\\nnight$"),
        (send_nonsense, "the process of the Dask client sent what it never sends"),
        (end_at_once, "no process of a Dask client could be started: the runner process exited with code"),
    ],
)
async def test_clients_that_do_not_connect(program: Any, function: Any, told: str) -> None:
    """One line, without control characters of anybody's."""
    program(function)
    with pytest.raises(ClusterRefused, match=told):
        async with open_link(ClusterAddress("tcp://127.0.0.1:1"), []):
            raise AssertionError("it was taken")


@pytest.mark.service
async def test_client_that_speaks_of_nobody(program: Any) -> None:
    """All shards of the link are lost, and it can be closed."""
    program(name_nobody)
    async with open_link(ClusterAddress("tcp://127.0.0.1:1"), []) as link:
        assert link.workers == [WORKER]
        end = link.open_end(0)
        async with asyncio.timeout(60):
            message = await end.next()
    assert message["lost"].startswith("the process of the Dask client sent what it never sends")
