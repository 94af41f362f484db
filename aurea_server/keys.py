"""What handlers find in an app."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CollectorRegistry

from aurea_engine import Catalog
from aurea_server.runs import RunManager

CATALOG = web.AppKey("CATALOG", Catalog)
RUNS = web.AppKey("RUNS", RunManager)
REGISTRY = web.AppKey("REGISTRY", CollectorRegistry)
OPENAPI = web.AppKey("OPENAPI", bytes)
