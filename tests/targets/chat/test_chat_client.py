"""The client of chats: probes that nobody waits for any more, and which of two failures an answer has."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from aurea_engine import run, spec_from_dict
from aurea_engine.targets.chat.chat_jobs import ChatJobs
from aurea_engine.targets.chat.job import Chat
from aurea_engine.targets.chat.prompt_source import Ask
from aurea_engine.targets.chat.usage import NO_USAGE
from aurea_engine.targets.http.replies import MOST_KEPT_BYTES
from aurea_engine.workload.job_setup import JobSetup
from tests.targets.recording_server import recording_server, reply


@pytest.mark.parametrize("failure", [None, "closed_early"])
async def test_a_probe_may_end_after_its_run_was_given_up(failure: str | None) -> None:
    """Its answer, or the end of its connection, comes while all is being closed."""
    spec = spec_from_dict({"workload": {"job": {"kind": "chat", "url": "http://127.0.0.1:1"}, "jobs": 1}})
    chat, setup = spec.workload.job, JobSetup()
    assert isinstance(chat, Chat)
    jobs = ChatJobs(chat, setup, await chat.open_prompts(setup))
    seen: Any = SimpleNamespace(answer=SimpleNamespace(usage=NO_USAGE))
    given_up, awaited = (asyncio.create_task(jobs._probe(Ask(prompt="a"))) for _ in range(2))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    jobs.ended(-1, seen, failure)
    jobs.ended(-2, seen, failure)
    assert given_up.cancelled()
    assert await awaited == (NO_USAGE if failure is None else None)
    await jobs.close()


@pytest.mark.parametrize("size", [0, 2, MOST_KEPT_BYTES + 1])
@pytest.mark.parametrize(("status", "failure"), [(300, "status"), (404, "status"), (500, "status"), (200, None)])
@pytest.mark.parametrize("kind", ["text/html", "text/event-stream"])
async def test_a_refusal_is_one_however_long_it_is(size: int, status: int, failure: str | None, kind: str) -> None:
    async with recording_server(lambda _: reply(b"x" * size, status, f"Content-Type: {kind}")) as server:
        job = {"kind": "chat", "url": server.url(""), "usage": False}
        result = await run(spec_from_dict({"workload": {"job": job, "jobs": 2}}))
    if failure is None:
        is_stream = kind == "text/event-stream"
        failure = "too_large" if size > MOST_KEPT_BYTES else "closed_early" if is_stream else "protocol"
    assert result.failures == {failure: 2}
