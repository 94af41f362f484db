"""What handlers find in an app: one key for each object that they call."""

from __future__ import annotations

from aiohttp import web

from aurea_server.metrics.registry import Registry
from aurea_server.runs.comparing import Comparer
from aurea_server.runs.lifecycle import RunLifecycle
from aurea_server.runs.reader import RunReader
from aurea_server.runs.reporting import Reporter
from aurea_server.runs.repricing import Repricer
from aurea_server.runs.searches.lifecycle import SearchLifecycle
from aurea_server.runs.searches.reader import SearchReader
from aurea_server.runs.searches.validation import SearchValidator
from aurea_server.runs.service import RunService
from aurea_server.runs.validation import SpecificationValidator

SERVICE = web.AppKey("SERVICE", RunService)
"""For the program that serves the app: it starts and stops what follows. No handler uses it."""

LIFECYCLE = web.AppKey("LIFECYCLE", RunLifecycle)
READER = web.AppKey("READER", RunReader)
VALIDATOR = web.AppKey("VALIDATOR", SpecificationValidator)
COMPARER = web.AppKey("COMPARER", Comparer)
REPORTER = web.AppKey("REPORTER", Reporter)
SEARCH_LIFECYCLE = web.AppKey("SEARCH_LIFECYCLE", SearchLifecycle)
SEARCH_READER = web.AppKey("SEARCH_READER", SearchReader)
SEARCH_VALIDATOR = web.AppKey("SEARCH_VALIDATOR", SearchValidator)
REPRICER = web.AppKey("REPRICER", Repricer)

# Values that are made once with the app, and only read afterwards.
REGISTRY = web.AppKey("REGISTRY", Registry)
OPENAPI = web.AppKey("OPENAPI", bytes)
OPENAPI_COMPRESSED = web.AppKey("OPENAPI_COMPRESSED", bytes)
BASE_PATH = web.AppKey("BASE_PATH", str)
