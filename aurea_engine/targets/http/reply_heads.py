"""What the head of a reply says about its connection: how the body ends, and for how long the connection is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from aurea_engine.records.batch import NS

Headers = list[tuple[str, str]]


class Head(NamedTuple):
    """The head of a final reply. ``version``: such as "1.1"."""

    status: int
    version: str
    headers: Headers

    def values(self, name: str) -> Iterable[str]:
        """The members of the lists that the headers of this name hold together, in lower case."""
        for header, value in self.headers:
            if header == name:
                yield from (member.strip().lower() for member in value.split(","))

    @property
    def ends_with_connection(self) -> bool:
        """Whether the body has no end of its own: neither a length nor chunks (RFC 9112, 6.3)."""
        if self.status in (204, 304):
            return False
        codings = list(self.values("transfer-encoding"))
        if codings:
            return codings[-1] != "chunked"
        return not any(name == "content-length" for name, _ in self.headers)

    @property
    def keeps_connection(self) -> bool:
        """Whether it leaves the connection open (RFC 9112, 9.3), if its body has an end."""
        said = set(self.values("connection"))
        return "close" not in said and (self.version != "1.0" or "keep-alive" in said)

    @property
    def keep_alive(self) -> tuple[int | None, int | None]:
        """(ns that the server keeps an idle connection, requests that it will still answer), None for what it does not say.

        The header is older than any standard: ``Keep-Alive: timeout=5, max=100``.
        """
        said = dict(member.partition("=")[::2] for member in self.values("keep-alive"))
        timeout, most = (_read_count(said.get(name)) for name in ("timeout", "max"))
        return None if timeout is None else timeout * NS, most


def _read_count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 10 else None


class _Collector:
    """What a parser calls back: it keeps the headers of the last message that began."""

    def __init__(self) -> None:
        self.headers: Headers = []
        self.head: Head | None = None
        self.parser = HttpResponseParser(self)

    def on_message_begin(self) -> None:
        if self.head is None:
            self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is None:
            self.headers.append(decode_header(name, value))

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if self.head is None and status >= 200:
            self.head = Head(status, self.parser.get_http_version(), self.headers)


def decode_header(name: bytes, value: bytes) -> tuple[str, str]:
    """Latin-1, since every byte is a character in it: what a header's bytes mean is nowhere said (RFC 9110, 5.5)."""
    return name.decode("latin-1").lower(), value.decode("latin-1").rstrip(" \t")


def parse_head(data: bytes) -> Head | None:
    """The final reply's head at the beginning of ``data``, interim replies before it skipped; None if it is not whole."""
    collector = _Collector()
    # What is wrong follows the head; or the head is wrong, and then there is none.
    with contextlib.suppress(HttpParserError, HttpParserUpgrade):
        collector.parser.feed_data(data)
    return collector.head
