"""What handlers find in an app."""

from __future__ import annotations

from aiohttp import web

from aurea_server.metrics.registry import Registry
from aurea_server.runner.kinds import Kinds
from aurea_server.runs.manager import RunManager

KINDS = web.AppKey("KINDS", Kinds)
RUNS = web.AppKey("RUNS", RunManager)
REGISTRY = web.AppKey("REGISTRY", Registry)
OPENAPI = web.AppKey("OPENAPI", bytes)
BASE_PATH = web.AppKey("BASE_PATH", str)
