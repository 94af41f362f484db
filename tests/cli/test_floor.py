"""``--floor``: the same client against a null target in a process of its own, of which nothing is left, however it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import default_catalog, spec_from_dict
from aurea_server.cli.floor import make_measurer
from aurea_server.cli.null_target_process import open_null_target_process
from tests.targets.recording_server import RecordingServer

PROGRAM = "import sys; from aurea_server.__main__ import aurea; sys.exit(aurea())"


def descendants(pid: int) -> set[int]:
    """Processes below this one, as the kernel lists them."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | descendants(child)
    return found


@pytest.mark.service
def test_the_floor_stands_beside_the_figures(aurea: Any, target: RecordingServer, tmp_path: Path) -> None:
    """In the table and in JSON; the run's own figures are what they were. A credential goes to nobody else."""
    stored = tmp_path / "result.json"
    options = ("--jobs", "20", "--rate", "200", "-H", "X-Api-Key: Pl4nted", "--floor", "-o", stored)
    code, out, err = aurea("http", target.url(), *options)
    result = json.loads(stored.read_text())
    assert code in (0, 6)  # on a busy machine the run may be invalid, and has all its figures
    assert "measuring the floor of this client" in err
    assert "floor" in out
    assert result["num_jobs"] == len(target.received) == 20
    floor = result["floor"]
    assert floor["throughput"] > 0
    assert floor["users"] >= 1
    assert floor["response_time"]["count"] > 0
    assert result["spec"]["workload"]["job"]["url"] == target.url()


@pytest.mark.service
async def test_nothing_is_left_of_the_process() -> None:
    before = descendants(os.getpid())
    async with open_null_target_process(10) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rstrip("/").rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
    assert descendants(os.getpid()) <= before


@pytest.mark.service
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_nothing_behind(target: RecordingServer, number: signal.Signals) -> None:
    """In the middle of the floor: a polite signal ends it with the result of the run, SIGKILL without; no process stays."""
    command = [sys.executable, "-c", PROGRAM, "http", target.url(), "-n", "2", "--floor", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        children = _wait_for_children(process)
        os.kill(process.pid, number)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == -number
        assert _wait_for_end(children)
        if number != signal.SIGKILL:
            assert json.loads(out)["completed_jobs"] == 2


def _wait_for_children(process: subprocess.Popen[bytes]) -> set[int]:
    """The processes of the null target, once there are all three."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        if len(children := descendants(process.pid)) == 3:
            return children
        time.sleep(0.01)
    raise AssertionError("there was no null target")


def _wait_for_end(processes: set[int]) -> bool:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if not any(Path(f"/proc/{pid}").exists() for pid in processes):
            return True
        time.sleep(0.01)
    return False


HTTP = {"kind": "http", "url": "http://127.0.0.1:9/"}


@pytest.mark.parametrize(
    "job", [{"kind": "sleep", "duration": 0.01}, {"kind": "mix", "of": [{"weight": 1, "job": HTTP}]}]
)
def test_only_http_jobs_have_a_floor(aurea: Any, tmp_path: Path, job: dict[str, Any]) -> None:
    """Refused before anything is sent."""
    (tmp_path / "spec.json").write_text(json.dumps({"workload": {"job": job, "jobs": 1}}))
    code, out, err = aurea("run", tmp_path / "spec.json", "--floor")
    assert (code, out) == (2, "")
    assert "--floor: goes with a job of kind http" in err


def test_no_floor_on_a_server(aurea: Any) -> None:
    code, _, err = aurea("run", "--jobs", "1", "--floor", "--server", "http://127.0.0.1:9")
    assert code == 2
    assert "--floor: goes with a run on this machine" in err


def test_a_specification_of_http_is_accepted() -> None:
    spec = spec_from_dict({"workload": {"job": HTTP, "jobs": 1}}, default_catalog())
    assert callable(make_measurer(spec, default_catalog()))
