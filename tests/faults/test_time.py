"""Time goes wrong: the wall clock is set while runs are on, and processes are put to sleep and woken."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults.strikes import HANGS

pytestmark = pytest.mark.faults

QUICK = {"num_jobs": 3, "job_duration_ms": 1}
DAY = 24 * 3600


@pytest.fixture
def step(tmp_path: Path, require: Callable[..., str]) -> Path:
    """The file that says how wrong the wall clock is, in seconds."""
    source = Path(__file__).parent / "stepping_clock.c"
    library = tmp_path / "stepping_clock.so"
    subprocess.run([require("cc"), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    file = tmp_path / "step"
    file.write_text("0")
    return file


@pytest.fixture
def clocked(serve: Callable[..., Any], step: Path) -> Any:
    """A server whose wall clock is set by that file."""
    return serve(LD_PRELOAD=str(step.parent / "stepping_clock.so"), AUREA_STEP=str(step))


@pytest.mark.parametrize("seconds", [-365 * DAY, -1, 1, 20 * DAY])
def test_a_wall_clock_that_is_set_during_a_run_changes_no_figure(
    clocked: Any, step: Path, invariants: Callable[[Any], None], seconds: int
) -> None:
    before = clocked.run(QUICK)
    run_id = clocked.accept({"num_jobs": 20, "job_duration_ms": 800})
    clocked.running(run_id)
    step.write_text(str(seconds))
    result = clocked.final(run_id)
    assert result["status"] == "completed"
    assert result["completed_jobs"] == 20
    assert 0.8 <= result["service_time"]["min"] <= result["duration"] < HANGS
    begun, ended = (datetime.fromisoformat(result[name]) for name in ("start_time", "end_time"))
    assert (ended - begun).total_seconds() == pytest.approx(result["duration"], abs=0.002)
    after = clocked.run(QUICK)
    labels = [datetime.fromisoformat(each["start_time"]) for each in (before, after)]
    assert (labels[1] - labels[0]).total_seconds() == pytest.approx(seconds, abs=HANGS)  # the clock is really wrong
    ids = [clocked.get(each)["benchmark_id"] for each in (before["benchmark_id"], run_id, after["benchmark_id"])]
    assert ids == sorted(ids, key=lambda text: int(text.rpartition("-")[2]))
    assert [row["benchmark_id"] for row in clocked.ask("GET", "/benchmark/runs?limit=3")[2]["runs"]] == ids[::-1]
    invariants(clocked)


def test_a_server_that_starts_in_the_past_goes_on_counting(
    clocked: Any, step: Path, invariants: Callable[[Any], None]
) -> None:
    """Ids are never given twice, whatever the clock says after a restart; nothing of the future is lost."""
    known = [clocked.run(QUICK)["benchmark_id"] for _ in range(3)]
    assert clocked.stop() == 0
    step.write_text(str(-400 * DAY))
    clocked.start()
    known += [clocked.run(QUICK)["benchmark_id"] for _ in range(3)]
    numbers = [int(text.rpartition("-")[2]) for text in known]
    assert numbers == sorted(set(numbers))
    assert all(clocked.get(run_id)["status"] == "completed" for run_id in known)
    invariants(clocked)


def test_start_in_the_future_deletes_nothing(clocked: Any, step: Path, invariants: Callable[[Any], None]) -> None:
    """Longer than the history is kept: it is the clock that is wrong, until it has been so for a day."""
    known = [clocked.run(QUICK)["benchmark_id"] for _ in range(3)]
    assert clocked.stop() == 0
    step.write_text(str(400 * DAY))
    clocked.start()
    time.sleep(1.5)  # retention is looked at when a server starts
    assert all(clocked.get(run_id)["status"] == "completed" for run_id in known)
    clocked.mark = None
    invariants(clocked)


def test_a_server_that_slept_goes_on_where_it_was(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    """Stopped for longer than a progress report, a header's deadline is not, with a run on and one waiting."""
    server = serve()
    # On a machine without time a short run is over before it is put to sleep, and right to be valid: then a longer one.
    for milliseconds in (1500, 15_000, 60_000):
        run_id, waiting = server.accept({"num_jobs": 5, "job_duration_ms": milliseconds}), server.accept(QUICK)
        if not server.running(run_id):
            continue
        everybody = [server.process.pid, *server.children()]
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(3)
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)
        result = server.final(run_id)
        assert (result["status"], result["completed_jobs"]) == ("completed", 5)
        assert server.final(waiting)["status"] == "completed"
        if result["duration"] > 3:
            break
    assert result["verdict"] != "valid"  # three seconds in which nothing ran are no measurement, and it says so
    invariants(server)


@pytest.mark.parametrize("signals", [(signal.SIGSTOP,), (signal.SIGSTOP, signal.SIGCONT)])
def test_a_runner_that_is_put_to_sleep_is_ended_by_the_deadline(
    serve: Callable[..., Any], invariants: Callable[[Any], None], signals: tuple[int, ...]
) -> None:
    """A runner that never wakes is killed; one that wakes in time ends its run itself."""
    # On a machine without time a short limit is over before the runner is put to sleep: then a longer one.
    for limit in ("2", "20", "100"):
        server = serve("--max-seconds", limit)
        run_id = server.accept({"num_jobs": 1, "job_duration_ms": 600_000})
        runner = server.runner()
        if server.running(run_id):
            os.kill(runner, signal.SIGSTOP)
            if server.get(run_id)["status"] == "running":
                break
            os.kill(runner, signal.SIGCONT)
    for number in signals:
        os.kill(runner, number)
        time.sleep(0.5)
    assert server.final(run_id)["status"] == "timed_out"
    assert server.run(QUICK)["completed_jobs"] == 3
    invariants(server)
