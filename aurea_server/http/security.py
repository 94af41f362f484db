"""The checks of a request, in their one fixed order:

connection cap (`connections`) → version of HTTP → Host (`host_header`) → route and method → token → cross-site → content
type → length → deadline (`read_body`) → syntax → range → queue (the handlers).

The order matters: a check may rely on those before it, the cheap ones come first, and a request that is refused costs less
than one that is accepted. Version and Host come before the route, so that a foreign page learns nothing of what is here.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.typedefs import Middleware

from aurea_server.context import request_id, trace_context
from aurea_server.http.host_header import check_host
from aurea_server.http.problems import Handler, HttpProblem, aiohttp_problem
from aurea_server.http.traceparent import parse_traceparent

BODY_SECONDS = 10.0
"""How long a body may take to arrive."""

VERSIONS = (HttpVersion10, HttpVersion11)
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1): pages of other sites may send them, and cannot read the answers."""

EXPECTED = web.RequestKey("EXPECTED", str)
"""Where a request keeps what its ``Expect`` said."""

OTHER_VERSION = web.RequestKey("OTHER_VERSION", bool)
"""Set where the request line names a version of HTTP that is not served; the request itself is one of HTTP/1.1 then."""

VARY = web.RequestKey("VARY", str)
"""Where a request keeps the names of the headers that its answer depends on."""

_ORIGIN = re.compile(r"https?://(.{1,300})", re.ASCII)
_REQUEST_ID = re.compile(r"[0-9A-Za-z._-]{1,64}", re.ASCII)

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Server": "aurea",
}


@dataclass(frozen=True)
class RequestGuard:
    """``hosts``: names that this server answers to. ``token``: what callers must show, None if callers need none.

    ``open_handlers``: of routes that need no token: probes, and the pages that say how to use it. ``most_body``: bytes.
    """

    hosts: frozenset[str]
    token: bytes | None = None
    open_handlers: frozenset[object] = frozenset()
    most_body: int = 1024**2

    def check(self, request: web.Request) -> None:
        """All that can be checked before the body is read. Raises HttpProblem."""
        # `connections` has marked what its parser accepts and we do not serve.
        if request.get(OTHER_VERSION) or request.version not in VERSIONS:
            raise version_not_supported()
        host = check_host(request, self.hosts)
        error = request.match_info.http_exception
        if error is not None:
            raise aiohttp_problem(error)
        self._check_token(request)
        if request.method not in SAFE:
            self._check_origin(request, host)
            self._check_body(request)

    def _check_token(self, request: web.Request) -> None:
        if self.token is None or request.match_info.handler in self.open_handlers:
            return
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        # Digests are compared, of equal length whatever was shown, so that the time says nothing about the token.
        given = hashlib.sha256(shown.strip().encode("utf-8", "surrogateescape")).digest()
        if not hmac.compare_digest(given, hashlib.sha256(self.token).digest()) or scheme.lower() != "bearer":
            headers = {"WWW-Authenticate": 'Bearer realm="aurea"'}
            raise HttpProblem(
                401, "unauthorized", "A valid token is required: Authorization: Bearer …", headers=headers
            )

    def _check_origin(self, request: web.Request, host: str) -> None:
        # Browsers set both headers and pages cannot; programs set neither, and are let through.
        site = request.headers.get("Sec-Fetch-Site", "none").lower()
        origins = request.headers.getall("Origin", [])
        if site not in ("same-origin", "none") or any(not _is_same_origin(origin, host) for origin in origins):
            raise HttpProblem(403, "cross_site", "Requests from pages of other sites are refused.")

    def _check_body(self, request: web.Request) -> None:
        # A form of another site can send text/plain without the browser asking first (CORS), but not application/json.
        if len(request.headers.getall("Content-Type", [])) != 1 or request.content_type != "application/json":
            text = "The request must have Content-Type: application/json."
            raise HttpProblem(415, "unsupported_media_type", text)
        charset = (request.charset or "utf-8").lower()
        if charset not in ("utf-8", "utf8", "us-ascii"):
            raise HttpProblem(415, "unsupported_media_type", "The body must be UTF-8.")
        if {coding.lower() for coding in request.headers.getall("Content-Encoding", [])} - {"identity"}:
            raise HttpProblem(415, "unsupported_encoding", "The body must be sent without Content-Encoding.")
        if {coding.lower() for coding in request.headers.getall("Transfer-Encoding", [])} - {"chunked"}:
            raise HttpProblem(415, "unsupported_encoding", "The only Transfer-Encoding is chunked.", close=True)
        if (request.content_length or 0) > self.most_body:
            raise body_too_large(request)


def refuse_other_sites(request: web.Request) -> None:
    """Refuse a GET that costs much where a page of another site asks. Raises HttpProblem."""
    # Browsers set the header and pages cannot; programs do not set it, and are let through.
    if request.headers.get("Sec-Fetch-Site", "none").lower() not in ("same-origin", "none"):
        raise HttpProblem(403, "cross_site", "Requests from pages of other sites are refused.")


def _is_same_origin(origin: str, host: str) -> bool:
    found = _ORIGIN.fullmatch(origin.lower())
    return found is not None and found[1] == host


def version_not_supported() -> HttpProblem:
    """505. It comes before every other check: what the rest of such a request means is not known."""
    return HttpProblem(505, "http_version_not_supported", "Only HTTP/1.0 and HTTP/1.1 are served here.", close=True)


def body_too_large(request: web.Request) -> HttpProblem:
    """413, with the limit of the app that is asked."""
    most = request.client_max_size
    return HttpProblem(413, "body_too_large", f"The body must be at most {most:,} bytes here (--max-body).", close=True)


async def read_body(request: web.Request) -> bytes:
    """The whole body, within its deadline. Raises HttpProblem."""
    await _send_continue(request)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        text = f"The body did not arrive within {BODY_SECONDS:g} s."
        raise HttpProblem(408, "body_timeout", text, close=True) from None
    except web.HTTPRequestEntityTooLarge:
        raise body_too_large(request) from None
    except web.RequestPayloadError:
        raise HttpProblem(400, "bad_request", "The body does not match its headers.", close=True) from None


async def _send_continue(request: web.Request) -> None:
    """Ask for the body of a client that waits to be asked: only now, when all other checks have passed."""
    if request.get(EXPECTED) == "100-continue" and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # aiohttp takes what was written for the head of the answer


def guard_requests(guard: RequestGuard) -> Middleware:
    """A middleware that lets a request reach its handler when it has passed the checks."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        guard.check(request)
        return await handler(request)

    return check


@web.middleware
async def assign_request_id(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every request has an id: the caller's, if it is a plain one; and it may belong to a trace of the caller's."""
    # Only what is plain text in a log and a header: anything else could forge lines of either.
    given = request.headers.get("X-Request-Id", "")
    request_id.set(given if _REQUEST_ID.fullmatch(given) else new_request_id())
    trace_context.set(parse_traceparent(request.headers.getall("traceparent", [])))
    return await handler(request)


def new_request_id() -> str:
    """16 hexadecimal digits."""
    return secrets.token_hex(8)


async def prepare_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For ``on_response_prepare``.

    A refusal that comes before the body ends the connection, and says so: what follows on it is the rest of that body, or,
    from a client that waits for ``100 Continue``, the next request: the two cannot be told apart.
    """
    set_headers(response)
    # After an answer that is no refusal the handler has read the body, or there was none.
    if response.status >= 400 and not request.content.is_eof():
        response.force_close()
        response.headers["Connection"] = "close"
    # Set by `responses.negotiate` on the request, since errors are answered by responses that know nothing of it.
    if VARY in request:
        response.headers["Vary"] = request[VARY]


def set_headers(response: web.StreamResponse) -> None:
    """The same headers on every answer."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = HEADERS["Server"]  # aiohttp names itself and Python, with their versions
    response.headers.setdefault("Cache-Control", "no-store")
    if ident := request_id.get():
        response.headers["X-Request-Id"] = ident
