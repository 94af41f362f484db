"""What the rows on HTTP take for the truth: servers that count for themselves, and programs whose time the system counts."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aurea_engine import run_sync, spec_from_dict
from benchmarks.__main__ import ROWS
from benchmarks.chat_streams import FRAMES
from benchmarks.chat_streams import open_server as open_chat_server
from benchmarks.contest import AUREA
from benchmarks.http_stall import open_server
from benchmarks.machine import run_on_core
from benchmarks.nginx import BODY, open_nginx

ROOT = Path(__file__).parent.parent
CORE = 0
"""Which one is no matter: nothing is measured here."""


def test_rows_can_be_told_apart() -> None:
    """Each has a key of its own, and Aurea is its first contender."""
    assert len({row.key for row in ROWS}) == len(ROWS)
    assert {row.contenders[0].name for row in ROWS} == {AUREA}


def test_bounds_name_figures_and_contenders() -> None:
    for row in ROWS:
        names = {contender.name for contender in row.contenders}
        assert {bound.figure for bound in row.bounds} <= {figure.key for figure in row.figures}
        assert {bound.against for bound in row.bounds} - {None} <= names


@pytest.mark.service
def test_nginx_counts_every_request(require: Callable[..., str]) -> None:
    """Its own look at the count is one of them. Both answers have the size that the row names."""
    require("nginx")
    require("taskset")
    with open_nginx(CORE) as server:
        before = server.count_requests()
        plain, item = (urllib.request.urlopen(f"{server.url}{path}").read() for path in ("/", "/item?id=7"))
        assert server.count_requests() - before == 3
        assert server.count_connections() >= 1
    assert len(plain) == BODY
    assert b'"id": "7"' in item


@pytest.mark.service
def test_stalling_server_answers_all(require: Callable[..., str]) -> None:
    """It is silent from its first request on, and answers what came meanwhile."""
    require("taskset")
    with open_server(starts=0) as server:
        assert urllib.request.urlopen(server.url, timeout=120).read() == b"ok"
        assert urllib.request.urlopen(server.url, timeout=120).read() == b"ok"
    assert server.answered == 2


@pytest.fixture
def counting_server() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "benchmarks.http_counting_server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process


@pytest.mark.service
def test_counting_server_tells_bodies_apart(counting_server: tuple[str, subprocess.Popen[str]]) -> None:
    url, process = counting_server
    for body in (b"one", b"two", b"one"):
        urllib.request.urlopen(url, data=body).read()
    assert process.communicate(timeout=120)[0].split() == ["3", "2"]


@pytest.mark.service
def test_processor_time_is_of_the_program(require: Callable[..., str]) -> None:
    """And of its children: a child burns what its parent waits for."""
    require("taskset")
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); print('done')"
    done = run_on_core(CORE, [sys.executable, "-c", child])
    assert done.printed.strip() == "done"
    assert 0.2 <= done.cpu < 5


@pytest.mark.service
def test_a_program_that_fails_says_why(require: Callable[..., str]) -> None:
    require("taskset")
    with pytest.raises(RuntimeError, match="nothing to send"):
        run_on_core(CORE, [sys.executable, "-c", "raise SystemExit('nothing to send')"])


@pytest.mark.service
def test_the_server_of_streams_counts_every_frame() -> None:
    """Two streams of it, one after the other on one connection: as many frames as it says, and the same to a client."""
    with open_chat_server() as server:
        job = {"kind": "chat", "url": server.url, "prompts": ["Hello"]}
        spec = {"workload": {"job": job, "arrivals": {"kind": "closed", "users": 1}, "jobs": 2}}
        result = run_sync(spec_from_dict(spec))
        told = server.tell()
    assert result.counts.completed == 2
    assert result.measures["frames"].total == 2 * FRAMES
    assert result.measures["output_tokens"].total == 2 * FRAMES
    assert told["frames"] == 2 * (FRAMES + 1)
