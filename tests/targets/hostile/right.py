"""Kinds of exchanges in which the reply is right, however odd: a client must give its status and its body."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.targets.hostile.parts import (
    FINISH,
    HANG,
    HEAD,
    KEEP,
    WHOLE,
    Asked,
    Exchange,
    Reply,
    Step,
    Truth,
    answered,
    asked,
    body_of,
    chunked,
    exchange,
    in_chunks,
    kept,
    pieces,
    some_bytes,
    some_headers,
    with_length,
)


def plain_length(rng: random.Random) -> Exchange:
    return answered(rng, with_length(rng, body_of(rng)))


def plain_chunked(rng: random.Random) -> Exchange:
    return answered(rng, chunked(rng, body_of(rng)))


def close_delimited(rng: random.Random) -> Exchange:
    """Without a length the body goes on until the connection ends."""
    headers = [*some_headers(rng), *rng.choice([[], [(b"Connection", b"close")]])]
    body = body_of(rng)
    version = rng.choice([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"])
    return answered(rng, Reply(version=version, headers=headers, body=body, framed=body), FINISH, keeps=False)


def interim(rng: random.Random) -> Exchange:
    """One to three 1xx, which a client skips, before the reply, which may be one without a body."""
    reply, question = kept(rng), None
    if rng.random() < 0.3:
        reply.body = reply.framed = b""
        reply.status, question = rng.choice([(200, Asked("HEAD")), (204, None), (304, None)])
    heads = b""
    for _ in range(rng.randint(1, 3)):
        status, reason = rng.choice([(100, b"Continue"), (102, b"Processing"), (103, b"Early Hints"), (199, b"")])
        headers = [(b"Link", b"</style.css>; rel=preload")] if status == 103 else []
        heads += Reply(status, reason, headers=headers).head()
    raw = heads + reply.raw()
    return exchange(rng, raw, Truth(reply.status, reply.body, received=len(raw)), question=question)


def head_only(rng: random.Random) -> Exchange:
    """A reply to HEAD has the headers of the reply to GET, and no body, whatever they say."""
    reply = kept(rng)
    reply.body = reply.framed = b""
    if framed := rng.random() < 0.8:
        reply.status = rng.choice([200, 200, 404])
    else:
        reply.headers = some_headers(rng)
    return answered(rng, reply, question=Asked("HEAD"), keeps=True if framed else None)


def bodiless(rng: random.Random) -> Exchange:
    """204 and 304 have no body, even if their headers tell of one."""
    reply = kept(rng)
    reply.status, reply.reason = rng.choice([(204, b"No Content"), (304, b"Not Modified")])
    reply.body = reply.framed = b""
    if rng.random() < 0.3:
        reply.headers = some_headers(rng)
    return answered(rng, reply)


def drip(rng: random.Random) -> Exchange:
    """One byte at a time, slowly: a reply is complete when it is complete."""
    body = some_bytes(rng, 0, 20)
    reply = Reply(headers=[(b"Content-Length", str(len(body)).encode())], body=body, framed=body)
    if rng.random() < 0.5:
        reply = Reply(
            headers=[(b"Transfer-Encoding", b"chunked")], body=body, framed=in_chunks(rng, body, extensions=False)
        )
    raw = reply.raw()[:2000]
    steps: list[Step] = [WHOLE]
    for at in range(len(raw)):
        steps += [("send", raw[at : at + 1]), ("pause", 0.0005)]
    return Exchange("", Asked(), (*steps, KEEP), Truth(reply.status, body, received=len(raw)))


def http_1_0(rng: random.Random) -> Exchange:
    """HTTP/1.0 closes after the reply, unless it says that it does not."""
    body = body_of(rng)
    keeps = rng.random() < 0.5
    reply = with_length(rng, body, version=b"HTTP/1.0")
    reply.headers += [(b"Connection", rng.choice([b"keep-alive", b"Keep-Alive"]))] if keeps else []
    return answered(rng, reply, KEEP if keeps else FINISH, keeps=keeps)


def connection_close(rng: random.Random) -> Exchange:
    reply = kept(rng)
    reply.headers.append((b"Connection", rng.choice([b"close", b"Close", b"foo, close"])))
    return answered(rng, reply, FINISH, keeps=False)


def keep_alive_limit(rng: random.Random) -> Exchange:
    """The hint says how long, and for how many requests more, the server keeps the connection."""
    reply = kept(rng)
    more = rng.choice([3, 100])  # more than a conversation goes on for
    reply.headers += [(b"Connection", b"keep-alive"), (b"Keep-Alive", f"timeout=5, max={more}".encode())]
    return answered(rng, reply)


def odd_status(rng: random.Random) -> Exchange:
    """Codes that no list has, and reasons that are empty or anything: three digits are a status."""
    reply = kept(rng)
    reply.status = rng.choice(
        [200, 201, 206, 226, 299, 300, 400, 404, 418, 429, 499, 500, 503, 511, 599, 600, 777, 999]
    )
    reply.reason = rng.choice([b"", b"OK", b"Not OK at all", b"\xc3\xa9t\xe9", b"a\tb", b"200 200"])
    if rng.random() < 0.3:
        raw = (
            reply.raw().replace(str(reply.status).encode(), str(reply.status).encode() + b" ", 1)
            if not reply.reason
            else b""
        )
        if raw:
            return exchange(rng, raw, Truth(reply.status, reply.body, received=len(raw)))
    return answered(rng, reply)


def header_only(rng: random.Random) -> Exchange:
    return answered(rng, Reply(headers=[*some_headers(rng), (b"Content-Length", b"0")]))


def large(rng: random.Random) -> Exchange:
    body = rng.randbytes(rng.randint(200_000, 1_000_000))
    return answered(rng, rng.choice([with_length, chunked])(rng, body))


def codings(rng: random.Random) -> Exchange:
    """The last transfer coding frames the message; what it carries is another matter."""
    body = some_bytes(rng, 1)
    reply = chunked(rng, body)
    reply.headers = [(b"Transfer-Encoding", rng.choice([b"CHUNKED", b"Chunked", b" chunked "]))]
    return answered(rng, reply)


def early_reply(rng: random.Random) -> Exchange:
    """The reply comes before the request was read; the server reads the rest and keeps the connection."""
    reply = kept(rng)
    raw = reply.raw()
    steps = (HEAD, *pieces(rng, raw), WHOLE, KEEP)
    question = Asked("POST", some_bytes(rng, 1, 300_000))
    return Exchange("", question, steps, Truth(reply.status, reply.body, received=len(raw), keeps=None))


def early_close(rng: random.Random) -> Exchange:
    """The server has read enough: it replies, says that it closes, and closes its side. It reads on: no RST is sent."""
    reply = with_length(rng, body_of(rng))
    reply.status, reply.reason = 413, b"Content Too Large"
    reply.headers.append((b"Connection", b"close"))
    raw = reply.raw()
    steps = (HEAD, *pieces(rng, raw), FINISH)
    question = Asked("POST", some_bytes(rng, 1, 300_000))
    return Exchange("", question, steps, Truth(reply.status, reply.body, received=len(raw), keeps=False))


def left_over(rng: random.Random) -> Exchange:
    """Bytes after the reply, which nobody asked for: the reply is right, and the connection is not to be used again.

    They came, so a client may count them.
    """
    reply = Reply(headers=[(b"Content-Length", b"5")], body=b"right", framed=b"right")
    extra = rng.choice(
        [b"\0", b"extra", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", b"HTTP/1.1 408 Timeout\r\n\r\n"]
    )
    steps = (WHOLE, ("send", reply.raw() + extra), KEEP)
    return Exchange("", asked(rng), steps, Truth(200, b"right", keeps=False))


def continued(rng: random.Random) -> Exchange:
    """The server lets the client go on, and the client does."""
    reply = kept(rng)
    interim = Reply(100, b"Continue").raw()
    raw = reply.raw()
    steps = (HEAD, *pieces(rng, interim), WHOLE, *pieces(rng, raw), KEEP)
    question = Asked("POST", some_bytes(rng, 1, 50_000), expects=True)
    return Exchange("", question, steps, Truth(reply.status, reply.body, received=len(interim) + len(raw)))


def not_continued(rng: random.Random) -> Exchange:
    """The server refuses the body that the client holds back. A connection on which that body is owed is of no use."""
    reply = with_length(rng, body_of(rng))
    reply.status, reply.reason = rng.choice([(417, b"Expectation Failed"), (413, b"Content Too Large"), (401, b"")])
    says = rng.random() < 0.5
    reply.headers += [(b"Connection", b"close")] if says else []
    raw = reply.raw()
    question = Asked("POST", some_bytes(rng, 1, 50_000), expects=True)
    steps = (HEAD, *pieces(rng, raw), FINISH if says else HANG)
    return Exchange("", question, steps, Truth(reply.status, reply.body, received=len(raw), keeps=False))


def never_continued(rng: random.Random) -> Exchange:
    """A server that knows no 100: a client must not wait for it for ever (RFC 9110, 10.1.1)."""
    reply = kept(rng)
    return answered(rng, reply, question=Asked("POST", some_bytes(rng, 1, 50_000), expects=True))


def upgrade_offered(rng: random.Random) -> Exchange:
    """A server may offer other protocols in any reply, as Apache does; a client that wants none goes on as before."""
    reply = kept(rng)
    reply.headers += [(b"Upgrade", b"h2,h2c"), (b"Connection", b"Upgrade")]
    return answered(rng, reply)


def idle_close(rng: random.Random) -> Exchange:
    """After a reply that promises to keep the connection, the server closes it.

    The next request of the client and this end may cross on their way. RFC 9112, 9.3.1, leaves to the client what
    it then does.
    """
    return answered(rng, kept(rng), FINISH, keeps=False)


RIGHT: dict[str, tuple[float, Callable[[random.Random], Exchange]]] = {
    maker.__name__: (weight, maker)
    for weight, maker in [
        (12, plain_length),
        (12, plain_chunked),
        (5, close_delimited),
        (5, interim),
        (5, head_only),
        (4, bodiless),
        (1, drip),
        (3, http_1_0),
        (3, connection_close),
        (2, keep_alive_limit),
        (4, odd_status),
        (2, header_only),
        (1, large),
        (2, codings),
        (3, early_reply),
        (2, early_close),
        (3, left_over),
        (2, continued),
        (2, not_continued),
        (0.3, never_continued),
        (1, upgrade_offered),
        (2, idle_close),
    ]
}
