"""Serving an app on a socket until a signal says stop.

aiohttp's own `web.run_app` is not used: it knows no drain, no second signal and no exit codes. The first signal stops
accepting runs and waits for those that were accepted; the second ends the process at once, with 128 + its number.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

from aiohttp import web

from aurea_engine import loop_factory
from aurea_engine.closed_sets import ServeExitCode
from aurea_server.history import LedgerNewer, LedgerUnusable, StoreError
from aurea_server.http import app_keys
from aurea_server.http.app import create_app
from aurea_server.http.connections import make_runner
from aurea_server.runner.kinds import Kinds
from aurea_server.settings.settings import Settings, SettingsError
from aurea_server.stdio import standard_streams

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
WORKER_THREADS = 4
"""Threads for work that would block the loop, such as decoding records: all of them from the start."""


class StopSignals:
    """The first signal sets ``asked``; the second calls ``forced`` and ends the process."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.forced: Callable[[], None] = lambda: None
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            # A program started by nohup ignores SIGHUP, and means it. A shell also lets its background commands ignore
            # SIGINT, but a server must be stoppable by SIGINT all the same.
            if signal.getsignal(number) is not signal.SIG_IGN or number != signal.SIGHUP:
                loop.add_signal_handler(number, self._signal, number)

    def _signal(self, number: int) -> None:
        if not self.asked.is_set():
            self.asked.set()
            return
        self.forced()
        _exit_now(128 + number)


def _exit_now(code: int) -> NoReturn:
    """End the process now, whatever its threads do."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(code)


async def serve(settings: Settings, kinds: Kinds) -> int:
    """Serve until SIGTERM, SIGINT or SIGHUP; returns the exit code."""
    stopping = StopSignals()
    try:
        # Before anything else may ask for the default executor: the loop would make one whose threads start one by one.
        asyncio.get_running_loop().set_default_executor(_start_workers())
    except RuntimeError as error:
        return _report_error(str(error), ServeExitCode.INTERNAL)
    try:
        app = await create_app(kinds, settings)
    except SettingsError as error:
        return _report_error(str(error), ServeExitCode.UNSAFE)
    except LedgerNewer as error:
        return _report_error(str(error), ServeExitCode.LEDGER_NEWER)
    except LedgerUnusable as error:
        return _report_error(str(error), ServeExitCode.LEDGER_UNUSABLE)
    service = app[app_keys.SERVICE]
    stopping.forced = service.kill_now
    runner = make_runner(app, settings.max_connections)
    try:
        await runner.setup()
    except StoreError as error:
        await service.abandon()
        return _report_error(str(error), ServeExitCode.LEDGER_UNUSABLE)
    stall_watch = asyncio.create_task(runner.limiter.close_stalled())
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port, backlog=512).start()
        except OSError as error:
            return _report_error(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}",
                ServeExitCode.CANNOT_BIND,
            )
        service.set_listeners((address[0], address[1]) for address in runner.addresses)
        gc.collect()
        # What is loaded now stays until the end: no later collection need look at it, so their pauses stay short.
        gc.freeze()
        _announce(settings, runner.addresses[0][1])
        await stopping.asked.wait()
        log.info("stopping: no new runs, %g s for those that are active", settings.drain)
        await service.drain(settings.drain)
        # While there are connections to answer: aiohttp's cleanup closes them before the app's own.
        await service.interrupt()  # while there are connections to answer
        return ServeExitCode.STOPPED
    finally:
        stall_watch.cancel()
        await runner.cleanup()
        log.info("stopped")
        # The interpreter's shutdown would join the thread that waits for the disk, and so never end.
        if service.disk_stuck:
            _exit_now(0)


def _start_workers() -> ThreadPoolExecutor:
    """Threads that exist before any is needed: later the system may refuse one. Raises RuntimeError."""
    workers, all_started = ThreadPoolExecutor(WORKER_THREADS, "worker"), threading.Barrier(WORKER_THREADS)
    for _ in range(WORKER_THREADS):
        # A pool starts a thread only where none is idle. One that waits at the barrier is not, so each gets a thread.
        workers.submit(all_started.wait)
    return workers


def _announce(settings: Settings, port: int) -> None:
    """One line on stdout, for people, and for programs that wait for it; it is dropped where stdout is not read."""
    base = settings.base_path
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    standard_streams.write_briefly(
        standard_streams.OUT,
        f"Aurea serves on http://{host}:{port}  (POST {base}/benchmark/run, GET {base}/metrics, GET {base}/docs)\n",
        0.0,
    )


def _report_error(sentence: str, code: int) -> int:
    standard_streams.write_briefly(standard_streams.ERR, f"aurea: {sentence}\n")
    return code


def choose_loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """``auto``, ``asyncio`` or ``uvloop``, which raises ImportError where it is missing."""
    if name == "asyncio":
        return asyncio.new_event_loop
    if name == "uvloop":
        from uvloop import new_event_loop  # noqa: PLC0415 - optional

        return new_event_loop
    return loop_factory()


def run_server(settings: Settings, kinds: Kinds) -> int:
    """`serve` on a loop of its own. Returns the exit code."""
    try:
        with asyncio.Runner(loop_factory=choose_loop_factory(settings.loop)) as loop:
            return loop.run(serve(settings, kinds))
    except Exception:
        log.exception("the server failed")
        return ServeExitCode.INTERNAL
