"""What a page needs of the interface: a list that can be filtered, and a check before a start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aurea_server.history import AcceptedRun, AcceptedSearch, FinishedRun
from aurea_server.http.app_keys import SERVICE

Post = Callable[..., Any]
QUEUE = {
    "workload": {"job": {"kind": "sleep", "duration": 0.01}, "arrivals": {"kind": "poisson", "rate": 100}, "jobs": 400},
    "objectives": [
        {"metric": "response_time", "quantile": 0.99, "at_most": 1},
        {"metric": "throughput", "at_least": 1e6},
        {"metric": "response_time", "quantile": 0.999, "at_most": 1},
    ],
    "clock": "virtual",
    "seed": 7,
    "label": "a queue",
}


async def listed(client: Any, **query: str) -> list[dict[str, Any]]:
    async with client.get("/benchmark/runs", params=query) as answer:
        assert answer.status == 200
        runs: list[dict[str, Any]] = (await answer.json())["runs"]
        return runs


async def test_list_has_p99_and_objectives(client: Any, post: Post) -> None:
    """As the result has them: what too few jobs support is null, and not decided."""
    _, result = await post(client, QUEUE)
    _, short = await post(client, {"num_jobs": 2, "job_duration_ms": 1})
    newest, first = await listed(client)
    assert (first["benchmark_id"], first["p99"]) == (result["benchmark_id"], result["response_time"]["p99"])
    assert (
        first["objectives"] == [each["outcome"] for each in result["objectives"]] == ["met", "missed", "inconclusive"]
    )
    assert (newest["benchmark_id"], newest["p99"], newest["objectives"]) == (short["benchmark_id"], None, [])


@pytest.mark.parametrize(
    ("text", "found"),
    [("a", [1, 3]), ("BASE", [1]), ("%", [4]), ("_", []), ("é", [3]), ("base line", []), ("", [1, 2, 3, 4])],
)
async def test_label_filters_by_a_text_in_it(client: Any, text: str, found: list[int]) -> None:
    """No character stands for others. Runs without a label are found by no text."""
    history = client.server.app[SERVICE]._history
    for number, label in enumerate(["baseline", None, "café", "100 %"], start=1):
        await history.add(AcceptedRun(f"benchmark-{number}", number, label, b"{}"), None)
        assert await history.end(f"benchmark-{number}", FinishedRun("completed", number)) is None
    assert [run["benchmark_id"] for run in await listed(client, label=text)] == [
        f"benchmark-{number}" for number in reversed(found)
    ]


async def test_pages_keep_their_filter(client: Any) -> None:
    history = client.server.app[SERVICE]._history
    for number in range(1, 4):
        await history.add(AcceptedRun(f"benchmark-{number}", number, "same & other", b"{}"), None)
        assert await history.end(f"benchmark-{number}", FinishedRun("completed", number)) is None
    query = {"limit": "1", "label": "e & o", "status": "completed"}
    async with client.get("/benchmark/runs", params=query) as answer:
        assert "label=e+%26+o" in answer.headers["Link"]
        assert "status=completed" in answer.headers["Link"]


async def test_a_label_is_looked_for_by_a_short_text(client: Any) -> None:
    async with client.get("/benchmark/runs", params={"label": "x" * 257}) as answer:
        assert (answer.status, (await answer.json(content_type=None))["problems"][0]["path"]) == (400, "label")


async def check(client: Any, body: Any) -> tuple[int, dict[str, Any]]:
    async with client.post("/benchmark/check", json=body) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_check_answers_with_the_whole_specification(client: Any) -> None:
    """Nothing is run: the list stays empty."""
    status, told = await check(client, {"num_jobs": 3, "seed": 7})
    assert (status, told["problem"]) == (200, None)
    assert told["spec"]["workload"]["arrivals"] == {"kind": "all_at_once"}
    assert (told["spec"]["seed"], told["spec"]["cost"]["price"]) == (7, "0.001")
    assert await listed(client) == []


@pytest.mark.parametrize(
    "body", [{"num_jobs": 0, "nonsense": 1}, {"workload": {"job": {"kind": "sleeep"}}}, [], {"num_jobs": 10**7}]
)
async def test_check_refuses_what_a_run_would_be_refused_for(client: Any, post: Post, body: Any) -> None:
    status, told = await check(client, body)
    refused, run = await post(client, body)
    assert (status, told["spec"]) == (200, None)
    same = ("code", "problems", "status", "error")
    assert [told["problem"][name] for name in same] == [run[name] for name in same]
    assert refused == told["problem"]["status"] == 400


async def test_check_takes_json_alone(client: Any) -> None:
    """What is no request at all is refused as everywhere."""
    async with client.post("/benchmark/check", data="{}", headers={"Content-Type": "text/plain"}) as answer:
        assert answer.status == 415
    async with client.post("/benchmark/check", data="{", headers={"Content-Type": "application/json"}) as answer:
        assert "must be JSON" in (await answer.json())["problem"]["error"]


async def test_trials_can_be_left_out(client: Any) -> None:
    history = client.server.app[SERVICE]._history
    await history.searches.add(AcceptedSearch("search-1", 1, None, b"{}", b"{}"), None)
    for number, search in enumerate([None, "search-1", None], start=1):
        run = AcceptedRun(f"benchmark-{number}", number, None, b"{}", None, search)
        await history.add(run, None)
        assert await history.end(run.id, FinishedRun("completed", number)) is None
    everything = [run["benchmark_id"] for run in await listed(client)]
    assert everything == ["benchmark-3", "benchmark-2", "benchmark-1"]
    assert [run["benchmark_id"] for run in await listed(client, search="none")] == ["benchmark-3", "benchmark-1"]
    assert [run["benchmark_id"] for run in await listed(client, search="search-1")] == ["benchmark-2"]


async def test_description_is_compressed_where_it_is_asked_for(client: Any) -> None:
    async with client.get("/openapi.json", headers={"Accept-Encoding": "gzip"}) as answer:
        assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == ("gzip", "Accept-Encoding")
        described = await answer.json()
        assert int(answer.headers["Content-Length"]) < 20_000
    async with client.get("/openapi.json", headers={"Accept-Encoding": "identity"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert await answer.json() == described
