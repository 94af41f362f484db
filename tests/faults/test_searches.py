"""Faults while a capacity search is on: the server or its runner is killed, stopped, stopped at once."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.strikes import HANGS, within

pytestmark = pytest.mark.faults

SECONDS = HANGS
"""How long anything may take on a busy machine."""

SLOWLY: dict[str, Any] = {
    "workload": {
        "job": {"kind": "sleep", "duration": 0.01},
        "arrivals": {"kind": "constant", "rate": 1},
        "duration": 600,
    },
    "scheduler": {"slots": 1},
    "objectives": [{"metric": "response_time", "at_most": 1}],
}
"""A search in real time whose first trial, the probe, takes two seconds, and whose second ten minutes."""


def start(server: Any, key: str | None = None) -> str:
    named = {} if key is None else {"Idempotency-Key": key}
    status, headers, search = server.ask("POST", "/benchmark/searches", SLOWLY, named)
    assert status == 202, search
    assert headers["location"] == f"/benchmark/searches/{search['search_id']}"
    return search["search_id"]


def get(server: Any, search_id: str) -> Any:
    status, _, search = server.ask("GET", f"/benchmark/searches/{search_id}")
    assert status == 200, search
    return search


def wait_for(server: Any, search_id: str, holds: Callable[[Any], Any]) -> Any:
    until = time.monotonic() + SECONDS
    while not holds(search := get(server, search_id)):
        assert time.monotonic() < until, search
        time.sleep(0.02)
    return search


def second_trial(server: Any, search_id: str) -> str:
    """The trial that will not end by itself, once it is executed."""
    search = wait_for(server, search_id, lambda search: search["trials"] and search["running"])
    trial: str = search["running"]
    until = time.monotonic() + SECONDS
    while server.ask("GET", f"/benchmark/runs/{trial}")[0] != 200:
        assert time.monotonic() < until
        time.sleep(0.02)
    server.running(trial, SECONDS)
    server.acknowledged.append(trial)
    return trial


def check_interrupted(server: Any, search_id: str, trial: str, code: str) -> None:
    """Both ended with the server, and what was known is still there."""
    search, run = get(server, search_id), server.get(trial)
    assert (search["status"], search["reason"]["code"]) == ("interrupted", code)
    assert (run["status"], run["search"]) == ("interrupted", search_id)
    assert search["trials"], "the trial that had ended"
    assert server.get(search["trials"][0]["run_id"])["status"] == "completed"
    assert server.metrics()["benchmark_searches_in_progress"] == 0


def test_killed_server_leaves_both_interrupted(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    """Kill -9: the next start gives a final state to the search, its trial, and a search that waited."""
    server = serve()
    search_id, waiting = start(server, key="once"), start(server)
    trial = second_trial(server, search_id)
    left = server.children()
    server.process.kill()
    server.ended()
    invariants(server)
    check_interrupted(server, search_id, trial, "server_crashed")
    assert (get(server, search_id)["answer"], get(server, waiting)["status"]) == (None, "interrupted")
    assert not left.keys() & server.children().keys(), "no process of the search outlived its server"
    assert start(server, key="once") == search_id, "a key is kept over a restart"
    # Ids go on above those that were given, and the search can be made again.
    again = start(server)
    assert again > waiting
    assert server.ask("POST", f"/benchmark/searches/{again}/cancel", {})[0] == 202
    wait_for(server, again, lambda search: search["status"] == "cancelled")
    assert server.ask("DELETE", f"/benchmark/searches/{search_id}", {})[0] == 204
    server.acknowledged.remove(trial)
    assert server.ask("GET", f"/benchmark/runs/{trial}")[0] == 404
    invariants(server)


def test_killed_runner_fails_the_search(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    """The trial has no result, so the search has no answer; the server goes on with what waits."""
    server = serve()
    # Strategies of others run in processes of their own, and a search asks them things in the server's: so none of them.
    foreign = {"job": {"kind": "does", "what": "nothing"}, "arrivals": {"kind": "poisson", "rate": 1}, "duration": 1}
    status, _, problem = server.ask("POST", "/benchmark/searches", {**SLOWLY, "workload": foreign})
    assert (status, "built-in kinds only" in problem["error"]) == (400, True)
    search_id = start(server)
    trial = second_trial(server, search_id)
    waiting = server.accept({"num_jobs": 1, "job_duration_ms": 10})
    os.kill(server.runner(), signal.SIGKILL)
    search = wait_for(server, search_id, lambda search: search["status"] != "running")
    assert (search["status"], search["reason"]["code"], search["answer"]) == ("failed", "runner_died", None)
    assert trial in search["reason"]["detail"]
    assert server.final(trial, SECONDS)["status"] == "failed"
    assert server.final(waiting, SECONDS)["status"] == "completed"
    invariants(server)
    assert server.metrics()['benchmark_search_outcomes_total{status="failed"}'] == 1


def test_stop_interrupts_search_and_trial(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    """SIGTERM: exit code 0 in time, no further trial, and who follows hears the end."""
    server = serve("--drain", "1")
    search_id, waiting = start(server), start(server)
    trial = second_trial(server, search_id)
    heard: list[bytes] = []
    path = f"/benchmark/searches/{search_id}/events"

    def follow() -> None:
        # On a busy machine it may come too late to be answered at all.
        with contextlib.suppress(OSError, http.client.HTTPException):
            heard.append(server.ask("GET", path, timeout=SECONDS)[2])

    follower = threading.Thread(target=follow)
    follower.start()
    with within(15, "the end"):
        server.signal(signal.SIGTERM)
        assert server.ended() == 0
    follower.join(SECONDS)
    runs = server.states()
    invariants(server)
    assert server.get(trial)["status"] == "interrupted"
    check_interrupted(server, search_id, trial, "server_stopped")
    assert get(server, search_id)["answer"]["status"] == "undecided"
    assert get(server, waiting)["status"] == "interrupted"
    assert get(server, waiting)["trials"] == []
    assert set(runs) == {
        *server.acknowledged[:1],
        *(each["run_id"] for each in get(server, search_id)["trials"]),
        trial,
    }
    assert not heard or b"event: end" in heard[0]


def test_second_signal_leaves_a_final_state(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    server = serve("--drain", str(SECONDS))
    search_id = start(server)
    trial = second_trial(server, search_id)
    server.signal(signal.SIGTERM)
    server.stopping()
    server.signal(signal.SIGTERM)
    assert server.ended() == 128 + signal.SIGTERM
    invariants(server)
    check_interrupted(server, search_id, trial, "server_stopped")
