"""What a run of requests must say of servers whose behaviour is known, on the real clock.

A constant rate, and a server that stalls for a second or takes a known time: the figures follow by arithmetic. That is of a
machine that can keep the rate. One that cannot adds to the times of its own, which the result must then say by its verdict;
lower bounds hold all the same, since response times count from the intended start.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import RunResult

pytestmark = pytest.mark.realtime
ROOT = Path(__file__).parents[2]
RATE, JOBS = 1000, 10_000


@pytest.fixture
def stalling() -> Iterator[str]:
    """The URL of a server that stalls from second 5 to second 6 of its life with requests."""
    command = [sys.executable, "-m", "tests.targets.stalling_server", "5", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        process.stdin.close()


def skip_unless_valid(result: RunResult) -> None:
    """What is above the arithmetic may be the generator's own delay, and then the result says so."""
    if result.verdict != "valid":
        pytest.skip(f"the generator was late itself: {[finding.code for finding in result.findings]}")


def test_stall_behind_one_connection(stalling: str, ask: Callable[..., Any]) -> None:
    """The job that meets the stall has a service of 1 s, and 1,000 others arrive meanwhile and wait.

    With a service of s otherwise, the backlog is gone after n = 1,000 / (1 - 1,000 s) jobs, whose response times fall from
    1 s to nothing: so p99 is 1 - 100/n and p95 is 1 - 500/n. For s = 0 that is 0.90 and 0.50; for 0.2 ms 0.92 and 0.60; for
    0.5 ms, which no machine needs here, 0.95 and 0.75. Who looks at service alone sees nothing of it.
    """
    result = ask(stalling, jobs=JOBS, arrivals={"kind": "constant", "rate": RATE}, connections=1)
    assert result.counts.completed == JOBS
    assert result.response_time.p99 >= 0.89
    assert result.response_time.p95 >= 0.49
    assert result.response_time.max >= 0.99  # one arrives each millisecond, at the earliest when the stall begins
    assert result.service_time.max >= 0.99
    assert result.response_time.mean >= 10 * result.service_time.mean
    skip_unless_valid(result)
    assert result.response_time.p99 <= 0.96
    assert result.response_time.p95 <= 0.76
    assert result.response_time.max <= 1.1
    assert result.service_time.p99 <= 0.02
    assert result.service_time.max <= 1.1


def test_stall_without_a_limit(stalling: str, ask: Callable[..., Any]) -> None:
    """Each job has a connection, so none waits: 1,000 meet the stall, and it shows in service as in response.

    The jobs that arrive u seconds into it take 1 - u: of 10,000 jobs 1 % take 0.9 s or more, and 5 % 0.5 s or more.
    """
    result = ask(stalling, jobs=JOBS, arrivals={"kind": "constant", "rate": RATE})
    assert result.counts.completed == JOBS
    assert result.response_time.p95 >= 0.49
    assert result.response_time.p99 >= 0.89
    skip_unless_valid(result)
    for times in (result.response_time, result.service_time):
        assert 0.49 <= times.p95 <= 0.60
        assert 0.89 <= times.p99 <= 1.0, result.response_time


def test_pool_of_four_connections(hostile: Any, ask: Callable[..., Any]) -> None:
    """100/s for 10 s, of 100 ms each, over 4 connections that can do 40/s: the pool is a queue.

    Job 999 arrives at 9.99 s as the last of 250 rounds: it starts at 0.03 + 249 x 0.1 = 24.93 s, waits 14.94 s, and ends at
    25.03 s. A server's 100 ms are never less, and on a machine with other work some more, 250 times after each other.
    """
    result = ask(
        f"{hostile.base}/sleep/0.1", jobs=1000, arrivals={"kind": "constant", "rate": 100}, connections=4, timeout=60
    )
    assert result.counts.completed == 1000
    more = 250 * max(0.005, 2 * (result.service_time.mean - 0.1))
    assert 14.93 <= result.waiting_time.max <= 14.94 + more
    assert 25.02 <= result.duration <= 25.03 + more
    assert 0.0999 <= result.service_time.min
    assert result.service_time.p50 <= 0.15
    assert "pool_exhausted" in [finding.code for finding in result.findings]
