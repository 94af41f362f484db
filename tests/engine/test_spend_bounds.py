"""What requests without a report can have used at most, by what they may ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aurea_engine import Branch, Constant, ConstantRate, Mix, RunResult, RunSpec, Sleep, Workload, simulate
from aurea_engine.costs import TokenClass, Tokens
from aurea_engine.targets.chat.job import Chat
from aurea_engine.targets.chat.prompts.member import Prompts
from aurea_engine.workload.distributions import Exponential, Uniform
from aurea_engine.workload.token_traces import TokenLengths, TraceTokens
from tests.planned_chat import PlannedChat

TOKENS = Tokens(classes=(TokenClass("input", "3", measure="input_tokens"), TokenClass("out", "15", measure="output")))


def chat(**members: Any) -> Chat:
    return Chat("http://127.0.0.1:1", **members)


@pytest.mark.parametrize(
    ("members", "most"),
    [
        ({}, 128),
        ({"max_tokens": 9}, 9),
        ({"prompts": [{"prompt": "x", "max_tokens": 5000}, "y"]}, 5000),
        ({"prompts": [{"prompt": "x", "max_tokens": 5}, "y"], "max_tokens": 7}, 7),
        ({"parameters": {"max_completion_tokens": 9999, "n": 4}}, 4 * 9999),
        ({"parameters": {"max_tokens": 3}}, 3),
        ({"parameters": {"max_tokens": None}}, None),
        ({"parameters": {"n": None, "best_of": 2}}, 256),
        ({"parameters": {"n": "2"}}, None),
    ],
)
def test_the_most_output_is_what_may_be_asked_for(members: dict[str, Any], most: int | None) -> None:
    assert chat(**members).most_output() == most


def test_the_most_output_of_lengths(tmp_path: Path) -> None:
    """Of a shape, of a trace, and of a file, which may be gone."""
    file = tmp_path / "p.jsonl"
    file.write_text('"a"\n{"prompt": "b", "max_tokens": 777}\n')
    listed = chat(prompts=Prompts(file=str(file)))
    assert listed.most_output() == 777
    file.unlink()
    assert chat(prompts=Prompts(file=str(file))).most_output() is None
    traced = chat(prompts=Prompts(trace=True)).bound_to(TokenLengths.of(TraceTokens((1, 2), (40, 30))))
    assert traced.most_output() == 40
    for output, most in ((Constant(64), 64), (Uniform(1, 300.5), 301), (Exponential(9), None)):
        assert chat(prompts=Prompts(output=output)).most_output() == most


def run(job: Any, **members: Any) -> RunResult:
    workload = Workload(job, ConstantRate(20), jobs=200, stop_at=0.9)
    return simulate(RunSpec(workload, cost=TOKENS, clock="virtual", seed=1, **members))


def find_detail(result: RunResult) -> str:
    (found,) = (each for each in result.findings if each.code == "spend_unknown")
    return found.detail


@pytest.mark.parametrize("mixed", [False, True])
def test_requests_that_were_all_cut_off_are_counted(mixed: bool) -> None:
    """None has reported a token: neither are they taken for jobs of another kind, nor their prompts for empty."""
    asked = PlannedChat(Constant(1))
    job = Mix((Branch(1, asked, name="ask"), Branch(1, Sleep(Constant(1)), name="wait"))) if mixed else asked
    result = run(job)
    detail = find_detail(result)
    assert result.jobs is not None
    count = len(result.jobs.of_group("ask")) if mixed else len(result.jobs)
    assert detail.startswith(f"{count} of ")
    assert "at most" not in detail
    assert "no request reported the length of its prompt" in detail
