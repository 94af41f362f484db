"""Requests from several processes at once: rows, templates and connections are those of the one run."""

from __future__ import annotations

from collections import Counter

import pytest

from aurea_engine import Closed, ConstantRate, Data, Fifo, Http, RunSpec, Workload, run_sharded
from tests.targets.recording_server import recording_server

pytestmark = pytest.mark.service

ROWS = tuple({"a": i} for i in range(31))


async def test_each_row_is_handed_out_once() -> None:
    """Over all processes, each beside the number of its own job; then the arrivals end."""
    async with recording_server() as server:
        job = Http(server.url("/{{index}}/{{row.a}}"), data=Data(rows=ROWS, pick="once"))
        result = await run_sharded(RunSpec(Workload(job, ConstantRate(500), jobs=100), seed=3), 3)
    assert sorted(each.target for each in server.received) == sorted(f"/{i}/{i}" for i in range(31))
    assert result.counts.arrived == result.counts.completed == 31
    assert "data_exhausted" in {finding.code for finding in result.findings}
    assert [shard.jobs for shard in result.shards] == [11, 10, 10]


async def test_no_row_is_handed_out_twice_to_divided_users() -> None:
    """Users of two processes send as they come to it, and share neither rows nor numbers."""
    async with recording_server() as server:
        job = Http(server.url("/{{index}}/{{row.a}}"), data=Data(rows=ROWS, pick="once"), connections=2)
        spec = RunSpec(Workload(job, Closed(4), jobs=31), Fifo(divided=True), seed=3)
        result = await run_sharded(spec, 2)
    sent = Counter(each.target for each in server.received)
    assert sent == Counter(f"/{i}/{i}" for i in range(31))
    assert result.counts.completed == 31
    (divided,) = [finding for finding in result.findings if finding.code == "divided"]
    assert divided.detail.startswith("2 connections and 4 users were divided among 2 shards")
