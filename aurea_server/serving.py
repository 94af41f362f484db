"""Serving an app on a socket until a signal says stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from aurea_engine import Catalog
from aurea_server.app import create_app

IDLE_SECONDS = 15.0
CANNOT_BIND = 3


@dataclass(frozen=True)
class Settings:
    """Where and how to serve."""

    host: str = "127.0.0.1"
    port: int = 5000


async def serve(settings: Settings, catalog: Catalog) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(await create_app(catalog), keepalive_timeout=IDLE_SECONDS, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            print(f"aurea: cannot listen on {settings.host}:{settings.port}: {error.strerror or error}", file=sys.stderr)
            return CANNOT_BIND
        port = runner.addresses[0][1]
        print(f"Aurea serves on http://{settings.host}:{port}  (POST /benchmark/run, GET /metrics, GET /health)", flush=True)
        await stop.wait()
        return 0
    finally:
        await runner.cleanup()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """The fastest event loop there is: uvloop's where it is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.new_event_loop
    return new_event_loop


def run_server(settings: Settings, catalog: Catalog) -> int:
    """`serve` on a loop of its own."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(serve(settings, catalog))
