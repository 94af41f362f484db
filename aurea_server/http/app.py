"""The app: which implementations, which routes, which lifetimes. The only place that composes."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

from aurea_engine import Catalog
from aurea_server.history import History
from aurea_server.http import app_keys
from aurea_server.http.openapi import document
from aurea_server.http.operations import OPEN_HANDLERS, OPERATIONS, register
from aurea_server.http.problems import problems
from aurea_server.http.security import RequestGuard, allowed_hosts, assign_request_id, guard_requests, prepare_headers
from aurea_server.metrics.registry import BenchmarkMetrics, Registry
from aurea_server.runner.kinds import Kinds
from aurea_server.runs.manager import RunManager, lifetime
from aurea_server.settings.settings import Settings


async def create_app(catalog: Catalog | Kinds | None = None, settings: Settings | None = None) -> web.Application:
    """An app that is ready to serve. ``catalog``: which kinds its clients may name; the built-in ones if None.

    What is not built in must be offered by an installed package: runner processes look for it there, and only they run it.
    Raises `LedgerUnusable` where the history cannot be used, `SettingsError` where the settings are wrong.
    """
    settings = settings or Settings()
    kinds = Kinds.of(catalog) if isinstance(catalog, Catalog) else catalog or Kinds()
    doors = RequestGuard(
        allowed_hosts(settings.host, settings.allowed_host), settings.secret, OPEN_HANDLERS, settings.max_body
    )
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    benchmark_metrics = BenchmarkMetrics(loop, settings.limits.seconds)
    history = History(settings.folder, settings.retention)
    manager = RunManager(benchmark_metrics, history, settings.limits)
    app = web.Application(
        client_max_size=settings.max_body, middlewares=[assign_request_id, problems, guard_requests(doors)]
    )
    app[app_keys.KINDS] = kinds
    app[app_keys.RUNS] = manager
    app[app_keys.REGISTRY] = Registry(benchmark_metrics)
    app[app_keys.OPENAPI] = msgspec.json.encode(document(OPERATIONS, kinds, settings.max_jobs, settings.base_path))
    app[app_keys.BASE_PATH] = settings.base_path
    register(app, settings.base_path)
    app.on_response_prepare.append(prepare_headers)
    app.cleanup_ctx.append(functools.partial(_lifetime, manager))
    return app


async def _lifetime(manager: RunManager, _: web.Application) -> AsyncIterator[None]:
    async for each in lifetime(manager):
        yield each
