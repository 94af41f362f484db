"""A small application, once for WSGI and once for ASGI, with the same replies: what both servers are asked for in tests.

``/hello`` says hello, ``/echo`` gives the body back, ``/chunks`` streams without a length, ``/fail`` is 500.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any


def answer(path: str, body: bytes) -> tuple[int, list[bytes], bool]:
    """Status, the parts of the body, and whether their length is told."""
    match path:
        case "/hello":
            return 200, [b'{"hello": "world"}'], True
        case "/echo":
            return 200, [body], True
        case "/chunks":
            return 200, [b"part %d\n" % n for n in range(50)], False
        case "/fail":
            return 500, [b"failed\n"], True
    return 404, [b"not here\n"], True


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    status, parts, sized = answer(environ["PATH_INFO"], environ["wsgi.input"].read())
    headers = [("Content-Type", "application/json")]
    headers += [("Content-Length", str(sum(map(len, parts))))] if sized else []
    start_response(f"{status} Said", headers)
    return parts


async def asgi(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    while (message := await receive()).get("more_body") or message["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    status, parts, sized = answer(scope["path"], body)
    headers = [(b"content-type", b"application/json")]
    headers += [(b"content-length", str(sum(map(len, parts))).encode())] if sized else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
