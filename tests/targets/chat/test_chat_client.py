"""The client of chats: probes that nobody waits for any more, and which of two failures an answer has."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from aurea_engine import spec_from_dict
from aurea_engine.targets.chat.chat_jobs import ChatJobs
from aurea_engine.targets.chat.job import Chat
from aurea_engine.targets.chat.prompt_source import Ask
from aurea_engine.targets.chat.usage import NO_USAGE
from aurea_engine.workload.job_setup import JobSetup


@pytest.mark.parametrize("failure", [None, "closed_early"])
async def test_a_probe_may_end_after_its_run_was_given_up(failure: str | None) -> None:
    """Its answer, or the end of its connection, comes while all is being closed."""
    spec = spec_from_dict({"workload": {"job": {"kind": "chat", "url": "http://127.0.0.1:1"}, "jobs": 1}})
    chat, setup = spec.workload.job, JobSetup()
    assert isinstance(chat, Chat)
    jobs = ChatJobs(chat, setup, await chat.open_prompts(setup))
    reply: Any = SimpleNamespace(answer=SimpleNamespace(usage=NO_USAGE))
    given_up, awaited = (asyncio.create_task(jobs._probe(Ask(prompt="a"))) for _ in range(2))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    jobs.ended(-1, reply, failure)
    jobs.ended(-2, reply, failure)
    assert given_up.cancelled()
    assert await awaited == (NO_USAGE if failure is None else None)
    await jobs.close()
