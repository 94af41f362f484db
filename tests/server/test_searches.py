"""Capacity searches over HTTP: real ones in virtual time, with trials short enough to take a fraction of a second each."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from aurea_engine.codec.capacity_reading import capacity_from_dict
from aurea_engine.report.capacity_page import render_capacity
from aurea_engine.results.capacity import Bracket
from aurea_server.http import app_keys
from aurea_server.metrics.search_metrics import SearchMetrics

Serve = Callable[..., Awaitable[Any]]

QUEUE: dict[str, Any] = {
    "workload": {
        "job": {"kind": "sleep", "duration": 0.01},
        "arrivals": {"kind": "constant", "rate": 50},
        "jobs": 500,
    },
    "scheduler": {"kind": "fifo", "slots": 1},
    "clock": "virtual",
    "seed": 7,
    "objectives": [{"metric": "response_time", "quantile": 0.9, "at_most": 0.0125}],
    "label": "queue",
}
"""D/D/1 at 100/s. Nobody waits up to a rate of 100/s; above it the n-th job waits n (1/100 - 1/rate), so that of 500 jobs
the 450th, without the warm-up, is beyond 2.5 ms from 100.06/s on. Nothing is left to chance, so few jobs are enough.
"""
SLOWLY = {"arrivals": {"kind": "constant", "rate": 1}, "jobs": None, "duration": 60}
ENDLESS = {**QUEUE, "clock": "real", "workload": {**QUEUE["workload"], **SLOWLY}, "rate": "1/s..2/s"}
"""A search in real time that will not end while a test looks at it."""


@pytest.fixture
async def client(serve: Serve) -> Any:
    """Trials have at most 500 jobs here, so a search takes a second or two."""
    return await serve(max_jobs=500)


async def ask(client: Any, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request(method, path, json=body, headers=named) as answer:
        content = await answer.read()
        return answer.status, answer.headers, json.loads(content) if content else None


async def start(client: Any, body: Any, **headers: str) -> str:
    status, named, search = await ask(client, "POST", "/benchmark/searches", body, **headers)
    assert status == 202, search
    assert named["Location"] == f"/benchmark/searches/{search['search_id']}"
    assert re.fullmatch(r"search-\d{13}", search["search_id"])
    return search["search_id"]


async def follow(client: Any, search_id: str) -> list[tuple[str, Any]]:
    """All events, until the end."""
    events = []
    async with client.get(f"/benchmark/searches/{search_id}/events") as answer:
        assert answer.status == 200
        text = (await answer.read()).decode()
    for block in text.split("\r\n\r\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in lines:
            events.append((lines["event"], json.loads(lines["data"])))
    return events


async def get(client: Any, search_id: str) -> Any:
    status, _, search = await ask(client, "GET", f"/benchmark/searches/{search_id}")
    assert status == 200
    return search


async def running(client: Any, search_id: str) -> str:
    """The trial that is executed, once one is."""
    async with asyncio.timeout(60):
        while (search := await get(client, search_id))["running"] is None:
            assert search["status"] in ("queued", "running")
            await asyncio.sleep(0.01)
        run_id = search["running"]
        while (await ask(client, "GET", f"/benchmark/runs/{run_id}"))[0] == 404:
            await asyncio.sleep(0.01)
        return run_id


async def metrics(client: Any) -> dict[str, float]:
    async with client.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


@pytest.mark.service
async def test_a_search_is_drawn_as_a_page(client: Any) -> None:
    """The page that the command line makes of the same answer."""
    search_id = await start(client, {**QUEUE, "label": "<script>alert(1)</script>"})
    status, _, problem = await ask(client, "GET", f"/benchmark/searches/{search_id}/report")
    assert (status, problem["code"]) == (409, "search_in_progress")
    await follow(client, search_id)
    answer = capacity_from_dict((await get(client, search_id))["answer"])
    async with client.get(f"/benchmark/searches/{search_id}/report") as drawn:
        assert (drawn.status, drawn.content_type) == (200, "text/html")
        assert drawn.headers["Content-Security-Policy"].startswith("sandbox; ")
        page = await drawn.text()
    assert page == render_capacity(answer)
    assert "<script" not in page


@pytest.mark.service
async def test_what_has_no_page_of_a_search(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    status, _, problem = await ask(client, "GET", "/benchmark/searches/search-1/report")
    assert (status, problem["code"]) == (404, "search_not_found")
    status, _, problem = await ask(client, "GET", "/benchmark/searches/search-1/report", Sec_Fetch_Site="cross-site")
    assert (status, problem["code"]) == (403, "cross_site")
    search_id = await start(client, ENDLESS)
    await running(client, search_id)
    await ask(client, "POST", f"/benchmark/searches/{search_id}/cancel", {})
    await follow(client, search_id)
    # What was known when it was stopped is drawn, and where that is nothing, that is said.
    async with client.get(f"/benchmark/searches/{search_id}/report") as drawn:
        assert drawn.status == 200
    history = client.app[app_keys.SEARCH_READER]._history
    row = await history.get(search_id)
    monkeypatch.setattr(history, "get", AsyncMock(return_value=replace(row, answer=None)))
    status, _, problem = await ask(client, "GET", f"/benchmark/searches/{search_id}/report")
    assert (status, problem["code"]) == (409, "no_result")


@pytest.mark.service
async def test_search_finds_the_rate(client: Any) -> None:
    """From its 202 to its answer: events, trials that can be read, metrics, and the list."""
    search_id = await start(client, {**QUEUE, "costs": [{"kind": "per_job", "price": "0.001"}]})
    events = await follow(client, search_id)
    kinds = [kind for kind, _ in events]
    assert kinds[:2] == ["state", "state"]
    assert kinds[-1] == "end"
    assert {"trial", "bracket"} <= set(kinds)
    search = await get(client, search_id)
    answer = search["answer"]
    assert (search["status"], search["reason"], search["label"]) == ("completed", None, "queue")
    assert answer["status"] == "found"
    # How narrow the bracket gets with so few jobs is the engine's affair.
    assert 90 < answer["value"] <= 100.1, answer
    assert answer["interval"]["low"] <= 100.1 <= answer["interval"]["high"] * 1.001
    assert {"per_second", "per_job"} <= {cost["model"] for cost in answer["costs"]}
    assert [data["run_id"] for kind, data in events if kind == "trial"] == [t["run_id"] for t in search["trials"]]
    for trial in search["trials"][:3]:
        _, _, run = await ask(client, "GET", f"/benchmark/runs/{trial['run_id']}")
        assert (run["search"], run["status"], run["counts"]["arrived"]) == (search_id, "completed", trial["jobs"])
        assert run["spec"]["seed"] == trial["seed"]
        # The records of a trial's jobs are not kept: a search has many of them.
        assert (run["jobs"], run["jobs_truncated"]) == ([], True)
    shown = await metrics(client)
    assert shown["benchmark_searches_total"] == 1
    assert shown['benchmark_search_outcomes_total{status="found"}'] == 1
    assert shown["benchmark_searches_in_progress"] == 0
    name = "benchmark_capacity_jobs_per_second"
    assert shown[f'{name}{{bound="low",clock="virtual"}}'] == answer["interval"]["low"]
    # The seed's metrics moved by each trial: those of a simulated run are families of their own.
    assert shown["benchmark_simulated_runs_total"] == len(search["trials"])
    assert shown["benchmark_runs_total"] == 0
    _, _, page = await ask(client, "GET", f"/benchmark/runs?limit=100&search={search_id}")
    assert {run["benchmark_id"] for run in page["runs"]} == {trial["run_id"] for trial in search["trials"]}
    _, _, page = await ask(client, "GET", "/benchmark/searches")
    assert [each["search_id"] for each in page["searches"]] == [search_id]
    assert page["searches"][0]["answer"]["status"] == answer["status"]
    # A page of what has ended can be kept.
    status, headers, _ = await ask(client, "GET", f"/benchmark/searches/{search_id}")
    assert status == 200
    status, _, _ = await ask(client, "GET", f"/benchmark/searches/{search_id}", If_None_Match=headers["ETag"])
    assert status == 304


@pytest.mark.service
async def test_required_value_is_verified(client: Any) -> None:
    search_id = await start(client, {**QUEUE, "require": "40/s"})
    await follow(client, search_id)
    answer = (await get(client, search_id))["answer"]
    assert (answer["status"], answer["required"], answer["verification"]["passed"]) == ("at_least", 40, True)


@pytest.mark.service
async def test_slots_are_searched(client: Any) -> None:
    workload = {**QUEUE["workload"], "arrivals": {"kind": "constant", "rate": 150}}
    search_id = await start(client, {**QUEUE, "workload": workload, "slots": "1..8"})
    await follow(client, search_id)
    search = await get(client, search_id)
    assert search["search"]["variable"] == "slots"
    assert (search["answer"]["status"], search["answer"]["value"]) == ("found", 2)
    assert (await metrics(client))['benchmark_capacity_slots{bound="value",clock="virtual"}'] == 2


async def test_all_that_is_wrong_is_said_at_once(client: Any) -> None:
    body = {
        **QUEUE,
        "variable": "users",
        "low": -1,
        "rate": "fast",
        "costs": [{"kind": "per_job"}, {"kind": "nothing"}],
        "workload": {**QUEUE["workload"], "jobs": 0},
    }
    status, _, problem = await ask(client, "POST", "/benchmark/searches", body)
    assert (status, problem["code"]) == (400, "invalid_spec")
    paths = {each["path"] for each in problem["problems"]}
    assert {"variable", "low", "rate", "workload.jobs"} <= paths
    assert any(path.startswith("costs[0]") for path in paths)
    assert any(path.startswith("costs[1]") for path in paths)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"objectives": []}, "objectives"),
        ({"low": 5, "high": 4}, "high"),
        ({"require": 5, "high": 9}, "require"),
        ({"rate": "1..2", "slots": "1..2"}, "slots"),
        ({"rate": "1..2", "variable": "slots"}, "variable"),
        ({"slots": "1/s..2"}, "slots"),
        ({"rate": "2..1"}, "high"),
        ({"confirm": "yes"}, "confirm"),
        ({"costs": "cheap"}, "costs"),
        ({"costs": {f"m{i}": {"kind": "free"} for i in range(17)}}, "costs"),
        ({"workload": {**QUEUE["workload"], "arrivals": {"kind": "all_at_once"}}}, "workload.arrivals"),
        ({"workload": {**QUEUE["workload"], "jobs": 501}}, "workload.jobs"),
        ({"objectives": [{"metric": "response_time", "quantile": 0.999, "at_most": 1}]}, "objectives"),
        ({"require": 1e-9}, "require"),
        ({"repeats": 3}, "repeats"),
        ({"repeat": 3}, "repeat"),
    ],
)
async def test_wrong_search_is_refused(client: Any, change: dict[str, Any], path: str) -> None:
    status, _, problem = await ask(client, "POST", "/benchmark/searches", {**QUEUE, **change})
    assert status == 400, problem
    assert path in {each["path"] for each in problem["problems"]}, problem
    assert (await ask(client, "GET", "/benchmark/searches"))[2]["searches"] == []


async def test_other_runs_wait_and_cancel_ends_both(client: Any) -> None:
    """A search keeps its turn; its cancellation ends its trial, and gives the turn to who waits."""
    search_id = await start(client, ENDLESS)
    trial = await running(client, search_id)
    status, _, waiting = await ask(client, "POST", "/benchmark/run", {"num_jobs": 1}, Prefer="respond-async")
    assert (status, waiting["status"], waiting["queue_position"]) == (202, "queued", 1)
    _, _, run = await ask(client, "GET", f"/benchmark/runs/{trial}")
    assert (run["search"], run["status"]) == (search_id, "running")
    assert (await metrics(client))["benchmark_searches_in_progress"] == 1
    for method, path in (("POST", f"/benchmark/runs/{trial}/cancel"), ("DELETE", f"/benchmark/searches/{search_id}")):
        status, _, problem = await ask(client, method, path, {})
        assert (status, problem["code"]) in {(409, "part_of_search"), (409, "search_in_progress")}
    status, _, search = await ask(client, "POST", f"/benchmark/searches/{search_id}/cancel", {})
    assert (status, search["search_id"]) == (202, search_id)
    events = await follow(client, search_id)
    assert events[-1][1]["status"] == "cancelled"
    search = await get(client, search_id)
    assert (search["status"], search["reason"]["code"]) == ("cancelled", "stop_requested")
    assert search["answer"]["status"] == "undecided"
    _, _, run = await ask(client, "GET", f"/benchmark/runs/{trial}")
    assert run["status"] == "cancelled"
    async with asyncio.timeout(60):
        while (await ask(client, "GET", f"/benchmark/runs/{waiting['benchmark_id']}"))[2]["status"] != "completed":
            await asyncio.sleep(0.01)
    status, _, problem = await ask(client, "POST", f"/benchmark/searches/{search_id}/cancel", {})
    assert (status, problem["code"]) == (409, "search_ended")
    status, _, problem = await ask(client, "DELETE", f"/benchmark/runs/{trial}", {})
    assert (status, problem["code"]) == (409, "part_of_search")
    assert (await ask(client, "DELETE", f"/benchmark/searches/{search_id}", {}))[0] == 204
    for path in ("", "/events"):
        assert (await ask(client, "GET", f"/benchmark/runs/{trial}{path}"))[0] == 404
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("DELETE", "")):
        status, _, problem = await ask(client, method, f"/benchmark/searches/{search_id}{path}", {})
        assert (status, problem["code"]) == (404, "search_not_found"), path


async def test_waiting_search_is_cancelled_at_once(client: Any) -> None:
    first, second = await start(client, ENDLESS), await start(client, ENDLESS)
    assert (await get(client, second))["queue_position"] == 1
    await ask(client, "POST", f"/benchmark/searches/{second}/cancel", {})
    assert [kind for kind, _ in await follow(client, second)] == ["state", "end"]
    search = await get(client, second)
    assert (search["status"], search["trials"], search["start_time"]) == ("cancelled", [], None)
    _, _, page = await ask(client, "GET", "/benchmark/searches?status=running")
    assert [each["search_id"] for each in page["searches"]] == [first]
    await ask(client, "POST", f"/benchmark/searches/{first}/cancel", {})
    await follow(client, first)


async def test_jobs_of_all_trials_are_limited(serve: Serve) -> None:
    """A search that may not go on answers with what it knows."""
    client = await serve(max_jobs=500, max_search_jobs=3000)
    search_id = await start(client, QUEUE)
    await follow(client, search_id)
    search = await get(client, search_id)
    assert (search["status"], search["answer"]["status"]) == ("completed", "undecided")
    assert 0 < sum(trial["jobs"] for trial in search["trials"]) <= 3000


def test_metrics_show_the_bracket_and_then_the_value() -> None:
    """What is not known is no sample, and a search that was stopped came to no answer."""
    metrics = SearchMetrics()

    def shown() -> dict[str, float]:
        return {
            sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
            for family in metrics.families()
            for sample in family.samples
            if sample.value
        }

    assert shown() == {}
    metrics.start_search("real", "slots")
    assert shown() == {"benchmark_searches_total": 1, "benchmark_searches_in_progress": 1}
    metrics.update_search(Bracket(None, 8))
    assert shown()["benchmark_capacity_slots real high"] == 8
    metrics.finish_search("completed", {"status": "found", "value": 5, "interval": {"low": 4, "high": 5}})
    assert shown() == {
        "benchmark_searches_total": 1,
        "benchmark_search_outcomes_total found": 1,
        "benchmark_capacity_slots real low": 4,
        "benchmark_capacity_slots real value": 5,
        "benchmark_capacity_slots real high": 5,
    }
    metrics.start_search("virtual", "rate")
    metrics.finish_search("cancelled", {"status": "undecided", "value": None, "interval": {"low": 2, "high": None}})
    assert shown() == {
        "benchmark_searches_total": 2,
        "benchmark_search_outcomes_total found": 1,
        "benchmark_search_outcomes_total cancelled": 1,
        "benchmark_capacity_jobs_per_second virtual low": 2,
    }


async def test_time_limit_ends_a_search(serve: Serve) -> None:
    client = await serve(max_search_seconds=0.1)
    search_id = await start(client, ENDLESS)
    await follow(client, search_id)
    search = await get(client, search_id)
    assert (search["status"], search["reason"]["code"]) == ("timed_out", "time_limit")
    _, _, page = await ask(client, "GET", "/benchmark/runs")
    assert {run["status"] for run in page["runs"]} <= {"timed_out"}


@pytest.mark.service
async def test_key_stands_for_one_search(client: Any) -> None:
    body = {**QUEUE, "require": 40}
    search_id = await start(client, body, Idempotency_Key="once")
    status, headers, problem = await ask(
        client, "POST", "/benchmark/searches", {**body, "require": 41}, Idempotency_Key="once"
    )
    assert (status, problem["code"]) == (422, "idempotency_key_reused")
    status, headers, problem = await ask(client, "POST", "/benchmark/searches", body, Idempotency_Key="once")
    if status == 409:  # it has not ended yet
        assert (problem["code"], headers["Location"]) == ("search_in_progress", f"/benchmark/searches/{search_id}")
    await follow(client, search_id)
    assert await start(client, body, Idempotency_Key="once") == search_id
    # Keys of runs are others.
    async with client.post(
        "/benchmark/run", json={"num_jobs": 1, "job_duration_ms": 0}, headers={"Idempotency-Key": "once"}
    ) as answer:
        assert answer.status == 200


async def test_pages_and_base_path(serve: Serve) -> None:
    client = await serve(base_path="/bench", max_jobs=500)
    ids = []
    for _ in range(3):
        status, headers, search = await ask(client, "POST", "/bench/benchmark/searches", {**QUEUE, "require": 20})
        assert (status, headers["Location"]) == (202, f"/bench/benchmark/searches/{search['search_id']}")
        ids.append(search["search_id"])
    _, headers, page = await ask(client, "GET", "/bench/benchmark/searches?limit=2")
    assert [each["search_id"] for each in page["searches"]] == ids[:0:-1]
    assert headers["Link"].startswith("</bench/benchmark/searches?limit=2&cursor=")
    _, _, page = await ask(client, "GET", f"/bench/benchmark/searches?cursor={page['next']}")
    assert [each["search_id"] for each in page["searches"]] == ids[:1]
    assert page["next"] is None


async def test_bad_queries_of_lists(client: Any) -> None:
    for path in (
        "/benchmark/searches?limit=0",
        "/benchmark/searches?status=nice",
        "/benchmark/runs?search=benchmark-1",
    ):
        status, _, problem = await ask(client, "GET", path)
        assert (status, problem["code"]) == (400, "invalid_query"), path
