"""Kinds of exchanges in which the reply is wrong or incomplete: a client must fail, with the class that says how."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.targets.hostile.parts import (
    CRLF,
    FINISH,
    HANG,
    HEAD,
    RESET,
    WHOLE,
    Asked,
    Exchange,
    Reply,
    Truth,
    chunked,
    exchange,
    failed,
    in_chunks,
    kept,
    some_bytes,
    with_length,
)

OK = b"HTTP/1.1 200 OK\r\n"
THREE = b"Content-Length: 3\r\n\r\nabc"
three = Reply(body=b"abc")


def cut(rng: random.Random) -> Exchange:
    """The server closes after any byte but the last, the first included."""
    raw = rng.choice([with_length, chunked])(rng, some_bytes(rng, 1)).raw()
    return failed(rng, raw[: rng.randrange(len(raw))], "closed_early")


def cut_by_reset(rng: random.Random) -> Exchange:
    raw = rng.choice([with_length, chunked])(rng, some_bytes(rng, 1)).raw()
    return failed(rng, raw[: rng.randrange(len(raw))], "reset", end=RESET)


def reset_after(rng: random.Random) -> Exchange:
    """The whole reply, and RST at once, which may destroy what the client has not read yet."""
    reply = rng.choice([with_length, chunked])(rng, some_bytes(rng))
    return failed(rng, reply.raw(), "reset", end=RESET, aside=reply)


def cut_interim(rng: random.Random) -> Exchange:
    """A 1xx is not the reply: nothing else came before the end."""
    return failed(rng, Reply(100, b"Continue").raw() * rng.randint(1, 2), "closed_early")


def dropped(rng: random.Random) -> Exchange:
    """The server reads the request and closes without a word, as if its time for idle connections were over."""
    return Exchange("", Asked(), (WHOLE, FINISH), Truth(failures=frozenset({"closed_early"}), keeps=False))


def silent(rng: random.Random) -> Exchange:
    """Some of the reply, or nothing of it, and then nothing more, for ever."""
    raw = kept(rng).raw()
    raw = raw[: rng.choice([0, 0, rng.randrange(len(raw))])]
    return exchange(rng, raw, Truth(failures=frozenset({"timeout"}), keeps=False), HANG, Asked())


def garbage(rng: random.Random) -> Exchange:
    """Not HTTP/1 at all."""
    raw = rng.choice(
        [
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"220 mail.example ESMTP\r\n",
            b"\x16\x03\x03\x00\x02\x02\x28",
            b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\0" * 18,
            b"<html>an answer of HTTP/0.9</html>",
            b"ICY 200 OK\r\n" + THREE,
            b"http/1.1 200 OK\r\n" + THREE,
            b"HTTP/1.1\t200 OK\r\n" + THREE,
            b"HTTP/1.1 abc OK\r\n" + THREE,
            b"HTTP/1.1 20 OK\r\n" + THREE,
            b"HTTP/1.1 2000 OK\r\n" + THREE,
            b"HTTP/1.1 -20 OK\r\n" + THREE,
            b"HTTP/11 200 OK\r\n" + THREE,
            b"HTTP/1.1.1 200 OK\r\n" + THREE,
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"x" + rng.randbytes(200),
        ]
    )
    return failed(rng, raw, "protocol")


def other_version(rng: random.Random) -> Exchange:
    """A version of HTTP that cannot follow on this connection."""
    version = rng.choice([b"HTTP/2.0", b"HTTP/3.0", b"HTTP/0.9", b"HTTP/1.2"])
    return failed(rng, version + b" 200 OK\r\n" + THREE, "protocol", aside=three)


def low_status(rng: random.Random) -> Exchange:
    """Three digits below 100 are no status. RFC 9110, 15, lets a client take them for a 5xx."""
    status = rng.choice([0, 1, 42, 99])
    raw = f"HTTP/1.1 {status:03} Odd\r\n".encode() + THREE
    return failed(rng, raw, "protocol", aside=Reply(status, body=b"abc"))


def bad_header(rng: random.Random) -> Exchange:
    """Header lines that RFC 9112, 5, forbids."""
    line = rng.choice(
        [
            b"No colon",
            b": no name",
            b"Space : before the colon",
            b"Nul: a\0b",
            b" Blank: before the first name",
            b"Bare: a\rb",
            b"N\xe9: name",
            b"(): no token",
        ]
    )
    return failed(rng, OK + line + CRLF + THREE, "protocol", aside=three)


def bad_length(rng: random.Random) -> Exchange:
    length = rng.choice([b"", b"-3", b"+3", b"0x3", b"3 3", b"3,", b"three", b"3.0", b"9" * 30])
    return failed(rng, OK + b"Content-Length: " + length + b"\r\n\r\nabc", "protocol")


def two_lengths(rng: random.Random) -> Exchange:
    """Two lengths may hide a reply in a reply. If they are the same, RFC 9112, 6.3, lets a client take them for one."""
    other, aside = rng.choice([(b"3", three), (b"4", None), (b"2", None)])
    lines = rng.choice([b"Content-Length: 3\r\nContent-Length: " + other, b"Content-Length: 3, " + other])
    return failed(rng, OK + lines + b"\r\n\r\nabc", "protocol", aside=aside)


def length_and_chunks(rng: random.Random) -> Exchange:
    """Both framings at once: chunks win, or the reply is refused (RFC 9112, 6.3)."""
    body = some_bytes(rng, 1, 200)
    lines = [b"Content-Length: " + rng.choice([b"0", b"3", str(len(body)).encode()]), b"Transfer-Encoding: chunked"]
    rng.shuffle(lines)
    raw = OK + CRLF.join(lines) + CRLF * 2 + in_chunks(rng, body)
    return failed(rng, raw, "protocol", aside=Reply(body=body))


def leading_lines(rng: random.Random) -> Exchange:
    """Empty lines before the status line. RFC 9112, 2.2, has servers skip them before requests, and is silent on clients."""
    return failed(rng, CRLF * rng.randint(1, 2) + OK + THREE, "protocol", aside=three)


def bare_lf(rng: random.Random) -> Exchange:
    """Lines that end with LF alone: a client may take them (RFC 9112, 2.2)."""
    raw = rng.choice([b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", OK + b"Server: x\n" + THREE])
    return failed(rng, raw, "protocol", aside=three)


def folded(rng: random.Random) -> Exchange:
    """A header that goes on in the next line, a form that is obsolete: a client may take it (RFC 9112, 5.2)."""
    raw = OK + b"X-Folded: a" + CRLF + rng.choice([b" b", b"\tb"]) + CRLF + THREE
    return failed(rng, raw, "protocol", aside=three)


def bad_chunk(rng: random.Random) -> Exchange:
    framed = rng.choice(
        [
            b"-3\r\nabc\r\n0\r\n\r\n",
            b"+3\r\nabc\r\n0\r\n\r\n",
            b"0x3\r\nabc\r\n0\r\n\r\n",
            b"\r\nabc\r\n0\r\n\r\n",
            b"g\r\nabc\r\n0\r\n\r\n",
            b"3\r\nabcd\r\n0\r\n\r\n",
            b"3\r\nabXX0\r\n\r\n",
            b"3\rabc\r\n0\r\n\r\n",
            b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
            b"1" + b"0" * 40 + b"\r\nabc\r\n0\r\n\r\n",
            b";a=b\r\nabc\r\n0\r\n\r\n",
            b"\0\r\nabc\r\n0\r\n\r\n",
        ]
    )
    return failed(rng, OK + b"Transfer-Encoding: chunked\r\n\r\n" + framed, "protocol")


def loose_chunk(rng: random.Random) -> Exchange:
    """Chunks that are wrong by the letter, and that most clients take."""
    framed = rng.choice(
        [
            b"3 \r\nabc\r\n0\r\n\r\n",
            b"3 ;a=b\r\nabc\r\n0\r\n\r\n",
            b"3;\r\nabc\r\n0\r\n\r\n",
            b"3\nabc\n0\n\n",
            b"3\nabc\r\n0\r\n\r\n",
            b'3;a="\x7f\x01"\r\nabc\r\n0\r\n\r\n',
            b"3\r\nabc\r\n0\r\nno colon\r\n\r\n",
        ]
    )
    return failed(rng, OK + b"Transfer-Encoding: chunked\r\n\r\n" + framed, "protocol", aside=three)


def switching(rng: random.Random) -> Exchange:
    """101 to a client that asked for no other protocol."""
    upgrade = rng.choice([b"", b"Upgrade: websocket\r\nConnection: Upgrade\r\n"])
    return failed(
        rng,
        b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade + b"\r\n" + rng.choice([b"", b"\x81\x05hello"]),
        "protocol",
    )


def other_coding(rng: random.Random) -> Exchange:
    """The last transfer coding is not chunked: the end of the body is the end of the connection (RFC 9112, 6.3)."""
    body = some_bytes(rng, 1, 300)
    raw = OK + b"Transfer-Encoding: " + rng.choice([b"chunked, gzip", b"xchunked", b"gzip"]) + b"\r\n\r\n" + body
    return failed(rng, raw, "protocol", aside=Reply(body=body), end=FINISH)


def old_chunked(rng: random.Random) -> Exchange:
    """Chunks in HTTP/1.0, which has none: a faulty message (RFC 9112, 6.1), that most clients take."""
    body = some_bytes(rng, 1, 300)
    raw = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks(rng, body)
    return failed(rng, raw, "protocol", aside=Reply(body=body))


def refused_by_reset(rng: random.Random) -> Exchange:
    """The server resets while it should read the request: what the client sees first is chance, but never a reply."""
    question = Asked("POST", some_bytes(rng, 1, 300_000))
    truth = Truth(failures=frozenset({"reset", "closed_early"}), keeps=False)
    return Exchange("", question, (HEAD, RESET), truth)


WRONG: dict[str, tuple[float, Callable[[random.Random], Exchange]]] = {
    maker.__name__: (weight, maker)
    for weight, maker in [
        (12, cut),
        (6, cut_by_reset),
        (1, reset_after),
        (1, cut_interim),
        (2, dropped),
        (1, silent),
        (4, garbage),
        (1, other_version),
        (1, low_status),
        (2, bad_header),
        (2, bad_length),
        (2, two_lengths),
        (1, length_and_chunks),
        (1, leading_lines),
        (1, bare_lf),
        (1, folded),
        (3, bad_chunk),
        (2, loose_chunk),
        (1, switching),
        (1, other_coding),
        (1, old_chunked),
        (1, refused_by_reset),
    ]
}
