"""Loads a language model until a cent is spent, and says what answers cost: all, good ones, and by another price list.

The model is a small server of this program. ``aurea chat URL`` does the same to a real one.
"""

from __future__ import annotations

import asyncio
import json
from itertools import count

from aiohttp import web

from aurea_engine import RunResult, run, spec_from_dict
from aurea_engine.costs import Sheet, exact_text, reprice

numbers = count()


async def answer(request: web.Request) -> web.StreamResponse:
    """Every fourth answer is cut at its limit of 20 tokens; all prompts but the first are in the cache for the most part."""
    await request.read()
    number = next(numbers)
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await stream.prepare(request)
    usage = {"prompt_tokens": 800, "completion_tokens": 20 if number % 4 == 3 else 12}
    usage["prompt_tokens_details"] = {"cached_tokens": 600 if number else 0}
    for data in ({"choices": [{"delta": {"content": "An answer."}}]}, {"choices": [], "usage": usage}):
        await stream.write(f"data: {json.dumps(data)}\n\n".encode())
    await stream.write(b"data: [DONE]\n\n")
    return stream


async def load(url: str) -> RunResult:
    spec = {
        "workload": {
            "job": {"kind": "chat", "url": url, "model": "small", "prompts": ["Why?"], "max_tokens": 20},
            "arrivals": {"kind": "closed", "users": 1},
            "jobs": 1000,
        },
        "cost": {
            "kind": "tokens",
            "classes": [
                {"name": "input", "price": "0.25", "measure": "input"},
                {"name": "cached", "price": "0.025", "measure": "cached"},
                {"name": "output", "price": "2", "measure": "output"},
            ],
        },
        "objectives": [
            {"metric": "cost", "at_most": 0.002, "abort": True},
            # An answer is good if it came to its end. Bounds on "first_token" or "token_gap" are written in the same way.
            {"metric": "output_tokens", "quantile": 0.5, "at_most": 19},
        ],
        "seed": 1,
    }
    return await run(spec_from_dict(spec))


async def main() -> None:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    result = await load(f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()

    cost = result.cost
    assert cost.total is not None
    assert cost.per_success is not None
    assert cost.per_good is not None
    print(f"{result.status} after {result.counts.completed} answers, {exact_text(cost.total)} USD, of which")
    for line in cost.lines:
        print(f"  {line.name:<7}{float(line.quantity * 1_000_000):>7,.0f} tokens  {exact_text(line.amount or 0)}")
    print(f"{float(cost.per_success * 1_000_000):.2f} USD a million answers,")
    print(f"{float(cost.per_good * 1_000_000):.2f} USD a million that came to their end")
    again = reprice(result.usage, Sheet(name="example-model"))
    print(f"{exact_text(again.total or 0)} USD by another price list")


if __name__ == "__main__":
    asyncio.run(main())
