"""Chats against the planted server: what is asked, what is counted, and the class of each failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aurea_engine import (
    RunParts,
    RunResult,
    SpecError,
    encode_json,
    parse_json,
    result_from_dict,
    result_to_dict,
    run_sharded_sync,
    run_sync,
    spec_from_dict,
)
from tests.targets.chat.conftest import Planted
from tests.targets.chat.planted_server import FAILURES, SCENARIOS, TOKENS

pytestmark = pytest.mark.service

Play = Callable[..., RunResult]
RIGHT = [name for name in SCENARIOS if name not in FAILURES]


def row(result: RunResult, job: int = 0) -> dict[str, Any]:
    rows: list[dict[str, Any]] = result_to_dict(result)["jobs"]
    return rows[job]


def test_token_counts_are_the_server_s(play: Play) -> None:
    """Of every answer that completes, to the token; None where the server tells of none."""
    result = play(*RIGHT)
    rows = result_to_dict(result)["jobs"]
    assert {each["outcome"] for each in rows} == {"completed"}
    assert [each["measures"]["output_tokens"] for each in rows] == [TOKENS[name] for name in RIGHT]
    told = [name != "no_usage" for name in RIGHT]
    assert [each["measures"]["input_tokens"] for each in rows] == [12 if each else None for each in told]
    assert [each["measures"]["cached_tokens"] for each in rows] == [5 if each else None for each in told]


@pytest.mark.parametrize("scenario", FAILURES)
def test_each_failure_has_its_class(play: Play, scenario: str) -> None:
    result = play(scenario)
    assert (row(result)["outcome"], row(result)["failure"]) == ("failed", FAILURES[scenario])


def test_a_timeout_is_an_outcome_of_its_own(play: Play) -> None:
    result = play("plain", timeout=0.08)
    assert (row(result)["outcome"], row(result)["failure"]) == ("timed_out", "timeout")


def test_tokens_of_a_cut_answer_stand_in_its_record(play: Play) -> None:
    """They have been paid for, where the server told of them."""
    result = play("cut_with_usage", "cut")
    assert [row(result, i)["measures"]["output_tokens"] for i in (0, 1)] == [3, None]
    assert [row(result, i)["measures"]["token_gap"] for i in (0, 1)] == [None, None]
    assert result.measures["output_tokens"].total == 3


def test_marks_come_in_their_order(play: Play) -> None:
    """Which frame is which is tested with instants that are given: `test_answer`."""
    marks = row(play("reasoning"))["marks"]
    order = ["sent", "first_byte", "first_frame", "first_token", "first_answer", "last_token", "last_frame"]
    instants = [marks[name] for name in order]
    assert instants == sorted(instants)
    assert marks["first_byte"] == marks["first_frame"]


def test_one_token_has_no_gap(play: Play) -> None:
    """And is not good by an objective on gaps, though it was fast."""
    objectives = [{"metric": "token_gap", "quantile": 0.5, "at_most": 10}]
    result = play("one", "plain", spec={"objectives": objectives})
    assert row(result, 0)["measures"]["token_gap"] is None
    assert row(result, 1)["measures"]["token_gap"] is not None
    assert result.good == 1


def test_good_is_also_what_is_fast_enough(play: Play) -> None:
    """Tokens per second are bounded from below; an answer of unknown tokens has no rate."""
    objectives = [{"metric": "output_rate", "quantile": 0.5, "at_least": 0.5}]
    result = play("plain", "no_usage", "cut", "plain", spec={"objectives": objectives})
    assert (result.good, result.good_share) == (2, 0.5)
    objectives = [{"metric": "output_rate", "quantile": 0.5, "at_least": 1e6}]
    assert play("plain", spec={"objectives": objectives}).good == 0


def test_times_of_a_chat_are_bounded_by_texts(play: Play) -> None:
    """A gap is a time per token, and one between frames is of the run: it is judged, and binds no job."""
    objectives = [{"metric": "token_gap", "quantile": 0.5, "at_most": "1h"},
                  {"metric": "frame_gap", "quantile": 0.5, "at_most": "1h"},
                  {"metric": "frame_gap", "quantile": 0.5, "at_least": "1h"}]  # fmt: skip
    result = play("plain", "plain", "plain", "plain", "plain", spec={"objectives": objectives})
    assert [judged.outcome for judged in result.objectives] == ["met", "met", "missed"]
    assert result.good == 5


@pytest.mark.parametrize(
    ("objective", "path"),
    [
        ({"metric": "frame_gap", "quantile": 0.5, "at_most": 1, "abort": True}, "abort"),
        ({"metric": "output_rate", "quantile": 0.5, "at_least": "1s"}, "at_least"),
    ],
)
def test_objectives_that_cannot_be_judged_are_refused(objective: dict[str, Any], path: str) -> None:
    workload = {"job": {"kind": "chat", "url": "http://h"}, "jobs": 1}
    with pytest.raises(SpecError) as caught:
        spec_from_dict({"workload": workload, "objectives": [objective]})
    assert [problem.path for problem in caught.value.problems] == [f"objectives[0].{path}"]


def test_rates_are_over_the_window(play: Play) -> None:
    """Of completed answers; of a ratio there is neither a sum nor a rate."""
    result = play("plain", "plain", "cut_with_usage")
    begin, end = result.window
    output = result.measures["output_tokens"]
    assert (output.total, output.rate) == (23, pytest.approx(20 / (end - begin)))
    gap = result.measures["token_gap"]
    assert (gap.total, gap.rate, gap.amounts.count) == (None, None, 2)


def test_a_chat_survives_being_stored(play: Play) -> None:
    """As JSON, and as parts with its histogram of the run."""
    result = play("plain", "reasoning")
    again = result_from_dict(parse_json(encode_json(result_to_dict(result))))
    assert again.measures == result.measures
    assert again.histograms.keys() == result.histograms.keys()
    assert result.parts is not None
    parts = RunParts.from_bytes(result.parts.to_bytes())
    assert parts == result.parts
    assert parts.meters.reported["frame_gap"].count == 9 + 7


def test_several_processes_count_as_one(planted: Planted) -> None:
    """Gaps between frames of both, and each job its own prompt."""
    names = ["plain", "bundled", "one", "tool"] * 3
    job = {"kind": "chat", "url": planted.base, "prompts": [f"{i} {name}" for i, name in enumerate(names)]}
    workload = {"job": job, "arrivals": {"kind": "constant", "rate": 20}, "jobs": len(names)}
    spec = spec_from_dict({"workload": workload, "seed": 5})
    result = run_sharded_sync(spec, 2)
    assert result.measures["output_tokens"].total == sum(TOKENS[name] or 0 for name in names)
    assert result.measures["frame_gap"].amounts.count == 3 * (9 + 4 + 0 + 2)


def test_groups_have_gaps_of_their_own(planted: Planted) -> None:
    chats = [{"weight": 1, "name": name, "job": {"kind": "chat", "url": planted.base, "prompts": [f"{i} {name}"]}}
             for i, name in enumerate(["plain", "tool"])]  # fmt: skip
    workload = {"job": {"kind": "mix", "of": chats}, "jobs": 8}
    result = run_sync(spec_from_dict({"workload": workload, "seed": 2}))
    for group in result.groups:
        each = 9 if group.name == "plain" else 2
        assert group.measures["frame_gap"].amounts.count == each * group.counts.completed


def test_the_warm_up_is_in_no_gap(play: Play) -> None:
    """Of answers that were meant to start in it."""
    result = play(*["plain"] * 5, rate=10, spec={"warmup": 0.25})
    assert result.measures["frame_gap"].amounts.count == 2 * 9
    assert result.measures["token_gap"].amounts.count == 2


def test_frames_are_those_with_content(play: Play) -> None:
    """Neither the role nor usage is one, and three tokens may be in one frame."""
    result = play("plain", "many_tokens", "bundled", "tool", "nothing")
    assert [row(result, i)["measures"]["frames"] for i in range(5)] == [10, 5, 5, 3, 0]


def test_the_gap_between_frames_is_of_the_run(play: Play) -> None:
    result = play("plain", "plain")
    assert result.measures["frame_gap"].amounts.count == 18
    assert result.histograms["frame_gap"].count == 18
    assert "frame_gap" not in row(result)["measures"]


def test_an_answer_in_one_piece_has_no_marks_of_tokens(play: Play) -> None:
    one = row(play("plain", stream=False))
    assert one["outcome"] == "completed"
    assert one["measures"]["output_tokens"] == TOKENS["plain"]
    assert one["measures"]["frames"] == 1
    assert {name for name, at in one["marks"].items() if at is None} >= {"first_frame", "first_token", "last_token"}


def test_unknown_tokens_are_a_finding(play: Play) -> None:
    """Which says what to switch on, here or at the server."""
    by_server = play("no_usage", "plain")
    (finding,) = [each for each in by_server.findings if each.code == "tokens_unknown"]
    assert "1 of 2" in finding.detail
    assert "include_usage" in finding.advice
    by_user = play("no_usage", usage=False)
    (finding,) = [each for each in by_user.findings if each.code == "tokens_unknown"]
    assert "usage to true" in finding.advice
    assert not [each for each in play("plain").findings if each.code == "tokens_unknown"]


def test_what_is_asked(play: Play, planted: Planted) -> None:
    """Model, messages, limits, parameters, and usage."""
    play("plain", parameters={"temperature": 0}, max_tokens=7)
    asked = planted.take_log()[0]["body"]
    assert asked == {
        "model": "m",
        "messages": [{"role": "user", "content": "0 plain"}],
        "max_tokens": 7,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_completions_are_asked_by_a_prompt(play: Play, planted: Planted) -> None:
    play("plain", endpoint="completions", usage=False, model=None)
    assert planted.take_log()[0]["body"] == {"prompt": "0 plain", "max_tokens": 128, "stream": True}


def test_tokens_are_billed_as_they_are_reported(play: Play) -> None:
    """Input that was not cached, cached, and output."""
    classes = [{"name": name, "price": price, "measure": name}
               for name, price in (("input", "1"), ("cached", "0.1"), ("output", "2"))]  # fmt: skip
    result = play("plain", "plain", spec={"cost": {"kind": "tokens", "classes": classes}})
    assert result.cost.total is not None
    assert result.cost.total * 10**6 == 2 * (7 + 5 * result.cost.total.__class__(1, 10) + 2 * 10)


@pytest.mark.parametrize(
    "url", ["http://h", "http://h/", "http://h/v1", "http://h/v1/", "http://h/v1/chat/completions"]
)
def test_the_url_is_that_of_a_server_with_or_without_its_version(url: str) -> None:
    job = spec_from_dict({"workload": {"job": {"kind": "chat", "url": url}, "jobs": 1}}).workload.job
    assert job.members().url == "http://h/v1/chat/completions"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"url": "http://h/?a=1"}, "url"),
        ({"url": "http://h/{{index}}"}, "url"),
        ({"prompts": []}, "prompts"),
        ({"prompts": [{"prompt": "a", "messages": [{"role": "user"}]}]}, "prompts[0]"),
        ({"prompts": [{"messages": [{"content": "a"}]}]}, "prompts[0].messages[0]"),
        ({"prompts": [{"messages": []}]}, "prompts[0].messages"),
        ({"prompts": [5]}, "prompts[0]"),
        ({"parameters": {"stream": False}}, "parameters.stream"),
        ({"headers": {"x-number": "{{index}}"}}, "headers.x-number"),
        ({"headers": {"authorization": "Bearer abc"}}, "headers.authorization"),
        ({"idle": 5, "reuse": False}, "idle"),
    ],
)
def test_what_is_wrong_with_a_chat_is_named(members: dict[str, Any], path: str) -> None:
    job = {"kind": "chat", "url": "http://h", **members}
    with pytest.raises(SpecError) as caught:
        spec_from_dict({"workload": {"job": job, "jobs": 1}})
    assert f"workload.job.{path}" in [problem.path for problem in caught.value.problems]


def test_a_stop_cancels_streams(play: Play) -> None:
    """What was in service has no report: neither marks nor tokens."""
    result = play(*["plain"] * 8, rate=40, spec={"seed": 1})
    assert result.counts.completed == 8
    stopped = play(*["plain"] * 8, rate=400, drain=0.03)
    assert stopped.counts.cancelled == 8
    assert stopped.measures["output_tokens"].total == 0


def test_one_connection_is_waited_for(play: Play) -> None:
    """The wait is waiting time, and the second answer is read anew on the same connection."""
    result = play("plain", "reasoning", "tool", rate=1000, connections=1)
    assert result.counts.completed == 3
    assert [row(result, i)["measures"]["output_tokens"] for i in range(3)] == [10, 8, 3]
    assert row(result, 2)["marks"]["connected"] is None
    assert result.waiting_time.max is not None
    assert result.waiting_time.max > 0.1


def test_a_connection_for_each_answer(play: Play) -> None:
    result = play("plain", "tool", reuse=False)
    assert result.counts.completed == 2
    assert row(result)["marks"]["connected"] is not None


def test_nobody_there_fails_by_class() -> None:
    workload = {"job": {"kind": "chat", "url": "http://127.0.0.1:1"}, "jobs": 3}
    result = run_sync(spec_from_dict({"workload": workload}))
    assert result.failures == {"refused": 3}
    assert not [finding for finding in result.findings if finding.code == "tokens_unknown"]
