"""stdin, stdout and stderr closed, full or broken: the server serves and ends as ever, and a refusal has its code."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.strikes import HANGS

pytestmark = pytest.mark.faults


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """The writing end of a pipe that is full, and that nobody reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    for size in (4096, 1):
        try:
            while True:
                os.write(writing, b"x" * size)
        except BlockingIOError:
            pass
    os.set_blocking(writing, True)
    yield writing
    os.close(reading)
    os.close(writing)


@pytest.fixture
def broken_pipe() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def launch(server: Any, *arguments: str, closed: str = "", out: int | None = None, err: int | None = None) -> None:
    """Start the server with streams that the shell closes, such as ``>&-``, or with these; stderr is its log otherwise."""
    command = [sys.executable, "-m", "aurea_server", "--port", str(server.port), "--data", str(server.data)]
    with server.log.open("ab") as log:
        server.process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *command, *arguments],
            env=server.environment,
            cwd=server.folder,
            stdout=out,
            stderr=log if err is None else err,
        )


def serves(server: Any, seconds: float = HANGS) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert server.process.poll() is None, f"it ended with {server.process.returncode}"
        with contextlib.suppress(ConnectionError):
            assert server.ask("GET", "/health")[0] == 200
            return
        time.sleep(0.05)
    raise AssertionError("it does not serve")


def check(server: Any, *arguments: str, **streams: Any) -> None:
    launch(server, *arguments, **streams)
    serves(server)
    for _ in range(2):
        assert server.run({"num_jobs": 1, "job_duration_ms": 5})["completed_jobs"] == 1
    server.signal(signal.SIGTERM)
    assert server.ended() == 0, server.log.read_text()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_take_nothing_and_hurt_nothing(
    serve: Callable[..., Any], invariants: Callable[[Any], None], free_port: int, loop: str, closed: str
) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = serve(start=False)
    server.port = free_port
    check(server, "--loop", loop, closed=closed)
    invariants(server)


@pytest.mark.parametrize("which", [("out",), ("err",), ("out", "err")])
@pytest.mark.parametrize("kind", ["full_pipe", "broken_pipe"])
def test_streams_that_nobody_reads_hold_nothing_up(
    serve: Callable[..., Any],
    invariants: Callable[[Any], None],
    free_port: int,
    request: Any,
    which: tuple[str, ...],
    kind: str,
) -> None:
    server, pipe = serve(start=False), request.getfixturevalue(kind)
    server.port = free_port
    check(server, **dict.fromkeys(which, pipe))
    invariants(server)


def test_a_refused_start_has_its_code_when_nobody_reads_why(serve: Callable[..., Any], full_pipe: int) -> None:
    for code, arguments, data in ((2, ("--host", "0.0.0.0"), "data"), (4, (), "/dev/null/data")):
        server = serve(start=False)
        server.data = server.folder / data
        launch(server, *arguments, err=full_pipe)
        assert server.ended() == code


def test_a_run_here_ends_well_with_all_streams_closed() -> None:
    program = f"exec {sys.executable} -c 'import sys; from aurea_server.__main__ import aurea; sys.exit(aurea())'"
    command = f"{program} run --jobs 1 --duration-ms 1 <&- >&- 2>&-"
    root = str(Path(__file__).parents[2])
    assert subprocess.run(["sh", "-c", command], env={**os.environ, "PYTHONPATH": root}, check=False).returncode == 0
