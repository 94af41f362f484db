"""The app: which implementations, which routes, which lifetimes. The only place that composes."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec
from aiohttp import web

from aurea_engine import Access, Catalog
from aurea_engine.targets.addresses import resolve_entries
from aurea_server.history import History
from aurea_server.http import app_keys
from aurea_server.http.host_header import allowed_hosts
from aurea_server.http.openapi import build_document
from aurea_server.http.operations import OPEN_HANDLERS, OPERATIONS, register_routes
from aurea_server.http.problems import answer_errors
from aurea_server.http.request_times import measure_requests
from aurea_server.http.security import RequestGuard, assign_request_id, guard_requests, prepare_headers
from aurea_server.metrics.http_metrics import HttpMetrics
from aurea_server.metrics.registry import BenchmarkMetrics, Registry
from aurea_server.runner.kinds import Kinds
from aurea_server.runs.service import RunService
from aurea_server.settings.settings import Settings, SettingsError


async def create_app(catalog: Catalog | Kinds | None = None, settings: Settings | None = None) -> web.Application:
    """An app that is ready to serve. ``catalog``: which kinds its clients may name; the built-in ones if None.

    What is not built in must be offered by an installed package: runner processes look for it there, and only they run it.
    Raises `LedgerUnusable` if the history cannot be used, `SettingsError` if the settings are wrong, or if an allowed
    target has no address now.
    """
    settings = settings or Settings()
    kinds = Kinds.of(catalog) if isinstance(catalog, Catalog) else catalog or Kinds()
    hosts = allowed_hosts(settings.host, settings.allowed_host)
    guard = RequestGuard(hosts, settings.caller_token, OPEN_HANDLERS, settings.max_body)
    # Shown by the build metric, so that figures of different event loops can be told apart.
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    metrics = BenchmarkMetrics(loop, settings.limits.seconds)
    access = await _resolve_access(settings)
    service = RunService(metrics, History(settings.folder, settings.retention), settings.limits, kinds, access)
    service.set_cluster(settings.cluster)
    # In this order: what the guard refuses is an error that is answered, every answer has the id of its request, and all
    # of them are measured.
    requests = HttpMetrics()
    measure = measure_requests(requests, settings.base_path)
    middlewares = [measure, assign_request_id, answer_errors, guard_requests(guard)]
    app = web.Application(client_max_size=settings.max_body, middlewares=middlewares)
    app[app_keys.SERVICE] = service
    app[app_keys.LIFECYCLE] = service.lifecycle
    app[app_keys.READER] = service.reader
    app[app_keys.VALIDATOR] = service.validator
    app[app_keys.REPRICER] = service.repricer
    app[app_keys.COMPARER] = service.comparer
    app[app_keys.REPORTER] = service.reporter
    app[app_keys.SEARCH_LIFECYCLE] = service.searches
    app[app_keys.SEARCH_READER] = service.search_reader
    app[app_keys.SEARCH_VALIDATOR] = service.search_validator
    app[app_keys.REGISTRY] = Registry(metrics, native=settings.native_histograms)
    app[app_keys.REGISTRY].register(requests)
    app[app_keys.OPENAPI] = msgspec.json.encode(
        build_document(OPERATIONS, kinds, settings.limits, settings.base_path, files=bool(settings.data_dir))
    )
    # A tenth of its size, for the page that hints at what a specification may have.
    app[app_keys.OPENAPI_COMPRESSED] = gzip.compress(app[app_keys.OPENAPI], mtime=0)
    app[app_keys.BASE_PATH] = settings.base_path
    register_routes(app, settings.base_path)
    app.on_response_prepare.append(prepare_headers)

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        async for each in service.lifetime():
            yield each

    # aiohttp closes the connections before it runs this, so clients that wait have been answered when the processes end.
    app.cleanup_ctx.append(lifetime)
    return app


async def _resolve_access(settings: Settings) -> Access:
    """What runs may reach, with the addresses that allowed names have now: later ones are not allowed."""
    access = settings.access
    assert access.targets is not None
    try:
        return replace(access, targets=await resolve_entries(access.targets))
    except OSError as error:
        raise SettingsError(f"allow_target: {error}") from None
