"""Parity with other tools: their formulas, written here once more from what each documents, on 1,000 recorded requests.

The reference knows each request as the tools do, as frames with instants. Aurea's records are made of the same frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import NEVER, NS, JobBatch
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.measures import Mark, Measure
from aurea_engine.results.parity import DEFINITIONS, TOOLS, Bounds, Parity, Pooled, Requests, make_table
from aurea_engine.results.parity.requests import MARKS, MEASURES

BOUNDS = Bounds(first_token=0.25, token_gap=0.022, end_to_end=1.4)
MS = 1_000_000


@dataclass(frozen=True)
class Frame:
    at: int
    kind: str
    """role, reasoning, content, end, usage or error"""

    @property
    def has_choices(self) -> bool:
        return self.kind not in ("usage", "error")

    @property
    def has_content(self) -> bool:
        return self.kind in ("reasoning", "content")


@dataclass(frozen=True)
class Request:
    intended: int
    started: int
    frames: tuple[Frame, ...]
    finished: int
    outcome: Outcome
    failure: str | None
    input_tokens: int
    output_tokens: int | None

    def at(self, *kinds: str) -> list[int]:
        return [frame.at for frame in self.frames if frame.kind in kinds]

    @property
    def with_choices(self) -> list[int]:
        return [frame.at for frame in self.frames if frame.has_choices]

    @property
    def with_content(self) -> list[int]:
        return [frame.at for frame in self.frames if frame.has_content]

    @property
    def is_answered(self) -> bool:
        return self.outcome == Outcome.COMPLETED


@cache
def make_requests(*, usage: bool = True) -> tuple[Request, ...]:
    """1,000 requests with all that servers do: role-only frames, bundles of tokens, reasoning, one token, errors."""
    rng = np.random.default_rng(20261201)
    return tuple(make_request(rng, number, usage) for number in range(1000))


def make_request(rng: np.random.Generator, number: int, usage: bool) -> Request:
    intended = number * 20 * MS
    started = intended + int(rng.exponential(3e6))
    at = started + int(rng.gamma(4, 50e6))
    frames = []
    if rng.random() < 0.7:
        frames.append(Frame(at, "role"))
        at += int(rng.exponential(8e6)) + 1
    count = 1 if rng.random() < 0.08 else int(rng.integers(2, 60))
    reasoning = int(rng.integers(0, count)) if rng.random() < 0.3 else 0
    for i in range(count):
        frames.append(Frame(at, "reasoning" if i < reasoning else "content"))
        at += int(rng.gamma(2, 10e6)) + 1
    tokens = count if rng.random() < 0.6 or count == 1 else count + int(rng.integers(1, 3 * count))
    fate = rng.random()
    if fate < 0.04:
        frames = frames[: len(frames) // 2 + 1]
        frames.append(Frame(frames[-1].at + 5 * MS, "error"))
        ended = frames[-1].at + 1000
        return Request(intended, started, tuple(frames), ended, Outcome.FAILED, "stream_error", 90, None)
    if fate < 0.07:
        return Request(intended, started, (), at, Outcome.FAILED, "status", 90, None)
    if fate < 0.09:
        return Request(intended, started, tuple(frames[:1]), started + 2 * NS, Outcome.TIMED_OUT, "timeout", 90, None)
    if rng.random() < 0.8:
        frames.append(Frame(at, "end"))
        at += int(rng.exponential(1e5)) + 1
    if usage:
        frames.append(Frame(at, "usage"))
    ended = at + int(rng.exponential(1e5))
    prompt = int(rng.integers(10, 4000))
    return Request(intended, started, tuple(frames), ended, Outcome.COMPLETED, None, prompt, tokens if usage else None)


def record(requests: tuple[Request, ...]) -> JobBatch:
    """The columns that Aurea keeps of the same requests, by the definitions of its marks and measures."""

    def first(instants: list[int]) -> int:
        return instants[0] if instants else NEVER

    def column(values: list[int]) -> Any:
        return np.array(values, np.int64)

    marks = {
        "first_frame": [first(each.with_choices) for each in requests],
        "first_token": [first(each.with_content) for each in requests],
        "first_answer": [first(each.at("content")) for each in requests],
        "last_token": [first(each.with_content[::-1]) for each in requests],
        "last_frame": [first(each.with_choices[::-1]) for each in requests],
    }
    measures = {
        "input_tokens": [each.input_tokens if each.output_tokens is not None else NEVER for each in requests],
        "output_tokens": [NEVER if each.output_tokens is None else each.output_tokens for each in requests],
        "frames": [len(each.with_content) for each in requests],
    }
    failures = ("status", "stream_error", "timeout")
    failure = [NEVER if each.failure is None else failures.index(each.failure) for each in requests]
    intended = column([each.intended for each in requests])
    return JobBatch(
        intended,
        intended,
        column([each.started for each in requests]),
        column([each.finished for each in requests]),
        np.array([each.outcome for each in requests], np.uint8),
        {Mark(name): column(marks[name]) for name in MARKS},
        {Measure(name, "tokens"): column(measures[name]) for name in MEASURES},
        failure=np.array(failure, np.int32),
        failures=failures,
    )


def pool_gaps(requests: tuple[Request, ...], *, broken_off: bool = False) -> Any:
    """The gaps of answered requests, and of those that an error frame broke off, which are successes to vLLM alone."""
    wanted = [each for each in requests if each.is_answered or (broken_off and each.failure == "stream_error")]
    return np.concatenate([np.diff(each.with_content) for each in wanted])


def table_of(requests: tuple[Request, ...], bounds: Bounds = BOUNDS, tool: str = "aiperf") -> Parity:
    gaps = Pooled.of(pool_gaps(requests, broken_off=tool == "vLLM"))
    return make_table(Requests.of(record(requests), gaps), bounds)


# --- The reference: vLLM ---------------------------------------------------------------------------------------------


def calculate_vllm(requests: tuple[Request, ...], bounds: Bounds) -> dict[Any, float]:
    ttfts, tpots, all_tpots, itls, e2els, lengths, prompts, spans = [], [], [], [], [], [], [], []
    for each in requests:
        # The client raises nothing for an error frame, which has no choices.
        if not each.with_choices or not (each.is_answered or each.failure == "stream_error"):
            continue
        ttft = (each.with_choices[0] - each.started) / NS
        latency = (each.with_choices[-1] - each.started) / NS
        length = each.output_tokens if each.output_tokens is not None else len(each.with_content)
        tpot = 0.0
        if length > 1:
            tpot = (latency - ttft) / (length - 1)
            tpots.append(tpot)
        all_tpots.append(tpot)
        itls += [gap / NS for gap in np.diff(each.with_choices)]
        ttfts.append(ttft)
        e2els.append(latency)
        lengths.append(length)
        prompts.append(each.input_tokens if each.output_tokens is not None else 0)
        spans.append((each.started, each.with_choices[-1]))
    duration = max(each.finished for each in requests) / NS
    slos = list(zip((ttfts, all_tpots, e2els), bounds, strict=True))
    good = sum(all(most >= values[i] for values, most in slos if most is not None) for i in range(len(ttfts)))
    events = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    level = peak = 0
    for _, step in events:
        level += step
        peak = max(peak, level)
    found = {
        ("requests_answered", ""): len(ttfts),
        ("requests_failed", ""): len(requests) - len(ttfts),
        ("duration", ""): duration,
        ("request_rate", ""): len(ttfts) / duration,
        ("output_token_rate", ""): sum(lengths) / duration,
        ("token_rate", ""): (sum(prompts) + sum(lengths)) / duration,
        ("goodput", ""): good / duration,
        ("peak_concurrency", ""): peak,
    }
    return found | spread_by_numpy(first_token_time=ttfts, token_gap=tpots, frame_gap=itls, end_to_end=e2els)


def spread_by_numpy(*, scale: float = 1000.0, **values: list[float]) -> dict[Any, float]:
    found = {}
    for name, each in values.items():
        found[name, "mean"] = float(np.mean(each)) * scale
        found[name, "p50"] = float(np.median(each)) * scale
        found[name, "p99"] = float(np.percentile(each, 99)) * scale
    return found


# --- The reference: aiperf -------------------------------------------------------------------------------------------


def calculate_aiperf(requests: tuple[Request, ...], bounds: Bounds) -> dict[Any, float]:
    valid = [each for each in requests if each.is_answered and each.with_content]
    ttft = {each: each.with_content[0] - each.started for each in valid}
    latency = {each: each.with_content[-1] - each.started for each in valid}
    osl = {each: each.output_tokens if each.output_tokens is not None else len(each.with_content) for each in valid}
    itl = {each: (latency[each] - ttft[each]) / (osl[each] - 1) for each in valid if osl[each] >= 2}
    ttfo = {each: each.at("content")[0] - each.started for each in valid if each.at("content")}
    duration = (max(each.started + latency[each] for each in valid) - min(each.started for each in valid)) / NS
    # A metric that a record lacks is missed.
    slos = list(zip((ttft, itl, latency), bounds, strict=True))
    good = sum(all(each in values and values[each] <= most * NS for values, most in slos if most) for each in valid)
    asked = sum(each.input_tokens for each in valid if each.output_tokens is not None)
    found = {
        ("requests_answered", ""): len(valid),
        ("requests_failed", ""): len(requests) - len(valid),
        ("duration", ""): duration,
        ("request_rate", ""): len(valid) / duration,
        ("output_token_rate", ""): sum(osl.values()) / duration,
        ("token_rate", ""): (asked + sum(osl.values())) / duration,
        ("goodput", ""): good / duration,
        ("good_share", ""): good / len(requests),
    }
    icl = [gap for each in valid for gap in np.diff(each.with_content)]
    times = {"first_token_time": ttft, "first_answer_time": ttfo, "token_gap": itl, "end_to_end": latency}
    found |= spread_by_numpy(scale=1 / MS, frame_gap=icl, **{name: [*each.values()] for name, each in times.items()})
    return found | spread_by_numpy(scale=1.0, output_rate=[1 / (each / NS) for each in itl.values() if each])


# --- The reference: guidellm -----------------------------------------------------------------------------------------


def calculate_guidellm(requests: tuple[Request, ...], bounds: Bounds) -> dict[Any, float]:
    successful = [each for each in requests if each.is_answered]
    errored = len(requests) - len(successful)
    tokens = {
        each: each.output_tokens if each.output_tokens is not None else len(each.with_content) for each in successful
    }
    ttft = {each: (each.with_content[0] - each.started) / MS for each in successful}
    itl = {each: (each.with_content[-1] - each.with_content[0]) / MS / (tokens[each] - 1) for each in successful
           if tokens[each] > 1}  # fmt: skip
    tpot = {each: (each.with_content[-1] - each.started) / MS / tokens[each] for each in successful}
    latency = {each: (each.finished - each.started) / MS for each in successful}
    answer = {each: (each.at("content")[0] - each.started) / MS for each in successful if each.at("content")}
    duration = (max(each.finished for each in requests) - min(each.started for each in requests)) / NS
    conforming = determined = 0
    for each in successful:
        measured = [(values.get(each), most) for values, most in zip((ttft, itl, latency), bounds, strict=True) if most]
        if all(value is not None for value, _ in measured):
            determined += 1
            conforming += all(value is not None and value <= most * 1000 for value, most in measured)
    asked = sum(each.input_tokens for each in successful if each.output_tokens is not None)
    found: dict[Any, float] = {
        ("requests_answered", ""): len(successful),
        ("requests_failed", ""): errored,
        ("duration", ""): duration,
        ("request_rate", ""): len(successful) / duration,
        ("output_token_rate", ""): sum(tokens.values()) / duration,
        ("token_rate", ""): (asked + sum(tokens.values())) / duration,
        ("goodput", ""): conforming / duration,
        ("good_share", ""): conforming / (determined + errored),
    }
    for name, values, weights in (
        ("first_token_time", ttft, dict.fromkeys(ttft, 1)),
        ("first_answer_time", answer, dict.fromkeys(answer, 1)),
        ("token_gap", itl, {each: tokens[each] - 1 for each in itl}),
        ("time_per_token", tpot, tokens),
        ("end_to_end", latency, dict.fromkeys(latency, 1)),
    ):
        found |= spread_by_weight(name, [(values[each], weights[each]) for each in values])
    return found


def spread_by_weight(name: str, pairs: list[tuple[float, int]]) -> dict[Any, float]:
    """Its distribution is a probability density of distinct values; a percentile is where the running sum reaches it."""
    weights: dict[float, int] = {}
    for value, weight in pairs:
        weights[value] = weights.get(value, 0) + weight
    values = np.array(sorted(value for value, weight in weights.items() if weight))
    shares = np.array([weights[value] for value in values]) / sum(weights.values())
    cumulative = np.cumsum(shares)
    found = {(name, "mean"): float((values * shares).sum())}
    for label, q in (("p50", 0.5), ("p99", 0.99)):
        found[name, label] = float(values[np.searchsorted(cumulative, q, side="left")])
    return found


REFERENCES = {"vLLM": calculate_vllm, "aiperf": calculate_aiperf, "guidellm": calculate_guidellm}


# --- Figure by figure ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("tool", TOOLS)
def test_every_figure_is_the_tools_own(tool: Any, usage: bool) -> None:
    requests = make_requests(usage=usage)
    table = table_of(requests, tool=tool)
    expected = REFERENCES[tool](requests, BOUNDS)
    found = {(row.definition.figure, row.statistic): row.theirs[tool] for row in table.rows if tool in row.theirs}
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        # The tools count in floats of seconds, our records in whole nanoseconds.
        assert found[key] == pytest.approx(value, rel=1e-9), key


def test_the_sample_has_all_that_tools_differ_on() -> None:
    """Else the comparison would show nothing: each difference must occur, and make a difference."""
    table = table_of(make_requests())
    of = table.value
    assert of("vLLM", "requests_answered") > of("aiperf", "requests_answered")  # type: ignore[operator]
    assert of("vLLM", "first_token_time", "mean") < of("aiperf", "first_token_time", "mean")  # type: ignore[operator]
    assert of("guidellm", "token_gap", "mean") != pytest.approx(of("aiperf", "token_gap", "mean"), rel=0.01)
    assert of("guidellm", "time_per_token", "mean") > of("guidellm", "token_gap", "mean")  # type: ignore[operator]
    assert len({of(tool, "goodput") for tool in TOOLS}) == 3
    assert len({of(tool, "duration") for tool in TOOLS}) == 3


def test_a_histogram_stands_for_single_gaps() -> None:
    requests = make_requests()
    histogram = LatencyHistogram()
    histogram.record(pool_gaps(requests))
    exact = table_of(requests)
    rough = make_table(Requests.of(record(requests), Pooled.of_histogram(histogram)), BOUNDS)
    for tool in ("vLLM", "aiperf"):
        for statistic in ("mean", "p50", "p99"):
            value = exact.value(tool, "frame_gap", statistic)
            assert rough.value(tool, "frame_gap", statistic) == pytest.approx(value, rel=0.004)


def test_a_one_token_answer_is_good_only_for_vllm() -> None:
    frames = (Frame(100 * MS, "content"), Frame(101 * MS, "end"))
    one = Request(0, 0, frames, 102 * MS, Outcome.COMPLETED, None, 5, 1)
    table = make_table(Requests.of(record((one,))), Bounds(token_gap=0.01))
    assert table.value("vLLM", "goodput") == pytest.approx(1 / 0.102)
    assert table.value("aiperf", "goodput") == 0
    assert table.value("aiperf", "good_share") == 0
    assert table.value("guidellm", "good_share") is None


def test_no_bounds_are_no_goodput() -> None:
    table = table_of(make_requests(), Bounds())
    assert {table.value(tool, "goodput") for tool in TOOLS} == {None}


def test_lacking_usage_is_said() -> None:
    (note,) = table_of(make_requests(usage=False)).notes
    assert "reported no tokens" in note
    assert not table_of(make_requests()).notes


def test_no_requests_are_no_error() -> None:
    table = make_table(Requests.of(record(())), BOUNDS)
    assert table.value("vLLM", "requests_answered") == 0
    assert table.value("aiperf", "duration") == 0


def test_the_page_has_every_definition() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs" / "chat.md").read_text().split())
    for each in DEFINITIONS:
        assert each.why in page, each.figure
        for term in each.theirs.values():
            assert f"{term.name}: {term.formula}" in page, each.figure
