"""Programs that jobs start and hide: none is left when the run, the runner, those around it, or the server is gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.strikes import HANGS, wait_until_gone, within

pytestmark = pytest.mark.faults


def does(what: str) -> dict[str, Any]:
    return {"workload": {"job": {"kind": "does", "what": what}, "jobs": 1}}


def hidden() -> set[int]:
    """The programs that hid, in whatever session, and whoever their parent is now."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"hidden-from-aurea" in (folder / "cmdline").read_bytes().split(b"\0"):
                found.add(int(folder.name))
        except OSError:
            continue
    return found


def none_left(before: set[int]) -> None:
    with within(2, "the end of programs that hide"):
        assert wait_until_gone(hidden() - before) == []
    assert hidden() - before == set()


def several_hide(server: Any, before: set[int]) -> str:
    run_id = server.accept(does("hide_and_stay"))
    until = time.monotonic() + HANGS
    while len(hidden() - before) < 3:
        assert time.monotonic() < until, server.get(run_id)
        time.sleep(0.02)
    return run_id


def test_programs_that_hide_end_with_their_run(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    server, before = serve(), hidden()
    assert server.run(does("hide"))["status"] == "completed"
    none_left(before)
    invariants(server)


@pytest.mark.parametrize("victim", ["aurea-runner", "aurea-guard", "aurea-keeper"])
def test_hiding_programs_end_with_the_runner(
    serve: Callable[..., Any], invariants: Callable[[Any], None], victim: str
) -> None:
    """Programs that hide end with the runner and those around it."""
    server, before = serve(), hidden()
    run_id = several_hide(server, before)
    os.kill(server.runner(victim), signal.SIGKILL)
    result = server.final(run_id)
    assert (result["status"], result["reason"]["code"]) == ("failed", "runner_died")
    assert "killed by SIGKILL" in result["reason"]["detail"]
    none_left(before)
    invariants(server)


@pytest.mark.parametrize("victim", ["aurea-runner", "aurea-guard", "aurea-keeper"])
def test_killed_idle_runner_is_replaced(
    serve: Callable[..., Any], invariants: Callable[[Any], None], victim: str
) -> None:
    """An idle runner is replaced when it or one around it is killed."""
    server = serve()
    old = server.runner()
    os.kill(server.runner(victim), signal.SIGKILL)
    until = time.monotonic() + HANGS
    while server.runner() == old:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert wait_until_gone({old}) == []
    invariants(server)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_programs_that_hide_end_with_the_server(
    serve: Callable[..., Any], invariants: Callable[[Any], None], number: int
) -> None:
    server, before = serve("--drain", "0"), hidden()
    several_hide(server, before)
    server.signal(number)
    server.ended()
    none_left(before)
    invariants(server)


def test_a_guard_that_sleeps_wakes_to_its_duty(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    server, before = serve(), hidden()
    several_hide(server, before)
    os.kill(server.runner("aurea-guard"), signal.SIGSTOP)
    server.signal(signal.SIGKILL)
    server.ended()
    none_left(before)
    invariants(server)
