"""What programs ask about the server itself: whether it lives, whether it is ready, its metrics, its description."""

from __future__ import annotations

from aiohttp import web

from aurea_server.http.app_keys import LIFECYCLE, OPENAPI, OPENAPI_COMPRESSED, REGISTRY
from aurea_server.http.negotiation import Offer, choose_coding
from aurea_server.http.problems import HttpProblem
from aurea_server.http.responses import json_bytes, json_response, negotiate
from aurea_server.http.security import VARY
from aurea_server.metrics import exposition

SERVICE = "aurea-orchestrator"


async def get_health(_: web.Request) -> web.Response:
    """``GET /health``"""
    return json_response({"status": "healthy", "service": SERVICE})


async def get_liveness(_: web.Request) -> web.Response:
    """``GET /health/live``: the event loop turns; load, queue and disk have no say, since a restart would not help them."""
    return json_response({"status": "live"})


async def get_readiness(request: web.Request) -> web.Response:
    """``GET /health/ready``: 503 while draining, or while no run could be stored."""
    # Not the queue: a full one is no reason to send clients elsewhere, since they can read and follow runs here.
    request.app[LIFECYCLE].check_ready()
    return json_response({"status": "ready"})


async def get_metrics(request: web.Request) -> web.Response:
    """``GET /metrics``"""
    registry = request.app[REGISTRY]
    forms = exposition.list_formats(registry)
    chosen = negotiate(request, [Offer(form.type, form.parameters) for form in forms], "Accept-Encoding")
    coding = choose_coding(request.headers.getall("Accept-Encoding", []), ["gzip"])
    if coding is None:
        text = "The Accept-Encoding header refuses all that is served here: gzip, identity."
        raise HttpProblem(406, "not_acceptable", text)
    form = forms[chosen.index]
    asked = None if chosen.range is None else chosen.range.parameters.get("escaping")
    escaping = exposition.choose_escaping(form, asked)
    # Rendering takes milliseconds, and a thread would read figures while the loop changes them.
    content = exposition.render(registry, form, escaping, request.query.getall("name[]", []))
    headers = {"Content-Type": exposition.content_type(form, escaping)}
    if coding == "gzip":
        content, headers["Content-Encoding"] = exposition.compress(content), "gzip"
    return web.Response(body=content, headers=headers)


async def get_openapi(request: web.Request) -> web.Response:
    """``GET /openapi.json``"""
    request[VARY] = "Accept-Encoding"
    headers = {"Cache-Control": "no-cache"}
    if choose_coding(request.headers.getall("Accept-Encoding", []), ["gzip"]) != "gzip":
        return json_bytes(request.app[OPENAPI], headers=headers)
    return json_bytes(request.app[OPENAPI_COMPRESSED], headers={**headers, "Content-Encoding": "gzip"})
