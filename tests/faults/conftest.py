"""A real server process, faults to put it through, and the eight invariants that must hold after each of them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.strikes import HANGS, ProcessorShare, within

HERE = Path(__file__).parent
FINAL = {"completed", "failed", "cancelled", "timed_out", "aborted", "interrupted"}
DOCUMENTED_EXITS = {0, 2, 3, 4, 5, 70, 129, 130, 143, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT}
BAD_WORDS = re.compile(r"Traceback|never retrieved|was destroyed but it is pending|InvalidStateError|was never awaited")
ONE_JOB = {"num_jobs": 1, "job_duration_ms": 10}


def processes() -> dict[int, tuple[int, str, str]]:
    """Every process: pid → (parent, state, command line)."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                found[int(folder.name)] = int(fields[1]), fields[0], command
    return found


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


class Server:
    """One server process and what was acknowledged by it, over restarts."""

    def __init__(self, folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.folder, self.arguments = folder, arguments
        self.log = folder / "log"
        self.data = folder / "data"
        self.acknowledged: list[str] = []
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [str(HERE / "hostile"), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
            ),
            **(environment or {}),
        }
        self.process: subprocess.Popen[bytes]
        self.port = 0
        self.mark: dict[str, Any] | None = None
        self.tries = 1
        """How often a run of one job is made, where the limit of this server's runs is one that a busy machine passes."""

    def start(self, *more: str, wait: bool = True, prefix: tuple[str, ...] = ()) -> Server:
        command = [*prefix, sys.executable, "-m", "aurea_server", "--port", str(self.port), "--data", str(self.data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.arguments, *more],
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.environment,
                cwd=self.folder,
            )
        if wait:
            self.ready()
        return self

    def ready(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        found = re.search(r"http://\S+?:(\d+)\s", line)
        assert found, f"no server: {line!r}, {self.log.read_text()[-2000:]}"
        self.port = int(found[1])

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, timeout: float = HANGS
    ) -> tuple[int, dict[str, str], Any]:
        """(status, headers, decoded body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            sent = {"Content-Type": "application/json"} if method not in ("GET", "HEAD") else {}
            connection.request(method, path, data, {**sent, **(headers or {})})
            answer = connection.getresponse()
            content = answer.read()
            names = {name.lower(): value for name, value in answer.getheaders()}
            is_json = "json" in names.get("content-type", "") and "ndjson" not in names["content-type"]
            return answer.status, names, json.loads(content) if is_json and content else content
        finally:
            connection.close()

    def run(self, spec: Any, **options: Any) -> Any:
        status, _, result = self.ask("POST", "/benchmark/run", spec, **options)
        assert status == 200, result
        self.acknowledged.append(result["benchmark_id"])
        return result

    def accept(self, spec: Any, **headers: str) -> str:
        status, names, document = self.ask("POST", "/benchmark/run", spec, {"Prefer": "respond-async", **headers})
        assert status == 202, document
        self.acknowledged.append(document["benchmark_id"])
        assert names["location"] == f"/benchmark/runs/{document['benchmark_id']}"
        return document["benchmark_id"]

    def get(self, run_id: str) -> Any:
        status, _, document = self.ask("GET", f"/benchmark/runs/{run_id}")
        assert status == 200, document
        return document

    def final(self, run_id: str, seconds: float = HANGS) -> Any:
        """The run once it has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            document = self.get(run_id)
            if document["status"] in FINAL:
                return document
            time.sleep(0.05)
        raise AssertionError(f"{run_id} is still {document['status']} after {seconds} s")

    def running(self, run_id: str, seconds: float = HANGS) -> bool:
        """Wait until the run has begun. Whether it is still on: a short one may be over before anybody sees it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if (status := self.get(run_id)["status"]) != "queued":
                return bool(status == "running")
            time.sleep(0.02)
        raise AssertionError(f"{run_id} did not begin")

    def stopping(self) -> None:
        """Wait until the signal that it was sent has been heard, as readiness says."""
        until = time.monotonic() + HANGS
        while self.ask("GET", "/health/ready")[0] != 503:
            assert time.monotonic() < until, "it does not stop"
            time.sleep(0.02)

    def metrics(self) -> dict[str, float]:
        _, _, text = self.ask("GET", "/metrics")
        pairs = (line.rsplit(" ", 1) for line in text.decode().splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def children(self) -> dict[int, tuple[int, str, str]]:
        """All descendants, and what is left of process groups that they led."""
        table = processes()
        known = {self.process.pid}
        for _ in range(5):
            known |= {pid for pid, (parent, _, _) in table.items() if parent in known}
        return {pid: table[pid] for pid in known - {self.process.pid} if pid in table}

    def runner(self, name: str = "aurea-runner") -> int:
        """The process that executes runs, warm or busy; or ``aurea-guard`` or ``aurea-keeper`` around it."""
        parents = {"aurea-runner": "aurea-guard", "aurea-guard": "aurea-keeper", "aurea-keeper": ""}
        until = time.monotonic() + HANGS
        while time.monotonic() < until:
            for pid, (parent, state, _) in self.children().items():
                theirs = _name(parent) if parents[name] else ""
                if (_name(pid), theirs) == (name, parents[name]) and state != "Z":
                    return pid
            time.sleep(0.02)
        raise AssertionError(f"there is no {name}")

    def census(self) -> dict[str, Any]:
        """What must come back to where it was."""
        proc = Path(f"/proc/{self.process.pid}")
        children = self.children()
        return {
            "descriptors": len(list((proc / "fd").iterdir())),
            "threads": len(list((proc / "task").iterdir())),
            "children": len([1 for _, state, _ in children.values() if state != "Z"]),
            "zombies": len([1 for _, state, _ in children.values() if state == "Z"]),
        }

    def settled(self) -> Server:
        """Remember the census, once a first run has loaded all there is to load."""
        self.run(ONE_JOB)
        self.ask("GET", f"/benchmark/runs/{self.acknowledged[-1]}")
        self.runner()
        self.mark = self._quiet_census()
        return self

    def _quiet_census(self, want: dict[str, Any] | None = None) -> dict[str, Any]:
        until, census = time.monotonic() + (8 if want is None else HANGS), self.census()
        while time.monotonic() < until:
            time.sleep(0.1)
            again = self.census()
            if again == census if want is None else all(again[name] <= want[name] for name in want):
                return again
            census = again
        return census

    def holds(self, client: socket.socket) -> bool:
        """Whether the server still has its end of that connection."""
        ports = f":{self.port:04X}", f":{client.getsockname()[1]:04X}"
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return any(line[1].endswith(ports[0]) and line[2].endswith(ports[1]) and line[9] != "0" for line in lines)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self, seconds: float = HANGS) -> int:
        code = self.process.wait(seconds)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def stop(self) -> int:
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.ended()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.ended()
            raise AssertionError(f"it did not stop within {HANGS:.0f} s") from None

    def integrity(self) -> list[str]:
        """``PRAGMA integrity_check`` of a copy, so that there is never a second connection to the ledger itself."""
        with tempfile.TemporaryDirectory() as folder:
            for name in ("ledger.db", "ledger.db-wal"):
                if (self.data / name).exists():
                    shutil.copy(self.data / name, folder)
            with contextlib.closing(sqlite3.connect(f"{folder}/ledger.db")) as connection:
                return [row[0] for row in connection.execute("PRAGMA integrity_check")]

    def states(self) -> dict[str, str]:
        """Run → state, from a copy of the ledger."""
        with tempfile.TemporaryDirectory() as folder:
            for name in ("ledger.db", "ledger.db-wal"):
                if (self.data / name).exists():
                    shutil.copy(self.data / name, folder)
            with contextlib.closing(sqlite3.connect(f"{folder}/ledger.db")) as connection:
                return dict(connection.execute("SELECT id, state FROM run"))


def check_invariants(server: Server) -> None:
    """The eight. The server may be serving, or have ended."""
    if server.process.poll() is not None:
        assert server.process.returncode in DOCUMENTED_EXITS, f"1: exit code {server.process.returncode}"
        server.start()
        server.mark = None
    with within(2, "2: health"):
        status, _, health = server.ask("GET", "/health")
    assert (status, health["status"]) == (200, "healthy"), "2: health"
    with ProcessorShare() as processor:
        for _ in range(server.tries):
            if (result := server.run(ONE_JOB))["status"] != "timed_out":
                break
    assert result["completed_jobs"] == 1, f"3: {result}"
    took = result["mean_latency"]
    assert 0.010 <= took, f"3: a job of 10 ms took {took}"
    assert took * processor.share < 5, f"3: a job of 10 ms took {took}"
    assert result["total_cost"] == pytest.approx(0.001 * result["mean_latency"], abs=1e-9), "3: its cost is wrong"
    for run_id in server.acknowledged:
        assert server.final(run_id)["benchmark_id"] == run_id, "4: an acknowledged run is lost"
    if server.mark is not None:
        census = server._quiet_census(server.mark)
        over = {name: (value, server.mark[name]) for name, value in census.items() if value > server.mark[name]}
        assert not over, f"5: more than before: {over}"
    found = BAD_WORDS.search(server.log.read_text("utf-8", "replace"))
    assert found is None, f"6: in the log: {server.log.read_text('utf-8', 'replace')[-3000:]}"
    assert server.integrity() == ["ok"], "7: integrity"
    metrics = server.metrics()
    ended = sum(value for name, value in metrics.items() if name.startswith("benchmark_run_outcomes_total{"))
    started = metrics["benchmark_runs_total"]
    assert started == ended + metrics["benchmark_runs_in_progress"], f"8: started {started}, ended {ended}"


@pytest.fixture
def invariants() -> Callable[[Server], None]:
    return check_invariants


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """``serve("--max-seconds", "5")`` is a running server; it is stopped, and its log is read, in the end."""
    servers: list[Server] = []

    def make(*arguments: str, start: bool = True, **environment: str) -> Server:
        folder = tmp_path / f"server-{len(servers)}"
        folder.mkdir()
        server = Server(folder, *arguments, environment=environment)
        servers.append(server)
        return server.start().settled() if start else server

    yield make
    for server in servers:
        if hasattr(server, "process"):
            if server.process.poll() is None:
                server.process.kill()
            server.ended()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
