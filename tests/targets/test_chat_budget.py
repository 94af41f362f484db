"""A budget ends a run of real requests: exactly what was reported is billed, and what was in service is bounded."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aurea_engine import RunFile, RunResult, run, spec_from_dict
from aurea_engine.costs import Sheet, reprice
from aurea_engine.shards.process_runner import run_as
from aurea_engine.shards.split import Sharding

F = Fraction
BUDGET, USERS, MOST = F("0.01"), 4, 64
USAGES = ((900, 400, 12), (40, 0, 64), (1500, 1499, 1), (333, 7, 33))
"""Input, cached and output tokens of the answers, in turn."""


def price_of(usage: tuple[int, int, int], prices: tuple[Any, Any, Any] = (3, F(3, 10), 15)) -> Fraction:
    asked, cached, spent = usage
    return (prices[0] * (asked - cached) + prices[1] * cached + prices[2] * spent) / F(10**6)


@dataclass
class Model:
    """Streams answers, and keeps the usage of each: of all that it began, and of those that it sent to their end."""

    begun: list[tuple[int, int, int]] = field(default_factory=list)
    ended: list[tuple[int, int, int]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        usage = USAGES[len(self.begun) % len(USAGES)]
        self.begun.append(usage)
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        told = {"prompt_tokens": usage[0], "completion_tokens": usage[2]}
        told |= {"prompt_tokens_details": {"cached_tokens": usage[1]}}
        for frame in ({"choices": [{"delta": {"content": "a"}}]}, {"choices": [{"delta": {"content": "b"}}]},
                      {"choices": [], "usage": told}):  # fmt: skip
            await reply.write(f"data: {json.dumps(frame)}\n\n".encode())
            await asyncio.sleep(0.01)
        await reply.write(b"data: [DONE]\n\n")
        self.ended.append(usage)
        return reply


def specify(url: str, **workload: Any) -> Any:
    classes = [{"name": name, "measure": name, "price": price}
               for name, price in (("input", "3"), ("cached", "0.3"), ("output", "15"))]  # fmt: skip
    return spec_from_dict(
        {
            "workload": {
                "job": {"kind": "chat", "url": url, "model": "m", "prompts": ["a"], "max_tokens": MOST},
                "arrivals": {"kind": "closed", "users": USERS},
                "jobs": 5000,
                **workload,
            },
            "cost": {"kind": "tokens", "classes": classes},
            "objectives": [{"metric": "cost", "at_most": float(BUDGET), "abort": True}],
            "seed": 1,
        }
    )


async def run_against(model: Model, sharding: Sharding | None = None, **workload: Any) -> RunResult:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.answer)
    async with TestServer(app) as server:
        spec = specify(str(server.make_url("/")), **workload)
        return await (run(spec) if sharding is None else run_as(sharding, spec))


def check(result: RunResult, model: Model, least: int = 1) -> None:
    """What must hold wherever the run stood when the budget was gone. ``least``: answers that had been billed by then."""
    assert result.status == "aborted"
    assert result.objectives[0].outcome == "missed"
    assert result.jobs is not None
    rows = result.jobs.only(result.jobs.was_served)
    billed = [*zip(*(rows.measure(f"{name}_tokens").tolist() for name in ("input", "cached", "output")), strict=True)]
    assert len(billed) == result.counts.completed >= least
    # Every answer that is billed is one of the server's, and no answer is billed twice.
    left = list(model.begun)
    for usage in billed:
        left.remove(usage)
    total = sum(map(price_of, billed), F(0))
    assert result.cost.total == total > BUDGET
    # One answer went beyond it; what else is beyond was in service at that instant.
    dearest = max(map(price_of, USAGES))
    assert total - BUDGET <= USERS * dearest
    spent = sum(map(price_of, model.begun), F(0))
    assert spent - BUDGET <= 2 * USERS * dearest
    # The bound of what was cut off holds for what the server may have produced of it.
    found = next((each for each in result.findings if each.code == "spend_unknown"), None)
    assert (found is not None) == bool(result.counts.cancelled)
    if found is not None:
        said = re.search(r"at most ([0-9.]+) USD more", found.detail)
        assert said is not None
        assert sum(map(price_of, left), F(0)) <= F(said[1])
        assert f"({result.counts.cancelled:,} cancelled)" in found.detail


async def test_a_cent_ends_the_run_and_is_priced_again(tmp_path: Path) -> None:
    """Aborted, exact, bounded; and the stored run is right to the last digit under another sheet."""
    model = Model()
    result = await run_against(model)
    check(result, model)
    stored = RunFile.from_bytes(RunFile.of(result).to_bytes()).to_result()
    assert stored.cost == result.cost
    again = reprice(stored.usage, Sheet(name="example-model"))
    assert result.jobs is not None
    rows = result.jobs.only(result.jobs.was_served)
    billed = zip(*(rows.measure(f"{name}_tokens").tolist() for name in ("input", "cached", "output")), strict=True)
    assert again.total == sum((price_of(each, (F(1, 2), F(1, 20), F(3, 2))) for each in billed), F(0))


@pytest.mark.service
async def test_a_budget_is_that_of_all_processes_together() -> None:
    model = Model()
    result = await run_against(model, Sharding(processes=2), arrivals={"kind": "constant", "rate": 100})
    assert result.status == "aborted"
    assert result.cost.total is not None
    assert result.cost.total > BUDGET
    # They are told to stop once their parts together are beyond it, so each goes on for a moment.
    assert result.counts.arrived < 5000
