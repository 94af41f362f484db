"""Long exports of a real server to clients that are slow, stop, or leave, at their true sizes and speeds."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.strikes import HANGS

pytestmark = pytest.mark.faults

VIRTUAL = {
    "workload": {
        "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.01}},
        "arrivals": {"kind": "poisson", "rate": 1000},
    },
    "clock": "virtual",
    "seed": 1,
}


def ask(server: Any, path: str, window: int = 0) -> socket.socket:
    peer = socket.socket()
    if window:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    peer.settimeout(300)
    peer.connect(("127.0.0.1", server.port))
    peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return peer


def ask_until_served(server: Any, path: str, window: int = 0) -> socket.socket:
    """Like `ask`. A server with little time of a processor refuses the last of many readers: 503, to be asked again."""
    while True:
        peer = ask(server, path, window)
        if peer.recv(12, socket.MSG_PEEK | socket.MSG_WAITALL) != b"HTTP/1.1 503":
            return peer
        peer.close()
        time.sleep(1)


def jobs_run(server: Any, jobs: int) -> str:
    """The path of the export of a run of so many jobs."""
    workload = {**VIRTUAL["workload"], "jobs": jobs}
    run_id = server.run({**VIRTUAL, "workload": workload}, timeout=300)["benchmark_id"]
    return f"/benchmark/runs/{run_id}/jobs?format=csv"


@pytest.mark.parametrize("reset", [False, True])
def test_300_followers_that_leave_at_once(
    serve: Callable[..., Any], invariants: Callable[[Any], None], reset: bool
) -> None:
    server = serve()
    run_id = server.accept({"num_jobs": 1, "job_duration_ms": 600_000})
    server.running(run_id)
    for _ in range(300):
        peer = ask(server, f"/benchmark/runs/{run_id}/events")
        if reset:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    assert server.ask("POST", f"/benchmark/runs/{run_id}/cancel", {})[0] == 202
    invariants(server)
    assert "ERROR" not in server.log.read_text()


def test_downloads_that_leave_under_way(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    server = serve()
    path = jobs_run(server, 50_000)
    for i in range(60):
        peer = ask(server, path)
        for _ in range(i % 4):
            peer.recv(65536)
        if i % 2:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    invariants(server)
    assert "ERROR" not in server.log.read_text()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_slow_steady_readers_get_all(
    serve: Callable[..., Any], invariants: Callable[[Any], None], campaign: Callable[[int], int]
) -> None:
    """100 MB to readers of 70 and 100 kB/s, 64 KiB at a time, for four minutes and then faster; six more stop at once.

    What the kernel holds of a connection is some 9 MB, so a third of that is enough where a tenth of the time is.
    """
    server, slowly = serve(), campaign(240)
    jobs = max(campaign(1_000_000), 300_000)
    path = jobs_run(server, jobs)
    found: dict[str, int] = {}

    def steady(name: str, rate: float, window: int) -> None:
        with ask_until_served(server, path, window) as peer:
            began, got, tail = time.monotonic(), 0, b""
            with contextlib.suppress(OSError):
                while piece := peer.recv(65536, socket.MSG_WAITALL if time.monotonic() < began + slowly else 0):
                    got, tail = got + len(piece), (tail + piece)[-8:]
                    if tail.endswith(b"0\r\n\r\n"):
                        break
                    if time.monotonic() < began + slowly:
                        time.sleep(max(0.0, began + got / rate - time.monotonic()))
            found[name] = got if tail.endswith(b"0\r\n\r\n") else -got

    cases = [("70", 70_000.0, 0), ("100", 100_000.0, 0), ("70, large window", 70_000.0, 4 << 20), ("20", 20_000.0, 0)]
    readers = [threading.Thread(target=steady, args=case) for case in cases]
    stopped = [ask_until_served(server, path) for _ in range(6)]
    for reader in readers:
        reader.start()
    time.sleep(5)
    while (answer := server.ask("GET", path.replace("csv", "json") + "&limit=5"))[0] == 503:
        time.sleep(1)
    assert answer[2]["total"] == jobs
    # After some fifteen seconds; a machine that is busy with other tests takes what it takes.
    end = time.monotonic() + 150 + HANGS
    while held := [peer for peer in stopped if server.holds(peer)]:
        assert time.monotonic() < end, f"{len(held)} of those who stopped reading are still served"
        time.sleep(0.5)
    for reader in readers:
        reader.join()
    for peer in stopped:
        peer.close()
    assert all(got > 50 * jobs for got in found.values()), found
    invariants(server)
