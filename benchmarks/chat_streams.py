"""What a frame of a stream costs the client: 1,000 streams of 50 frames a second, client and server on a core each.

Every contender is run as a program, shortly and long, and the difference of the two is told, as in `benchmarks.http_client`.
Frames are counted by the server, which also tells how late it was itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contest import AUREA, Bound, Contender, Figure, Figures, Row
from benchmarks.http_client import (
    AUREA_PROGRAM,
    CLIENT_CORE,
    SERVER_CORE,
    Command,
    make_environment,
)
from benchmarks.machine import Program, pin, read_stolen, run_on_core

STREAMS, PER_SECOND, FRAMES = 1_000, 50, 100
FIRST = 0.05
SPREAD = 1000 // PER_SECOND
"""ms over which streams are spread that begin at once."""


class Server:
    """A running `benchmarks.chat_server`."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self._process, self.url = process, url

    def tell(self) -> dict[str, float]:
        """Frames and processor time so far, and the p99 of its lateness since the last time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        told: dict[str, float] = json.loads(self._process.stdout.readline())
        return told


@contextmanager
def open_server(spread: int = SPREAD) -> Iterator[Server]:
    """A server on the server's core."""
    command = pin(SERVER_CORE, [sys.executable, "-m", "benchmarks.chat_server", str(FRAMES), str(spread)])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(process, process.stdout.readline().strip())
        finally:
            process.communicate(timeout=60)


def measure_streams(command: Command, seconds: float, streams: int) -> Figures:
    """Figures of the program that ``command`` names, over what a run of a quarter of ``seconds`` took."""
    with tempfile.TemporaryDirectory() as folder, open_server() as server:
        short, long = (_send(server, command, length, folder) for length in (seconds / 4, seconds))
    spared = {name: long[name] - short[name] for name in ("cpu", "frames", "server_cpu")}
    # The last streams go on when no more are begun, in both runs alike.
    length = seconds * 3 / 4
    return {
        "cpu": spared["cpu"] / spared["frames"],
        "rate": spared["frames"] / length,
        "offered": streams * PER_SECOND,
        "client_busy": spared["cpu"] / length * 100,
        "server_busy": spared["server_cpu"] / length * 100,
        "server_late": long["late"],
    }


def _send(server: Server, command: Command, seconds: float, folder: str) -> dict[str, float]:
    before = server.tell()
    done = run_on_core(CLIENT_CORE, command(server.url, seconds, folder), make_environment())
    after = server.tell()
    return {
        "cpu": done.cpu,
        "frames": after["frames"] - before["frames"],
        "server_cpu": after["cpu"] - before["cpu"],
        "late": after["late"],
    }


def make_aurea(arrivals: dict[str, object], *more: str) -> Command:
    """`aurea run` of a chat with such arrivals."""

    def command(url: str, seconds: float, folder: str) -> list[str]:
        job = {"kind": "chat", "url": url, "model": "tiny", "prompts": ["Hello"]}
        # A thousand streams that end together are asked for again together, and late: that is the load, and no mistake.
        document = {
            "workload": {"job": job, "arrivals": arrivals, "duration": seconds},
            "thresholds": {"lag": 1.0, "late_ratio": 1.0},
        }
        file = Path(folder) / "spec.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        return [*AUREA_PROGRAM, "run", str(file), *more]

    return command


def run_aurea(seconds: float, streams: int = STREAMS) -> Figures:
    """The whole engine, from the specification to the table."""
    return measure_streams(make_aurea({"kind": "closed", "users": streams}), seconds, streams)


def run_aiohttp(seconds: float, streams: int = STREAMS) -> Figures:
    """A task for each stream of `benchmarks/chat_aiohttp.py`."""
    return measure_streams(_make_module("benchmarks.chat_aiohttp", streams), seconds, streams)


def run_bare(seconds: float, streams: int = STREAMS) -> Figures:
    """Connections of `benchmarks/chat_bare.py`."""
    return measure_streams(_make_module("benchmarks.chat_bare", streams), seconds, streams)


def _make_module(module: str, streams: int) -> Command:
    start = [sys.executable, "-m", module]
    return lambda url, length, _: [*start, url, f"{length:g}", str(streams)]


def run_first_tokens(seconds: float, streams: int = STREAMS) -> Figures:
    """The first token of a server that sends it after 50 ms, at half of the frames that the client can follow."""
    ceiling = 1 / run_aurea(seconds, streams)["cpu"]
    # An open model at random instants: evenly spaced, all streams would send their frames at the same few instants for ever.
    arrivals: dict[str, object] = {"kind": "poisson", "rate": max(ceiling / 2 / FRAMES, 1)}
    with tempfile.TemporaryDirectory() as folder, open_server(spread=0) as server:
        before, stolen = server.tell(), read_stolen(CLIENT_CORE)
        command = make_aurea(arrivals, "--json")(server.url, seconds, folder)
        done: Program = run_on_core(CLIENT_CORE, command, make_environment())
        after, stolen = server.tell(), read_stolen(CLIENT_CORE) - stolen
    lasted = seconds + FIRST + FRAMES / PER_SECOND
    first = json.loads(done.printed)["marks"]["first_token"]["from_start"]
    return {
        "ceiling": ceiling,
        "rate": (after["frames"] - before["frames"]) / lasted,
        "first_p50": first["p50"],
        "first_p95": first["p95"],
        "first_p99": first["p99"],
        "beyond": first["p99"] - FIRST,
        "server_late": after["late"],
        "client_busy": done.cpu / lasted * 100,
        "stolen": stolen / lasted * 100,
    }


_FULL, _QUICK = {"seconds": 16}, {"seconds": 6, "streams": 50}

ROWS = (
    Row(
        "chat_streams",
        "Streams of a language model, 1,000 at once with 50 frames a second each",
        (
            Figure("cpu", "CPU per frame", "µs"),
            Figure("rate", "frames/s", "/s"),
            Figure("offered", "of at most", "/s"),
            Figure("client_busy", "its core busy", "%"),
            Figure("server_busy", "server's core busy", "%"),
            Figure("server_late", "server late, p99", "ms"),
        ),
        (
            Contender(
                AUREA,
                run_aurea,
                "`aurea run` of a `chat` job, a closed model of 1,000 users. Seven marks, tokens and gaps of every answer,"
                " all gaps between frames, errors within streams.",
                _FULL,
                _QUICK,
            ),
            Contender(
                "aiohttp",
                run_aiohttp,
                "1,000 tasks and one session on uvloop; lines of `reply.content`, JSON by msgspec, the same marks and gaps.",
                _FULL,
                _QUICK,
            ),
            Contender(
                "bare",
                run_bare,
                "uvloop's transports, one look at the clock and one addition a segment: nothing is parsed.",
                _FULL,
                _QUICK,
            ),
        ),
        (Bound("cpu", 5, "aiohttp", "less"),),
        "Each contender runs for 4 s and for 16 s, and the difference is told. The server counts the frames. *bare* is what"
        " event loop and kernel take for a segment, which nobody can save in Python.",
    ),
    Row(
        "chat_first_token",
        "The first token of a server that sends it after 50 ms, at half of the client's ceiling",
        (
            Figure("ceiling", "ceiling, frames/s", "/s"),
            Figure("rate", "frames/s", "/s"),
            Figure("first_p50", "first token p50", "ms"),
            Figure("first_p95", "first token p95", "ms"),
            Figure("first_p99", "first token p99", "ms"),
            Figure("beyond", "p99 beyond 50 ms", "ms"),
            Figure("server_late", "server late, p99", "ms"),
            Figure("client_busy", "client's core busy", "%"),
            Figure("stolen", "client's core stolen", "%"),
        ),
        (
            Contender(
                AUREA,
                run_first_tokens,
                "`aurea run` of a `chat` job; the ceiling is 1 ÷ the CPU time of a frame at 1,000 streams.",
                _FULL,
                _QUICK,
            ),
        ),
        (Bound("beyond", 0.002, better="less"),),
        "What the server itself was late is a part of it, and so is what the hypervisor took from the client's core:"
        " where that is 1 % or more, in pieces of milliseconds, no client can keep a p99.",
    ),
)
