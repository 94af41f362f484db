"""What a request costs the client: 50 connections, GET of 612 bytes, the client on one core and nginx on the other.

Every contender is run as its users run it, as a program, twice: shortly and long. What is told is the difference of the
two, so that the start of an interpreter, of a virtual machine or of fifty users is nobody's cost of a request. Requests
are counted by nginx, processor time by the system.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import k6
from benchmarks.contest import AUREA, Absent, Bound, Contender, Figure, Figures, Row
from benchmarks.machine import find_program, run_on_core
from benchmarks.nginx import Nginx, open_nginx

CONNECTIONS = 50
CLIENT_CORE, SERVER_CORE = 0, 1
AUREA_PROGRAM = (sys.executable, "-c", "import sys; from aurea_server.cli import main; sys.exit(main(sys.argv[1:]))")
"""The command `aurea`, of the checkout that `make_environment` names."""

Command = Callable[[str, float, str], list[str]]
"""(URL of the server, seconds, a folder for files of its own) → the command that sends for so long."""


@dataclass(frozen=True)
class Sent:
    """One run of a program: requests that nginx counted, seconds of processor time of the program and of nginx."""

    requests: int
    cpu: float
    server_cpu: float


def measure_client(command: Command, seconds: float) -> Figures:
    """Figures of the program that ``command`` names, over what a run of a quarter of ``seconds`` took."""
    with tempfile.TemporaryDirectory() as folder, open_nginx(SERVER_CORE) as server:
        short, long = (_send(server, command, length, folder) for length in (seconds / 4, seconds))
    requests, length = long.requests - short.requests, seconds * 3 / 4
    return {
        "cpu": (long.cpu - short.cpu) / requests,
        "whole_cpu": long.cpu / long.requests,
        "rate": requests / length,
        "client_busy": (long.cpu - short.cpu) / length * 100,
        "server_busy": (long.server_cpu - short.server_cpu) / length * 100,
    }


def _send(server: Nginx, command: Command, seconds: float, folder: str) -> Sent:
    requests, server_cpu = server.count_requests(), server.read_cpu()
    done = run_on_core(CLIENT_CORE, command(server.url, seconds, folder), make_environment())
    # Less one: the second count is a request, too.
    return Sent(server.count_requests() - requests - 1, done.cpu, server.read_cpu() - server_cpu)


def make_environment() -> dict[str, str]:
    """So that a program of ours is that of the checkout whose engine takes part, as in every other row."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


# Aurea: what `aurea run` does with a file, report included. No objective, no file written.


def run_aurea(seconds: float) -> Figures:
    """The whole engine, from the specification to the table."""
    return measure_client(_make_aurea({"path": "/"}), seconds)


def run_aurea_checked(seconds: float) -> Figures:
    """A URL of its own for each job, and a member of the JSON that comes back."""
    return measure_client(_make_aurea({"path": "/item?id={{index}}", "expect": {"json": {"/status": "ok"}}}), seconds)


def _make_aurea(request: dict[str, object]) -> Command:
    def command(url: str, seconds: float, folder: str) -> list[str]:
        members = {**request, "kind": "http", "url": f"{url}{request['path']}"}
        job = {name: value for name, value in members.items() if name != "path"}
        arrivals = {"kind": "closed", "users": CONNECTIONS}
        file = write_spec(folder, {"job": job, "arrivals": arrivals, "duration": seconds})
        return [*AUREA_PROGRAM, "run", file]

    return command


def write_spec(folder: str, workload: Mapping[str, object], scheduler: Mapping[str, object] | None = None) -> str:
    """The path of a specification of ``workload``, written into ``folder``."""
    file, document = Path(folder) / "spec.json", {"workload": workload}
    file.write_text(
        json.dumps(document if scheduler is None else {**document, "scheduler": scheduler}), encoding="utf-8"
    )
    return str(file)


def run_wrk(seconds: float) -> Figures:
    """One thread; its histogram has every request."""
    binary = _require("wrk")
    return measure_client(
        lambda url, length, _: [binary, "-t1", f"-c{CONNECTIONS}", f"-d{length:g}s", "--latency", f"{url}/"], seconds
    )


def run_hey(seconds: float) -> Figures:
    """Fifty workers; it keeps the first million of results."""
    binary = _require("hey")
    return measure_client(
        lambda url, length, _: [binary, "-z", f"{length:g}s", "-c", str(CONNECTIONS), f"{url}/"], seconds
    )


def _require(program: str) -> str:
    binary = find_program(program)
    if binary is None:
        raise Absent(f"{program} is not installed")
    return binary


def run_k6(seconds: float) -> Figures:
    """Bodies are discarded, as its manual advises where nothing reads them."""
    return measure_client(_make_k6("http.get(`${URL}/`);", discard=True), seconds)


def run_k6_checked(seconds: float) -> Figures:
    """One name for all URLs, so that it keeps no series for each."""
    body = (
        "const answer = http.get(`${URL}/item?id=${__VU}-${__ITER}`, { tags: { name: 'item' } });"
        "check(answer, { ok: (it) => it.status === 200 && it.json('status') === 'ok' });"
    )
    return measure_client(_make_k6(body, discard=False), seconds)


def _make_k6(body: str, discard: bool) -> Command:
    def command(url: str, seconds: float, folder: str) -> list[str]:
        scenario = {
            "executor": "constant-vus",
            "vus": CONNECTIONS,
            "duration": f"{seconds:g}s",
            "gracefulStop": "0s",
        }
        return k6.write_command(folder, scenario, body.replace("${URL}", url), discard)

    return command


def run_locust(seconds: float) -> Figures:
    """`FastHttpUser`, which is its fast client."""
    return measure_client(_make_locust("Plain"), seconds)


def run_locust_checked(seconds: float) -> Figures:
    """`catch_response`, as its manual has it for checks."""
    return measure_client(_make_locust("Checked"), seconds)


def _make_locust(user: str) -> Command:
    binary, file = _require("locust"), Path(__file__).with_name("http_locust.py")
    start = [binary, "-f", str(file), user, "--headless", "--only-summary", "--loglevel", "ERROR"]

    def command(url: str, seconds: float, folder: str) -> list[str]:
        # Its run time is whole seconds.
        users = ["-u", str(CONNECTIONS), "-r", str(CONNECTIONS)]
        return [*start, *users, "-t", f"{round(seconds)}s", "-H", url]

    return command


def run_aiohttp(seconds: float) -> Figures:
    """Fifty tasks of `benchmarks/http_aiohttp.py`."""
    return measure_client(_make_module("benchmarks.http_aiohttp"), seconds)


def run_bare(seconds: float) -> Figures:
    """Fifty connections of `benchmarks/http_bare.py`."""
    return measure_client(_make_module("benchmarks.http_bare"), seconds)


def _make_module(module: str) -> Command:
    start, users = [sys.executable, "-m", module], str(CONNECTIONS)
    return lambda url, length, _: [*start, f"{url}/", f"{length:g}", users]


_FULL, _QUICK = {"seconds": 8}, {"seconds": 4}
FIGURES = (
    Figure("cpu", "CPU per request", "µs"),
    Figure("whole_cpu", "with its start", "µs"),
    Figure("rate", "requests/s", "/s"),
    Figure("client_busy", "its core busy", "%"),
    Figure("server_busy", "nginx's core busy", "%"),
)
_NOTE = (
    "Each contender runs for 2 s and for 8 s, and the difference of the two is told; the second column divides all of the"
    " long run, start included. nginx counts the requests. Where nginx is busy all the time, it sets the rate: compare CPU."
    " Of the CPU time of wrk and of bare httptools, most is the kernel's, which nobody can save."
)

ROWS = (
    Row(
        "http_client",
        "HTTP client, GET of 612 bytes over 50 connections, every request recorded",
        FIGURES,
        (
            Contender(
                AUREA,
                run_aurea,
                "`aurea run` of an `http` job, a closed model of 50 users. Per request: four instants, three marks, status"
                " and bytes, all kept up to a million; quantiles and findings at the end.",
                _FULL,
                _QUICK,
            ),
            Contender("wrk", run_wrk, "One thread, `--latency`: a histogram of all requests.", _FULL, _QUICK),
            Contender("hey", run_hey, "50 workers; times of the first million requests are kept.", _FULL, _QUICK),
            Contender(
                "k6",
                run_k6,
                "`constant-vus`, `http.get`, `discardResponseBodies`. Eight metrics a request, aggregated.",
                _FULL,
                _QUICK,
            ),
            Contender(
                "Locust", run_locust, "`FastHttpUser`, headless, one process. Statistics a request.", _FULL, _QUICK
            ),
            Contender("aiohttp", run_aiohttp, "50 tasks and one session on uvloop; times in a list.", _FULL, _QUICK),
        ),
        (
            Bound("cpu", 1 / 2, "wrk", "less"),
            Bound("cpu", 1.8, "hey", "less"),
            Bound("cpu", 5, "k6", "less"),
            Bound("cpu", 12, "Locust", "less"),
            Bound("cpu", 6, "aiohttp", "less"),
        ),
        _NOTE,
    ),
    Row(
        "http_checked",
        "HTTP client, a URL of its own for each request and a check of the JSON that comes back",
        FIGURES,
        (
            Contender(
                AUREA,
                run_aurea_checked,
                "A template in the URL, `expect.json` on a member; a failed check is a failed job.",
                _FULL,
                _QUICK,
            ),
            Contender(
                "k6", run_k6_checked, "A template literal, and `check` of the status and `json()`.", _FULL, _QUICK
            ),
            Contender(
                "Locust", run_locust_checked, "An f-string, and `json()` within `catch_response`.", _FULL, _QUICK
            ),
        ),
        (Bound("cpu", 3, "k6", "less"),),
        _NOTE,
    ),
)
