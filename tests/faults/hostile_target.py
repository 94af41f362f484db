"""A target on loopback that does what no target should: each path of it is another way to harm a client."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Self

ESCAPES = b"\x1b[2J\x1b]0;owned\x07\x9b31m\x00\x08"
"""What would clear a terminal and change its title."""

BOMB = gzip.compress(b"\0" * 64 * 1024**2)
"""64 KiB that become 64 MiB."""

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def drip(data: bytes) -> Iterator[bytes]:
    for byte in data:
        time.sleep(0.05)
        yield bytes([byte])


def send_for_ever(start: bytes, more: bytes) -> Iterator[bytes]:
    yield start
    while True:
        yield more


def way(path: str, port: int) -> Iterable[bytes]:
    """What is sent for a path, piece by piece."""
    kilobyte = b"x" * 1024
    ways: dict[str, Iterable[bytes]] = {
        "headers": send_for_ever(HEAD, b"X-More: " + kilobyte + b"\r\n"),
        "one_header": send_for_ever(HEAD + b"X-More: ", kilobyte),
        "status_line": send_for_ever(b"HTTP/1.1 200 ", kilobyte),
        "body": send_for_ever(HEAD + b"Content-Length: 999999999999\r\n\r\n", kilobyte * 64),
        "chunks": send_for_ever(CHUNKED, b"10000\r\n" + kilobyte * 64 + b"\r\n"),
        "small_chunks": send_for_ever(CHUNKED, b"1\r\nx\r\n" * 1000),
        "chunk_extension": send_for_ever(CHUNKED + b"1;", kilobyte),
        "trailers": send_for_ever(CHUNKED + b"0\r\n", b"X-More: " + kilobyte + b"\r\n"),
        "to_the_end": send_for_ever(HEAD + b"\r\n", kilobyte * 64),
        "informational": send_for_ever(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100),
        "drip": drip(HEAD + b"Content-Length: 1000\r\n\r\n" + kilobyte),
        "drip_head": drip(HEAD + b"X: " + kilobyte),
        "nothing": itertools.repeat(b""),
        "close": [],
        "reset": [b"RESET"],
        "garbage": [bytes(range(256)) * 100],
        "escapes": [b"HTTP/1.1 200 " + ESCAPES + b"\r\nX-" + ESCAPES + b": " + ESCAPES + b"\r\nContent-Length: 0\r\n\r\n"],
        "escaped_location": [b"HTTP/1.1 302 x\r\nLocation: http://" + ESCAPES + b"/\r\nContent-Length: 0\r\n\r\n"],
        "loop": [b"HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"],
        "metadata": [b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"],
        "bomb": [HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB],
        "cookies": [HEAD + b"Set-Cookie: a=b\r\n" * 2000 + b"Content-Length: 0\r\n\r\n"],
        "two_lengths": [HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"],
        "leftovers": [HEAD + b"Content-Length: 0\r\n\r\n" + HEAD + b"Content-Length: 5\r\n\r\nextra" * 100],
        "deep_json": [HEAD + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000],
        "upgrade": [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + kilobyte],
        "fine": [HEAD + b"Content-Length: 2\r\n\r\nok"],
    }  # fmt: skip
    return ways[path]


PATHS = (
    "headers", "one_header", "status_line", "body", "chunks", "small_chunks", "chunk_extension", "trailers", "to_the_end",
    "informational", "drip", "drip_head", "nothing", "close", "reset", "garbage", "escapes", "escaped_location", "loop",
    "metadata", "bomb", "cookies", "two_lengths", "leftovers", "deep_json", "upgrade",
)  # fmt: skip


class HostileTarget:
    """Serves from threads until the block ends: what one connection suffers, another does not see."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ended = threading.Event()
        self.requests = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        peer.settimeout(1)
        with peer, contextlib.suppress(OSError):
            while not self._ended.is_set():
                head = self._read_head(peer)
                self.requests += 1
                path = head.split(b" ")[1].decode("latin-1").partition("?")[0].strip("/")
                for piece in way(path, self.port):
                    if self._ended.is_set():
                        return
                    if piece == b"RESET":
                        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    if not piece:
                        time.sleep(0.02)
                    peer.sendall(piece)
                if path not in ("fine", "loop", "metadata", "cookies", "leftovers", "escapes", "bomb"):
                    return

    def _read_head(self, peer: socket.socket) -> bytes:
        head = b""
        while b"\r\n\r\n" not in head:
            try:
                data = peer.recv(65536)
            except TimeoutError:
                if self._ended.is_set():
                    raise
                continue
            if not data:
                raise ConnectionError
            head += data
        return head
