"""``GET …/events``: the events of a run, of a search, or of all of them, as server-sent events, live.

The protocol is that of the HTML standard (section 9.2): each event has a number as its ``id``, a browser that lost its
connection sends the last one it saw as ``Last-Event-ID``, and gets what it missed, as far as it is kept.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from aurea_server.http.app_keys import READER
from aurea_server.runs.errors import FollowerLagged, TooManyFollowers
from aurea_server.runs.events import Event

SEND_SECONDS = 15.0
"""A follower that takes nothing for so long is disconnected."""

RECONNECT_MS = 2000
"""After which a browser reconnects: sent once, with the first event."""


Follow = Callable[[str, int], Awaitable[AsyncGenerator[Event, None]]]


async def get_events(request: web.Request) -> web.StreamResponse:
    """``GET /benchmark/runs/{run_id}/events``"""
    return await send_events(request, request.app[READER].events, request.match_info["run_id"])


async def get_feed(request: web.Request) -> web.StreamResponse:
    """``GET /benchmark/events``"""
    return await _stream(request, await request.app[READER].feed())


async def send_events(request: web.Request, follow: Follow, ident: str) -> web.StreamResponse:
    """The events that ``follow`` has of ``ident``, from the one after ``Last-Event-ID``."""
    text = request.headers.get("Last-Event-ID", "0")
    after = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
    return await _stream(request, await follow(ident, after))


async def _stream(request: web.Request, events: AsyncGenerator[Event, None]) -> web.StreamResponse:
    if request.method == "HEAD":
        return web.Response(content_type="text/event-stream")
    # Preparing a response on a connection that is gone would raise, and be reported as a defect of ours.
    if request.transport is None:
        raise ConnectionResetError  # the follower is gone
    response = EventSourceResponse(send_timeout=SEND_SECONDS)
    await response.prepare(request)
    try:
        # Closed here and now rather than by the garbage collector: a follower's place is free as soon as it is gone.
        async with response, aclosing(events):
            async for event in events:
                await _send(response, event)
    except FollowerLagged:
        await response.send("{}", event="lagged")
    except (ConnectionError, TimeoutError, TooManyFollowers):
        pass  # the follower is gone, or was disconnected
    return response


async def _send(response: EventSourceResponse, event: Event) -> None:
    retry = RECONNECT_MS if event.number == 1 else None
    await response.send(event.data, id=str(event.number), event=event.kind, retry=retry)
