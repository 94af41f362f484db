"""Makes a golden ledger with the Aurea that `python -m aurea_server` starts, and writes down what that Aurea says of it.

README.md tells how it was called. It runs once for a version that changes the ledger, never as a test: what it wrote down
is the oracle of every later version.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import http.client
import io
import json
import lzma
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

PRICES = {
    "per_second": {"kind": "per_second", "price": "0.000123"},
    "per_job": {"kind": "per_job", "price": "0.0000002"},
    "sheet": {"kind": "sheet", "name": "aws-lambda-x86-us-east-1", "memory_mb": 512},
    "packed": {"kind": "packed", "price": "0.04", "concurrency": 2},
}
"""Models by which each stored run is priced again: from usage alone, by a sheet, and from the records."""

SHEET = PRICES["sheet"]
EXPONENTIAL = {"kind": "exponential", "mean": 0.01}
COMPLETED: dict[str, dict[str, Any]] = {
    "real": {"num_jobs": 20, "job_duration_ms": 5, "label": "real"},
    "virtual": {
        "label": "virtual",
        "clock": "virtual",
        "seed": 7,
        "workload": {
            "job": {"kind": "sleep", "duration": EXPONENTIAL},
            "arrivals": {"kind": "poisson", "rate": 150},
            "jobs": 400,
        },
        "scheduler": {"kind": "fifo", "slots": 2, "queue_limit": 3},
        "warmup": 0.2,
        "objectives": [
            {"metric": "response_time", "quantile": 0.9, "at_most": 0.5},
            {"metric": "response_time", "quantile": 0.5, "at_most": 0.001},
        ],
    },
    "failed jobs": {
        "label": "failed jobs",
        "seed": 3,
        "workload": {
            "job": {
                "kind": "limited",
                "timeout": 0.012,
                "job": {
                    "kind": "faulty",
                    "failure_rate": 0.3,
                    "job": {"kind": "sleep", "duration": {"kind": "uniform", "low": 0.001, "high": 0.015}},
                },
            },
            "jobs": 60,
        },
        "scheduler": {"kind": "fifo", "slots": 10, "queue_limit": None},
    },
    "sheet": {
        "label": "sheet",
        "clock": "virtual",
        "seed": 11,
        "workload": {
            "job": {"kind": "sleep", "duration": 0.25},
            "arrivals": {"kind": "constant", "rate": 50},
            "jobs": 90,
        },
        "cost": SHEET,
    },
    "impatient": {
        "label": "impatient",
        "clock": "virtual",
        "seed": 5,
        "workload": {
            "job": {
                "kind": "mix",
                "of": [
                    {"weight": 3, "job": {"kind": "sleep", "duration": 0.02}},
                    {"weight": 1, "job": {"kind": "sleep", "duration": EXPONENTIAL}, "priority": 2},
                ],
            },
            "arrivals": {"kind": "poisson", "rate": 120},
            "jobs": 150,
            "patience": 0.05,
        },
        "scheduler": {"kind": "priority", "slots": 2},
    },
    "closed": {
        "label": "closed",
        "clock": "virtual",
        "seed": 13,
        "workload": {
            "job": {"kind": "sleep", "duration": EXPONENTIAL},
            "arrivals": {"kind": "closed", "users": 5, "think_time": 0.02},
            "jobs": 120,
        },
        "cost": {"kind": "composite", "of": [{"kind": "per_job", "price": "0.001"}, {"kind": "per_second"}]},
    },
    "aborted": {
        "label": "aborted",
        "clock": "virtual",
        "seed": 17,
        "workload": {
            "job": {"kind": "sleep", "duration": 0.02},
            "arrivals": {"kind": "constant", "rate": 200},
            "jobs": 20_000,
        },
        "scheduler": {"kind": "fifo", "slots": 2},
        "objectives": [{"metric": "response_time", "quantile": 0.5, "at_most": 0.01, "abort": True}],
    },
    "truncated": {
        "label": "truncated",
        "clock": "virtual",
        "seed": 19,
        "workload": {
            "job": {"kind": "sleep", "duration": 0.01},
            "arrivals": {"kind": "constant", "rate": 1000},
            "jobs": 12_000,
        },
    },
    "unpriced": {
        "label": "unpriced",
        "clock": "virtual",
        "seed": 29,
        "workload": {
            "job": {"kind": "sleep", "duration": 0.01},
            "arrivals": {"kind": "constant", "rate": 100},
            "jobs": 30,
        },
        "cost": {**SHEET, "as_of": "2001-01-01"},
    },
    "no records": {
        "label": "no records",
        "clock": "virtual",
        "seed": 23,
        "workload": {
            "job": {"kind": "sleep", "duration": EXPONENTIAL},
            "arrivals": {"kind": "poisson", "rate": 100},
            "jobs": 300,
        },
        "keep_jobs": False,
        "cost": PRICES["packed"],
    },
}
LONG = {"num_jobs": 3, "job_duration_ms": 60_000}
IDEMPOTENT = {"num_jobs": 7, "job_duration_ms": 3, "label": "idempotent"}
KEY = {"Prefer": "respond-async", "Idempotency-Key": "golden"}


class Server:
    """One real server on a data folder."""

    def __init__(self, data: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "aurea_server", "--port", "0", "--data", str(data), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        found = re.search(rb"http://\S+?:(\d+)\s", self.process.stdout.readline())
        assert found
        self.port = int(found[1])

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> bytes:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, content, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            self.status = answer.status
            return answer.read()

    def ended(self, run_id: str) -> None:
        while json.loads(self.ask("GET", f"/benchmark/runs/{run_id}"))["status"] in ("queued", "running"):
            time.sleep(0.05)

    def accept(self, spec: object, **headers: str) -> str:
        return str(
            json.loads(self.ask("POST", "/benchmark/run", spec, **{"Prefer": "respond-async", **headers}))[
                "benchmark_id"
            ]
        )

    def running(self, run_id: str) -> None:
        while json.loads(self.ask("GET", f"/benchmark/runs/{run_id}"))["status"] != "running":
            time.sleep(0.05)
        time.sleep(1)  # so that it has reported at least once

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()


def fill(data: Path) -> dict[str, str]:
    """Runs of every kind and every end; name → id."""
    server = Server(data, "--max-seconds", "4", "--drain", "0")
    runs = {}
    for name, spec in COMPLETED.items():
        result = json.loads(server.ask("POST", "/benchmark/run", spec))
        assert server.status == 200, result
        runs[name] = result["benchmark_id"]
    runs["idempotent"] = server.accept(IDEMPOTENT, **KEY)
    server.ended(runs["idempotent"])
    runs["cancelled"] = server.accept({**LONG, "label": "cancelled"})
    server.running(runs["cancelled"])
    runs["never begun"] = server.accept({**LONG, "label": "never begun"})
    for name in ("never begun", "cancelled"):
        server.ask("POST", f"/benchmark/runs/{runs[name]}/cancel", {})
        server.ended(runs[name])
    runs["timed out"] = server.accept({**LONG, "label": "timed out"})
    server.ended(runs["timed out"])
    runs["killed"] = server.accept({**LONG, "label": "killed"})
    server.running(runs["killed"])
    server.process.kill()  # so the next server finds a run that nobody ended
    server.process.communicate()
    server = Server(data, "--drain", "0")
    runs["interrupted"] = server.accept({**LONG, "label": "interrupted"})
    server.running(runs["interrupted"])
    server.stop()
    return runs


def digest(rows: list[list[Any]]) -> dict[str, Any]:
    """Rows that are too many to write down: their number, the first, the last, and a hash of all."""
    text = json.dumps(rows, separators=(",", ":")).encode()
    return {"rows": len(rows), "first": rows[:1], "last": rows[-1:], "sha256": hashlib.sha256(text).hexdigest()}


def digest_of_jobs(jobs: list[dict[str, Any]], names: list[str] | None = None) -> dict[str, Any]:
    """`digest` of these members of each job, or of all: a later version may write more of them."""
    names = list(jobs[0]) if names is None and jobs else names or []
    return {"columns": names, **digest([[job[name] for name in names] for job in jobs])}


def digest_of_csv(text: str, names: list[str] | None = None) -> dict[str, Any]:
    """The same of jobs as CSV."""
    reader = csv.DictReader(io.StringIO(text))
    return digest_of_jobs(list(reader), names or list(reader.fieldnames or []))


def digest_of_ndjson(text: bytes, names: list[str] | None = None) -> dict[str, Any]:
    """The same of jobs as NDJSON."""
    return digest_of_jobs([json.loads(line) for line in text.splitlines()], names)


def expectations(data: Path, runs: dict[str, str]) -> dict[str, Any]:
    """What a server on ``data`` says of its runs."""
    server = Server(data)
    found: dict[str, Any] = {"list": json.loads(server.ask("GET", "/benchmark/runs?limit=100"))["runs"], "runs": {}}
    for name, run_id in runs.items():
        where = f"/benchmark/runs/{run_id}"
        document = json.loads(server.ask("GET", where))
        jobs = document.pop("jobs")
        priced = {}
        for model, cost in PRICES.items():
            answer = json.loads(server.ask("POST", f"{where}/reprice", {"cost": cost}))
            priced[model] = {"status": server.status, "answer": answer}
        found["runs"][run_id] = {
            "name": name,
            "document": document,
            "jobs": digest_of_jobs(jobs),
            "csv": digest_of_csv(server.ask("GET", f"{where}/jobs?format=csv").decode()),
            "ndjson": digest_of_ndjson(server.ask("GET", f"{where}/jobs?format=ndjson")),
            "prices": priced,
        }
    server.stop()
    return found


def main(folder: Path) -> None:
    """Write ``ledger.tar.xz`` and ``expected.json.xz`` into ``folder``."""
    data = folder / "data"
    runs = fill(data)
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as archive:
        for path in sorted(data.rglob("*")):
            if path.is_file() and path.name != "ledger.lock":
                archive.add(path, str(path.relative_to(data)))
    expected = expectations(data, runs)
    (folder / "ledger.tar.xz").write_bytes(lzma.compress(files.getvalue(), preset=9))
    text = json.dumps(expected, indent=1).encode()
    (folder / "expected.json.xz").write_bytes(lzma.compress(text, preset=9))
    shutil.rmtree(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
