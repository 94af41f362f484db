"""Signals, in every pattern: how long it takes, with which code, and what the history says afterwards."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.strikes import HANGS, wait_until_gone, within

pytestmark = pytest.mark.faults

LONG = {"num_jobs": 1, "job_duration_ms": 600_000}
DRAIN = ("--drain", str(HANGS))
"""For a run that is to end by itself: how long that takes is the machine's affair."""


@pytest.fixture
def server(serve: Callable[..., Any]) -> Any:
    return serve("--drain", "1")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_idle_server_stops_at_once_with_code_0(server: Any, number: int, invariants: Callable[[Any], None]) -> None:
    with within(3, "the end"):
        server.signal(number)
        assert server.ended() == 0
    invariants(server)


def test_a_run_that_is_short_is_drained_and_answered(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    server = serve(*DRAIN)
    run_id = server.accept({"num_jobs": 1, "job_duration_ms": 1500})
    server.running(run_id)
    server.signal(signal.SIGTERM)
    assert server.ended() == 0
    assert server.states()[run_id] == "completed"
    invariants(server)


def test_a_terminal_that_is_closed_is_a_stop_like_any_other_but_for_nohup(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    server = serve(*DRAIN)
    run_id = server.accept({"num_jobs": 1, "job_duration_ms": 1500})
    server.running(run_id)
    server.signal(signal.SIGHUP)
    assert server.ended() == 0
    assert server.states()[run_id] == "completed"
    server.start(prefix=("nohup",))
    server.signal(signal.SIGHUP)
    time.sleep(0.3)
    assert server.process.poll() is None
    server.mark = None
    invariants(server)


def test_while_draining_nothing_new_is_taken_and_readiness_says_so(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    # On a machine without time a short drain is over before all has been asked: then a longer one.
    for drain in (2, 20, HANGS):
        server = serve("--drain", str(drain))
        run_id = server.accept(LONG)
        assert server.running(run_id)
        server.signal(signal.SIGTERM)
        try:
            check_draining(server)
            break
        except (OSError, http.client.HTTPException):
            assert drain < HANGS, "it answers no more while it drains"
            assert server.ended() == 0
    assert server.ended() == 0
    assert server.states()[run_id] == "interrupted"
    invariants(server)


def check_draining(server: Any) -> None:
    server.stopping()
    assert server.ask("GET", "/health/live")[0] == 200
    assert server.ask("GET", "/health")[0] == 200
    assert server.ask("GET", "/health/ready")[2]["code"] == "stopping"
    status, headers, problem = server.ask("POST", "/benchmark/run", LONG)
    assert (status, problem["code"]) == (503, "stopping")
    assert "retry-after" in headers


@pytest.mark.parametrize("what", ["swallow_cancel", "regex"])
def test_a_run_that_does_not_obey_is_interrupted_within_15_s(
    serve: Callable[..., Any], invariants: Callable[[Any], None], what: str
) -> None:
    server = serve()  # the default drain of ten seconds
    run_id = server.accept({"workload": {"job": {"kind": "does", "what": what}, "jobs": 1}})
    queued = server.accept(LONG)
    server.running(run_id)
    with within(15, "the end"):
        server.signal(signal.SIGTERM)
        assert server.ended() == 0
    assert {server.states()[each] for each in (run_id, queued)} == {"interrupted"}
    invariants(server)


def test_whoever_waits_when_the_server_stops_is_answered(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    """With the run as it was interrupted; the queued ones too. Who follows hears the end."""
    server = serve("--drain", "1")
    answers: list[Any] = []
    waiting = [
        threading.Thread(target=lambda: answers.append(server.ask("POST", "/benchmark/run", LONG))) for _ in range(3)
    ]
    for thread in waiting:
        thread.start()
    until, on = time.monotonic() + HANGS, list[str]()
    found: list[Any] = []
    while len(found) < 3 or not on:
        assert time.monotonic() < until, found
        time.sleep(0.02)
        found = [row for row in server.ask("GET", "/benchmark/runs?limit=3")[2]["runs"] if row["status"] != "completed"]
        on = [row["benchmark_id"] for row in found if row["status"] == "running"]
    (running,) = on
    follower = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANGS)
    follower.request("GET", f"/benchmark/runs/{running}/events")
    events = follower.getresponse()
    heard = events.readline()  # it is followed before the server stops
    server.signal(signal.SIGTERM)
    assert server.ended() == 0
    heard += events.read()
    follower.close()
    for thread in waiting:
        thread.join(HANGS)
    assert [(status, result["status"]) for status, _, result in answers] == [(200, "interrupted")] * 3
    (stopped,) = (result for _, _, result in answers if result["benchmark_id"] == running)
    assert (stopped["reason"]["code"], stopped["counts"]["cancelled"], len(stopped["jobs"])) == ("server_stopped", 1, 1)
    assert b"event: end" in heard
    assert set(server.states().values()) >= {"interrupted"}
    assert "cancelled" not in server.states().values()
    invariants(server)


def test_a_stop_asked_for_while_the_process_is_being_started_is_heard(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    server = serve()
    old = server.runner()
    os.kill(old, signal.SIGKILL)
    while server.runner() == old:
        time.sleep(0.001)
    run_id = server.accept(LONG)
    assert server.ask("POST", f"/benchmark/runs/{run_id}/cancel", {})[0] == 202
    result = server.final(run_id)
    assert result["status"] == "cancelled"
    obeyed = result["reason"]["code"] == "stop_requested"
    if not obeyed and (took := measure_start(server)) > 2:
        pytest.skip(f"a process takes {took:.1f} s to start here, and has 2.5 s to obey")
    assert obeyed, "it obeyed, and was not killed"
    invariants(server)


def measure_start(server: Any) -> float:
    """Seconds that a process takes to start, and to run a job."""
    began = time.monotonic()
    os.kill(server.runner(), signal.SIGKILL)
    server.final(server.accept({"num_jobs": 1, "job_duration_ms": 1}))
    return time.monotonic() - began


def test_a_process_that_never_gets_ready_does_not_hold_up_the_end(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    server = serve("--drain", "1")
    old = server.runner()
    os.kill(old, signal.SIGKILL)
    while (new := server.runner()) == old:
        time.sleep(0.001)
    os.kill(new, signal.SIGSTOP)
    run_id = server.accept(LONG)
    with within(8, "the end"):
        server.signal(signal.SIGTERM)
        assert server.ended() == 0
    assert server.states()[run_id] == "interrupted"
    invariants(server)


def test_a_disk_that_does_not_answer_does_not_hold_up_the_end(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    """Another program holds the ledger's file locked; what could not be recorded is when the next server starts."""
    server = serve("--drain", "1")
    runs = [server.accept(LONG) for _ in range(6)]
    server.running(runs[0])
    with contextlib.closing(sqlite3.connect(server.data / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with within(9, "the end"):
            server.signal(signal.SIGTERM)
            assert server.ended() == 0
        other.execute("ROLLBACK")
    invariants(server)
    assert {server.get(run_id)["status"] for run_id in runs} == {"interrupted"}


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_stops_now_and_leaves_a_final_ledger(
    serve: Callable[..., Any], invariants: Callable[[Any], None], first: int, second: int
) -> None:
    server = serve(*DRAIN)
    run_id, waiting = server.accept(LONG), server.accept(LONG)
    server.running(run_id)
    server.signal(first)
    server.stopping()  # or two of a kind would be one
    with within(2, "the end"):
        server.signal(second)
        assert server.ended() == 128 + second
    assert {server.states()[each] for each in (run_id, waiting)} == {"interrupted"}
    invariants(server)
    assert server.get(run_id)["reason"]["code"] == "server_stopped"


def test_a_second_hangup_stops_now(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    server = serve(*DRAIN)
    server.running(server.accept(LONG))
    server.signal(signal.SIGHUP)
    server.stopping()  # or the two would be one
    server.signal(signal.SIGHUP)
    assert server.ended() == 128 + signal.SIGHUP
    invariants(server)


def send_to_all(server: Any) -> None:
    """SIGTERM, to each process that there is; one that has just ended is none."""
    for pid in [*server.children(), server.process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def test_a_signal_to_every_process_at_once_is_a_stop_like_any_other(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    server = serve(*DRAIN)
    run_id = server.accept({"num_jobs": 1, "job_duration_ms": 800})
    server.running(run_id)
    send_to_all(server)
    assert server.ended() == 0
    assert server.states()[run_id] == "completed"
    invariants(server)


def test_workers_that_burn_leave_a_signal_to_those_who_feed_them(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    server = serve(*DRAIN)
    job = {"kind": "cpu", "duration": 0.2}
    run_id = server.accept({"workload": {"job": job, "jobs": 8}, "scheduler": {"slots": 2}})
    until = time.monotonic() + HANGS
    while not any("cpu_workers.py" in command for _, _, command in server.children().values()):
        assert time.monotonic() < until, "no worker was seen"
        time.sleep(0.01)
    for _ in range(5):
        time.sleep(0.02)
        for pid in server.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    server.signal(signal.SIGTERM)
    assert server.ended() == 0
    invariants(server)
    result = server.get(run_id)
    assert (result["status"], result["counts"]["completed"]) == ("completed", 8), result["counts"]


def test_a_starting_runner_leaves_signals_alone(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    """What every process of a terminal or container gets at once is for the server to judge, however young a runner is."""
    server = serve(*DRAIN)
    before = server.children()
    os.kill(server.runner(), signal.SIGKILL)
    until = time.monotonic() + HANGS
    while not any(withstands_sigterm(pid) for pid in server.children().keys() - before.keys()):
        assert time.monotonic() < until, "no runner that is starting and withstands SIGTERM was seen"
    run_id = server.accept({"num_jobs": 1, "job_duration_ms": 300})
    send_to_all(server)
    assert server.ended() == 0
    assert server.states()[run_id] == "completed"
    invariants(server)


def withstands_sigterm(pid: int) -> bool:
    """Whether the process ignores SIGTERM, or holds it back until it does."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        masks = re.findall(r"Sig(?:Ign|Blk):\s+(\w+)", status)
        return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)
    return False


def test_signals_in_the_first_moments_leave_no_traceback(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    server = serve()
    server.stop()
    chance = random.Random(5)
    for number in (signal.SIGTERM, signal.SIGINT) * 6:
        server.start(wait=False)
        loads(server)
        time.sleep(chance.random() * 0.9)
        server.signal(number)
        assert server.ended() in (0, -number)
    invariants(server)


def loads(server: Any) -> None:
    """Wait until our own program is loading. What a signal does to a Python that starts is Python's affair, for a tenth of a
    second, or for many on a busy machine.
    """
    until = time.monotonic() + HANGS
    while "msgspec" not in Path(f"/proc/{server.process.pid}/maps").read_text():
        assert time.monotonic() < until, "it does not start"
        time.sleep(0.005)


def test_nothing_outlives_a_server_that_is_killed(server: Any, invariants: Callable[[Any], None]) -> None:
    run_id = server.accept({"workload": {"job": {"kind": "does", "what": "start_programs"}, "jobs": 1}})
    server.final(run_id)
    run_id = server.accept({"workload": {"job": {"kind": "does", "what": "regex"}, "jobs": 1}})
    server.running(run_id)
    left = server.children()
    assert left
    server.process.kill()
    server.ended()
    with within(2, "the end of what a killed server left"):
        assert wait_until_gone(set(left)) == []
    until = time.monotonic() + HANGS
    while there := [pid for pid in left if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until, f"nobody reaped {there}"
        time.sleep(0.02)
    invariants(server)
    assert server.get(run_id)["reason"]["code"] == "server_crashed"


def test_unsafe_settings_are_refused_in_one_line(serve: Callable[..., Any]) -> None:
    server = serve(start=False)
    for arguments, words in (
        (["--host", "0.0.0.0"], "without a token"),
        (["--max-jobs", "0"], "1 to 10^9"),
        (["--token-file", "/nowhere"], "token_file"),
        (["--allowed-host", "http://x"], "is not a host name"),
    ):
        server.start(*arguments, wait=False)
        assert server.ended() == 2
        last = server.log.read_text().strip().splitlines()[-1]
        assert words in last


def test_a_port_that_is_taken_is_exit_code_3(server: Any, serve: Callable[..., Any]) -> None:
    other = serve(start=False)
    other.port = server.port
    other.start(wait=False)
    assert other.ended() == 3
    assert "cannot listen" in other.log.read_text()
