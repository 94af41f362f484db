"""Parity of real runs: the tables of the report are made of the very requests, also where jobs are conversations."""

from __future__ import annotations

from typing import Any

import pytest

from aurea_engine import RunResult, run, spec_from_dict
from aurea_engine.results.parity import TOOLS, parity
from tests.targets.model_double import answer_as_model
from tests.targets.recording_server import recording_server


async def ask(jobs: int, cost: Any = None, **members: Any) -> RunResult:
    async with recording_server(answer_as_model()) as server:
        job = {"kind": "chat", "url": server.url(""), "model": "tiny", "prompts": ["a", "b"], **members}
        workload = {"job": job, "arrivals": {"kind": "closed", "users": 2}, "jobs": jobs}
        return await run(spec_from_dict({"workload": workload, "seed": 3, **({} if cost is None else {"cost": cost})}))


async def test_figures_of_a_run_are_told_by_each_tools_definition() -> None:
    result = await ask(40)
    table = parity(result)
    assert table is not None
    assert result.jobs is not None
    rows = {(row.definition.figure, row.statistic): row for row in table.rows}
    assert {rows["requests_answered", ""].theirs[tool] for tool in TOOLS} == {40}
    # Without waiting in the client, ours from the intended start is never less than theirs from the start.
    first = rows["first_token_time", "mean"]
    assert first.ours is not None
    assert all(theirs is not None and theirs <= first.ours for theirs in first.theirs.values())
    # Two tokens in two frames: one gap, which is the same in all four definitions.
    gap = result.measures["token_gap"].amounts.mean
    assert gap is not None
    assert rows["token_gap", "mean"].theirs["aiperf"] == pytest.approx(gap * 1000, rel=1e-6)
    assert rows["token_gap", "mean"].theirs["guidellm"] == pytest.approx(gap * 1000, rel=1e-6)
    assert rows["frame_gap", "mean"].theirs["aiperf"] == pytest.approx(gap * 1000, rel=0.01)


async def test_turns_of_conversations_are_the_requests() -> None:
    result = await ask(6, conversation={"turns": 3})
    assert result.counts.completed == 6
    table = parity(result)
    assert table is not None
    rows = {(row.definition.figure, row.statistic): row for row in table.rows}
    assert {rows["requests_answered", ""].theirs[tool] for tool in TOOLS} == {18}
    assert rows["requests_answered", ""].ours == 18
    assert rows["goodput", ""].ours is None
    assert table.notes[0].startswith("Jobs are conversations here.")


async def test_answers_in_one_piece_have_no_parity() -> None:
    assert parity(await ask(4, stream=False)) is None


async def test_a_bill_of_conversations_may_be_by_the_turn() -> None:
    """The sums of a conversation are those of its turns, so both bills are the same where all end."""
    classes = [{"name": name, "measure": name, "price": "1"} for name in ("input", "cached", "output")]
    totals = [
        (await ask(4, {"kind": "tokens", "classes": classes, "per": per}, conversation={"turns": 2})).cost.total
        for per in ("job", "step")
    ]
    assert totals[0] == totals[1] is not None
