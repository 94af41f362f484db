"""SIGINT, SIGTERM and SIGHUP: what there is is written, and the process ends by the very signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from aurea_server.cli import main
from aurea_server.cli.signals import Interrupted, handle_signals, raise_at_signals

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
each_signal = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from aurea_server.__main__ import aurea; sys.exit(aurea())"
ENDLESS = {
    "workload": {"job": {"kind": "sleep"}, "arrivals": {"kind": "poisson", "rate": 50}, "jobs": 900_000_000},
    "scheduler": {"slots": 1, "queue_limit": 5},
    "keep_jobs": False,
    "clock": "virtual",
}


@pytest.fixture
def handlers() -> Iterator[None]:
    """The handlers of signals are put back: pytest has its own."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def start(*arguments: str, prefix: tuple[str, ...] = (), **options: Any) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment, **options}
    return subprocess.Popen([*prefix, sys.executable, "-c", PROGRAM, *arguments], **options)


def send(process: subprocess.Popen[bytes], spec: object) -> None:
    """A specification for its stdin, so long that no pipe holds it: once it is sent, the process has loaded and reads."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(spec).encode() + b" " * 500_000)
    process.stdin.close()
    process.stdin = None


def await_listener(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    """Until the process has a handler of its own for the signal, as the kernel tells."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
        if caught >> (number - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError("it does not listen")


def await_hearing(process: subprocess.Popen[bytes], number: int) -> None:
    """Until the signal has been delivered, and the process waits again: two that wait for delivery would be one."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        text = Path(f"/proc/{process.pid}/status").read_text()
        known = dict(line.split(":", 1) for line in text.splitlines())
        pending = int(known["ShdPnd"], 16) | int(known["SigPnd"], 16)
        if not pending >> (number - 1) & 1 and known["State"].split()[0] in "SZ":
            return
        time.sleep(0.01)
    raise AssertionError("it does not hear")


@each_signal
def test_signal_is_sent_on_after_writing(number: int, handlers: None) -> None:
    """Within the block it only asks; afterwards it goes to whom it would have gone."""
    asked: list[int] = []
    written: list[str] = []

    def run_and_write() -> None:
        with handle_signals(lambda: asked.append(number)):
            signal.raise_signal(number)
            written.append("all")

    raise_at_signals()
    with pytest.raises(Interrupted) as ended:
        run_and_write()
    assert (asked, written, ended.value.number) == ([number], ["all"], number)


def test_without_a_signal_nothing_happens(handlers: None) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with handle_signals(lambda: None):
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_an_ignored_hangup_stays_ignored(handlers: None) -> None:
    """As ``nohup`` leaves it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise_at_signals()
    with handle_signals(lambda: None):
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_command_that_failed_besides_says_so(
    handlers: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal comes while a result is read that is none."""
    reading, writing = os.pipe()
    raise_at_signals()

    class Stdin:
        class buffer:  # noqa: N801 - as the stream has it
            @staticmethod
            def fileno() -> int:
                return reading

            @staticmethod
            def read() -> bytes:
                signal.raise_signal(signal.SIGTERM)
                return b""

    monkeypatch.setattr("sys.stdin", Stdin)
    assert main(["reprice", "-", "--cost", '{"kind": "free"}']) == 128 + signal.SIGTERM
    assert "Traceback" not in capfd.readouterr().err
    os.close(reading)
    os.close(writing)


@pytest.mark.service
@each_signal
@pytest.mark.parametrize("clock", ["real", "virtual"])
def test_a_run_ends_with_what_it_has(clock: str, number: int, tmp_path: Path) -> None:
    """JSON on stdout and the file are whole and the same; then the process dies by the signal."""
    result = tmp_path / "result.json"
    # On a busy machine the run may not have begun by then, and then nothing is written: then later.
    for pause in (1, 5, 25):
        process = start("run", "-", "--json", "-o", str(result), stdin=subprocess.PIPE)
        send(process, ENDLESS if clock == "virtual" else {"num_jobs": 3, "job_duration_ms": 600_000})
        time.sleep(pause)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (-number, b"")
        if out:
            break
    assert json.loads(out)["status"] == "cancelled"
    assert result.read_bytes() == out
    assert list(tmp_path.glob(".aurea-*")) == []


@pytest.mark.service
def test_a_report_for_people_too(saying: Any) -> None:
    process = start("run", str(saying.spec), env=saying.environment)
    saying.begun(process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (-signal.SIGTERM, b"")
    assert b"1 cancelled" in out


@pytest.mark.service
@each_signal
def test_while_it_writes_it_goes_on_writing(number: int) -> None:
    process = start("run", "--jobs", "9000", "--virtual", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout as out, process.stderr as err:
        first = out.read(1000)
        process.send_signal(number)
        time.sleep(0.2)
        rest = out.read()
        assert err.read() == b""
    assert process.wait(120) == -number
    assert json.loads(first + rest)["completed_jobs"] == 9000


@pytest.mark.service
@each_signal
def test_the_second_signal_ends_a_blocked_writer(number: int) -> None:
    """Nobody reads, and nobody will."""
    process = start("run", "--jobs", "9000", "--virtual", "--json")
    assert process.stdout is not None
    process.stdout.read(1000)
    process.send_signal(number)
    time.sleep(0.2)
    await_hearing(process, number)
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(120) == -number
    process.communicate()


@pytest.mark.service
def test_nohup_is_respected() -> None:
    process = start("run", "--jobs", "1", "--duration-ms", "1500", "--json", prefix=("nohup",))
    await_listener(process)
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=120)
    assert (process.returncode, json.loads(out)["status"]) == (0, "completed")


@pytest.mark.service
@each_signal
def test_before_the_run_it_ends_at_once(number: int) -> None:
    """While the specification is still awaited: nothing is printed."""
    process = start("run", "-", stdin=subprocess.PIPE)
    await_listener(process)
    time.sleep(0.3)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (-number, b"", b"")


@pytest.mark.service
@each_signal
@pytest.mark.parametrize(
    "command",
    [("selftest",), ("cost-curve", "-", "--cost", '{"kind": "free"}'), ("reprice", "-", "--cost", '{"kind": "free"}')],
    ids=lambda command: command[0],
)
def test_other_commands_end_by_the_signal(command: tuple[str, ...], number: int) -> None:
    process = start(*command, stdin=subprocess.PIPE)
    await_listener(process)
    time.sleep(0.5)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (-number, b"", b"")


@pytest.mark.service
def test_ctrl_c_ends_a_loop_of_the_shell(tmp_path: Path, saying: Any) -> None:
    """The terminal sends SIGINT to shell and program alike; a shell goes on after a program that only exits with 130."""
    rounds = tmp_path / "rounds"
    command = f"'{sys.executable}' -c '{PROGRAM}' run '{saying.spec}'"
    script = f"for i in 1 2 3; do echo round >> '{rounds}'; {command}; done; echo after >> '{rounds}'"
    shell = subprocess.Popen(
        ["bash", "-c", script],
        env=saying.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    saying.begun(shell)
    os.killpg(shell.pid, signal.SIGINT)
    out, _ = shell.communicate(timeout=120)
    assert shell.returncode == -signal.SIGINT
    assert b"1 cancelled" in out
    assert rounds.read_text() == "round\n"


class _Far(BaseHTTPRequestHandler):
    """A server whose run goes on until it is cancelled."""

    cancelled: threading.Event
    followed: threading.Event

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/cancel"):
            self.cancelled.set()
        self._say({"benchmark_id": "benchmark-1", "status": "queued"}, 202)

    def do_GET(self) -> None:
        if self.path.endswith("/events"):
            self.send_response(200)
            self.end_headers()
            self.followed.set()
            self.cancelled.wait(120)
            return
        self._say({"benchmark_id": "benchmark-1", "status": "cancelled", "num_jobs": 7, "completed_jobs": 3}, 200)

    def _say(self, answer: object, status: int) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.mark.service
@each_signal
def test_a_run_on_a_server_is_cancelled_there(number: int, tmp_path: Path) -> None:
    class Far(_Far):
        cancelled = threading.Event()
        followed = threading.Event()

    with ThreadingHTTPServer(("127.0.0.1", 0), Far) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        process = start("run", "--jobs", "7", "--server", url, "--json", "-o", str(tmp_path / "result.json"))
        assert Far.followed.wait(120)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        server.shutdown()
    assert Far.cancelled.is_set()
    assert (process.returncode, err) == (-number, b"")
    assert json.loads(out)["completed_jobs"] == 3
    assert (tmp_path / "result.json").read_bytes() == out


@pytest.mark.service
def test_ended_export_leaves_no_half_file(tmp_path: Path, aurea_data: Callable[[int], Any]) -> None:
    """The file stays as it was, and nothing lies beside it."""
    data, run_id = aurea_data(10)
    os.mkfifo(tmp_path / "pipe")
    process = start("runs", "export", run_id, "--data", str(data), "-o", str(tmp_path / "pipe"))
    await_listener(process)
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)  # it waits for a reader of the pipe
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (-signal.SIGTERM, b"")
    assert list(tmp_path.glob(".aurea-*")) == []


@pytest.mark.service
@pytest.mark.parametrize(
    ("command", "what"),
    [(("compare", "-", "b.json"), "the comparison"), (("what-if", "-", "--rate", "2x"), "the replay")],
)
def test_what_was_stopped_is_said(command: tuple[str, ...], what: str) -> None:
    """By Ctrl-C: nobody should take silence for an answer."""
    process = start(*command, stdin=subprocess.PIPE)
    await_listener(process, signal.SIGINT)
    assert process.stdin is not None
    # More than a pipe holds: once it is written, the command reads.
    process.stdin.write(b" " * 500_000)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (-signal.SIGINT, b"")
    assert err.decode() == f"aurea: {what} was stopped before there was an answer\n"
