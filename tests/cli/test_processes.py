"""``--processes``: a run in several processes from the command line, as one result and one table."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.targets.recording_server import RecordingServer

pytestmark = pytest.mark.service

RAN = (0, 6)
"""Exit codes of a run without objectives: on a busy machine it may be invalid, and have done all its jobs."""


def test_option_runs_it_in_so_many_processes(aurea: Callable[..., Any]) -> None:
    code, out, err = aurea("run", "--jobs", 20, "--duration-ms", 10, "--processes", 2, "--json")
    result = json.loads(out)
    assert (code in RAN, err) == (True, "")
    assert (result["num_jobs"], result["completed_jobs"], result["status"]) == (20, 20, "completed")
    assert [shard["jobs"] for shard in result["shards"]] == [10, 10]
    assert (result["environment"]["processes"], result["environment"]["on_loss"]) == (2, "fail")
    assert "processes" not in result["spec"]


def test_member_of_a_file_says_it_too(aurea: Callable[..., Any], tmp_path: Path) -> None:
    """Beside the specification; the option has the last word."""
    file = tmp_path / "spec.json"
    file.write_text('{"num_jobs": 6, "job_duration_ms": 1, "processes": 2, "on_loss": "continue"}')
    result = json.loads(aurea("run", file, "--json")[1])
    assert (len(result["shards"]), result["environment"]["on_loss"]) == (2, "continue")
    result = json.loads(aurea("run", file, "--processes", 3, "--json")[1])
    assert (len(result["shards"]), result["environment"]["on_loss"]) == (3, "continue")


def test_table_has_a_line_for_each(aurea: Callable[..., Any]) -> None:
    code, out, _ = aurea("run", "--rate", "100/s", "--duration", 1, "--processes", 2)
    assert code in RAN
    lines = out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("shard "))
    assert [name in lines[head] for name in ("jobs", "late", "worst lag", "CPU", "busy", "process")] == [True] * 6
    assert [line.split()[:2] for line in lines[head + 1 : head + 3]] == [["0", "50"], ["1", "50"]]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--jobs", 5, "--processes", 0], '--processes: must be a whole number from 1 to 256, or "auto"'),
        (["--jobs", 5, "--processes", "many"], '--processes: must be a whole number from 1 to 256, or "auto"'),
        (["--jobs", 5, "--processes", 2, "--on-loss", "retry"], '--on-loss: must be "fail" or "continue"'),
        (["--jobs", 5, "--processes", 2, "--slots", 2], "scheduler.slots: cannot be used in a shard"),
        (["--jobs", 5, "--processes", 2, "--virtual"], "processes: cannot be used in virtual time"),
        (
            ["--jobs", 5, "--processes", 2, "--server", "http://127.0.0.1:1"],
            "--processes: goes with a run on this machine",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(aurea: Callable[..., Any], options: list[Any], told: str) -> None:
    code, out, err = aurea("run", *options)
    assert (code, out) == (2, "")
    assert told in err


def test_requests_come_from_both_processes(aurea: Callable[..., Any], target: RecordingServer, tmp_path: Path) -> None:
    """Each request once, and the file that is saved runs in as many again."""
    saved = tmp_path / "again.json"
    code, out, err = aurea(
        "http", target.url("/x"), "-n", 20, "--rate", 200, "--processes", 2, "--json", "--save", saved
    )
    assert code in RAN, err
    result = json.loads(out)
    assert (result["completed_jobs"], len(target.received), len(result["shards"])) == (20, 20, 2)
    assert json.loads(saved.read_text())["processes"] == 2
    assert len(json.loads(aurea("run", saved, "--json")[1])["shards"]) == 2


def test_credentials_reach_all_processes(aurea: Callable[..., Any], target: RecordingServer) -> None:
    """Those of the command line, which are in no specification, result or message."""
    header = "Authorization: Bearer tell-nobody"
    code, out, err = aurea("http", target.url("/x"), "-H", header, "-n", 10, "--rate", 200, "--processes", 2, "--json")
    assert code in RAN, err
    assert json.loads(out)["completed_jobs"] == 10
    assert [header in each.lines for each in target.received] == [True] * 10
    assert "tell-nobody" not in out + err


def test_each_row_goes_out_once(aurea: Callable[..., Any], target: RecordingServer, tmp_path: Path) -> None:
    """Over all processes; the arrivals end with the rows, and not sooner in one of them."""
    rows = [{"n": f"row{i}"} for i in range(20)]
    job = {"kind": "http", "url": target.url("/{{row.n}}"), "data": {"rows": rows, "pick": "once"}}
    workload = {"job": job, "arrivals": {"kind": "constant", "rate": 100}, "jobs": 50}
    file = tmp_path / "spec.json"
    file.write_text(json.dumps({"workload": workload, "processes": 3}))
    result = json.loads(aurea("run", file, "--json")[1])
    assert sorted(each.target for each in target.received) == sorted(f"/{row['n']}" for row in rows)
    assert result["completed_jobs"] == 20
    assert "data_exhausted" in {finding["code"] for finding in result["findings"]}


def wait_for_runners(pid: int, number: int) -> None:
    """Until so many processes that run jobs are below this one."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        waiting, names = [pid], []
        while waiting:
            each = waiting.pop()
            with contextlib.suppress(OSError):  # it may end at any moment
                names.append(Path(f"/proc/{each}/comm").read_text().strip())
                waiting += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
        if names.count("aurea-runner") == number:
            return
        time.sleep(0.02)
    raise AssertionError("the processes were not started")


def test_ctrl_c_ends_all_with_what_they_have() -> None:
    """To the whole group, as a terminal sends it: the result is written, and the command ends by that signal."""
    program = "import sys; from aurea_server.__main__ import aurea; sys.argv[0] = 'aurea'; aurea()"
    options = ["run", "--rate", "50/s", "--duration", "60", "--processes", "2", "--json"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as running:
        wait_for_runners(running.pid, 2)
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=120)
    assert (running.returncode, err) == (-signal.SIGINT, b"")
    result = json.loads(out)
    assert result["status"] == "cancelled"
    assert {shard["status"] for shard in result["shards"]} == {"cancelled"}
