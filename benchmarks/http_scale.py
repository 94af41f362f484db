"""How much the HTTP client can hold: connections, different bodies, and a response larger than it may keep."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from aurea_engine import RunResult, run_sync, spec_from_dict
from benchmarks.contest import AUREA, Bound, Contender, Figure, Figures, Row
from benchmarks.http_client import CLIENT_CORE, SERVER_CORE
from benchmarks.machine import pin
from benchmarks.memory import MIB, read_peak
from benchmarks.nginx import Nginx, open_nginx

LARGE = 2**30
"""Bytes of the large response."""


def run_connections(connections: int, requests: int) -> Figures:
    """A closed model of as many users as connections: each has one, and uses it again and again."""
    # With room for a fifth more: nginx closes idle connections as soon as less than a sixteenth of its places is free.
    with open_nginx(SERVER_CORE, files=connections * 6 // 5) as server, _count_most(server) as most:
        job = {"kind": "http", "url": f"{server.url}/", "connections": connections}
        figures = _run({"job": job, "arrivals": {"kind": "closed", "users": connections}, "jobs": requests})
    return {**figures, "connections": most[0], "growth_each": figures["growth"] * MIB / connections}


@contextmanager
def _count_most(server: Nginx) -> Iterator[list[int]]:
    """The most connections that nginx had open at once, but for that which asks."""
    most, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            most[0] = max(most[0], server.count_connections() - 1)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def run_bodies(requests: int) -> Figures:
    """A body of its own for each job: its number, a random UUID, and one of a thousand rows."""
    rows = [{"name": f"customer {number}", "city": f"city {number % 37}"} for number in range(1_000)]
    body = {"order": "{{index}}", "key": "{{uuid}}", "name": "{{row.name}}", "city": "{{row.city}}"}
    command = [sys.executable, "-m", "benchmarks.http_counting_server"]
    with subprocess.Popen(
        pin(SERVER_CORE, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        request = {"kind": "http", "url": f"{url}/orders", "method": "POST", "json": body}
        job = {**request, "data": {"rows": rows, "pick": "random"}, "connections": 50}
        figures = _run({"job": job, "arrivals": {"kind": "closed", "users": 50}, "jobs": requests})
        counted, different = map(int, process.communicate()[0].split())
    assert counted == requests
    return {**figures, "different": different}


def run_large(size: int) -> Figures:
    """One response of ``size`` bytes."""
    with open_nginx(SERVER_CORE) as server:
        # A file of holes: it takes no disk, and nginx sends it as any other.
        with (server.files / "large").open("wb") as file:
            file.truncate(size)
        job = {"kind": "http", "url": f"{server.url}/files/large", "timeout": 120}
        began = time.perf_counter()
        figures = _run({"job": job, "arrivals": {"kind": "closed", "users": 1}, "jobs": 1})
        took = time.perf_counter() - began
    received = figures["received"]
    assert received >= size
    return {**figures, "speed": received / MIB / took}


def _run(workload: Mapping[str, object]) -> Figures:
    """One run on the client's core: what it received, and what this process grew by at most."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    spec = spec_from_dict({"workload": dict(workload)})
    before, used = read_peak(), time.process_time()
    result = run_sync(spec)
    jobs = result.counts.arrived
    assert result.counts.completed == jobs, _describe_failures(result)
    return {
        "growth": (read_peak() - before) / MIB,
        "cpu": (time.process_time() - used) / jobs,
        "received": result.measures["bytes_received"].total,
    }


def _describe_failures(result: RunResult) -> str:
    return f"{result.counts}: {dict(result.failures)}"


_GROWTH = Figure("growth", "growth of the peak resident set", "MiB")
_CPU = Figure("cpu", "CPU per request, set-up and result included", "µs")

ROWS = (
    Row(
        "http_connections",
        "HTTP client, 10,000 connections open and kept",
        (
            Figure("connections", "open at once, as nginx counts", ""),
            _GROWTH,
            Figure("growth_each", "of it for a connection", "bytes"),
            _CPU,
        ),
        (
            Contender(
                AUREA,
                run_connections,
                "A closed model of 10,000 users, 200,000 requests, all completed. The connections are opened before the"
                " window. The growth holds the records of the requests, too.",
                {"connections": 10_000, "requests": 200_000},
                {"connections": 1_000, "requests": 20_000},
            ),
        ),
        (Bound("connections", 10_000),),
        "Needs a limit of open files of 12,000 (`ulimit -Hn`).",
    ),
    Row(
        "http_bodies",
        "HTTP client, 100,000 different bodies made of templates",
        (Figure("different", "different bodies, as the server counts", ""), _GROWTH, _CPU),
        (
            Contender(
                AUREA,
                run_bodies,
                "POST of a JSON object with the job's number, a random UUID and two members of a row that is picked at"
                " random from 1,000. The growth holds the records of the requests, too.",
                {"requests": 100_000},
                {"requests": 10_000},
            ),
        ),
        (Bound("different", 100_000),),
    ),
    Row(
        "http_large",
        "HTTP client, a response of 1 GiB",
        (_GROWTH, Figure("speed", "MiB/s", ""), Figure("cpu", "CPU", "ms")),
        (
            Contender(
                AUREA,
                run_large,
                "One GET; nothing reads the body, so it is counted and not kept.",
                {"size": LARGE},
                {"size": LARGE // 16},
            ),
        ),
        (Bound("growth", 32, better="less"),),
    ),
)
