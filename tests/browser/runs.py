"""Runs to look at, most of them in virtual time, so that they are there at once."""

from __future__ import annotations

import time
from typing import Any

from tests.faults.conftest import FINAL, Server
from tests.faults.strikes import HANGS

OBJECTIVES = [
    {"metric": "response_time", "quantile": 0.99, "at_most": 0.5},
    {"metric": "response_time", "quantile": 0.5, "at_most": 0.01},
    {"metric": "throughput", "at_least": 20},
    {"metric": "response_time", "quantile": 0.99999, "at_most": 9},
]
JOBS = [
    {"weight": 3, "name": "read", "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.02}}},
    {
        "weight": 1,
        "name": "write",
        "job": {"kind": "faulty", "failure_rate": 0.05, "job": {"kind": "sleep", "duration": 0.08}},
    },
]


def queue(**members: Any) -> dict[str, Any]:
    """A queue of two groups of jobs, some of which fail, with objectives of all outcomes. ``seconds`` long."""
    seconds = members.pop("seconds", 60)
    return {
        "workload": {
            "job": {"kind": "mix", "of": JOBS},
            "arrivals": {"kind": "poisson", "rate": members.pop("rate", 40)},
            "duration": seconds,
        },
        "scheduler": {"kind": "fifo", "slots": 2},
        "objectives": OBJECTIVES,
        "clock": "virtual",
        "seed": 7,
        **members,
    }


def start(server: Server, **members: Any) -> str:
    """Has run when this returns."""
    return str(server.run(queue(**members))["benchmark_id"])


def start_empty(server: Server) -> str:
    """A run in which nothing arrived: it has no figures."""
    rare = {"kind": "poisson", "rate": 0.001}
    workload = {"job": {"kind": "sleep", "duration": 0}, "arrivals": rare, "duration": 10}
    return str(server.run({"workload": workload, "clock": "virtual", "seed": 1, "label": "empty"})["benchmark_id"])


def series(server: Server, run_id: str) -> Any:
    """A run over time, as the server tells it."""
    return _read(server, f"/benchmark/runs/{run_id}/series")


def result(server: Server, run_id: str) -> Any:
    return _read(server, f"/benchmark/runs/{run_id}")


def _read(server: Server, path: str) -> Any:
    until = time.monotonic() + HANGS
    # A server that has others to serve says so: who is told that asks again.
    while (answer := server.ask("GET", path))[0] in (429, 503) and time.monotonic() < until:
        time.sleep(0.5)
    status, _, document = answer
    assert status == 200, document
    return document


def search(server: Server, **members: Any) -> str:
    """A capacity search that ends soon: 150 jobs a second of 10 ms each need two slots, and one is not enough."""
    spec = {
        "workload": {
            "job": {"kind": "sleep", "duration": 0.01},
            "arrivals": {"kind": "constant", "rate": 150},
            "jobs": 500,
        },
        "scheduler": {"kind": "fifo", "slots": 1},
        "slots": "1..2",
        "clock": "virtual",
        "seed": 7,
        "objectives": [{"metric": "response_time", "quantile": 0.9, "at_most": 0.0125}],
        "costs": {
            "by the second": {"kind": "per_second"},
            "packed": {"kind": "packed", "price": "0.12", "concurrency": 2},
        },
        **members,
    }
    status, _, found = server.ask("POST", "/benchmark/searches", spec)
    assert status == 202, found
    while _read(server, f"/benchmark/searches/{found['search_id']}")["status"] not in FINAL:
        time.sleep(0.05)
    return str(found["search_id"])
