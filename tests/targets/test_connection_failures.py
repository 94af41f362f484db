"""Connections that are not made, each for a real reason: which class a job fails with, and whose fault it is."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.targets.real_servers import free_port

ROOT = Path(__file__).parents[2]
QUICK = {"timeout": 20, "connect_timeout": 0.3}


def test_name_that_does_not_exist(ask: Callable[..., Any]) -> None:
    """RFC 2606 keeps .invalid for names that are never there."""
    result = ask("http://no.such.name.invalid/", jobs=3)
    assert result.failures == {"dns": 3}
    assert result.statuses == {}


def test_nobody_listens_is_refused(ask: Callable[..., Any]) -> None:
    assert ask(f"http://127.0.0.1:{free_port()}/", jobs=5).failures == {"refused": 5}


def test_no_socket_is_there(ask: Callable[..., Any], tmp_path: Path) -> None:
    """A path without a socket, and a socket that nobody serves any more."""
    assert ask(f"unix:{tmp_path}/none.sock:/", jobs=2).failures == {"refused": 2}
    left = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(left))
    assert ask(f"unix:{left}:/", jobs=2).failures == {"refused": 2}


@contextmanager
def full_queue() -> Iterator[int]:
    """The port of a server that accepts nothing, and whose queue is full: Linux drops what asks for more."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = []
        while len(waiting) < 10:
            sock = socket.socket()
            waiting.append(sock)
            sock.settimeout(0.1)
            try:
                sock.connect(server.getsockname())
            except TimeoutError:
                break
        yield server.getsockname()[1]
        for sock in waiting:
            sock.close()


def test_server_that_accepts_nothing(ask: Callable[..., Any]) -> None:
    with full_queue() as port:
        result = ask(f"http://127.0.0.1:{port}/", jobs=2, users=2, **QUICK)
    assert result.failures == {"connect_timeout": 2}
    assert (result.counts.failed, result.counts.timed_out) == (2, 0)


def test_timeout_within_the_connection(ask: Callable[..., Any]) -> None:
    """The job's own limit came first: it timed out, whatever it was doing."""
    with full_queue() as port:
        result = ask(f"http://127.0.0.1:{port}/", jobs=2, users=2, timeout=0.2, connect_timeout=0.2)
    assert set(result.failures) <= {"timeout", "connect_timeout"}
    assert sum(result.failures.values()) == 2


@contextmanager
def one_server(reply: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server in a thread, which does the same with every connection, until the test ends."""
    sock = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = sock.accept()
            except OSError:
                return
            with connection:
                reply(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
        thread.join()


def test_tls_server_that_says_nothing(ask: Callable[..., Any]) -> None:
    """The connection is made, and its handshake is not: `connect_timeout` is for both."""
    with one_server(lambda connection: connection.recv(10_000) and connection.recv(10_000)) as port:
        assert ask(f"https://127.0.0.1:{port}/", jobs=1, **QUICK).failures == {"connect_timeout": 1}


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28", b"\x16\x03\x03\x00\x50"]
)
def test_handshake_that_breaks_off(ask: Callable[..., Any], said: bytes) -> None:
    """The server closes, speaks HTTP, sends an alert, or half a record."""

    def reply(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(said)

    with one_server(reply) as port:
        assert ask(f"https://127.0.0.1:{port}/", jobs=2, users=1).failures == {"tls": 2}


def run_here(spec: Any, *command: str, descriptors: int | None = None, after: float | None = None) -> dict[str, Any]:
    """The result of a run in a process of its own."""
    limit = [str(each) for each in (descriptors, after) if each is not None]
    done = subprocess.run(
        [*command, sys.executable, "-m", "tests.targets.run_here", *limit],
        input=json.dumps(spec).encode(), stdout=subprocess.PIPE, cwd=ROOT, check=True, timeout=120,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.service
def test_no_descriptor_is_left(hostile: Any) -> None:
    """The client's own limit fails the job as `local`, with a finding: the target has no part in it.

    A pool opens no more than the process may when it begins. Then others take descriptors, too: here the limit is
    lowered, while the load grows.
    """
    job = {"kind": "http", "url": f"{hostile.base}/sleep/1", "warm": False}
    spec = {"workload": {"job": job, "arrivals": {"kind": "ramp", "start": 10, "end": 110, "over": 5}, "jobs": 250}}
    result = run_here(spec, descriptors=30, after=2.5)
    assert set(result["failures"]) == {"local"}
    assert 1 <= result["failures"]["local"] < 250
    assert result["counts"]["completed"] == 250 - result["failures"]["local"]
    assert "local_failures" in [finding["code"] for finding in result["findings"]]


@pytest.mark.service
def test_pool_keeps_within_descriptors(hostile: Any) -> None:
    """A pool without a limit of its own opens as many connections as the process may: the other jobs wait."""
    job = {"kind": "http", "url": f"{hostile.base}/sleep/0.5", "warm": False}
    result = run_here({"workload": {"job": job, "jobs": 100}}, descriptors=60)
    assert result["failures"] == {}
    assert result["counts"]["completed"] == 100


# A network of its own, which only this process sees: nothing leaves it.
NETWORK = "ip link set lo up && ip route add 198.51.100.0/24 dev lo"


@pytest.fixture
def in_own_network(require: Callable[..., str]) -> Callable[..., dict[str, Any]]:
    unshare = require("unshare")
    require("ip")
    if subprocess.run([unshare, "--net", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to make a network namespace")

    def run(spec: Any, more: str = "true") -> dict[str, Any]:
        return run_here(spec, unshare, "--net", "sh", "-c", f'{NETWORK} && {more} && exec "$@"', "sh")

    return run


@pytest.mark.parametrize(
    ("host", "failure"),
    [("192.0.2.1", "unreachable"), ("198.51.100.7", "connect_timeout"), ("[2001:db8::1]", "unreachable")],
)
def test_networks_without_a_way(in_own_network: Callable[..., dict[str, Any]], host: str, failure: str) -> None:
    """No route at all, and a network in which nobody answers."""
    job = {"kind": "http", "url": f"http://{host}/", **QUICK}
    result = in_own_network({"workload": {"job": job, "jobs": 3}})
    assert result["failures"] == {failure: 3}


def test_no_port_is_left(in_own_network: Callable[..., dict[str, Any]]) -> None:
    """Ten ports for connections out, and twenty that are wanted at once."""
    listening = (
        "import socket, time; server = socket.create_server(('127.0.0.1', 8000)); print(flush=True); "
        "kept = [server.accept() for _ in range(10)]; time.sleep(60)"
    )
    ports = "echo 40000 40009 >/proc/sys/net/ipv4/ip_local_port_range"
    serve = f'{{ "{sys.executable}" -c "{listening}" & }} | read -r line'
    job = {"kind": "http", "url": "http://127.0.0.1:8000/", "warm": False, "timeout": 5, "connect_timeout": 5}
    result = in_own_network({"workload": {"job": job, "jobs": 20}}, f"{ports} && {serve}")
    assert result["failures"] == {"local": 10, "timeout": 10}
    assert "local_failures" in [finding["code"] for finding in result["findings"]]
