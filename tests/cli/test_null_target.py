"""``aurea null-target``: answers at once, to this machine only, and ends by a signal as a service does."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PROGRAM = "import sys; from aurea_server.__main__ import aurea; sys.exit(aurea())"


@contextmanager
def null_target(*options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process, and the port that it printed."""
    command = [sys.executable, "-c", PROGRAM, "null-target", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield process, int(line.removeprefix("http://127.0.0.1:").rstrip("/\n"))
        finally:
            process.kill()


def ask(port: int, method: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, "/x", body)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


@pytest.mark.service
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_answers_until_a_signal(number: signal.Signals) -> None:
    """Oracle: the standard library's client. It ends with 0, silent, and listens on the loopback address alone."""
    with null_target("--body-bytes", "612") as (process, port):
        assert ask(port, "GET") == (200, b"x" * 612)
        assert ask(port, "HEAD") == (200, b"")
        assert ask(port, "POST", b"a" * 100_000) == (200, b"x" * 612)
        # All of 127/8 is the loopback device's: so close is everything else, too.
        assert _refuses("127.0.0.2", port)
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out, err) == (0, "", "")


def _refuses(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=120).close()
    except OSError:
        return True
    return False


@pytest.mark.service
def test_raw_requests_of_all_kinds() -> None:
    """Several at once, in pieces, with "close", of HTTP/1.0, and what is no HTTP."""
    with null_target("--body-bytes", "1") as (_, port):
        reply = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx"
        get = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        last = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
        assert _send(port, get * 3, last) == reply * 4
        assert _send(port, *(bytes([each]) for each in last)) == reply
        assert _send(port, b"GET / HTTP/1.0\r\n\r\n") == reply
        assert (
            _send(port, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", last) == reply * 2
        )
        assert _send(port, b"nonsense\r\n\r\n") == b""


def _send(port: int, *pieces: bytes) -> bytes:
    """What comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--port", "65536"), "--port: must be 0 to 65535"),
        (("--port", "-1", "--body-bytes", "-1"), "--body-bytes: must be 0 to"),
    ],
)
def test_what_cannot_be_done_is_said(aurea: Any, options: tuple[str, ...], told: str) -> None:
    code, out, err = aurea("null-target", *options)
    assert (code, out) == (2, "")
    assert told in err


def test_a_port_that_is_taken(aurea: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = aurea("null-target", "--port", taken.getsockname()[1])
    assert code == 2
    assert "--port: cannot be listened on" in err
