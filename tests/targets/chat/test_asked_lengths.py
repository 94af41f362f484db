"""Runs of chats whose prompts are made: what a server really got, and what the result says was asked and reported."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import RunResult, SpecError, result_to_dict, run_sync, spec_from_dict
from aurea_engine.shards.local import run_sharded
from aurea_engine.targets.chat.prompts.calibration import PROBES
from tests.targets.chat.counting_server import CountingServer, serve

pytestmark = pytest.mark.service

TRACE = Path(__file__).parents[2] / "engine" / "traces" / "mooncake.jsonl"


def run(server: CountingServer, prompts: Any, jobs: int | None = 20, **members: Any) -> RunResult:
    job = {"kind": "chat", "url": server.url, "prompts": prompts, **members.pop("job", {})}
    arrivals = members.pop("arrivals", {"kind": "closed", "users": 4})
    return run_sync(
        spec_from_dict({"workload": {"job": job, "arrivals": arrivals, "jobs": jobs}, "seed": 3, **members})
    )


def rows(result: RunResult) -> list[dict[str, Any]]:
    return result_to_dict(result)["jobs"]  # type: ignore[no-any-return]


def texts(server: CountingServer) -> list[str]:
    """Of all requests but the probes."""
    return [body["messages"][-1]["content"] for body in server.bodies[2:]]


def codes(result: RunResult) -> set[str]:
    return {finding.code for finding in result.findings}


def test_the_server_gets_the_lengths_that_were_asked() -> None:
    """In its own tokens, which two probes before the window found out: three a word, and seven for the template."""
    with serve(CountingServer(per_word=3, overhead=7)) as server:
        result = run(server, {"input": {"kind": "uniform", "low": 20, "high": 400}, "output": 9, "exact": True})
    assert [len(body["messages"][0]["content"].split()) for body in server.bodies[:2]] in ([*PROBES], [*PROBES[::-1]])
    assert {body["max_tokens"] for body in server.bodies[:2]} == {1}
    assert len(server.bodies) == 2 + 20
    for row in rows(result):
        amounts = row["measures"]
        assert abs(amounts["input_tokens"] - amounts["asked_input"]) <= 2
        assert (amounts["asked_output"], amounts["output_tokens"]) == (9, 9)
    assert all(body["min_tokens"] == 9 and body["ignore_eos"] is True for body in server.bodies[2:])
    assert result.measures["asked_input"].total == sum(row["measures"]["asked_input"] for row in rows(result))
    assert "lengths_missed" not in codes(result)


def test_lengths_that_are_missed_are_told() -> None:
    """As a note: answers end where the model ends them."""
    with serve(CountingServer(shorter=5)) as server:
        result = run(server, {"input": 30, "output": 20})
    found = [finding for finding in result.findings if finding.code == "lengths_missed"]
    assert [finding.detail for finding in found] == [
        "20 output tokens were asked for on average, and the server counted 15"
    ]


def test_the_same_seed_asks_the_same() -> None:
    """Whatever else differs: the users, and so the order of the jobs."""
    asked = []
    for users in (1, 4):
        with serve(CountingServer()) as server:
            run(server, {"input": {"kind": "exponential", "mean": 50}}, arrivals={"kind": "closed", "users": users})
            asked.append(sorted(texts(server)))
    assert asked[0] == asked[1]
    assert len({*asked[0]}) == 20


def test_a_trace_gives_the_lengths() -> None:
    """Of every row, and the blocks that it shares with others."""
    arrivals = {"kind": "trace", "file": str(TRACE), "format": "mooncake", "speed": 1000, "slice": [0, 30]}
    with serve(CountingServer(overhead=5)) as server:
        result = run(server, "trace", None, arrivals=arrivals)
    amounts = [row["measures"] for row in rows(result)]
    lengths = result.spec.workload.arrivals.token_lengths()
    assert lengths is not None
    assert [each["asked_input"] for each in amounts] == lengths.input.tolist()
    assert [each["input_tokens"] for each in amounts] == [max(6, n) for n in lengths.input.tolist()]
    assert [each["output_tokens"] for each in amounts] == lengths.output.tolist()
    by_length = {len(text.split()) + 5: text.split() for text in texts(server)}
    one, other = find_shared(lengths)
    a, b = by_length[int(lengths.input[one])], by_length[int(lengths.input[other])]
    assert a[:512] == b[:512]


def find_shared(lengths: Any) -> tuple[int, int]:
    """Two requests that begin with the same whole block."""
    first: dict[int, int] = {}
    for job in range(len(lengths)):
        if lengths.input[job] > 600:
            block = lengths.blocks_of(job)[0]
            if block in first:
                return first[block], job
            first[block] = job
    raise AssertionError("the trace shares nothing")


def test_both_clocks_ask_for_the_same_lengths() -> None:
    """Job by job: what was simulated is what is then sent, though plan and run draw from streams of their own."""
    prompts = {"input": {"kind": "lognormal", "mean": 60, "cv": 1}, "output": {"kind": "exponential", "mean": 9}}
    simulated = {"first_token_time": 0.1, "token_gap": 0.01}
    asked = []
    with serve(CountingServer()) as server:
        for clock in ("virtual", "real"):
            result = run(server, prompts, job={"simulated": simulated}, clock=clock)
            amounts = [row["measures"] for row in rows(result)]
            asked.append([(each["asked_input"], each["output_tokens"]) for each in amounts])
    assert asked[0] == asked[1]
    assert len({*asked[0]}) > 10


def test_prompts_used_once_end_the_arrivals() -> None:
    """As rows of data do."""
    with serve(CountingServer()) as server:
        result = run(server, {"of": ["one", "two two", "three three three"], "pick": "once"}, jobs=10)
    assert sorted(body["messages"][0]["content"] for body in server.bodies) == ["one", "three three three", "two two"]
    assert result.counts.completed == 3
    assert "data_exhausted" in codes(result)


def test_shards_ask_what_one_process_asks() -> None:
    """Job by job, and each process finds out by itself how many words make a token."""
    asked = []
    for processes in (1, 2):
        with serve(CountingServer(per_word=2, overhead=3)) as server:
            prompts = {"input": {"kind": "exponential", "mean": 60}, "prefix": {"length": 20, "groups": 3}}
            job = {"kind": "chat", "url": server.url, "prompts": prompts}
            workload = {"job": job, "arrivals": {"kind": "constant", "rate": 100}, "jobs": 16}
            spec = spec_from_dict({"workload": workload, "seed": 3})
            result = asyncio.run(run_sharded(spec, processes))
            made = sorted(body["messages"][0]["content"] for body in server.bodies if body["max_tokens"] != 1)
            asked.append((made, [row["measures"]["asked_input"] for row in rows(result)]))
    assert asked[0] == asked[1]


@pytest.mark.parametrize("arrivals", [{"kind": "constant", "rate": 5}, {"kind": "trace", "at": [0, 1]}])
def test_a_trace_is_needed_for_its_lengths(arrivals: dict[str, Any]) -> None:
    job = {"kind": "mix", "of": [{"weight": 1, "job": {"kind": "chat", "url": "http://127.0.0.1", "prompts": "trace"}}]}
    with pytest.raises(
        SpecError, match=r"workload.job.of\[0\].job.prompts: need arrivals of kind trace that have lengths"
    ):
        spec_from_dict({"workload": {"job": job, "arrivals": arrivals, "jobs": 2}})
