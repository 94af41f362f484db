"""A server that falls silent for one second in the middle of a run at 1,000/s, and what each tool says of it.

By the schedule a tenth of the requests was due in that second, and the users behind them waited from 0 to 1 s: the 95th
percentile of what they saw is 0.5 s, and the 99th 0.9 s. No tool is needed to know that, so it is the measure of them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks import k6
from benchmarks.contest import AUREA, Absent, Bound, Contender, Figure, Figures, Row
from benchmarks.http_client import AUREA_PROGRAM, CLIENT_CORE, SERVER_CORE, make_environment, write_spec
from benchmarks.machine import find_program, pin, run_on_core

RATE, SILENCE = 1_000, 1.0
HEY_WORKERS = 50


@dataclass
class Server:
    """A running one; ``answered`` is known when it has ended."""

    url: str
    answered: int = 0


@contextmanager
def open_server(starts: float) -> Iterator[Server]:
    """A server that falls silent ``starts`` seconds after its first request."""
    command = [sys.executable, "-m", "benchmarks.http_stalling_server", f"{starts:g}", f"{SILENCE:g}"]
    with subprocess.Popen(
        pin(SERVER_CORE, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        server = Server(process.stdout.readline().strip())
        try:
            yield server
        finally:
            answered, _ = process.communicate(timeout=30)
            server.answered = int(answered)


def measure_stall(seconds: float, command: Callable[[str, str], list[str]], read: Callable[[str], Figures]) -> Figures:
    """What the program that ``command`` (URL, folder) names says; ``read`` finds it in what it prints."""
    with tempfile.TemporaryDirectory() as folder, open_server(seconds / 2) as server:
        done = run_on_core(CLIENT_CORE, command(server.url, folder), make_environment())
    return {**read(done.printed), "answered": server.answered}


def run_aurea(seconds: float) -> Figures:
    """As many connections as requests in service."""
    return _run_aurea(seconds, {})


def run_aurea_on_one(seconds: float) -> Figures:
    """One connection: what is due in the silence waits for it."""
    return _run_aurea(seconds, {"connections": 1})


def _run_aurea(seconds: float, members: dict[str, object]) -> Figures:
    def command(url: str, folder: str) -> list[str]:
        job = {"kind": "http", "url": f"{url}/", **members}
        file = write_spec(folder, {"job": job, "arrivals": {"kind": "constant", "rate": RATE}, "duration": seconds})
        return [*AUREA_PROGRAM, "run", file, "--json"]

    return measure_stall(seconds, command, _read_aurea)


def _read_aurea(printed: str) -> Figures:
    result = json.loads(printed)
    response, service = result["response_time"], result["service_time"]
    return {
        **{name: response[name] for name in ("p50", "p95", "p99", "max")},
        **{f"service_{name}": service[name] for name in ("p95", "p99")},
    }


def run_k6(seconds: float, users: int) -> Figures:
    """``constant-arrival-rate`` with ``users`` virtual users, all made before the start."""
    scenario = {
        "executor": "constant-arrival-rate",
        "rate": RATE,
        "duration": f"{seconds:g}s",
        "preAllocatedVUs": users,
    }
    return measure_stall(
        seconds, lambda url, folder: k6.write_command(folder, scenario, f"http.get('{url}/');"), _read_k6
    )


def _read_k6(printed: str) -> Figures:
    _, values = k6.read_summary(printed)
    took = values["http_req_duration"]
    return {"p50": took["med"] / 1e3, "p95": took["p(95)"] / 1e3, "p99": took["p(99)"] / 1e3, "max": took["max"] / 1e3}


def run_hey(seconds: float) -> Figures:
    """Its limit of rate is one of each worker."""
    binary = find_program("hey")
    if binary is None:
        raise Absent("hey is not installed")
    limits = ["-c", str(HEY_WORKERS), "-q", str(RATE // HEY_WORKERS)]
    return measure_stall(seconds, lambda url, _: [binary, "-z", f"{seconds:g}s", *limits, f"{url}/"], _read_hey)


def _read_hey(printed: str) -> Figures:
    found = {share: float(took) for share, took in re.findall(r"(\d+)% in ([\d.]+) secs", printed)}
    slowest = re.search(r"Slowest:\s*([\d.]+) secs", printed)
    assert slowest is not None, "hey has another report"
    return {"p50": found["50"], "p95": found["95"], "p99": found["99"], "max": float(slowest[1])}


_FULL, _QUICK = {"seconds": 10}, {"seconds": 4}

ROWS = (
    Row(
        "http_stall",
        "A server that is silent for 1 s in the middle of 10 s at 1,000/s",
        (
            Figure("p50", "p50", "ms"),
            Figure("p95", "p95", "ms"),
            Figure("p99", "p99", "ms"),
            Figure("max", "longest", "ms"),
            Figure("service_p95", "service time p95", "ms"),
            Figure("service_p99", "service time p99", "ms"),
            Figure("answered", "requests sent", ""),
        ),
        (
            Contender(
                AUREA,
                run_aurea,
                "`http`, arrivals constant at 1,000/s, no limit of connections: what is due is sent.",
                _FULL,
                _QUICK,
            ),
            Contender(
                "Aurea, one connection",
                run_aurea_on_one,
                "The same with `connections: 1`. Response times count from the intended start, so they hardly change;"
                " service times are what a tool sees that counts from the send.",
                _FULL,
                _QUICK,
            ),
            Contender(
                "k6, 50 users",
                run_k6,
                "`constant-arrival-rate` with 50 virtual users, `http_req_duration`. When all of them wait, iterations are"
                " dropped.",
                {**_FULL, "users": 50},
                {**_QUICK, "users": 50},
            ),
            Contender(
                "k6, 1,200 users",
                run_k6,
                "The same with a virtual user for every request of the silence.",
                {**_FULL, "users": 1_200},
                {**_QUICK, "users": 1_200},
            ),
            Contender("hey", run_hey, "50 workers of 20/s each (`-c 50 -q 20`).", _FULL, _QUICK),
        ),
        (
            Bound("p95", 0.45),
            Bound("p95", 0.55, better="less"),
            Bound("p99", 0.85),
            Bound("p99", 0.95, better="less"),
        ),
        "By the schedule, a tenth of the requests was due in the silence, and waited from 0 to 1 s: p95 500 ms, p99 900 ms,"
        " 10,000 requests. A time is what the tool itself prints.",
    ),
)
