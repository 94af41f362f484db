"""``aurea run`` on this machine: what goes in, what comes out, with which code it ends, also when it is interrupted."""

from __future__ import annotations

import contextlib
import io
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

from aurea_server.cli.exit_codes import choose_exit_code

SPEC = {
    "workload": {
        "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.01}},
        "arrivals": {"kind": "poisson", "rate": 50},
        "jobs": 200,
    },
    "scheduler": {"slots": 1},
    "clock": "virtual",
}
PROGRAM = "import sys; from aurea_server.__main__ import aurea; sys.exit(aurea())"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(SPEC))
    return path


def test_the_seed_form_on_the_command_line(aurea: Callable[..., Any]) -> None:
    code, out, err = aurea("run", "--jobs", 3, "--duration-ms", 1, "--seed", 5, "--json")
    result = json.loads(out)
    assert (code, err, result["completed_jobs"], result["spec"]["seed"]) == (0, "", 3, 5)


@pytest.mark.parametrize(
    ("options", "workload"),
    [
        (("--rate", "60/m", "--duration", "2s"), {"jobs": None, "duration": 2.0}),
        (("--rate", "1", "--duration", "2"), {"jobs": None, "duration": 2.0}),
        (("--rate", "1/s", "--jobs", "2"), {"jobs": 2, "duration": None}),
        (("--rate", "1/s", "--jobs", "2", "--duration", "1h"), {"jobs": 2, "duration": 3600.0}),
    ],
)
def test_a_rate_and_a_duration_need_no_file(aurea: Any, options: Any, workload: dict[str, Any]) -> None:
    """Evenly spaced jobs, each of the length that --duration-ms says; units as in a file."""
    code, out, _ = aurea("run", *options, "--duration-ms", 5, "--warmup", "500ms", "--virtual", "--json")
    spec = json.loads(out)["spec"]
    assert (code, json.loads(out)["num_jobs"], spec["warmup"]) == (0, 2, 0.5)
    assert {name: given for name, given in spec["workload"].items() if given is not None or name in workload} == {
        "job": {"kind": "sleep", "duration": {"kind": "constant", "value": 0.005}},
        "arrivals": {"kind": "constant", "rate": 1.0},
        **workload,
    }


def test_times_of_a_file_can_be_changed(aurea: Any, spec: Path) -> None:
    """--rate, --duration and --warmup take the place of what stands there."""
    code, out, _ = aurea("run", spec, "--rate", "6000/m", "--duration", "1s", "--warmup", "auto", "--json")
    ran = json.loads(out)["spec"]
    assert code == 0
    assert (ran["workload"]["arrivals"]["rate"], ran["workload"]["duration"], ran["warmup"]) == (100.0, 1.0, "auto")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--jobs", "10k"), "10000 for 10k"),
        (("--jobs", "1e3"), "no whole number"),
        (("--jobs", "1", "--rate", "5s"), 'a rate such as "500/s"'),
        (("--rate", "5/s", "--duration", "2x"), 'a duration such as "250ms"'),
        (("--rate", "5/s", "--duration", "2M"), 'did you mean "2m"'),
        (("--rate", "5/s"), "--rate and --duration"),
        (("--jobs", "1", "--duration", "5s"), "--duration needs a --rate"),
        (("--jobs", "1", "--warmup", "later"), 'a duration such as "250ms"'),
    ],
)
def test_options_without_sense_are_refused(aurea: Any, options: Any, told: str) -> None:
    """Exit code 2, and what would be right."""
    code, out, err = aurea("run", *options, "--virtual")
    assert (code, out) == (2, "")
    assert told in " ".join(err.replace("│", " ").split())


def test_a_trace_of_a_file_runs_and_repeats(aurea: Any, tmp_path: Path) -> None:
    """The result names the file with its digest; a run of the result is refused once the file has changed."""
    trace, spec, result = tmp_path / "t.csv", tmp_path / "spec.json", tmp_path / "result.json"
    trace.write_text("when,tokens\n2023-11-16 18:17:03.9799600,1\n2023-11-16 18:17:04.0319600,2\n")
    arrivals = {"kind": "trace", "file": str(trace), "column": "when"}
    spec.write_text(json.dumps({"workload": {"job": {"kind": "sleep"}, "arrivals": arrivals}, "clock": "virtual"}))
    assert aurea("run", spec, "-o", result)[0] == 0
    code, out, _ = aurea("run", result, "--json")
    assert (code, [job["intended"] for job in json.loads(out)["jobs"]]) == (0, [0.0, 0.052])
    trace.write_text(trace.read_text() + "2023-11-16 18:17:05,3\n")
    code, _, err = aurea("run", result)
    assert (code, "workload.arrivals.sha256" in err) == (2, True)


def test_a_batch_has_no_rate_to_change(aurea: Any, tmp_path: Path) -> None:
    """A file of num_jobs, or one whose arrivals have no rate."""
    for text in ('{"num_jobs": 2}', '{"workload": {"job": {"kind": "sleep"}, "jobs": 2}}'):
        (tmp_path / "spec.json").write_text(text)
        code, _, err = aurea("run", tmp_path / "spec.json", "--rate", "5/s")
        assert (code, "--rate" in err) == (2, True)


def test_the_report_is_for_people(aurea: Callable[..., Any], spec: Path) -> None:
    code, out, err = aurea("run", spec, "--seed", 1)
    assert (code, err) == (0, "")
    assert "response time" in out


def test_a_result_can_be_run_again(aurea: Callable[..., Any], spec: Path, tmp_path: Path) -> None:
    """It has its seed in it: in virtual time the figures are the same to the last bit, whoever wrote it."""
    result = tmp_path / "result.json"
    assert aurea("run", spec, "-o", result)[0] == 0
    code, out, _ = aurea("run", result, "--json")
    assert code == 0
    first, again = json.loads(result.read_bytes()), json.loads(out)
    for name in ("spec", "response_time", "waiting_time", "counts", "cost", "usage", "series", "theory"):
        first["usage"]["run"].pop("started_at", None)
        again["usage"]["run"].pop("started_at", None)
        assert first[name] == again[name], name


def test_flags_change_what_the_file_says(aurea: Callable[..., Any], spec: Path) -> None:
    _, out, _ = aurea("run", spec, "--slots", 7, "--label", "seven", "--seed", 3, "--json")
    shown = json.loads(out)["spec"]
    assert (shown["scheduler"]["slots"], shown["label"], shown["seed"]) == (7, "seven", 3)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--jobs", "0"), "num_jobs"),
        (("--jobs", "1", "--duration-ms", "-1"), "job_duration_ms"),
        ((), "--jobs"),
        (("nowhere.json",), "nowhere.json"),
        (("--jobs", "1", "-o", "/nowhere/result.json"), "/nowhere/result.json"),
    ],
)
def test_bad_input_is_named_with_code_2(aurea: Callable[..., Any], arguments: tuple[str, ...], named: str) -> None:
    code, out, err = aurea("run", *arguments)
    assert (code, out) == (2, "")
    assert named in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "line 1"),
        ("[]", "must be an object"),
        ('{"num_jobs": 1, "num_jobs": 2}', "num_jobs"),
        ('{"benchmark_id": "x", "num_jobs": 1}', "benchmark_id"),
        ('{"benchmark_id": "x", "spec": 7}', "benchmark_id"),
    ],
)
def test_a_bad_file_is_explained(aurea: Callable[..., Any], tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "spec.json"
    path.write_text(text)
    code, _, err = aurea("run", path)
    assert code == 2
    assert named in err


MISSED = {"metric": "throughput", "at_least": 1000}
MET = {"metric": "throughput", "at_least": 1}
UNDECIDED = {"metric": "response_time", "quantile": 0.9999, "at_most": 60}
"""200 jobs say nothing of one in ten thousand."""


@pytest.mark.parametrize(
    ("objectives", "code"),
    [([], 0), ([MET], 0), ([MISSED], 3), ([UNDECIDED], 6), ([MET, UNDECIDED], 6), ([UNDECIDED, MISSED, MET], 3)],
)
def test_missed_is_3_and_not_decided_6(
    aurea: Callable[..., Any], tmp_path: Path, objectives: list[Any], code: int
) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({**SPEC, "objectives": objectives}))
    assert aurea("run", path)[0] == code


@pytest.mark.parametrize("outcomes", [[], ["met"], ["missed"], ["met", "inconclusive"]])
def test_an_invalid_run_is_never_a_pass(outcomes: list[str]) -> None:
    assert choose_exit_code("completed", "invalid", outcomes) == 6
    assert choose_exit_code("aborted", "invalid", outcomes) == 6


@pytest.mark.parametrize("status", ["cancelled", "timed_out", "failed", "interrupted"])
def test_a_run_that_did_not_end_well_failed(status: str) -> None:
    assert [choose_exit_code(status, verdict, ["met"]) for verdict in ("valid", "invalid", None)] == [1, 1, 1]


def test_a_specification_comes_from_stdin(aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (("-", "--json"), ("--json", "-"), ("--json", "--slots", 2, "-")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(SPEC).encode())))
        code, out, _ = aurea("run", *arguments)
        assert (code, json.loads(out)["completed_jobs"]) == (0, 200)


def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "run", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


@pytest.fixture
def long_run(saying: Any) -> Any:
    """A run that has begun, and goes on for a minute."""
    process = start(str(saying.spec), "--json", env=saying.environment)
    saying.begun(process)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.service
def test_ctrl_c_ends_the_run_with_what_it_has(long_run: Any) -> None:
    long_run.send_signal(signal.SIGINT)
    out, err = long_run.communicate(timeout=120)
    assert (long_run.returncode, err) == (-signal.SIGINT, b"")
    result = json.loads(out)
    assert (result["status"], result["counts"]["cancelled"]) == ("cancelled", 1)


@pytest.mark.service
def test_a_reader_that_leaves_is_no_news() -> None:
    """``aurea run --json | head -1``: no traceback, and a code that says that not all was told."""
    process = start("--jobs", "20000", "--duration-ms", "0", "--virtual", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(120) == 1
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""


@pytest.fixture
def burning(tmp_path: Path) -> Any:
    """A run whose workers burn, in a process group of its own as a shell makes it."""
    (tmp_path / "spec.json").write_text('{"workload": {"job": {"kind": "cpu", "duration": 600}, "jobs": 2}}')
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    process = start(str(tmp_path / "spec.json"), "--json", env=environment, start_new_session=True)
    until = time.monotonic() + 120
    while not (at_work := [pid for pid in workers(process.pid) if burns(pid)]) and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    assert at_work
    yield process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def workers(group: int) -> list[int]:
    """Processes of the group but its leader, and but those that only wait to be reaped."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError, ValueError):
            state, _, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group != int(folder.name) and state != "Z":
                found.append(int(folder.name))
    return found


def await_end(group: int) -> None:
    """Until no worker is left: on a busy machine the kernel takes its time."""
    until = time.monotonic() + 120
    while left := workers(group):
        assert time.monotonic() < until, left
        time.sleep(0.02)


def burns(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]) > 20
    return False


@pytest.mark.service
def test_workers_leave_ctrl_c_to_the_program(burning: Any) -> None:
    """Ctrl-C reaches the workers too and they leave it to the program."""
    os.killpg(burning.pid, signal.SIGINT)
    out, err = burning.communicate(timeout=120)
    assert (burning.returncode, err) == (-signal.SIGINT, b"")
    result = json.loads(out)
    assert (result["status"], result["counts"]["cancelled"]) == ("cancelled", 2)


@pytest.mark.service
@pytest.mark.parametrize("pause", [0, 0.02])
def test_ctrl_c_twice_ends_at_once(burning: Any, pause: float) -> None:
    """Whatever the first has come to; never a traceback, and no worker is left."""
    group = burning.pid
    os.killpg(group, signal.SIGINT)
    time.sleep(pause)
    os.killpg(group, signal.SIGINT)
    _, err = burning.communicate(timeout=120)
    assert (burning.returncode, err) == (-signal.SIGINT, b"")
    await_end(group)


@pytest.mark.service
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_workers_end_with_the_program(burning: Any, number: int) -> None:
    """Workers end with the program and say nothing."""
    burning.send_signal(number)
    _, err = burning.communicate(timeout=120)
    assert (burning.returncode, err) == (-number, b"")
    await_end(burning.pid)
