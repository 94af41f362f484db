"""``aurea run`` in a real pseudo-terminal: the charts of a run that is on, and what the terminal is left with."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cli.pseudo_terminal import PATIENCE, pseudo_terminal

pytestmark = pytest.mark.service

PROGRAM = [sys.executable, "-c", "import sys; from aurea_server.__main__ import aurea; sys.exit(aurea())"]
ROOT = Path(__file__).parents[2]
RATE, P99 = "completed per second", "p99 response time"
BLOCKS = set("▁▂▃▄▅▆▇█")
LONG = {
    "workload": {
        "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.02}},
        "arrivals": {"kind": "poisson", "rate": 50},
        "duration": 600,
    },
    "label": "long",
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a terminal with colours; nothing of the one in which the tests run."""
    away = ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    kept = {name: value for name, value in os.environ.items() if name not in away and not name.startswith("AUREA_")}
    return {
        **kept,
        "TERM": "xterm-256color",
        "PYTHONPATH": str(ROOT),
        "XDG_DATA_HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(LONG))
    return file


def has_charts(lines: list[str]) -> bool:
    titles = any(RATE in line and P99 in line for line in lines)
    return titles and any("│" in line and set(line) & BLOCKS for line in lines)


def area_of(lines: list[str]) -> list[str]:
    """The line of the run, and what stands beneath it."""
    first = next(i for i, line in enumerate(lines) if line.startswith("long "))
    return [line for line in lines[first:] if line]


def test_charts_while_a_run_is_on(environment: dict[str, str], spec: Path) -> None:
    """They come, follow the terminal's size, go where there is no room, come back, and are gone after Ctrl-C."""
    with pseudo_terminal([*PROGRAM, "run", str(spec)], environment) as terminal:
        lines = area_of(terminal.until(has_charts, "charts"))
        assert [len(lines), lines[-1].split()] == [10, ["0", "s", "600", "s", "0", "s", "600", "s"]]
        assert "/s  p99" in lines[0]
        for columns, rows, height in ((60, 12, 8), (100, 11, 1), (59, 30, 1), (140, 40, 10)):
            terminal.resize(columns, rows)
            drawn = partial(is_drawn, height=height, columns=columns)
            terminal.until(drawn, f"frame at {columns} x {rows}")
        terminal.press("\x03")
        assert terminal.end() == -signal.SIGINT
        assert terminal.shows_cursor
        assert terminal.wraps
        assert not any("completed per second" in line for line in terminal.lines)
        assert b"the caller stopped the run" in terminal.came


def is_drawn(lines: list[str], height: int, columns: int) -> bool:
    """Whether a frame of so many lines stands there, all of them shorter than ``columns``, and nothing else of an area."""
    begins, charts = [line for line in lines if line.startswith("long ")], [line for line in lines if RATE in line]
    if len(begins) != 1 or len(charts) != (height > 1):
        return False
    return len(area_of(lines)) == height and max(map(len, area_of(lines))) < columns


@pytest.mark.parametrize(
    ("variables", "options", "size"),
    [
        ({"NO_COLOR": "1"}, (), (100, 30)),
        ({"TERM": "dumb"}, (), (100, 30)),
        ({}, ("--no-color",), (100, 30)),
        ({}, (), (59, 30)),
        ({}, (), (100, 11)),
        ({}, (), (0, 0)),
        ({"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, (), (100, 30)),
    ],
    ids=["NO_COLOR", "dumb", "no-color", "narrow", "low", "sizeless", "ascii"],
)
def test_no_charts_where_none_are_wanted(
    environment: dict[str, str], spec: Path, variables: dict[str, str], options: tuple[str, ...], size: tuple[int, int]
) -> None:
    """Not a block of a chart, and no histogram, until a second Ctrl-C ends it all."""
    command = [*PROGRAM, "run", str(spec), *options]
    # A dumb terminal shows no reports, so nobody sees whether some have come: later, where the run had not begun.
    for patience in (4, 20, 60) if variables.get("TERM") == "dumb" else (PATIENCE,):
        with pseudo_terminal(command, {**environment, **variables}, *size) as terminal:
            deadline = time.monotonic() + patience
            while terminal.came.count(b"/s  p99") < 6 and time.monotonic() < deadline:
                terminal._read()
            terminal.press("\x03")
            assert terminal.end() == -signal.SIGINT
            said = terminal.came.decode()
            if "response time" in said:
                break
    assert "response time" in said
    assert RATE not in said
    assert not set(said) & BLOCKS
    assert terminal.shows_cursor


def test_the_final_table_has_a_histogram(environment: dict[str, str]) -> None:
    """Also of jobs that are no requests, where the terminal has room; each job is in one bar."""
    command = [
        *PROGRAM,
        "run",
        "--jobs",
        "500",
        "--rate",
        "100",
        "--virtual",
        "--seed",
        "1",
    ]
    with pseudo_terminal(command, environment, 80, 60) as terminal:
        assert terminal.end() == 0
        bars = [line for line in terminal.lines if "█" in line]
        assert sum(int(line.split()[-3].replace(",", "")) for line in bars) == 500
        assert terminal.shows_cursor
    piped = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=PATIENCE)
    assert not set(piped.stdout.decode()) & BLOCKS


def test_a_run_on_a_server_has_charts_too(environment: dict[str, str], spec: Path, tmp_path: Path) -> None:
    """Beneath its line, from the server's events; Ctrl-C cancels it there, and leaves the terminal as it was."""
    serve = [sys.executable, "-u", "-m", "aurea_server", "--port", "0", "--data", str(tmp_path / "data")]
    with subprocess.Popen(serve, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = next(found[0] for line in server.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
            command = [*PROGRAM, "run", str(spec), "--server", url]
            with pseudo_terminal(command, environment) as terminal:
                terminal.until(has_charts, "charts")
                assert not any("so far" in line for line in terminal.lines)
                terminal.press("\x03")
                assert terminal.end() == -signal.SIGINT
                assert terminal.shows_cursor
                assert terminal.wraps
                assert not has_charts(terminal.lines)
                assert b"the caller stopped the run" in terminal.came
        finally:
            server.kill()


def test_ctrl_z_gives_the_terminal_back(
    environment: dict[str, str], spec: Path, require: Callable[..., str], tmp_path: Path
) -> None:
    """The shell's prompt stands where the area was, with a cursor; after ``fg`` the charts are back."""
    (tmp_path / "begin").write_text("exec " + shlex.join([*PROGRAM, "run", str(spec)]))
    shell = [require("bash"), "--norc", "--noprofile", "-i"]
    with pseudo_terminal(shell, {**environment, "PS1": "ready> "}, 100, 60) as terminal:
        terminal.until(lambda lines: "ready>" in lines, "prompt")
        terminal.press(f"sh {tmp_path}/begin\n")
        terminal.until(has_charts, "charts")
        terminal.press("\x1a")
        terminal.until(lambda lines: any("Stopped" in line for line in lines), "stop")
        terminal.until(lambda lines: [line for line in lines if line][-1] == "ready>", "second prompt")
        assert terminal.shows_cursor
        assert not has_charts(terminal.lines)
        terminal.press("fg\n")
        terminal.until(has_charts, "charts again")
        assert not terminal.shows_cursor
        terminal.press("\x03")
        terminal.until(lambda lines: any(line.startswith("status         cancelled") for line in lines), "report")
        terminal.until(lambda lines: [line for line in lines if line][-1] == "ready>", "last prompt")
        assert terminal.shows_cursor
        assert not has_charts(terminal.lines)


def test_an_error_gives_the_cursor_back(environment: dict[str, str], tmp_path: Path) -> None:
    """A run that cannot go on ends with a message, and nothing of its line."""
    spec = {"workload": {"job": {"kind": "http", "url": "https://127.0.0.1:9/", "tls": {"ca": "gone.pem"}}, "jobs": 1}}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    with pseudo_terminal([*PROGRAM, "run", str(tmp_path / "spec.json")], environment) as terminal:
        assert terminal.end() == 2
        assert b"\x1b[?25l" in terminal.came, "the line was on when the run failed"
        assert not any("running" in line for line in terminal.lines)
        assert terminal.shows_cursor
        assert terminal.wraps


@pytest.mark.parametrize("jobs", [1, 20_000])
def test_a_run_that_is_over_at_once(environment: dict[str, str], jobs: int) -> None:
    """No charts flash by, and the report stands alone."""
    command = [*PROGRAM, "run", "--jobs", str(jobs), "--duration-ms", "0", "--virtual", "--label", "家族👪é" * 20]
    with pseudo_terminal(command, environment, 80, 40) as terminal:
        assert terminal.end() == 0
        assert not has_charts(terminal.lines)
        assert terminal.lines[0] == "label"
        assert terminal.shows_cursor
        assert "nan" not in terminal.came.decode()


@pytest.fixture
def tmux(require: Callable[..., str], environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A terminal that wraps its lines anew when it is resized, as most do; the model above cuts them."""
    program, socket = require("tmux"), str(tmp_path / "tmux")

    def tell(*arguments: Any) -> str:
        command = [program, "-f", "/dev/null", "-S", socket, *map(str, arguments)]
        done = subprocess.run(
            command, env={**environment, "TMUX_TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=True
        )
        return done.stdout

    yield tell
    subprocess.run([program, "-S", socket, "kill-server"], check=False, capture_output=True)


def test_resizes_in_a_terminal_that_wraps(tmux: Callable[..., str], spec: Path) -> None:
    """Narrower and wider, lower and higher: a moment later one line and one pair of charts, and nothing left of the last."""
    shell = shutil.which("sh") or "/bin/sh"
    begin = f"trap : INT; seq 100; {shlex.join([*PROGRAM, 'run', str(spec)])}; echo it ended; sleep 600"
    tmux("new-session", "-d", "-x", 110, "-y", 30, "-s", "aurea", shell, "-c", begin)
    for columns, rows, height in ((110, 30, 10), (64, 30, 10), (50, 30, 1), (90, 11, 1), (140, 40, 10)):
        tmux("resize-window", "-t", "aurea", "-x", columns, "-y", rows)
        deadline = time.monotonic() + PATIENCE
        while not is_drawn(lines := tmux("capture-pane", "-p", "-t", "aurea").splitlines(), height, columns):
            assert time.monotonic() < deadline, "\n".join(lines)
            time.sleep(0.1)
        before = [line for line in lines if line and line not in area_of(lines)]
        # Of a busy machine there may be findings; of an earlier frame there is nothing.
        assert not any(set(line) & (BLOCKS | set("│└━")) for line in before), "\n".join(lines)
    tmux("send-keys", "-t", "aurea", "C-c")
    deadline = time.monotonic() + PATIENCE
    while "it ended" not in tmux("capture-pane", "-p", "-t", "aurea"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert tmux("display-message", "-p", "-t", "aurea", "#{cursor_flag} #{wrap_flag}").split() == ["1", "1"]


def test_a_stopped_terminal_gets_the_report_later(environment: dict[str, str], tmp_path: Path) -> None:
    """Ctrl-S: the run goes on and its result is written; after Ctrl-Q the report stands alone, without leftovers."""
    result = tmp_path / "result.json"
    spec = {"workload": {**LONG["workload"], "duration": 4}, "label": "long"}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    with pseudo_terminal(
        [*PROGRAM, "run", str(tmp_path / "spec.json"), "-o", str(result)], environment, 100, 60
    ) as terminal:
        terminal.until(lambda lines: any("/s  p99" in line for line in lines), "line")
        terminal.press("\x13")
        deadline = time.monotonic() + PATIENCE
        while not result.exists():
            assert time.monotonic() < deadline, "the run was held up"
            time.sleep(0.1)
        terminal.press("\x11")
        assert terminal.end() == 0
        assert terminal.shows_cursor
        assert not any(RATE in line or "└" in line or "━" in line for line in terminal.lines)
        assert json.loads(result.read_text())["status"] == "completed"
