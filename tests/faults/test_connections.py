"""Clients that are slow, silent, gone, many or no HTTP at all, against a real server."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.strikes import HANGS, ProcessorShare, within

pytestmark = pytest.mark.faults

JSON = b"Host: localhost\r\nContent-Type: application/json\r\n"
LONG = {"num_jobs": 1, "job_duration_ms": 600_000}


def dial(server: Any) -> socket.socket:
    connection = socket.socket()
    connection.settimeout(HANGS)
    connection.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVBUF, 4096
    )  # before it connects, or the window is large already
    connection.connect(("127.0.0.1", server.port))
    return connection


def until_closed(connection: socket.socket, seconds: float) -> tuple[bytes, float]:
    """(all that came, after how long it was closed)."""
    began, got = time.monotonic(), b""
    connection.settimeout(seconds)
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while piece := connection.recv(65536):
            got += piece
    return got, time.monotonic() - began


@pytest.fixture
def server(serve: Callable[..., Any]) -> Any:
    return serve()


def test_slow_headers_slow_bodies_and_silence_are_shed_on_time(server: Any, invariants: Callable[[Any], None]) -> None:
    """Each within its deadline and a second; the drips come once a second, so each of them alone would seem alive."""
    found: dict[str, tuple[bytes, float]] = {}

    def client(name: str, first: bytes, drip: bytes) -> None:
        with dial(server) as connection:
            began = time.monotonic()
            connection.sendall(first)
            connection.settimeout(1)
            got = b""
            while time.monotonic() - began < HANGS:
                try:
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    got += piece
                except TimeoutError:
                    with contextlib.suppress(OSError):
                        connection.sendall(drip)
                except OSError:
                    break
            found[name] = got, time.monotonic() - began

    cases = {
        "silent": (b"", b""),
        "header": (b"POST /benchmark/run HTTP/1.1\r\n", b"X-A: b\r\n"),
        "body": (b"POST /benchmark/run HTTP/1.1\r\n" + JSON + b"Content-Length: 1000\r\n\r\n{", b" "),
        "keepalive": (b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
    }
    threads = [threading.Thread(target=client, args=(name, *case)) for name, case in cases.items()]
    with ProcessorShare() as processor:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name in ("silent", "header", "keepalive"):
        assert found[name][1] * processor.share <= 18, (name, found[name])
    assert b" 408 " in found["body"][0]
    assert found["body"][1] * processor.share <= 14
    invariants(server)


def test_a_client_that_never_reads_is_cut_off(server: Any, invariants: Callable[[Any], None]) -> None:
    with dial(server) as connection:
        body = b'{"num_jobs": 10000, "job_duration_ms": 1}'
        for _ in range(8):
            connection.sendall(
                b"POST /benchmark/run HTTP/1.1\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body
            )
        # It reads nothing until the server has given up, however long that takes the runs before.
        until = time.monotonic() + 2 * HANGS
        # At first it stands in the kernel's queue, and the server does not hold it yet.
        for is_held, fault in ((True, "it was never taken"), (False, "it is still served")):
            while server.holds(connection) != is_held:
                assert time.monotonic() < until, fault
                time.sleep(0.05)
        got, _ = until_closed(connection, HANGS)
    assert len(got) < 8 * 1_600_000
    invariants(server)


def find_new(server: Any) -> str:
    """The run that a client of no other test's kind has just asked for, once it has been accepted."""
    until = time.monotonic() + HANGS
    while (found := server.ask("GET", "/benchmark/runs")[2]["runs"][0]["benchmark_id"]) in server.acknowledged:
        assert time.monotonic() < until, "it was not accepted"
        time.sleep(0.02)
    return str(found)


def test_a_client_that_leaves_cancels_its_run(server: Any, invariants: Callable[[Any], None]) -> None:
    body = b'{"num_jobs": 1, "job_duration_ms": 600000}'
    connection = dial(server)
    connection.sendall(b"POST /benchmark/run HTTP/1.1\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    run_id = find_new(server)
    assert server.running(run_id)
    with within(5, "the end of a run whose client left"):
        connection.close()
        assert server.final(run_id)["status"] == "cancelled"
    invariants(server)


def test_a_client_with_a_key_may_leave_and_come_back(server: Any, invariants: Callable[[Any], None]) -> None:
    body = b'{"num_jobs": 1, "job_duration_ms": 1000}'
    connection = dial(server)
    head = b"POST /benchmark/run HTTP/1.1\r\nIdempotency-Key: k\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(body)
    connection.sendall(head + body)
    run_id = find_new(server)
    connection.close()
    assert server.final(run_id)["status"] == "completed"
    status, _, result = server.ask("POST", "/benchmark/run", body, {"Idempotency-Key": "k"})
    assert (status, result["status"]) == (200, "completed")
    assert server.stop() == 0
    server.start()
    assert server.ask("POST", "/benchmark/run", body, {"Idempotency-Key": "k"})[2] == result, "kept over a restart"
    server.mark = None
    invariants(server)


def test_a_follower_that_never_reads_does_not_slow_the_run(server: Any, invariants: Callable[[Any], None]) -> None:
    spec = {"num_jobs": 10, "job_duration_ms": 2000}
    late: list[float] = []
    # A busy machine makes any run late: this one is no later than another, which nobody follows, in one round of a few.
    while not late or (min(late) >= 0.2 and len(late) < 5):
        run_id = server.accept(spec)
        followers = [dial(server) for _ in range(20)]
        for follower in followers:
            follower.sendall(f"GET /benchmark/runs/{run_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        took = server.final(run_id)["duration"]
        assert took >= 2.0
        for follower in followers:
            follower.close()
        late.append(took - (2.0 if took < 2.2 else server.run(spec)["duration"]))
    assert min(late) < 0.2, late
    invariants(server)


@contextlib.contextmanager
def crowd(server: Any, size: int) -> Iterator[list[socket.socket]]:
    connections = []
    try:
        for _ in range(size):
            with contextlib.suppress(OSError):
                connections.append(dial(server))
        yield connections
    finally:
        for connection in connections:
            connection.close()


def test_idle_crowd_above_cap_is_refused(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    """An idle crowd is refused above the cap and the run does not feel it."""
    server = serve("--max-connections", "64")
    spec = {
        "workload": {
            "job": {"kind": "sleep", "duration": 0.05},
            "arrivals": {"kind": "constant", "rate": 100},
            "duration": 3,
        }
    }
    slower: list[float] = []
    # A busy machine makes any run slow: this one is no slower than another, without a crowd, in one round of a few.
    while not slower or (min(slower) >= 1.5 and len(slower) < 5):
        run_id = server.accept(spec)
        with crowd(server, 300) as connections:
            until = time.monotonic() + HANGS
            wanted = len(connections) - 64  # there may be fewer than 300, where this process has few descriptors
            while (refused := count_refused(connections)) < wanted:
                assert time.monotonic() < until, f"{refused} of {len(connections)} were refused"
                time.sleep(0.1)
            time.sleep(1)
        p50 = server.final(run_id)["response_time"]["p50"]
        slower.append(p50 / (0.05 if p50 < 1.5 * 0.05 else server.run(spec)["response_time"]["p50"]))
    assert min(slower) < 1.5, slower
    invariants(server)


def count_refused(connections: list[socket.socket]) -> int:
    """Those that were answered with 503 so far. What they were told stays to be read."""
    refused = 0
    for connection in connections:
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            refused += b" 503 " in connection.recv(4096, socket.MSG_PEEK)
    return refused


def test_a_server_with_few_descriptors_stays_up_in_a_crowd(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    server = serve(start=False)
    server.start(prefix=("prlimit", "--nofile=128:128")).settled()
    with crowd(server, 400):
        time.sleep(1)
        assert server.process.poll() is None
    time.sleep(0.5)
    assert "Too many open files" not in server.log.read_text()
    invariants(server)


RAW = [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100, b"\xff\xfe" * 50, b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 20000 + b"\r\n\r\n",
    b"POST /benchmark/run HTTP/1.1\r\n" + JSON + b"Content-Length: -1\r\n\r\n",
    b"POST /benchmark/run HTTP/1.1\r\n" + JSON + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    b"POST /benchmark/run HTTP/1.1\r\n" + JSON + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /benchmark/run HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    b"POST /benchmark/run HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"POST /benchmark/run HTTP/1.1\r\n" + JSON + b"Content-Length: 99999999999999999999\r\n\r\n",
    b"GET http://evil/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"CONNECT evil:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"POST /benchmark/run HTTP/1.1\r\n" + JSON + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
]  # fmt: skip


def send_raw(server: Any, data: bytes) -> bytes:
    with dial(server) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        return until_closed(connection, HANGS)[0]


def test_what_is_hardly_http_is_refused(server: Any, invariants: Callable[[Any], None]) -> None:
    for data in RAW:
        got = send_raw(server, data)
        assert not got or got.split(b" ")[1][:1] in (b"2", b"4") or b" 505 " in got[:20], (data[:80], got[:200])
    invariants(server)


def mutated(chance: random.Random) -> bytes:
    data = bytearray(
        chance.choice([*RAW, b"POST /benchmark/run HTTP/1.1\r\n" + JSON + b'Content-Length: 15\r\n\r\n{"num_jobs": 1}'])
    )
    for _ in range(chance.randrange(1, 8)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(3):
            case 0:
                data[at:at] = chance.randbytes(chance.randrange(1, 5))
            case 1:
                del data[at : at + chance.randrange(1, 10)]
            case _:
                data[at : at + 1] = bytes([chance.randrange(256)])
    return bytes(data)


def fuzz_raw(server: Any, count: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(count):
        data = mutated(chance)
        got = send_raw(server, data)
        assert not got.startswith(b"HTTP/1.1 5") or got[9:12] in (b"503", b"505"), (data, got[:300])


def test_mutated_requests_never_make_it_fail(server: Any, invariants: Callable[[Any], None]) -> None:
    fuzz_raw(server, 300, 21)
    invariants(server)


def test_a_client_that_resets_at_once_leaves_nothing(server: Any, invariants: Callable[[Any], None]) -> None:
    for _ in range(50):
        connection = dial(server)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.close()
    invariants(server)


def test_leaving_while_stored_leaves_no_runs(server: Any, invariants: Callable[[Any], None]) -> None:
    """Clients that leave while their runs are written down leave no runs."""
    on = server.accept(LONG)
    server.running(on)
    body = b'{"num_jobs": 1, "job_duration_ms": 900000}'
    for i in range(40):
        connection = dial(server)
        if i % 2:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.sendall(
            b"POST /benchmark/run HTTP/1.1\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        connection.close()
        time.sleep(0.02)
    until = time.monotonic() + HANGS
    while (left := server.ask("GET", "/benchmark/runs?status=queued")[2]["runs"]) and time.monotonic() < until:
        time.sleep(0.05)
    assert left == []
    assert server.ask("POST", f"/benchmark/runs/{on}/cancel", {})[0] == 202
    assert server.final(on)["status"] == "cancelled"
    invariants(server)


def test_buffered_answers_hold_no_slot(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    """The rest of an answer is small enough for nobody to wait for it, and the client takes none of it."""
    server = serve("--max-connections", "8")
    crowd = [dial(server) for _ in range(7)]
    for connection in crowd:
        connection.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            for _ in range(120):
                connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
                time.sleep(0.005)
    until = time.monotonic() + HANGS
    while time.monotonic() < until and any(server.holds(connection) for connection in crowd):
        time.sleep(0.5)
    assert not any(server.holds(connection) for connection in crowd)
    for connection in crowd:
        connection.close()
    invariants(server)


def test_many_readers_at_once_start_no_threads(server: Any, invariants: Callable[[Any], None]) -> None:
    run_id = server.run({"num_jobs": 2000, "job_duration_ms": 0})["benchmark_id"]
    before, answers = server.census()["threads"], []

    def read() -> None:
        answers.append(server.ask("GET", f"/benchmark/runs/{run_id}")[0])

    readers = [threading.Thread(target=read) for _ in range(30)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert answers == [200] * 30
    assert server.census()["threads"] == before
    invariants(server)
