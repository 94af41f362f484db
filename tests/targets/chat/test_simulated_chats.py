"""Chats in virtual time: every mark and count follows from what was drawn, slots are the batch, and the bill is exact."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurea_engine import (
    AllAtOnce,
    Branch,
    Changes,
    Mix,
    NotSimulable,
    RunResult,
    Shard,
    Sleep,
    SpecError,
    Workload,
    plan,
    result_from_dict,
    result_to_dict,
    simulate,
    spec_from_dict,
    spec_to_dict,
    what_if,
)
from aurea_engine.testing import check_result

TRACE = Path(__file__).parents[2] / "engine" / "traces" / "azure_2023.csv"
SIMULATED = {"first_token_time": 0.4, "token_gap": 0.05}
COST = {
    "kind": "tokens",
    "classes": [
        {"name": "input", "price": "0.5", "measure": "input"},
        {"name": "cached", "price": "0.05", "measure": "cached"},
        {"name": "output", "price": "1.5", "measure": "output"},
    ],
}


def document(prompts: Any = None, slots: int | None = None, **members: Any) -> dict[str, Any]:
    job = {"kind": "chat", "url": "http://127.0.0.1", "simulated": SIMULATED, **members.pop("job", {})}
    if prompts is not None:
        job["prompts"] = prompts
    workload = {"job": job, "arrivals": {"kind": "poisson", "rate": 2}, "jobs": 500, **members.pop("workload", {})}
    return {"workload": workload, "scheduler": {"slots": slots}, "clock": "virtual", "seed": 3, "cost": COST, **members}


def run(prompts: Any = None, slots: int | None = None, **members: Any) -> RunResult:
    result = simulate(spec_from_dict(document(prompts, slots, **members)))
    check_result(result)
    return result


def column(result: RunResult, name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    assert result.jobs is not None
    found = {**result.jobs.marks, **result.jobs.measures}
    return next(values for declared, values in found.items() if declared.name == name)


def exact_cost(result: RunResult) -> Fraction:
    return Fraction(result_to_dict(result)["cost"]["exact"])


def test_marks_follow_from_the_two_times() -> None:
    """The first token after 0.4 s, each other 0.05 s after the one before it, to the nanosecond."""
    result = run({"input": 70, "output": {"kind": "exponential", "mean": 40}}, slots=2)
    jobs = result.jobs
    assert jobs is not None
    tokens = column(result, "output_tokens")
    assert len({*tokens.tolist()}) > 50
    assert (jobs.service_ns == 400_000_000 + (tokens - 1) * 50_000_000).all()
    for name in ("first_byte", "first_frame", "first_token", "first_answer"):
        assert (column(result, name) == jobs.started + 400_000_000).all()
    for name in ("last_token", "last_frame"):
        assert (column(result, name) == jobs.finished).all()
    assert (column(result, "sent") == jobs.started).all()
    gaps = column(result, "token_gap")
    assert ((gaps == 50_000_000) | ((tokens == 1) & (gaps == -1))).all()
    assert (column(result, "input_tokens") == 70).all()
    assert (column(result, "frames") == tokens).all()


def test_long_prompts_take_longer() -> None:
    """Each of their tokens as long as every other, before the first token of the answer."""
    simulated = {**SIMULATED, "input_token_time": "100us"}
    result = run({"input": {"kind": "uniform", "low": 1, "high": 9000}, "output": 5}, job={"simulated": simulated})
    jobs = result.jobs
    assert jobs is not None
    expected = 400_000_000 + 100_000 * column(result, "input_tokens")
    assert (np.abs(column(result, "first_token") - jobs.started - expected) <= 1).all()
    assert (np.abs(jobs.service_ns - expected - 4 * 50_000_000) <= 1).all()


def test_slots_are_the_batch() -> None:
    """One slot answers one after the other, sixteen answer sixteen at once."""
    workload = {"arrivals": {"kind": "all_at_once"}, "jobs": 32}
    alone, many = (run({"input": 10, "output": 21}, slots, workload=workload) for slots in (1, 16))
    # Each takes 0.4 + 20 · 0.05 = 1.4 s.
    assert alone.duration == pytest.approx(32 * 1.4)
    assert many.duration == pytest.approx(2 * 1.4)
    assert many.concurrency.peak == 16


def test_the_bill_is_exact() -> None:
    """Price times the tokens of the jobs, which the result shows."""
    result = run({"input": {"kind": "lognormal", "mean": 300, "cv": 1}, "output": {"kind": "exponential", "mean": 40}})
    prompt, answer = (int(column(result, name).sum()) for name in ("input_tokens", "output_tokens"))
    assert exact_cost(result) == (Fraction(prompt, 2) + Fraction(3 * answer, 2)) / 10**6
    assert result.measures["asked_input"].total == prompt
    assert result.measures["asked_output"].total == answer


def test_every_result_says_that_it_is_simulated() -> None:
    """As a note, which leaves the measurement valid."""
    result = run()
    assert [finding.code for finding in result.findings if finding.code == "tokens_simulated"]
    assert result.verdict == "valid"
    assert spec_from_dict(spec_to_dict(result.spec)) == result.spec
    assert result_from_dict(result_to_dict(result)).measures["output_tokens"] == result.measures["output_tokens"]


def test_a_trace_is_simulated_row_by_row() -> None:
    """With the instants and the lengths of the file, ten times as fast."""
    arrivals = {"kind": "trace", "file": str(TRACE), "format": "azure", "speed": 10}
    result = run("trace", workload={"arrivals": arrivals, "jobs": None})
    lengths = result.spec.workload.arrivals.token_lengths()
    assert lengths is not None
    assert column(result, "input_tokens").tolist() == lengths.input.tolist()
    assert column(result, "output_tokens").tolist() == lengths.output.tolist()
    assert exact_cost(result) == (Fraction(731_313, 2) + Fraction(3 * 148_426, 2)) / 10**6


def test_listed_prompts_are_simulated_by_their_words(tmp_path: Path) -> None:
    """Also those of a file: four tokens for three words, and answers as long as they may be."""
    file = tmp_path / "prompts.jsonl"
    file.write_text('"one two three"\n{"prompt": "six words that are a prompt", "max_tokens": 7}\n')
    result = run({"file": str(file)}, job={"max_tokens": 11}, workload={"jobs": 4})
    assert column(result, "input_tokens").tolist() == [4, 8, 4, 8]
    assert column(result, "output_tokens").tolist() == [11, 7, 11, 7]


def test_no_chat_is_simulated_without_its_times() -> None:
    with pytest.raises(NotSimulable, match=r'set clock to "real"'):
        simulate(spec_from_dict(document(job={"simulated": None})))


@pytest.mark.parametrize("wrong", [{"first_token_time": 1}, {"token_gap": 1}, {**SIMULATED, "token_gap": -1}, 5])
def test_times_that_cannot_be_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"workload\.job\.simulated"):
        spec_from_dict(document(job={"simulated": wrong}))


def test_simulated_and_sent_answers_are_asked_for_alike() -> None:
    """``simulated`` changes nothing in what a real run plans: a chat's end is not known before."""
    spec = spec_from_dict(document({"input": 5, "output": {"kind": "exponential", "mean": 9}}))
    virtual = plan(spec)
    assert np.isfinite(virtual.demand).all()
    real = plan(
        spec_from_dict({**document({"input": 5, "output": {"kind": "exponential", "mean": 9}}), "clock": "real"})
    )
    assert (virtual.demand == real.demand).all()


def test_lengths_reach_chats_within_other_jobs() -> None:
    """Through mixes and wrappers; jobs that take none stay the very same."""
    sleep = {"kind": "sleep", "duration": 0.1}
    chat = {"kind": "chat", "url": "http://127.0.0.1", "prompts": "trace", "simulated": SIMULATED}
    mix = {
        "kind": "mix",
        "of": [{"weight": 1, "job": {"kind": "faulty", "failure_rate": 0, "job": chat}}, {"weight": 1, "job": sleep}],
    }
    limited = {"kind": "limited", "timeout": 1e6, "job": mix}
    arrivals = {"kind": "trace", "file": str(TRACE), "format": "azure"}
    result = run(job={}, workload={"job": limited, "arrivals": arrivals, "jobs": None})
    rows = result.spec.workload.arrivals.token_lengths()
    assert rows is not None
    told, asked = column(result, "input_tokens"), rows.input
    assert 50 < int((told >= 0).sum()) < 150
    assert ((told == asked) | (told == -1)).all()
    alone = Mix((Branch(1, Sleep(1)),))
    assert Workload(alone, AllAtOnce(), jobs=1).job is alone


def test_a_stored_result_needs_its_trace_no_more(tmp_path: Path) -> None:
    """It is read as it was written, and its file may be gone; to run it again the file is needed."""
    file = tmp_path / "day.csv"
    file.write_bytes(TRACE.read_bytes())
    result = run("trace", workload={"arrivals": {"kind": "trace", "file": str(file), "format": "azure"}, "jobs": None})
    stored = result_to_dict(result)
    file.unlink()
    again = result_from_dict(stored, local=False, keep_unknown=True)
    assert result_to_dict(again)["spec"] == stored["spec"]
    assert again.measures["input_tokens"] == result.measures["input_tokens"]
    with pytest.raises(SpecError, match="cannot be read"):
        spec_from_dict(stored["spec"])


lengths = st.sampled_from([20, {"kind": "exponential", "mean": 30}, {"kind": "lognormal", "mean": 50, "cv": 2}])


@given(lengths, lengths, st.integers(2, 5), st.integers(0, 2**53 - 1), st.booleans())
@settings(max_examples=15, deadline=None)
def test_shards_plan_what_the_whole_run_plans(inputs: Any, outputs: Any, shards: int, seed: int, mixed: bool) -> None:
    """Row by row, also where chats are one kind of several."""
    data = document({"input": inputs, "output": outputs, "prefix": {"length": 9, "groups": 2}}, seed=seed, clock="real")
    if mixed:
        job = data["workload"]["job"]
        other = {**job, "prompts": {"output": outputs}}
        data["workload"]["job"] = {"kind": "mix", "of": [{"weight": 2, "job": job}, {"weight": 1, "job": other}]}
    spec = spec_from_dict(data)
    whole, parts = plan(spec), [plan(spec, Shard(i, shards)) for i in range(shards)]
    for i, part in enumerate(parts):
        for name in ("job", "intended", "demand", "leaf", "outcome", "service"):
            assert np.array_equal(getattr(part, name), getattr(whole, name)[i::shards])


def test_a_what_if_of_a_chat_has_a_bill() -> None:
    """Twice the load of a recorded run, with the tokens that it reported."""
    recorded = run({"input": 100, "output": {"kind": "exponential", "mean": 30}}, slots=8)
    answer = what_if(recorded, Changes(rate="2x"), replays=40)
    mean = int(column(recorded, "output_tokens").sum()) / 500
    cost = answer.figure("cost_per_million")
    assert cost.interval is not None
    assert cost.recorded == pytest.approx(100 * 0.5 + mean * 1.5)
    assert cost.interval.low < cost.recorded < cost.interval.high
