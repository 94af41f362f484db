"""Many runs, many scrapes: what is measured does not change, and nothing accumulates."""

from __future__ import annotations

import random
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import encode_json, result_to_dict, run_sync, spec_from_dict

pytestmark = pytest.mark.faults

STEADY = {
    "workload": {
        "job": {"kind": "sleep", "duration": 0.02},
        "arrivals": {"kind": "constant", "rate": 200},
        "duration": 4,
    }
}


@pytest.mark.realtime
def test_a_scrape_ten_times_a_second_does_not_move_the_mean(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    """The best of each, since what else the machine does can only make them worse."""
    server = serve()
    alone = min(server.run(STEADY)["response_time"]["mean"] for _ in range(3))
    stop, slow = threading.Event(), []

    def scrape() -> None:
        while not stop.wait(0.1):
            began = time.monotonic()
            assert server.ask("GET", "/metrics")[0] == 200
            slow.append(time.monotonic() - began)

    thread = threading.Thread(target=scrape)
    thread.start()
    scraped = min(server.run(STEADY)["response_time"]["mean"] for _ in range(3))
    stop.set()
    thread.join()
    assert scraped <= 1.25 * alone
    assert statistics.median(slow) < 0.05
    invariants(server)


@pytest.mark.realtime
def test_probes_answer_while_a_runner_burns_all_it_is_given(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    server = serve()
    spec = {
        "workload": {
            "job": {"kind": "sleep", "duration": 0},
            "arrivals": {"kind": "poisson", "rate": 1e6},
            "jobs": 1_000_000,
        },
        "clock": "virtual",
        "scheduler": {"kind": "shortest_first", "slots": 1},
    }
    run_id = server.accept(spec)
    server.running(run_id)
    took: dict[str, list[float]] = {"/health": [], "/metrics": []}
    until = time.monotonic() + 4
    while time.monotonic() < until:
        for path, times in took.items():
            began = time.monotonic()
            assert server.ask("GET", path)[0] == 200
            times.append(time.monotonic() - began)
        time.sleep(0.01)
    server.final(run_id)
    for path, times in took.items():
        assert statistics.median(times) < 0.05, path
    invariants(server)


@pytest.mark.realtime
def test_one_job_costs_little_beyond_itself(
    serve: Callable[..., Any], invariants: Callable[[Any], None], tmp_path: Path
) -> None:
    """The contract is 10 ms at the median on a quiet machine. Here the best of sixty, which other work spares.

    A machine or a disk may be slower by itself. There the same job and its two commits, made by this very process at the
    same moments, say by how much: HTTP, the queue and the runner's process may double that, and half as much again.
    """
    server = serve()
    over, floor = [], []
    ledger = sqlite3.connect(tmp_path / "floor.db")
    ledger.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE run (result BLOB)")
    for _ in range(60):
        began = time.monotonic()
        server.run(ONE_JOB)
        over.append(time.monotonic() - began - 0.010)
        began = time.monotonic()
        do_it_here(ledger)
        floor.append(time.monotonic() - began - 0.010)
    ledger.close()
    assert min(over) < max(0.010, 2.5 * min(floor)), (sorted(over), sorted(floor))
    invariants(server)


ONE_JOB = {"num_jobs": 1, "job_duration_ms": 10}


def do_it_here(ledger: sqlite3.Connection) -> None:
    """What no server can do without: the run, its result as JSON, and one commit before and one after it."""
    ledger.execute("INSERT INTO run VALUES ('accepted')")
    ledger.commit()
    ledger.execute(
        "UPDATE run SET result = ? WHERE rowid = last_insert_rowid()",
        (encode_json(result_to_dict(run_sync(spec_from_dict(ONE_JOB)))),),
    )
    ledger.commit()


def resident(server: Any) -> int:
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096


def mixed(server: Any, count: int, seed: int) -> None:
    chance = random.Random(seed)
    for i in range(count):
        match chance.randrange(8):
            case 0:
                server.ask("POST", "/benchmark/run", {"num_jobs": 0})
            case 1:
                run_id = server.accept({"num_jobs": 1, "job_duration_ms": 600_000})
                assert server.ask("POST", f"/benchmark/runs/{run_id}/cancel")[0] == 202
                server.final(run_id)
            case 2:
                server.run({"num_jobs": 2000, "job_duration_ms": 1})
            case 3:
                server.ask("GET", f"/benchmark/runs/{server.acknowledged[-1]}/jobs?format=csv")
            case 4 if i % 10 == 0:
                server.run({"workload": {"job": {"kind": "does", "what": "os_exit"}, "jobs": 1}})
            case _:
                server.run({"num_jobs": 5, "job_duration_ms": 1, "label": f"run {i}"})


def endure(server: Any, early: int, more: int, invariants: Callable[[Any], None]) -> None:
    mixed(server, early, 31)
    before = resident(server)
    mixed(server, more, 32)
    assert resident(server) <= 1.10 * before, f"{before:,} → {resident(server):,} bytes"
    server.acknowledged = server.acknowledged[-50:]
    invariants(server)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_mixed_runs_leave_nothing_behind(
    serve: Callable[..., Any], invariants: Callable[[Any], None], campaign: Callable[[int], int]
) -> None:
    endure(serve(), campaign(500), campaign(1500), invariants)
