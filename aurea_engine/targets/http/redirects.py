"""Redirects: where one leads, which request is sent there, and the jobs that follow one now."""

# A job that is redirected is one job with several requests. Its service begins with the first and ends with the last reply;
# its timeout is for all of them; its bytes are the sum. `connected` and `sent` are those of the first request, `first_byte`
# that of the last reply: the instant at which the answer that was asked for began to come.
#
# What changes with a hop (RFC 9110, section 15.4):
#
#     301, 302    a POST becomes a GET without a body, as every browser does; other methods stay
#     303         everything but HEAD becomes a GET without a body
#     307, 308    method and body stay
#
# What never crosses from one origin (scheme, host and port) to another: the header of `auth`, the headers that hold
# credentials, those whose value is a secret, and the client's certificate. A cookie goes where its own rules say. The name
# and each address of another origin are checked by the pool that dials it, as those of a first request are.
#
# A loop is not looked for: the number of redirects is bounded, and a job that has followed so many fails as `redirects`.

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin

from aurea_engine.errors import SpecError
from aurea_engine.targets.http.connection_options import ConnectionOptions
from aurea_engine.targets.http.cookies import CookieJar
from aurea_engine.targets.http.origin import Origin
from aurea_engine.targets.http.paced_start import call_at
from aurea_engine.targets.http.pool import ConnectionPool
from aurea_engine.targets.http.pools import Limits, Pools
from aurea_engine.targets.http.prepared import PreparedRequest, origin_of
from aurea_engine.targets.http.replies import NEVER, Reply, Unsent
from aurea_engine.targets.http.requests import Encoded, Request
from aurea_engine.targets.http.templates import JobContext
from aurea_engine.targets.http.urls import SplitUrl, split_url
from aurea_engine.workload.pacing import SendPacer

CODES = frozenset((301, 302, 303, 307, 308))
"""Statuses that lead elsewhere, if a header ``Location`` says where."""

MOST_LOCATION = 8192


def next_method(status: int, method: str) -> tuple[str, bool]:
    """The method of the request that follows a redirect, and whether the body is sent again."""
    if status == 303 and method != "HEAD":
        return "GET", False
    if status in (301, 302) and method == "POST":
        return "GET", False
    return method, True


def resolve_location(url: SplitUrl, location: str) -> SplitUrl | None:
    """Where ``location`` leads from a reply of ``url``. None if that is nowhere."""
    if len(location) > MOST_LOCATION:
        return None
    base = f"{url.scheme}://{url.authority}{url.target}"
    try:
        found = split_url(urljoin(base, _read_utf8(location.strip())), literal=True)
    except (SpecError, ValueError):
        return None
    # A reply never leads to a socket of this machine.
    if found.unix is not None:
        return None
    # But on a socket it may lead to another path of the same one, which has no other name.
    stays = url.unix is not None and (found.scheme, found.host, found.port) == (url.scheme, url.host, url.port)
    return found._replace(unix=url.unix) if stays else found


def _read_utf8(header: str) -> str:
    """Headers are read as Latin-1. Letters of other scripts in a URL come as UTF-8, if they come at all."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


@dataclass
class Way:
    """A job that follows redirects: its current request, and the sums so far, as the attributes of a `Reply`."""

    prepared: PreparedRequest
    jar: CookieJar | None
    limits: Limits
    url: SplitUrl
    request: Request
    left: int
    pool: ConnectionPool
    started: int = NEVER
    connected: int = NEVER
    sent: int = NEVER
    first_byte: int = NEVER
    finished: int = NEVER
    status: int = NEVER
    bytes_sent: int = 0
    bytes_received: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def add(self, reply: Reply) -> None:
        """One more reply of the way. The record of the connection is copied: it is another request's soon."""
        if self.started == NEVER:
            self.started, self.connected, self.sent = reply.started, reply.connected, reply.sent
        self.first_byte, self.finished, self.status = reply.first_byte, reply.finished, reply.status
        self.bytes_sent += reply.bytes_sent
        self.bytes_received += reply.bytes_received
        self.headers, self.body = list(reply.headers), reply.body

    @property
    def end(self) -> int:
        """The instant at which the job is over."""
        return self.limits.end(self.started, self.prepared.timeout_ns)

    def store_cookies(self) -> None:
        """What the latest reply set."""
        if self.jar is not None:
            for name, value in self.headers:
                if name == "set-cookie":
                    self.jar.store(self.url, value)

    def location(self) -> str | None:
        """Where the latest reply leads; None if it is the last one."""
        if self.status not in CODES:
            return None
        return next((value for name, value in self.headers if name == "location"), None)


class RedirectFollower:
    """Follows redirects for the jobs of one pool. A `Sender` of its own, so that jobs without redirects have no cost by it.

    ``contexts``: gives the context of a job's templates. ``finish``: is told of the last reply, which has the sums of all.
    ``pacer``: the run's ceiling on requests, which those that follow redirects are, too.
    """

    def __init__(
        self,
        pools: Pools,
        contexts: Callable[[int], JobContext],
        finish: Callable[[int, Reply, str | None], None],
        pacer: SendPacer | None = None,
    ) -> None:
        self._pools, self._contexts, self._finish, self._pacer = pools, contexts, finish, pacer
        self._ways: dict[int, Way] = {}
        self._paced: dict[int, asyncio.TimerHandle] = {}

    def follow(
        self, token: int, prepared: PreparedRequest, reply: Reply, limits: Limits, jar: CookieJar | None
    ) -> None:
        """Go on from ``reply``, which is the first one of a job and of a status in `CODES`."""
        request = prepared.request
        url = prepared.url._replace(target=request.target.render(self._contexts(token)))
        pool = self._pools.get(prepared.options)
        way = Way(prepared, jar, limits, url, request, prepared.members.redirects, pool)
        self._ways[token] = way
        self.replied(token, reply, None)

    def encode(self, token: int) -> Encoded:
        way = self._ways[token]
        cookie = "" if way.jar is None else way.jar.header(way.url)
        return way.request.encode(self._contexts(token), cookie)

    def replied(self, token: int, reply: Reply, failure: str | None) -> None:
        way = self._ways[token]
        way.add(reply)
        if failure is None:
            way.store_cookies()
            location = way.location()
            if location is not None:
                failure = self._turn(way, location)
                if failure is None:
                    self._send_in_time(token, way)
                    return
        self._end(token, way, failure)

    def waits_until(self, token: int, deadline: int | None) -> int | None:
        # The job has been in service since its first request.
        return deadline

    def gave_up(self, token: int, instant: int) -> None:
        self.replied(token, Unsent(instant), "timeout")

    def _end(self, token: int, way: Way, failure: str | None) -> None:
        del self._ways[token]
        self._finish(token, way, failure)

    def _turn(self, way: Way, location: str) -> str | None:
        """Find the next request. Returns the class of the failure if there is none."""
        url = resolve_location(way.url, location) if way.left else None
        if url is None:
            return "redirects"
        origin = origin_of(url)
        try:
            pool = self._find_pool(origin, way.prepared.options)
        except SpecError:  # a file of TLS was there when the run began, and is not any more
            return "local"
        if pool is None:
            return "redirects"
        method, keeps_body = next_method(way.status, way.request.method)
        same_origin = origin == origin_of(way.url)
        way.request = way.request.redirected(
            method, url.target, url.authority, keeps_body=keeps_body, same_origin=same_origin
        )
        way.url, way.left, way.pool = url, way.left - 1, pool
        return None

    def _send_in_time(self, token: int, way: Way) -> None:
        """Send the next request, when the run's ceiling lets it: the wait is part of the job's service, which has begun."""
        now = self._pools.now()
        at = now if self._pacer is None else self._pacer.reserve(now)
        if at <= now:
            self._send(token, way)
            return
        self._wait(min(at, way.end), token, way)

    def _wait(self, due: int, token: int, way: Way) -> None:
        self._paced[token] = call_at(due, self._pools.now(), self._release, due, token, way)

    def _release(self, due: int, token: int, way: Way) -> None:
        if self._pools.now() < due:
            self._wait(due, token, way)
            return
        del self._paced[token]
        self._send(token, way)

    def _send(self, token: int, way: Way) -> None:
        now = self._pools.now()
        if now >= way.end:
            way.finished = now
            self._end(token, way, "timeout")
            return
        head, waits = way.request.method == "HEAD", way.request.waits
        rules = replace(way.prepared.rules, head=head, expect_continue=waits)
        # One instant bounds all requests of the job, whatever it had left when each began.
        way.pool.send(self, token, rules, None, way.end)

    def _find_pool(self, origin: Origin, options: ConnectionOptions) -> ConnectionPool | None:
        if origin == options.origin:
            return self._pools.get(options)
        # The trust stays as it was specified; who we are, and the name that was asked for, are not for others.
        tls = replace(options.tls, cert=None, key=None, server_name=None)
        return self._pools.get_elsewhere(replace(options, origin=origin, warm=False, tls=tls))

    def cancel(self, token: int) -> int | None:
        """Give up a job. Returns the instant at which its service began; None if the job follows none."""
        way = self._ways.pop(token, None)
        if way is None:
            return None
        if (timer := self._paced.pop(token, None)) is not None:
            timer.cancel()
        way.pool.cancel(token, self)
        return way.started

    def close(self) -> None:
        """Forget the requests that wait for their time."""
        for timer in self._paced.values():
            timer.cancel()
