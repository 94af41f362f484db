"""Long answers: clients that read them slowly, not at all, or leave at any moment. The clock is passed in."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import socket
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import DamagedParts, JobBatch
from aurea_engine.records import column_file
from aurea_server.history import AcceptedRun, FinishedRun
from aurea_server.http import connections
from aurea_server.http.app_keys import READER, SERVICE
from aurea_server.http.connections import STALLED_BYTES, STALLED_SECONDS
from aurea_server.runs.events import EventLog
from aurea_server.runs.exports import ROWS_AT_ONCE

RUN = "benchmark-1"
RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: a close that is a reset."""


def records(jobs: int, seed: int = 1) -> column_file.StoredRecords:
    chance = np.random.default_rng(seed)
    intended = np.sort(chance.integers(0, 10**12, jobs))
    started = intended + chance.integers(0, 10**9, jobs)
    batch = JobBatch(intended, intended, started, started + 10**6, np.zeros(jobs, np.uint8))
    return column_file.StoredRecords(RUN, datetime(2026, 1, 1, tzinfo=UTC), batch, chance.random(jobs))


async def store(client: Any, jobs: int) -> None:
    """A run that has ended, put into the history as the server would."""
    history = client.server.app[SERVICE]._history
    await history.add(AcceptedRun(RUN, 1, None, b"{}"), None)
    assert await history.end(RUN, FinishedRun("completed", 2, records=column_file.encode(records(jobs)))) is None


def connections_of(client: Any) -> list[Any]:
    return list(client.server.runner.limiter.open)


async def ask(client: Any, path: str) -> socket.socket:
    """A client with a small window that has asked and read nothing."""
    peer = socket.socket()
    peer.setblocking(False)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(peer, ("127.0.0.1", client.server.port))
    await loop.sock_sendall(peer, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return peer


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Pipe:
    """A transport that does not say what the other side took."""

    def __init__(self, view_active: int) -> None:
        self.view_active, self.aborted = view_active, False

    def get_extra_info(self, _: str) -> None:
        return None

    def get_write_buffer_size(self) -> int:
        return self.view_active

    def abort(self) -> None:
        self.aborted = True


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not true():
            await asyncio.sleep(0.002)


@given(st.lists(st.integers(1, 400), max_size=8), st.integers(0, 1000), st.integers(0, 2**32))
def test_blocks_make_up_the_whole_file(sizes: list[int], jobs: int, seed: int) -> None:
    """Whatever the blocks: together they are what was written."""
    written = records(jobs, seed)
    reader = column_file.Reader(io.BytesIO(column_file.encode(written)))
    reader.check()
    blocks = [reader.read(size) for size in sizes]
    blocks.append(reader.read(10**6))
    assert reader.row == reader.rows == jobs
    for name in (*column_file.INSTANTS, "outcome"):
        together = np.concatenate([getattr(block.jobs, name) for block in blocks])
        np.testing.assert_array_equal(together, getattr(written.jobs, name))
    np.testing.assert_array_equal(np.concatenate([block.costs for block in blocks]), written.costs)


@given(st.data())
def test_a_damaged_file_is_unreadable_or_right(data: st.DataObject) -> None:
    content = bytearray(column_file.encode(records(200)))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + data.draw(st.integers(1, 40))] = data.draw(st.binary(max_size=40))
    try:
        reader = column_file.Reader(io.BytesIO(bytes(content)))
        reader.check()
    except DamagedParts:
        return
    assert len(reader.read(10**6).jobs) == reader.rows


class Counting(io.BytesIO):
    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.taken += len(found)
        return found


def test_a_block_reads_only_what_it_needs() -> None:
    """What a slow client holds is bounded by the block, not by the run."""
    file = Counting(column_file.encode(records(200_000)))
    size = len(file.getvalue())
    reader = column_file.Reader(file)
    reader.read(ROWS_AT_ONCE)
    assert file.taken < 6 * 3 * 32 * 1024 < size / 4


async def test_clients_that_do_not_read_lock_nobody_out(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight downloads hang, twice the number of those who may decode at once; others read as if they were alone."""
    monkeypatch.setattr("aurea_server.runs.reader.WAIT_SECONDS", 0.5)
    await store(client, 20_000)
    hanging = [await ask(client, f"/benchmark/runs/{RUN}/jobs?format={form}") for form in ("csv", "ndjson") * 4]
    await until(lambda: len([each for each in connections_of(client) if each._pipe.get_write_buffer_size()]) == 8)
    for path in ("/jobs", "/jobs?format=csv", ""):
        async with client.get(f"/benchmark/runs/{RUN}{path}") as answer:
            assert answer.status == 200
            content = await answer.read()
    async with client.get(f"/benchmark/runs/{RUN}/jobs?format=csv") as answer:
        content = await answer.read()
    assert len(list(csv.reader(io.StringIO(content.decode())))) == 20_001
    await until(lambda: client.server.app[READER]._decoders._value == 4)
    for peer in hanging:
        peer.close()


async def test_a_slow_steady_download_is_never_cut(client: Any) -> None:
    """64 KiB, then 14 seconds of nothing by the clock that `close_if_stalled` is given, over and over: it ends whole."""
    await store(client, 20_000)
    peer = await ask(client, f"/benchmark/runs/{RUN}/jobs?format=csv")
    await until(lambda: bool(connections_of(client)) and connections_of(client)[0]._pipe.get_write_buffer_size() > 0)
    connection, loop = connections_of(client)[0], asyncio.get_running_loop()
    now, got = loop.time(), b""
    while not got.endswith(b"0\r\n\r\n"):
        before = len(got)
        while len(got) < before + 65536 and not got.endswith(b"0\r\n\r\n"):
            got += await loop.sock_recv(peer, 65536)
        now += STALLED_SECONDS - 1
        connection.close_if_stalled(now)
    assert not connection._pipe.is_closing()
    assert b"".join(got.split(b"\r\n")).count(b"benchmark-1-") == 20_000
    peer.close()


async def test_the_wait_follows_the_clients_steps(client: Any) -> None:
    """Its system tells of what was read in ever greater steps: 12 s, then 20, then 38; and a stop after that is cut."""
    connection = connections.Connection(client.server.runner.server, client.server.runner.limiter)
    connection._pipe = pipe = Pipe(10**6)  # type: ignore[assignment]
    now = 0.0
    connection.close_if_stalled(now)
    for wait in (12, 20, 38, 58, 1):
        connection.close_if_stalled(now + wait - 0.5)
        now += wait
        pipe.view_active -= STALLED_BYTES
        connection.close_if_stalled(now)
        assert not pipe.aborted, wait
    connection.close_if_stalled(now + STALLED_SECONDS + 0.5)
    assert pipe.aborted


async def test_a_download_that_stops_is_cut_on_time(client: Any) -> None:
    await store(client, 20_000)
    peer = await ask(client, f"/benchmark/runs/{RUN}/jobs?format=csv")
    await until(lambda: bool(connections_of(client)) and connections_of(client)[0]._pipe.get_write_buffer_size() > 0)
    connection, loop = connections_of(client)[0], asyncio.get_running_loop()
    taken = -1
    while connection._taken != taken:  # what is on its way may still arrive
        taken = connection._taken
        for _ in range(20):
            await asyncio.sleep(0.005)
            connection.close_if_stalled(loop.time())
    began = loop.time()
    connection.close_if_stalled(began + STALLED_SECONDS - 1)
    assert not connection._pipe.is_closing()
    connection.close_if_stalled(began + STALLED_SECONDS + 1)
    assert connection._pipe.is_closing()
    await until(lambda: not connections_of(client))
    peer.close()


async def test_buffers_stand_in_for_acknowledgements(client: Any) -> None:
    """Without ``tcp_info`` the bytes that wait are looked at, as well as that can be done."""
    connection = connections.Connection(client.server.runner.server, client.server.runner.limiter)
    connection._pipe = pipe = Pipe(10**6)  # type: ignore[assignment]
    connection.close_if_stalled(0.0)
    pipe.view_active -= STALLED_BYTES
    connection.close_if_stalled(STALLED_SECONDS + 1)
    assert not pipe.aborted
    pipe.view_active -= STALLED_BYTES - 1
    connection.close_if_stalled(4 * (STALLED_SECONDS + 1))
    assert pipe.aborted


async def test_an_export_whose_file_goes_bad_breaks_off(
    client: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Under way nothing but a broken connection can say that these are not all jobs."""
    await store(client, 20_000)
    peer = await ask(client, f"/benchmark/runs/{RUN}/jobs?format=csv")
    await until(lambda: bool(connections_of(client)) and connections_of(client)[0]._pipe.get_write_buffer_size() > 0)
    file = tmp_path / "data-0" / "records" / f"{RUN}.columns"
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(2000)
        opened.write(bytes(size - 2000))
    loop, got = asyncio.get_running_loop(), b""
    with contextlib.suppress(ConnectionResetError):
        while encode_jobs := await loop.sock_recv(peer, 65536):
            got += encode_jobs
    assert not got.endswith(b"0\r\n\r\n")
    assert "breaks off" in caplog.text
    assert not [record for record in caplog.records if record.exc_info]
    peer.close()


async def test_a_run_may_be_deleted_under_way(client: Any) -> None:
    """Whoever has begun to read it gets all of it."""
    await store(client, 20_000)
    peer = await ask(client, f"/benchmark/runs/{RUN}/jobs?format=ndjson")
    await until(lambda: bool(connections_of(client)) and connections_of(client)[0]._pipe.get_write_buffer_size() > 0)
    async with client.delete(f"/benchmark/runs/{RUN}", headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 204
    loop, got = asyncio.get_running_loop(), b""
    while not got.endswith(b"0\r\n\r\n"):
        got += await loop.sock_recv(peer, 1 << 20)
    assert got.count(b'"job_id"') >= 19_500  # a few are cut by chunk headers
    peer.close()


STREAMS = ["events", "jobs?format=csv", "jobs?format=ndjson", "jobs", ""]
PATHS = [*(f"/benchmark/runs/{RUN}/{part}".rstrip("/") for part in STREAMS), "/metrics", "/docs/swagger-ui-bundle.js"]


@pytest.mark.parametrize("path", PATHS)
async def test_clients_that_leave_are_no_errors(client: Any, caplog: pytest.LogCaptureFixture, path: str) -> None:
    """Many leave, by FIN or RST, at once, a little later, or when the first bytes have come: nothing is logged or left."""
    await store(client, 5_000)
    before = descriptors()
    loop = asyncio.get_running_loop()
    for i in range(60):
        peer = await ask(client, path)
        if i % 3:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        for _ in range(i % 4):
            await asyncio.sleep(0)
        if i % 7 == 0:
            await loop.sock_recv(peer, 100)
        peer.close()
    reader = client.server.app[READER]
    # A thread that decodes for somebody who has left goes on to the end of its piece.
    await until(lambda: not connections_of(client) and descriptors() <= before and reader._decoders._value == 4)
    assert reader._followers.count == 0
    assert not [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_followers_that_leave_are_no_errors(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The log of a run that is on: what a follower held is free as soon as it is gone."""
    reader = client.server.app[READER]
    reader._active._logs[RUN] = events = EventLog(reader._followers)
    for i in range(300):
        events.publish("progress", {"i": i})
        peer = await ask(client, f"/benchmark/runs/{RUN}/events")
        if i % 2:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if i % 5 == 0:
            await asyncio.get_running_loop().sock_recv(peer, 100)
        peer.close()
        await asyncio.sleep(0)
    await until(lambda: not connections_of(client))
    assert reader._followers.count == 0
    assert not [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_a_fault_of_ours_is_still_logged(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A ConnectionError while the client is there did not come from it."""
    history = client.server.app[SERVICE]._history

    async def broken(*_: object) -> Any:
        raise ConnectionResetError("the disk's server is gone")

    history._ask = broken
    async with client.get(f"/benchmark/runs/{RUN}") as answer:
        assert answer.status == 500
    del history._ask
    assert [record for record in caplog.records if record.exc_info]
