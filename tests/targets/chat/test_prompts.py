"""What chats ask: of the lengths that were asked for, the same for the same job, and refused where it cannot be asked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurea_engine import Constant, Exponential, JobSetup, LogNormal, SpecError, Streams
from aurea_engine.targets.chat.prompt_source import Ask, PromptSource
from aurea_engine.targets.chat.prompts.calibration import PROBES, Calibration, fit_line
from aurea_engine.targets.chat.prompts.lengths import LengthDraws
from aurea_engine.targets.chat.prompts.member import PromptPrefix, Prompts
from aurea_engine.targets.chat.prompts.opening import open_prompts
from aurea_engine.targets.chat.prompts.planned import estimate_prompt, plan_lengths
from aurea_engine.targets.chat.prompts.words import WORDS, make_text
from aurea_engine.targets.chat.usage import Usage
from aurea_engine.workload.token_traces import TokenLengths, TraceTokens


def leaf(seed: int = 1, number: int = 0) -> JobSetup:
    """As a run sets a kind of job up."""
    return JobSetup(streams=Streams(seed).child("set up").child(str(number)))


def opened(prompts: Prompts, setup: JobSetup | None = None, trace: TokenLengths | None = None) -> PromptSource:
    return asyncio.run(open_prompts(prompts, setup or leaf(), trace))


def text_of(ask: Ask) -> str:
    assert ask.prompt is not None
    return ask.prompt


class Server:
    """Counts tokens as servers do: ``per_word`` for each word, and ``overhead`` of a template."""

    def __init__(self, per_word: int = 1, overhead: int = 0) -> None:
        self.per_word, self.overhead = per_word, overhead

    def count(self, ask: Ask) -> int:
        return self.overhead + self.per_word * len(text_of(ask).split())

    async def probe(self, ask: Ask) -> Usage:
        assert ask.max_tokens == 1
        return Usage(self.count(ask), 0, 1, 0)


# --- Words ---------------------------------------------------------------------------------------------------------------


def test_there_is_a_word_for_each_byte() -> None:
    assert len(WORDS) == len({*WORDS}) == 256
    assert all(len(word) == 4 and word.isascii() and word.isalpha() and word.islower() for word in WORDS)


@given(st.binary(max_size=40), st.text(max_size=5), st.integers(0, 2**60), st.integers(0, 300), st.integers(0, 300))
def test_a_shorter_text_begins_a_longer_one(key: bytes, purpose: str, number: int, some: int, more: int) -> None:
    """So a block that is cut off is the beginning of the whole."""
    whole = make_text(key, purpose, number, some + more).split()
    assert len(whole) == some + more
    assert whole[:some] == make_text(key, purpose, number, some).split()


def test_texts_of_other_jobs_are_other_texts() -> None:
    """No two of ten thousand begin alike, so no cache of prefixes finds anything."""
    assert len({make_text(b"key", "prompt", job, 8) for job in range(10_000)}) == 10_000


# --- Lengths -------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 5000), st.integers(1, 3000), st.lists(st.integers(0, 10_000), max_size=30))
@settings(max_examples=30, deadline=None)
def test_a_length_is_of_its_job_alone(first: int, n: int, before: list[int]) -> None:
    """In whatever order jobs ask, one at a time or many at once."""
    one, other = (LengthDraws(LogNormal(100, 2), 7, 0) for _ in range(2))
    for number in before:
        one.of(number)
    span = other.span(first, n).tolist()
    assert span == [one.of(number) for number in range(first, first + n)]
    assert all(length >= 1 for length in span)


def test_lengths_have_their_distribution() -> None:
    """To within four standard errors, of the mean and of the share below it."""
    drawn = LengthDraws(Exponential(300), 1, 0).span(0, 40_000)
    assert abs(drawn.mean() - 300) < 4 * 300 / 200
    assert abs((drawn < 300).mean() - (1 - np.exp(-1))) < 4 * 0.5 / 200
    assert LengthDraws(Exponential(300), 1, 1).span(0, 100).tolist() != drawn[:100].tolist()
    assert LengthDraws(Constant(0.2), 1, 0).of(5) == 1
    assert LengthDraws(Exponential(1e6), 1, 0).span(0, 1000).max() == 2_000_000


# --- Calibration ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 10), st.integers(0, 200), st.integers(1, 5000))
@settings(max_examples=50, deadline=None)
def test_asked_lengths_are_met(per_word: int, overhead: int, tokens: int) -> None:
    """Within half a word, wherever the server's own template leaves room for a word."""
    server = Server(per_word, overhead)
    source = opened(Prompts(input=Constant(tokens)))
    asyncio.run(source.calibrate(server.probe))
    ask = source.ask(17, -1)
    assert source.wanted(17) == (tokens, 128)
    if tokens >= overhead + per_word:
        assert abs(server.count(ask) - tokens) <= per_word / 2
    else:
        assert len(text_of(ask).split()) == 1


def test_parts_of_tokens_are_met_on_average() -> None:
    """Of a server that counts 4 tokens for 3 words."""
    usage = [round(words * 4 / 3) + 9 for words in PROBES]
    fitted = fit_line(*usage)
    assert fitted.is_measured
    assert fitted.per_word == pytest.approx(4 / 3, abs=0.01)
    assert abs(round(fitted.words_for(1000) * 4 / 3) + 9 - 1000) <= 2


@pytest.mark.parametrize("told", [(-1, 100), (40, -1), (40, 40), (40, 10**6), (300, 40)])
def test_a_server_that_does_not_count_is_taken_at_a_word_a_token(told: tuple[int, int]) -> None:
    """Counts that are missing, or cannot be."""
    assert fit_line(*told) == Calibration()
    assert Calibration().words_for(256) == 256


def test_a_dead_server_calibrates_nothing() -> None:
    """The run goes on, and its jobs fail by class."""

    async def probe(_: Ask) -> None:
        return None

    source = opened(Prompts())
    asyncio.run(source.calibrate(probe))
    assert len(text_of(source.ask(0, -1)).split()) == 256


# --- Shapes --------------------------------------------------------------------------------------------------------------


def test_the_default_is_a_bounded_shape() -> None:
    """256 tokens in, 128 out: never unlimited."""
    source = opened(Prompts())
    ask = source.ask(3, -1)
    assert (len(text_of(ask).split()), ask.max_tokens, ask.parameters) == (256, 128, None)
    assert source.wanted(3) == (256, 128)


def test_max_tokens_bound_a_shape_without_an_output() -> None:
    """Also the plan, which the other clock goes by; an output that is given is the shape's own."""
    for prompts, wanted in [(Prompts(), 9), (Prompts(input=Constant(50)), 9), (Prompts(output=Constant(40)), 40)]:
        source = asyncio.run(open_prompts(prompts, leaf(), max_tokens=9))
        assert source.ask(3, -1).max_tokens == wanted
        assert plan_lengths(prompts, (), 9, leaf().streams, None)(0, 5).output.tolist() == [wanted] * 5


def test_exact_answers_are_asked_for() -> None:
    """By the names that vLLM and SGLang know."""
    ask = opened(Prompts(exact=True, output=Constant(40))).ask(3, -1)
    assert ask.max_tokens == 40
    assert ask.parameters == {"min_tokens": 40, "ignore_eos": True}


@pytest.mark.parametrize("per_word", [1, 3])
def test_prefixes_are_shared_within_their_group_only(per_word: int) -> None:
    """They come before the input, and the whole is as long as both."""
    prompts, server = Prompts(input=Constant(60), prefix=PromptPrefix(300, groups=4)), Server(per_word, 12)
    source = opened(prompts)
    asyncio.run(source.calibrate(server.probe))
    words = [text_of(source.ask(job, -1)).split() for job in range(400)]
    # The server's own overhead is a part of the prefix: it comes before the text, and is the same for all.
    shared = 288 // per_word
    heads = [" ".join(each[:shared]) for each in words]
    groups = {head: heads.count(head) for head in heads}
    assert len(groups) == 4
    # Binomial(400, 1/4): 100 ± 5 standard deviations of 8.7.
    assert all(57 <= n <= 143 for n in groups.values())
    assert len({" ".join(each[shared:]) for each in words}) == 400
    assert all(abs(server.count(source.ask(job, -1)) - 360) <= per_word for job in range(20))


def test_two_kinds_of_jobs_share_no_prefix() -> None:
    """Unless they are one kind: then any process makes the same."""
    prompts = Prompts(prefix=PromptPrefix(20))
    here, there, other = opened(prompts), opened(prompts), opened(prompts, leaf(number=1))
    assert here.ask(5, -1).prompt == there.ask(5, -1).prompt
    assert text_of(here.ask(5, -1)).split()[:20] == text_of(here.ask(6, -1)).split()[:20]
    assert text_of(here.ask(5, -1)).split()[:20] != text_of(other.ask(5, -1)).split()[:20]


@given(st.integers(0, 2**53 - 1), st.integers(1, 5), st.integers(0, 300))
@settings(max_examples=20, deadline=None)
def test_shards_ask_what_the_whole_run_asks(seed: int, shards: int, first: int) -> None:
    """Job k is the same job in whichever process, and whoever was asked before."""
    prompts = Prompts(input=Exponential(40), output=Exponential(20), prefix=PromptPrefix(8, 3))
    whole = opened(prompts, leaf(seed))
    asks = [whole.ask(job, -1) for job in range(first, first + 12)]
    for shard in range(shards):
        part = opened(prompts, leaf(seed))
        for job in range(first + 11, first - 1, -1):
            if job % shards == shard:
                told = part.ask(job, -1)
                assert (told.prompt, told.max_tokens) == (asks[job - first].prompt, asks[job - first].max_tokens)
                assert part.wanted(job) == whole.wanted(job)


# --- Traces --------------------------------------------------------------------------------------------------------------


def test_a_trace_gives_lengths_and_shared_blocks() -> None:
    """Equal ids are equal text, to the last whole word; the rest of a prompt is its own."""
    lengths = TokenLengths.of(
        TraceTokens((1300, 1800, 600, 5, 0), (10, 20, 0, 7, 9), ((1, 2, 3), (1, 2, 9, 4), (1,), (), ()))
    )
    source = opened(Prompts(trace=True), trace=lengths)
    asks = [source.ask(job, -1) for job in range(5)]
    words = [text_of(ask).split() for ask in asks]
    assert [len(each) for each in words] == [1300, 1800, 600, 5, 1]
    assert [ask.max_tokens for ask in asks] == [10, 20, 1, 7, 9]
    assert [source.wanted(job) for job in range(5)] == [(1300, 10), (1800, 20), (600, 1), (5, 7), (1, 9)]
    assert words[0][:1024] == words[1][:1024]
    assert words[0][1024:1040] != words[1][1024:1040]
    assert words[2][:512] == words[0][:512]
    assert words[2][512:528] != words[0][512:528]


def test_a_begun_block_begins_the_whole_one() -> None:
    """The last block of a prompt is cut where the prompt ends."""
    lengths = TokenLengths.of(TraceTokens((700, 1024), (1, 1), ((1, 2), (1, 2))))
    source = opened(Prompts(trace=True), trace=lengths)
    short, long = (text_of(source.ask(job, -1)).split() for job in range(2))
    assert long[:700] == short


@given(
    st.lists(st.tuples(st.integers(0, 4000), st.lists(st.integers(0, 5), max_size=9)), min_size=1, max_size=8),
    st.integers(1, 4),
    st.integers(0, 40),
)
@settings(max_examples=30, deadline=None)
def test_any_trace_is_met_in_length(rows: list[tuple[int, list[int]]], per_word: int, overhead: int) -> None:
    """Within half a word, with too many ids and too few."""
    tokens = TraceTokens(tuple(n for n, _ in rows), (1,) * len(rows), tuple(tuple(ids) for _, ids in rows))
    server, source = Server(per_word, overhead), opened(Prompts(trace=True), trace=TokenLengths.of(tokens))
    asyncio.run(source.calibrate(server.probe))
    for job, (asked, _) in enumerate(rows):
        if asked >= overhead + per_word:
            assert abs(server.count(source.ask(job, -1)) - asked) <= per_word / 2


# --- Prompts that are given ------------------------------------------------------------------------------------------------


HELLO = {
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    "max_tokens": 9,
}


def test_listed_prompts_go_round(tmp_path: Path) -> None:
    """Written out or in a file, as texts, prompts or messages; a limit of its own wins."""
    given = ["One", {"prompt": "Two", "max_tokens": 5}, HELLO]
    file = tmp_path / "prompts.jsonl"
    file.write_text("\ufeff" + "\n\n".join(json.dumps(each) for each in given), encoding="utf-8")
    for prompts in (Prompts.coerce(given), Prompts(file=str(file))):
        source = opened(prompts)
        asks = [source.ask(job, -1) for job in range(6)]
        assert [ask.prompt for ask in asks] == ["One", "Two", None] * 2
        assert [ask.max_tokens for ask in asks] == [None, 5, 9] * 2
        assert [list(message.items()) for message in asks[2].messages or ()] == [
            list(message.items())
            for message in HELLO["messages"]  # type: ignore[attr-defined]
        ]
        assert source.wanted(0) is None


def test_prompts_are_picked_by_number_or_turn() -> None:
    """At random by the job's number, so the order of jobs decides nothing; once by its turn."""
    texts = tuple(f"prompt {i}" for i in range(50))
    drawn = opened(Prompts(of=texts, pick="random"))  # type: ignore[arg-type]
    picked = [drawn.ask(job, -1).prompt for job in range(1000)]
    assert picked == [drawn.ask(job, 3).prompt for job in range(1000)]
    assert {*picked} == {*texts}
    once = opened(Prompts(of=texts, pick="once"))  # type: ignore[arg-type]
    assert [once.ask(99, turn).prompt for turn in range(50)] == [*texts]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 3 is not JSON"),
        ("5", r"line 3: must be a text, or an object"),
        ("{}", r'line 3: must have either "messages" or a "prompt"'),
        ('{"prompt": "a", "messages": [{"role": "user"}]}', r"line 3: must have either"),
        ('{"messages": []}', r"line 3: messages: must be a list of messages"),
        ('{"messages": [{"content": "a"}]}', r"line 3: messages\[0\]: must be a message"),
        ('{"prompt": "a", "max_tokens": 0}', r"line 3: max_tokens: must be a whole number >= 1"),
        ('{"prompt": "a", "max_token": 5}', r"line 3: max_token: is not a member"),
        ('{"prompt": 5}', r"line 3: prompt: must be a text"),
        ("[" * 100_000, "line 3 is not JSON"),
    ],
)
def test_a_line_that_is_no_prompt_is_named(tmp_path: Path, line: str, told: str) -> None:
    """By its number in the file, before anything is sent."""
    file = tmp_path / "prompts.jsonl"
    file.write_text(f'"One"\n\n{line}\n')
    with pytest.raises(SpecError, match=rf"^file: .*prompts.jsonl, {told}"):
        opened(Prompts(file=str(file)))


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "has no prompt"), (b"\n \n", "has no prompt"), (b"\xff", "must be UTF-8")]
)
def test_a_file_without_prompts_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_bytes(content)
    with pytest.raises(SpecError, match=told):
        opened(Prompts(file=str(file)))
    with pytest.raises(SpecError, match="file: cannot be read"):
        opened(Prompts(file=str(tmp_path / "none.jsonl")))


def test_conversations_of_sharegpt_ask_their_first_question(tmp_path: Path) -> None:
    """As long an answer as the first of the conversation, by its words; what begins otherwise is left out."""
    talks = [
        {
            "id": "a",
            "conversations": [
                {"from": "human", "value": "One?"},
                {"from": "gpt", "value": "a b c"},
                {"from": "human", "value": "no"},
            ],
        },
        {"id": "b", "conversations": [{"from": "gpt", "value": "Hello"}, {"from": "human", "value": "no"}]},
        {"id": "c", "conversations": [{"from": "human", "value": "no"}]},
        {"id": "d", "conversations": []},
        {
            "id": "e",
            "conversations": [{"from": "user", "value": "Two?"}, {"from": "assistant", "value": ""}],
            "more": 1,
        },
    ]
    file = tmp_path / "sharegpt.json"
    file.write_text(json.dumps(talks))
    source = opened(Prompts(file=str(file)))
    assert [(ask.prompt, ask.max_tokens) for ask in (source.ask(job, -1) for job in range(3))] == [
        ("One?", 4), ("Two?", 1), ("One?", 4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[", "is no list of conversations"),
        ("{}", "is no list of conversations"),
        ('[{"conversations": [{"from": "human", "value": 5}]}]', r"conversations\[0\].value"),
        ('[{"conversation": []}]', "missing required field `conversations`"),
        ("[" * 100_000, "is no list of conversations"),
        ("[]", "has no prompt"),
    ],
)
def test_a_file_of_no_conversations_is_refused(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "sharegpt.json"
    file.write_text(content)
    with pytest.raises(SpecError, match=told):
        opened(Prompts(file=str(file)))


# --- The member ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"of": ("a",), "file": "b.jsonl"}, "file"),
        ({"of": ("a",), "trace": True}, "trace"),
        ({"of": ()}, "of"),
        ({"of": ("a",), "input": 5}, "input"),
        ({"file": "b.jsonl", "prefix": PromptPrefix(5)}, "prefix"),
        ({"trace": True, "output": 5}, "output"),
        ({"pick": "once"}, "pick"),
        ({"of": ("a",), "exact": True}, "exact"),
        ({"file": "b.csv"}, "file"),
        ({"input": 0.3}, "input"),
        ({"output": Exponential(3e6)}, "output"),
        ({"prefix": {"length": 5}}, "prefix"),
    ],
)
def test_members_that_do_not_fit_are_refused(members: dict[str, Any], path: str) -> None:
    with pytest.raises(SpecError) as caught:
        Prompts(**members)
    assert [problem.path for problem in caught.value.problems] == [path]


@pytest.mark.parametrize("value", [5, None, "traces", {"of": ["a"]}, True])
def test_what_is_no_prompts_is_refused(value: object) -> None:
    with pytest.raises(Exception, match="must be a list of prompts"):
        Prompts.coerce(value)


# --- As planned ------------------------------------------------------------------------------------------------------------


def test_planned_lengths_are_those_of_the_run() -> None:
    """A simulated job has the lengths that the real one asks for: the streams of plan and run differ, their key does not."""
    prompts = Prompts(input=LogNormal(90, 1), output=Exponential(30), prefix=PromptPrefix(7))
    planned = plan_lengths(prompts, (), 128, Streams(5).child("jobs").child("branch 1"), None)(3000, 1500)
    source = opened(prompts, leaf(5, number=1))
    asked = [source.wanted(job) for job in range(3000, 4500)]
    assert list(zip(planned.input.tolist(), planned.output.tolist(), strict=True)) == asked


def test_planned_lengths_of_listed_prompts_are_estimated() -> None:
    """Four tokens for three words, and an answer as long as it may be."""
    prompts = Prompts.coerce(["one two three", HELLO])
    planned = plan_lengths(prompts, prompts.of or (), 50, Streams(1), None)(1, 3)
    assert planned.input.tolist() == [4, 4, 4]
    assert planned.output.tolist() == [9, 50, 9]
    assert (
        estimate_prompt(Prompts.coerce([{"messages": [{"role": "user", "content": [{"type": "image"}]}]}]).of[0]) == 1
    )  # type: ignore[index]


def test_planned_lengths_of_a_trace_are_its_rows() -> None:
    """And at least one token each."""
    trace = TokenLengths.of(TraceTokens((5, 0, 7), (0, 2, 3)))
    planned = plan_lengths(Prompts(trace=True), (), 128, Streams(1), trace)(1, 4)
    assert (planned.input.tolist(), planned.output.tolist()) == ([1, 7, 5, 1], [2, 3, 1, 2])
