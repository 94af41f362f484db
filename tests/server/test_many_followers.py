"""Fifty pages that follow a run: its figures stay, the server answers, and a page that does not read is closed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aurea_server.http.app_keys import READER
from aurea_server.runs.events import EventLog
from tests.faults.conftest import Server
from tests.server.test_downloads import RUN, ask, connections_of, until

FOLLOWERS = 50
SPEC = {
    "workload": {
        "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.2}},
        "arrivals": {"kind": "poisson", "rate": 200},
        "duration": 5,
    },
    "seed": 7,
}


@pytest.fixture
def real_server(tmp_path: Any) -> Iterator[Server]:
    server = Server(tmp_path).start()
    server.run({"num_jobs": 10})  # everything has been loaded once
    yield server
    server.stop()


class Crowd:
    """Raw clients in a thread of their own: followers of a run, and one that asks for ``/health`` all the time."""

    def __init__(self, port: int, run_id: str, followers: int) -> None:
        self._port, self._stop = port, threading.Event()
        path = f"/benchmark/runs/{run_id}/events"
        self._sockets = [self._send(path) for _ in range(followers)]
        self.heard: list[bytes] = []
        self.health: list[float] = []
        self._threads = [threading.Thread(target=self._listen), threading.Thread(target=self._ask)]
        for thread in self._threads:
            thread.start()

    def _send(self, path: str) -> socket.socket:
        peer = socket.create_connection(("127.0.0.1", self._port), 60)
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return peer

    def _listen(self) -> None:
        asyncio.run(self._listen_to_all())

    async def _listen_to_all(self) -> None:
        async def listen(peer: socket.socket) -> bytes:
            reader, writer = await asyncio.open_connection(sock=peer)
            with contextlib.closing(writer):
                return await reader.readuntil(b"event: end\r\n")

        self.heard = await asyncio.gather(*map(listen, self._sockets))

    def _ask(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), 60) as peer:
            while not self._stop.wait(0.01):
                began = time.monotonic()
                peer.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert peer.recv(65536).startswith(b"HTTP/1.1 200")
                self.health.append(time.monotonic() - began)

    def leave(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)


def follow(server: Server, followers: int) -> tuple[dict[str, Any], list[float]]:
    """A run, and how long ``/health`` took while it had so many followers."""
    run_id = server.accept(SPEC)
    crowd = Crowd(server.port, run_id, followers)
    result = server.final(run_id)
    crowd.leave()
    assert [text.count(b"event: progress") >= 5 for text in crowd.heard] == [True] * followers
    return result, crowd.health


def figures(result: dict[str, Any]) -> dict[str, float]:
    times = {f"response_time.{name}": result["response_time"][name] for name in ("mean", "p50", "p90", "p99")}
    return times | {name: result[name] for name in ("throughput", "mean_latency", "total_cost")}


@pytest.mark.realtime
def test_fifty_followers_do_not_move_the_figures(real_server: Server) -> None:
    """Less than 5 % against the same run without them, and ``/health`` stays under 50 ms at p99."""
    rounds = [(follow(real_server, 0), follow(real_server, FOLLOWERS)) for _ in range(2)]
    alone = [run for (run, _), _ in rounds]
    followed = [run for _, (run, _) in rounds]
    if late := [run["findings"] for run in alone if run["verdict"] != "valid"]:
        pytest.skip(f"the machine was late without followers, too: {[finding['code'] for finding in late[0]]}")
    valid = [run for run in followed if run["verdict"] == "valid"]
    assert valid, f"late with followers, and not without: {[run['findings'] for run in followed]}"
    for name, value in figures(alone[0]).items():
        nearest = min((figures(run)[name] for run in valid), key=lambda found: abs(found - value))
        assert nearest == pytest.approx(value, rel=0.05), name
    waits = [min(_p99(run[1]) for run in each) for each in zip(*rounds, strict=True)]
    if waits[0] > 0.025:
        pytest.skip(f"the machine needed {waits[0]:.3f} s for /health without followers, too")
    assert waits[1] < 0.05


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


@pytest.fixture
def events(client: Any) -> EventLog:
    """The log of a run that is on."""
    reader = client.server.app[READER]
    reader._active._logs[RUN] = log = EventLog(reader._followers, kept=100)
    return log


def publish(events: EventLog, number: int) -> None:
    for _ in range(number):
        events.publish("progress", {"text": "x" * 60_000})


async def test_a_page_that_does_not_read_is_closed(client: Any, events: EventLog) -> None:
    """By the clock that is passed in; the place that it held is free."""
    peer = await ask(client, f"/benchmark/runs/{RUN}/events")
    publish(events, 100)
    await until(lambda: bool(connections_of(client)) and connections_of(client)[0]._pipe.get_write_buffer_size() > 0)
    (connection,) = connections_of(client)
    now = asyncio.get_running_loop().time()
    connection.close_if_stalled(now)
    connection.close_if_stalled(now + 61)
    await until(lambda: not connections_of(client) and client.server.app[READER]._followers.count == 0)
    peer.close()


async def test_a_page_that_falls_behind_is_told_and_closed(client: Any, events: EventLog) -> None:
    """It reads, but more slowly than events come: what it missed is gone, and it hears so."""
    peer = await ask(client, f"/benchmark/runs/{RUN}/events")
    publish(events, 100)
    await until(lambda: bool(connections_of(client)) and connections_of(client)[0]._pipe.get_write_buffer_size() > 0)
    publish(events, 200)
    loop, got = asyncio.get_running_loop(), b""
    async with asyncio.timeout(120):
        while b"event: lagged" not in got:
            taken = await loop.sock_recv(peer, 1 << 20)
            assert taken, "it was closed without a word"
            got = got[-100:] + taken
    peer.close()
    await until(lambda: client.server.app[READER]._followers.count == 0)
