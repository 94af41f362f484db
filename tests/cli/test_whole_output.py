"""All that a command writes comes out: through pipes that are full, non-blocking or unbuffered, and slow readers."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aurea_server.cli import main
from aurea_server.stdio.standard_streams import replace_streams, write_all

PER_JOB = '{"kind": "per_job", "price": "0.0002"}'
SHEET = Path(__file__).parents[2] / "aurea_engine/costs/prices/example-functions@1.toml"
PROGRAM = "import sys; from aurea_server.__main__ import aurea; sys.exit(aurea())"


class SlowReader:
    """A small pipe that is full from the start, and somebody who reads it piece by piece."""

    def __init__(self, *, blocking: bool = False) -> None:
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 4096)
        os.write(self.writing, b"x" * 4096)
        os.set_blocking(self.writing, blocking)
        self._pieces: list[bytes] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        time.sleep(0.01)  # so that the first write finds it full
        while piece := os.read(self.reading, 3000):
            self._pieces.append(piece)
        os.close(self.reading)

    def all(self) -> bytes:
        """What was written, once nobody writes any more."""
        os.close(self.writing)
        self._thread.join()
        return b"".join(self._pieces)[4096:]


@contextlib.contextmanager
def stdout_is(descriptor: int, *, unbuffered: bool = False) -> Iterator[None]:
    """As Python makes it, with and without ``-u``."""
    raw = io.FileIO(descriptor, "w", closefd=False)
    binary: Any = raw if unbuffered else io.BufferedWriter(raw)
    stream = io.TextIOWrapper(binary, "utf-8", write_through=unbuffered)
    with stream, pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stdout", stream)
        yield


both_kinds = pytest.mark.parametrize("unbuffered", [False, True])


COMMANDS = [
    ("prices", "list"),
    ("prices", "show", "aws-lambda-x86-us-east-1"),
    ("prices", "check", str(SHEET), str(SHEET)),
    ("cost-curve", "--cost", PER_JOB, "--service-time", "1"),
    ("cost-curve", "--cost", PER_JOB, "--service-time", "1", "-o", "-"),
    ("config",),
    ("config", "--json"),
    ("--help",),
    ("run", "--help"),
]


@both_kinds
@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(command)[:40] for command in COMMANDS])
def test_nothing_is_lost_in_a_full_pipe(command: tuple[str, ...], unbuffered: bool, tmp_path: Path) -> None:
    """It comes to what a file gets."""
    reader = SlowReader()
    with stdout_is(reader.writing, unbuffered=unbuffered):
        assert main(command) == 0
    through_a_pipe = reader.all()
    with (tmp_path / "file").open("wb") as file, stdout_is(file.fileno()):
        assert main(command) == 0
    assert through_a_pipe == (tmp_path / "file").read_bytes()
    assert len(through_a_pipe) > 50


@both_kinds
def test_a_long_result_is_whole(unbuffered: bool, tmp_path: Path) -> None:
    """More than a mebibyte, and the same that the file has."""
    reader = SlowReader()
    with stdout_is(reader.writing, unbuffered=unbuffered):
        assert main(["run", "--jobs", "9000", "--virtual", "--json", "-o", str(tmp_path / "result.json")]) == 0
    out = reader.all()
    assert len(out) > 1 << 20
    assert out == (tmp_path / "result.json").read_bytes()


@both_kinds
def test_what_others_print_comes_out_too(unbuffered: bool) -> None:
    """A job of somebody's own may print; it knows nothing of pipes."""
    reader, text = SlowReader(), "somebody's own line\n" * 1000
    with stdout_is(reader.writing, unbuffered=unbuffered), replace_streams():
        print(text, end="")
        sys.stdout.flush()
    assert reader.all().decode() == text


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 1 << 20])
def test_every_byte_is_written(size: int, blocking: bool) -> None:
    reader, content = SlowReader(blocking=blocking), os.urandom(size)
    write_all(reader.writing, content)
    assert reader.all() == content


def test_a_reader_that_left_is_an_error() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        write_all(writing, b"x" * 100_000)
    os.close(writing)


def test_stderr_that_fails_costs_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full, monkeypatch.context() as patched:
        patched.setattr("sys.stderr", full)
        with replace_streams():
            sys.stderr.write("lost\n")
            sys.stderr.flush()


def test_standard_input_may_be_non_blocking(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A specification that comes in pieces is read to its end."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    def write() -> None:
        for piece in (b'{"num_jobs"', b': 3, "clock": "vir', b'tual"}'):
            os.write(writing, piece)
            time.sleep(0.01)
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    with open(reading, encoding="utf-8") as stdin:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr("sys.stdin", stdin)
        assert main(["run", "-", "--json"]) == 0
    thread.join()
    assert json.loads(capfd.readouterr().out)["num_jobs"] == 3


@pytest.mark.service
@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_stopped_and_continued_it_goes_on(unbuffered: str, tmp_path: Path) -> None:
    """A write to a pipe that SIGSTOP and SIGCONT interrupt is a short one."""
    result = tmp_path / "result.json"
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "run", "--jobs", "9000", "--virtual", "--json", "-o", str(result)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root, "PYTHONUNBUFFERED": unbuffered},
    )
    assert process.stdout is not None
    with process.stdout as pipe:
        pieces = [pipe.read(1000)]  # it writes now, and the pipe is full
        while piece := pipe.read(50_000):
            for number in (signal.SIGSTOP, signal.SIGCONT):
                process.send_signal(number)
                time.sleep(0.01)
            pieces.append(piece)
    assert process.wait(120) == 0
    assert b"".join(pieces) == result.read_bytes()


@pytest.mark.service
def test_the_history_through_a_non_blocking_pipe(aurea_data: Callable[[int], tuple[Path, str]], tmp_path: Path) -> None:
    """In every form."""
    data, run_id = aurea_data(9000)
    shows = [("list",), ("list", "--json"), ("show", run_id), ("show", run_id, "--json")]
    exports = [("export", run_id, "--format", form) for form in ("json", "csv", "ndjson")]
    for command in [*shows, *exports]:
        whole, reader = ["runs", *command, "--data", str(data)], SlowReader()
        with (tmp_path / "file").open("wb") as file, stdout_is(file.fileno()):
            assert main(whole) == 0
        with stdout_is(reader.writing, unbuffered=True):
            assert main(whole) == 0
        assert reader.all() == (tmp_path / "file").read_bytes(), command
