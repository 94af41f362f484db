"""Answers of which a server tells one side only, and conversations with a turn without usage: what is billed and said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import pytest

from aurea_engine import (
    Branch,
    CallbackPool,
    Chat,
    Constant,
    ConstantRate,
    Finding,
    Mix,
    Outcome,
    RunResult,
    RunSpec,
    Sleep,
    Workload,
)
from aurea_engine.costs import TokenClass, Tokens
from aurea_engine.targets.chat.columns import MARKS, MEASURES
from aurea_engine.targets.chat.conversation import Conversation
from aurea_engine.testing import FakeConnections, run_jumping
from aurea_engine.workload.job_setup import JobSetup
from tests.planned_chat import PlannedChat

F = Fraction
NAMES = ("input_tokens", "cached_tokens", "output_tokens", "frames")
Told = tuple[int, int, int]
NOTHING = (-1, -1, -1)


def prices(*measures: str, per: Any = "job") -> Tokens:
    """3 USD per million tokens of prompts, 0.3 of cached ones, and 15 of answers."""
    by_name = {"input": "3", "input_tokens": "3", "cached": "0.3", "output": "15"}
    return Tokens(classes=tuple(TokenClass(name, by_name[name], measure=name) for name in measures), per=per)


def millionths(asked: int, cached: int, given: int) -> Fraction:
    return F(3 * (asked - cached) + 15 * given) + F(3, 10) * cached


@dataclass(frozen=True)
class ToldChat(Chat):
    """Every answer is complete, and of ``told`` (input, cached, output) is what the server says of each, in turn."""

    told: ClassVar[tuple[Told, ...]] = ()

    @asynccontextmanager
    async def opened_in(self, setup: JobSetup) -> AsyncIterator[CallbackPool]:
        told, turns, answers = self.told, len(self.step_names()), [0]

        class Answering(FakeConnections):
            def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
                now, sums = self.now(), dict.fromkeys(NAMES, -1)
                marks = [now] * len(MARKS)
                for turn in range(max(turns, 1)):
                    reported = dict(zip(NAMES, (*told[answers[0] % len(told)], 2), strict=True))
                    answers[0] += 1
                    row = [reported.get(each.name, -1) for each in MEASURES]
                    if turns:
                        self.record_step(job, turn, (now, now, now, now), Outcome.COMPLETED, marks, row)
                    for name, value in reported.items():
                        sums[name] = sums[name] if value < 0 else max(sums[name], 0) + value
                row = [sums.get(each.name, -1) for each in MEASURES]
                self.done(job, now, now, Outcome.COMPLETED, marks, row)

        yield Answering(1)


def chat(*told: Told, turns: int | None = None) -> Chat:
    conversation = None if turns is None else Conversation(turns)
    kind = type("PlainChat", (ToldChat,), {"told": told})
    made = kind("http://127.0.0.1:1", max_tokens=50, prompts=("a",), conversation=conversation)
    assert isinstance(made, Chat)
    return made


def run(job: Any, cost: Tokens, jobs: int = 8, **members: Any) -> RunResult:
    return run_jumping(RunSpec(Workload(job, ConstantRate(10), jobs=jobs), cost=cost, seed=1, **members))


def find(result: RunResult, code: str) -> Finding | None:
    return next((each for each in result.findings if each.code == code), None)


def detail(result: RunResult, code: str) -> str:
    found = find(result, code)
    return "" if found is None else found.detail


ALL = ("input", "cached", "output")


@pytest.mark.parametrize("keep", [True, False], ids=["records", "no records"])
def test_answers_without_their_prompt_are_told(keep: bool) -> None:
    """Half of them: their output is billed, and each prompt may have been as long as the longest that was reported."""
    result = run(chat((100, 40, 10), (-1, -1, 7)), prices(*ALL), keep_jobs=keep)
    assert result.cost.total == 4 * (millionths(100, 40, 10) + 15 * 7) / 10**6
    assert detail(result, "tokens_unknown") == "of 8 answers of the server, 4 without its count of input tokens"
    said = detail(result, "spend_unknown")
    if keep:
        assert said == (
            "4 of 8 requests ended without a full report of their tokens (4 completed), so the bill lacks what they used: "
            "at most 0.0012 USD more, for prompts of at most 100 tokens, the longest that was reported"
        )
    else:
        assert said.startswith("up to 4 of 8 requests ended without")


def test_answers_without_their_output_are_told() -> None:
    """Each may have been as long as it may ask for: the prompts are known, and in the bill already."""
    result = run(chat((100, 0, 10), (300, 0, -1)), prices(*ALL))
    assert result.cost.total == 4 * (millionths(100, 0, 10) + 3 * 300) / 10**6
    assert detail(result, "tokens_unknown") == "of 8 answers of the server, 4 without its count of output tokens"
    assert detail(result, "spend_unknown").endswith("at most 0.003 USD more, for 50 output tokens each")


def test_what_no_answer_tells_has_no_bound() -> None:
    """No prompt was ever reported."""
    result = run(chat((-1, -1, 7)), prices(*ALL))
    assert "8 without its count of input tokens" in detail(result, "tokens_unknown")
    said = detail(result, "spend_unknown")
    assert said.startswith("8 of 8 requests ended without a full report")
    assert said.endswith("since no request reported the length of its prompt")


def test_a_bill_lacks_only_what_it_reads() -> None:
    """A bill of answers alone does not need prompts, and one of prompts does not need answers."""
    no_prompt, no_output = chat((100, 0, 10), (-1, -1, 7)), chat((100, 0, 10), (300, 0, -1))
    assert find(run(no_prompt, prices("output")), "spend_unknown") is None
    assert find(run(no_output, prices("input_tokens")), "spend_unknown") is None
    assert find(run(no_prompt, prices("input_tokens")), "spend_unknown") is not None
    assert find(run(no_output, prices("output")), "spend_unknown") is not None


def test_a_long_prompt_without_output_is_priced_as_long() -> None:
    """Of 300 tokens, so that its 50 tokens of output cost 30 and not 15."""
    classes = (
        TokenClass("in", "3", prompt=True, long_price="6", measure="input_tokens"),
        TokenClass("out", "15", long_price="30", measure="output"),
    )
    result = run(chat((100, 0, 10), (300, 0, -1)), Tokens(classes=classes, long_over=200), jobs=2)
    assert "at most 0.0015 USD more" in detail(result, "spend_unknown")


@pytest.mark.parametrize("keep", [True, False], ids=["records", "no records"])
@pytest.mark.parametrize("per", ["job", "step"])
def test_a_turn_without_usage_is_told(per: str, keep: bool) -> None:
    """The second of three: the bill has the others, whichever way it counts them."""
    told = ((100, 40, 10), NOTHING, (200, 100, 20))
    result = run(chat(*told, turns=3), prices(*ALL, per=per), jobs=4, keep_jobs=keep)
    assert result.cost.total == 4 * (millionths(*told[0]) + millionths(*told[2])) / 10**6
    assert detail(result, "tokens_unknown") == "4 of 12 answers came without the server's count of tokens"
    said = detail(result, "spend_unknown")
    if not keep:
        # Nobody knows whether those without a prompt and those without an answer are the same ones.
        assert said.startswith("up to 8 of 12 " if per == "step" else "up to 4 of 4 ")
    elif per == "step":
        assert said.startswith("4 of 12 requests ended without a report of their tokens (4 completed)")
        most = 4 * millionths(200, 0, 50) / 10**6
        assert f"at most {float(most):g} USD more, for 50 output tokens each and prompts of at most 200" in said
    else:
        assert said.startswith("4 of 4 requests ended without a full report")
        assert said.endswith('bill by the turn ("per": "step") where jobs are conversations')


def test_whole_conversations_raise_nothing() -> None:
    """Beside single requests and jobs of another kind."""
    job = Mix((
        Branch(1, chat((100, 0, 10), turns=2), name="talk"),
        Branch(1, chat((50, 0, 5)), name="ask"),
        Branch(1, Sleep(Constant(0)), name="wait"),
    ))  # fmt: skip
    for per in ("job", "step"):
        result = run(job, prices(*ALL, per=per), jobs=30)
        assert not {"tokens_unknown", "spend_unknown"} & {each.code for each in result.findings}


@pytest.mark.parametrize("keep", [True, False], ids=["records", "no records"])
def test_single_requests_are_steps_of_the_bill(keep: bool) -> None:
    """In a mix that is billed by the step: those without usage are missing, though every turn is known."""
    job = Mix((
        Branch(1, chat((100, 0, 10), turns=2), name="talk"),
        Branch(1, chat((50, 0, 5), NOTHING), name="ask"),
        Branch(1, Sleep(Constant(0)), name="wait"),
    ))  # fmt: skip
    result = run(job, prices(*ALL, per="step"), jobs=40, keep_jobs=keep)
    talks, asks = (next(each.counts.arrived for each in result.groups if each.name == name) for name in ("talk", "ask"))
    assert result.cost.total == (talks * 2 * millionths(100, 0, 10) + (asks + 1) // 2 * millionths(50, 0, 5)) / 10**6
    missing = asks // 2
    assert missing
    answers = f"{missing} of {2 * talks + asks} answers"
    assert detail(result, "tokens_unknown") == f"{answers} came without the server's count of tokens"
    said = detail(result, "spend_unknown")
    if keep:
        # A sleep is billed as a step of no tokens.
        assert said.startswith(f"{missing} of {40 + talks} requests ended without a report of their tokens")
        assert f"at most {float(missing * millionths(100, 0, 50) / 10**6):g} USD more" in said
    else:
        assert said.startswith(f"up to {2 * missing} of {40 + talks} ")


def test_jobs_that_declare_no_prompt_lack_none() -> None:
    """A kind of your own that reports its output alone, beside one that reports both."""

    class OutputOnly(PlannedChat):
        measures: ClassVar = tuple(each for each in PlannedChat.measures if each.name != "input_tokens")

        def reports(self, rng: Any, first: int, demand: Any) -> Any:
            return {name: each for name, each in super().reports(rng, first, demand).items() if name != "input_tokens"}

    job = Mix((Branch(1, OutputOnly(), name="own"), Branch(1, PlannedChat(), name="ask")))
    assert find(run(job, prices(*ALL)), "spend_unknown") is None
