"""A middleware that measures each request that reaches the app, for the metrics of the server itself."""

from __future__ import annotations

from time import perf_counter

from aiohttp import web
from aiohttp.typedefs import Middleware

from aurea_server.http.problems import Handler
from aurea_server.metrics.http_metrics import HttpMetrics


def measure_requests(metrics: HttpMetrics, base_path: str = "") -> Middleware:
    """The outermost middleware: what the others refuse is measured, too. A request whose client left before there was an
    answer is not; a connection that is refused before it is a request never gets here.
    """

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = perf_counter()
        response = await handler(request)
        metrics.record(_find_route(request, base_path), request.method, response.status, perf_counter() - began)
        return response

    return measure


def _find_route(request: web.Request, base_path: str) -> str | None:
    """``/benchmark/runs/{run_id}``: the path with names for what varies, without the base path; None if it is no route."""
    resource = request.match_info.route.resource
    return None if resource is None else resource.canonical.removeprefix(base_path)
