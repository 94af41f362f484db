"""The app: which implementations, which routes, which lifetimes. The only place that composes."""

from __future__ import annotations

import asyncio
import functools

from aiohttp import web

from aurea_engine import Catalog, default_catalog
from aurea_server import handlers
from aurea_server.metrics import BenchmarkMetrics, new_registry
from aurea_server.problems import problems
from aurea_server.runs import RunManager, lifetime

MOST_BODY = 64 * 1024


async def create_app(catalog: Catalog | None = None) -> web.Application:
    """An app that is ready to serve. ``catalog``: which kinds its clients may name; the built-in ones if None."""
    catalog = catalog or default_catalog()
    benchmark_metrics = BenchmarkMetrics(loop=type(asyncio.get_running_loop()).__module__.partition(".")[0])
    manager = RunManager(catalog, benchmark_metrics)
    app = web.Application(client_max_size=MOST_BODY, middlewares=[problems])
    app[handlers.CATALOG] = catalog
    app[handlers.RUNS] = manager
    app[handlers.REGISTRY] = new_registry(benchmark_metrics)
    app.router.add_post("/benchmark/run", handlers.run_benchmark)
    app.router.add_get("/health", handlers.health)
    app.router.add_get("/metrics", handlers.metrics)
    app.cleanup_ctx.append(functools.partial(_lifetime, manager))
    return app


def _lifetime(manager: RunManager, app: web.Application):  # type: ignore[no-untyped-def]
    return lifetime(manager)
