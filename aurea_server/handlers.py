"""HTTP in, HTTP out: each handler decodes, calls, encodes."""

from __future__ import annotations

import functools

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from aurea_engine import Catalog, parse_json, result_to_dict, spec_from_dict
from aurea_server.problems import Handler, Refused
from aurea_server.runs import RunManager

CATALOG = web.AppKey("CATALOG", Catalog)
RUNS = web.AppKey("RUNS", RunManager)
REGISTRY = web.AppKey("REGISTRY", CollectorRegistry)
SERVICE = "aurea-orchestrator"


def json_response(value: object, status: int = 200) -> web.Response:
    """``value`` as strict JSON."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


async def health(request: web.Request) -> web.Response:
    """``GET /health``"""
    return json_response({"status": "healthy", "service": SERVICE})


async def run_benchmark(request: web.Request) -> web.Response:
    """``POST /benchmark/run``"""
    if request.content_type != "application/json":
        raise Refused(415, "unsupported_media_type", "The body must be sent as Content-Type: application/json.")
    catalog = request.app[CATALOG]
    spec = spec_from_dict(parse_json(await request.read()), catalog)
    result = await request.app[RUNS].start(spec)
    return json_response(result_to_dict(result, catalog))


@functools.cache
def _exposition(registry: CollectorRegistry) -> Handler:
    return make_aiohttp_handler(registry)


async def metrics(request: web.Request) -> web.StreamResponse:
    """``GET /metrics``"""
    try:
        return await _exposition(request.app[REGISTRY])(request)
    except (TypeError, ValueError):  # prometheus_client 0.26 cannot read every Accept header: answer with plain text
        return await _exposition(request.app[REGISTRY])(request.clone(headers={}))
