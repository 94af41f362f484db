"""Whose time it is: making a connection, waiting for one, and waiting for the target are told apart."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SLOW = 0.2  # seconds of each handshake


@pytest.fixture
def slow_handshakes(authority: Any) -> Iterator[str]:
    """The URL of a server whose TLS handshakes take their time, and whose replies do not. A thread for each connection."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.server)
    server = socket.create_server(("127.0.0.1", 0))

    def serve(plain: socket.socket) -> None:
        with suppress(OSError), plain:
            time.sleep(SLOW)
            with context.wrap_socket(plain, server_side=True) as connection:
                while connection.recv(100_000):
                    connection.sendall(OK)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threads.append(threading.Thread(target=serve, args=[server.accept()[0]]))
                threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    yield f"https://127.0.0.1:{server.getsockname()[1]}/"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for thread in threads:
        thread.join()


@pytest.mark.service
def test_dialling_is_service(slow_handshakes: str, ask: Callable[..., Any], authority: Any) -> None:
    """A connection that is made for a job, within the window, is a part of its service; `connected` says until when."""
    result = ask(slow_handshakes, jobs=20, users=2, warm=False, tls={"ca": authority.ca})
    connected = result.jobs.mark("connected")
    dialled = connected >= 0
    assert result.counts.completed == 20
    assert dialled.sum() == 2
    assert min(connected[dialled] - result.jobs.started[dialled]) >= SLOW * 1e9
    assert min((result.jobs.finished - result.jobs.started)[dialled]) >= SLOW * 1e9
    assert (result.jobs.mark("sent")[dialled] >= connected[dialled]).all()


@pytest.mark.service
def test_warm_connections_cost_no_job(slow_handshakes: str, ask: Callable[..., Any], authority: Any) -> None:
    """What is dialled before the window is in no job's time: none has the mark, and the window opens after it."""
    began = time.monotonic()
    result = ask(slow_handshakes, jobs=20, users=2, connections=2, tls={"ca": authority.ca})
    assert time.monotonic() - began >= SLOW
    assert result.counts.completed == 20
    assert (result.jobs.mark("connected") < 0).all()


@pytest.mark.service
def test_waiting_for_connections_is_waiting(hostile: Any, ask: Callable[..., Any]) -> None:
    """Six requests of 0.1 s at once over two connections: in each pair the service is 0.1 s, and the wait grows by that."""
    result = ask(f"{hostile.base}/sleep/0.1", jobs=6, arrivals={"kind": "all_at_once"}, connections=2)
    service = (result.jobs.finished - result.jobs.started) / 1e9
    waiting = sorted((result.jobs.started - result.jobs.intended) / 1e9)
    assert result.counts.completed == 6
    assert min(service) >= 0.1
    assert waiting[2] >= 0.1
    assert waiting[4] >= 0.2
    # Had waiting been counted as service, the last pair would have served for 0.3 s.
    assert sorted(service)[2] < waiting[4] + 0.1
    assert "pool_exhausted" in [finding.code for finding in result.findings]


def test_marks_are_in_their_order(ask: Callable[..., Any]) -> None:
    """Of a reply whose head comes after 0.1 s, and whose body 0.1 s later: sent, first byte and end are those instants."""

    def serve(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(100_000)
                    time.sleep(0.1)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n")
                    time.sleep(0.1)
                    connection.sendall(b"ok")

    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, args=[server])
    thread.start()
    result = ask(f"http://127.0.0.1:{server.getsockname()[1]}/", jobs=3, users=1, warm=False)
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()
    jobs = result.jobs
    assert result.counts.completed == 3
    assert (jobs.started <= jobs.mark("connected")).all()
    assert (jobs.mark("connected") <= jobs.mark("sent")).all()
    assert (jobs.mark("first_byte") - jobs.mark("sent") >= 0.1e9).all()
    assert (jobs.finished - jobs.mark("first_byte") >= 0.05e9).all()
