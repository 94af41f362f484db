"""The ceiling on a run's rate, against the definition: no window has more than rate × length, and a burst."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import Access, Chat, Http, RunResult, RunSpec, Workload, run
from aurea_engine.records.batch import NS
from aurea_engine.workload.jobs import JobSource
from aurea_engine.workload.pacing import BURST_NS, SendPacer
from tests.targets.recording_server import Received, recording_server, reply


@given(st.floats(0.5, 1e6), st.lists(st.integers(0, NS // 10), max_size=60))
def test_no_window_has_more_than_its_share(rate: float, gaps: list[int]) -> None:
    """Every pair of requests is a window. One request more than fits its length and the burst would be too many."""
    pacer, now, sent = SendPacer(rate), 0, []
    for gap in gaps:
        now += gap
        sent.append(pacer.reserve(now))
    assert sent == sorted(sent)
    for first, start in enumerate(sent):
        for last in range(first, len(sent)):
            allowed = rate * (sent[last] - start + BURST_NS) / NS + 1
            assert last - first <= allowed * (1 + 1e-9)


def test_requests_below_the_rate_never_wait() -> None:
    pacer = SendPacer(1000)
    assert [pacer.reserve(i * 1_000_000) for i in range(1000)] == [i * 1_000_000 for i in range(1000)]
    assert pacer.paced == 0


def test_a_flood_is_sent_at_the_rate() -> None:
    """10,001 requests at once at 10,000/s: those beyond the burst take their second, and are counted."""
    pacer = SendPacer(10_000)
    sent = [pacer.reserve(0) for _ in range(10_001)]
    assert sent[-1] == NS - BURST_NS
    assert pacer.paced == 10_001 - 101


class EarlyLoop(asyncio.SelectorEventLoop):
    """Its timers fire 20 ms early, as uvloop's do by a part of a millisecond, now and then."""

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_later(max(delay - 0.02, 0.0), callback, *args, context=context)


def run_early(make_job: Callable[[str], JobSource], jobs: int, **members: Any) -> RunResult:
    """Jobs at once on such a loop, at most 100 a second; the target redirects /a to /b."""

    def answer(received: Received) -> bytes:
        return reply("", 302, "Location: /b") if received.target == "/a" else reply()

    async def main() -> RunResult:
        async with recording_server(answer) as server:
            spec = RunSpec(Workload(make_job(server.url("/a")), jobs=jobs, **members), seed=1)
            return await run(spec, access=Access(most_rate=100))

    with asyncio.Runner(loop_factory=EarlyLoop) as runner:
        return runner.run(main())


@pytest.mark.parametrize(
    "make_job",
    [Http, lambda url: Chat(url, prompts=["Hello"])],
    ids=["http", "chat"],
)
def test_early_timers_send_nothing_early(make_job: Callable[[str], JobSource]) -> None:
    """Request k is sent k intervals after the first at the earliest, less the burst: a timer that fires is no clock."""
    jobs = run_early(make_job, 20).jobs
    assert jobs is not None
    earliest = [max(NS * k // 100 - BURST_NS, 0) for k in range(20)]
    assert [at - there for at, there in zip(sorted(jobs.started.tolist()), earliest, strict=True) if at < there] == []


def test_early_timers_redirect_nothing_early() -> None:
    """Ten jobs of two requests each need 190 ms at 100/s, less the burst."""
    result = run_early(lambda url: Http(url, redirects=1), 10)
    assert result.counts.completed == 10
    assert result.jobs is not None
    assert result.jobs.finished.max() >= 19 * NS // 100 - BURST_NS


def test_early_timers_send_nobody_who_leaves() -> None:
    """At their deadline of 10.5 intervals, and with a burst of one, 12 of 30 jobs have been sent at most."""
    result = run_early(Http, 30, deadline=0.105)
    assert result.jobs is not None
    assert (result.jobs.started >= 0).sum() <= 12
    assert result.counts.completed + result.counts.timed_out + result.counts.rejected == 30
