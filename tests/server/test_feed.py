"""The feed: what happens to all runs and searches, over one connection."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import pytest

from aurea_server.http.app_keys import SERVICE
from aurea_server.runs.errors import FollowerLagged, TooManyFollowers
from aurea_server.runs.events import Event, EventLog, Feed, Followers

Post = Callable[..., Any]
NO_WAIT = 60


async def read_until(stream: Any, kind: str, ident: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """The events of the feed as they come, up to one of that kind."""
    told, name = [], ""
    async with asyncio.timeout(NO_WAIT):
        async for line in stream.content:
            field, _, value = line.decode().strip().partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                told.append((name, json.loads(value)))
                if name == kind and ident in (None, told[-1][1]["id"]):
                    return told
    raise AssertionError(f"it ended without {kind}: {told}")


async def test_the_feed_has_the_events_of_all_runs(client: Any, post: Post) -> None:
    """With the number that each has among those of its run, and its data as they are there."""
    async with client.get("/benchmark/events") as feed:
        runs = [(await post(client, {"num_jobs": 2, "job_duration_ms": 1}))[1]["benchmark_id"] for _ in range(2)]
        told = await read_until(feed, "end", runs[1])
    for run_id in runs:
        async with client.get(f"/benchmark/runs/{run_id}/events") as answer:
            text = await answer.text()
        numbers = [event["number"] for _, event in told if event["id"] == run_id]
        assert numbers == list(range(1, text.count("event: ") + 1))
        (end,) = [event["data"] for kind, event in told if (kind, event["id"]) == ("end", run_id)]
        assert json.dumps(end, separators=(",", ":")) in text


async def test_the_feed_tells_of_deleted_runs(client: Any, post: Post) -> None:
    run_id = (await post(client, {"num_jobs": 2, "job_duration_ms": 1}))[1]["benchmark_id"]
    async with client.get("/benchmark/events") as feed:
        headers = {"Content-Type": "application/json"}
        assert (await client.delete(f"/benchmark/runs/{run_id}", headers=headers)).status == 204
        assert await read_until(feed, "deleted") == [("deleted", {"id": run_id, "number": 0, "data": {}})]


SEARCH = {
    "workload": {"job": {"kind": "sleep", "duration": 0.01}, "arrivals": {"kind": "constant", "rate": 50}, "jobs": 500},
    "scheduler": {"kind": "fifo", "slots": 1},
    "clock": "virtual",
    "seed": 7,
    "objectives": [{"metric": "response_time", "quantile": 0.9, "at_most": 0.0125}],
}


async def search(client: Any) -> tuple[str, list[str]]:
    """A capacity search that has ended, and its trials."""
    async with client.post("/benchmark/searches", json=SEARCH) as answer:
        search_id = (await answer.json())["search_id"]
    async with client.get(f"/benchmark/searches/{search_id}/events") as events:
        await events.read()
    async with client.get(f"/benchmark/searches/{search_id}") as answer:
        return search_id, [trial["run_id"] for trial in (await answer.json())["trials"]]


async def assert_gone(client: Any, feed: Any, runs: list[str], search_id: str) -> None:
    """The feed tells of each once, and nothing of any is shown, its events neither."""
    told = [(await read_until(feed, "deleted"))[-1][1]["id"] for _ in (*runs, search_id)]
    assert sorted(told) == sorted([*runs, search_id])
    for path in (f"searches/{search_id}", *(f"runs/{run_id}" for run_id in runs)):
        for below in ("", "/events"):
            assert (await client.get(f"/benchmark/{path}{below}")).status == 404


async def test_the_trials_of_a_deleted_search_are_gone_with_it(serve: Any) -> None:
    client = await serve(max_jobs=500)
    search_id, trials = await search(client)
    assert trials
    async with client.get("/benchmark/events") as feed:
        headers = {"Content-Type": "application/json"}
        assert (await client.delete(f"/benchmark/searches/{search_id}", headers=headers)).status == 204
        await assert_gone(client, feed, trials, search_id)


async def test_what_retention_deletes_is_gone_everywhere(serve: Any, post: Post) -> None:
    client = await serve(keep_runs=1, max_jobs=500)
    old = (await post(client, {"num_jobs": 2, "job_duration_ms": 1}))[1]["benchmark_id"]
    search_id, trials = await search(client)
    kept = (await post(client, {"num_jobs": 2, "job_duration_ms": 1}))[1]["benchmark_id"]
    async with client.get("/benchmark/events") as feed:
        await client.server.app[SERVICE]._prune()
        await assert_gone(client, feed, [old, *trials], search_id)
    for below in ("", "/events"):
        assert (await client.get(f"/benchmark/runs/{kept}{below}")).status == 200


async def test_the_feed_takes_a_followers_place(serve: Any) -> None:
    """503 where there is none, and the place is free again as soon as a follower is gone."""
    client = await serve(max_followers=1)
    async with client.get("/benchmark/events") as feed:
        assert feed.status == 200
        async with client.get("/benchmark/events") as refused:
            assert (refused.status, (await refused.json(content_type=None))["code"]) == (503, "too_many_followers")
    async with asyncio.timeout(NO_WAIT):
        while (await client.head("/benchmark/events")).status == 503:
            await asyncio.sleep(0.01)


async def collect(events: AsyncGenerator[Event, None]) -> list[str]:
    return [event.data async for event in events]


async def test_a_follower_hears_what_comes_after_it_asked() -> None:
    """Nothing from before, and all that is published before it reads its first event."""
    feed = Feed(Followers(1))
    feed.pass_on("benchmark-1", Event(1, "state", '{"status":"queued"}'))
    following = feed.follow()
    feed.pass_on("benchmark-1", Event(2, "state", '{"status":"running"}'))
    feed.report_deletion("search-1")
    feed.close()
    assert await collect(following) == [
        '{"id":"benchmark-1","number":2,"data":{"status":"running"}}',
        '{"id":"search-1","number":0,"data":{}}',
    ]


async def test_slow_followers_of_the_feed_are_told() -> None:
    feed = Feed(Followers(1), kept=2)
    following = feed.follow()
    feed.pass_on("benchmark-1", Event(1, "state", "{}"))
    await anext(following)
    for number in range(2, 6):
        feed.pass_on("benchmark-1", Event(number, "progress", "{}"))
    with pytest.raises(FollowerLagged):
        await collect(following)


async def test_a_full_feed_refuses() -> None:
    feed = Feed(Followers(0))
    with pytest.raises(TooManyFollowers):
        await anext(feed.follow())


def test_an_event_log_echoes_each_event() -> None:
    heard: list[Event] = []
    log = EventLog(Followers(1), echo=heard.append)
    log.publish("state", {"status": "queued"})
    assert heard == [Event(1, "state", '{"status":"queued"}')]


class Counted(deque[Event]):
    """Counts what is looked at from either end."""

    looked = 0

    def _count(self, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            self.looked += 1
            yield event

    def __iter__(self) -> Iterator[Event]:
        return self._count(super().__iter__())

    def __reversed__(self) -> Iterator[Event]:
        return self._count(super().__reversed__())


async def test_a_wake_costs_what_is_new() -> None:
    """And not all that is kept, for each follower of many."""
    log = EventLog(Followers(1), kept=100)
    log._events = ring = Counted()
    for _ in range(150):
        log.publish("progress", {})
    following = log.follow(after=120)
    assert [(await anext(following)).number for _ in range(30)] == list(range(121, 151))
    ring.looked = 0
    for number in range(151, 161):
        log.publish("progress", {})
        assert (await anext(following)).number == number
    assert ring.looked <= 20
    log.close()
    assert await collect(following) == []


@pytest.mark.parametrize("after", [0, 49, 50, 51, 149, 150, 999])
async def test_a_late_follower_gets_what_is_kept(after: int) -> None:
    log = EventLog(Followers(1), kept=100)
    for _ in range(150):
        log.publish("progress", {})
    log.close()
    assert [event.number async for event in log.follow(after)] == list(range(max(after, 50) + 1, 151))
