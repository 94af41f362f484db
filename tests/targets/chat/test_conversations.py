"""Conversations: each turn asks with all that was said before, thinks first, and is a group of the result."""

from __future__ import annotations

from contextlib import nullcontext
from fractions import Fraction
from typing import Any

import pytest

from aurea_engine import Access, Chat, Constant, RunResult, SpecError, result_to_dict, run_sync, spec_from_dict
from aurea_engine.targets.chat.answer import Answer, ignore_gap
from aurea_engine.targets.chat.conversation import Conversation
from aurea_engine.targets.chat.prompts.member import Prompts
from aurea_engine.testing import check_callback_pool
from aurea_server.runner.reach import check_reach
from tests.targets.chat.counting_server import CountingServer, serve
from tests.targets.chat.planted_server import event

service = pytest.mark.service


def document(url: str, turns: int = 3, prompts: Any = None, **members: Any) -> dict[str, Any]:
    job = {
        "kind": "chat",
        "url": url,
        "prompts": {"input": 10, "output": 4} if prompts is None else prompts,
        "conversation": {"turns": turns, **members.pop("conversation", {})},
        **members.pop("job", {}),
    }
    workload = {"job": job, "arrivals": {"kind": "closed", "users": 3}, "jobs": 6, **members.pop("workload", {})}
    return {"workload": workload, "seed": 3, **members}


def run(server: CountingServer, turns: int = 3, prompts: Any = None, **members: Any) -> RunResult:
    return run_sync(spec_from_dict(document(server.url, turns, prompts, **members)))


def talks(server: CountingServer) -> list[list[dict[str, Any]]]:
    """The messages of the last turn of each conversation, which hold all that was said before."""
    longest = max(len(body["messages"]) for body in server.bodies)
    return [body["messages"] for body in server.bodies if len(body["messages"]) == longest]


def group(result: RunResult, name: str) -> Any:
    return next(each for each in result.groups if each.name == name)


@service
def test_each_turn_asks_with_all_that_was_said() -> None:
    """The prompts of the turns before and the server's own answers, in their order."""
    with serve(CountingServer(overhead=2)) as server:
        result = run(server)
    assert result.counts.completed == 6
    assert len(server.bodies) == 2 + 6 * 3
    whole = talks(server)
    assert len(whole) == 6
    for messages in whole:
        assert [each["role"] for each in messages] == ["user", "assistant", "user", "assistant", "user"]
        # A prompt of 8 words and 2 tokens of the template, which later turns have in their history; an answer is four times
        # the count of its prompt.
        assert [len(each["content"].split()) for each in messages] == [8, 4, 10, 4, 10]
        assert messages[1]["content"] == " answer10" * 4
        assert messages[3]["content"] == " answer24" * 4
    assert len({messages[i]["content"] for messages in whole for i in (0, 2, 4)}) == 18


@service
def test_turns_are_groups_and_tokens_add_up() -> None:
    """To the token: a conversation is billed for what its turns were, and its turns alike."""
    cost = {
        "kind": "tokens",
        "classes": [
            {"name": "in", "price": 2, "measure": "input_tokens"},
            {"name": "out", "price": 10, "measure": "output"},
        ],
    }
    totals = []
    for per in ("job", "step"):
        with serve(CountingServer(overhead=2)) as server:
            result = run(server, cost={**cost, "per": per})
        totals.append(result_to_dict(result)["cost"]["exact"])
    assert [each.name for each in result.groups] == ["turn_1", "turn_2", "turn_3"]
    # Prompts of 10, 10 + 4 + 10 and 24 + 4 + 10 tokens, and three answers of 4.
    for name in ("asked_input", "input_tokens"):
        assert [group(result, f"turn_{i}").measures[name].total for i in (1, 2, 3)] == [60, 6 * 24, 6 * 38]
    assert result.measures["input_tokens"].total == 432
    assert result.measures["output_tokens"].total == 72
    assert result.measures["token_gap"].amounts.count == 0
    assert group(result, "turn_2").counts.completed == 6
    assert group(result, "turn_2").marks["first_token"].from_start.count == 6
    assert totals == [totals[0]] * 2
    assert Fraction(totals[0]) == Fraction(432 * 2 + 72 * 10, 10**6)


@service
def test_users_think_between_turns() -> None:
    """A turn is meant to begin when the answer before had ended, plus the think time; the conversation lasts as long."""
    with serve(CountingServer()) as server:
        result = run(server, turns=2, conversation={"think": 0.25}, workload={"jobs": 2})
    steps = result.steps
    assert steps is not None
    jobs, rows = steps.jobs.tolist(), steps.rows
    assert sorted(jobs) == [0, 0, 1, 1]
    for job in (0, 1):
        first, second = (i for i, each in enumerate(jobs) if each == job)
        assert rows.intended[second] == rows.finished[first] + 250_000_000
        assert rows.started[second] >= rows.intended[second]
    assert result.service_time.min is not None
    assert result.service_time.min > 0.25


@service
def test_a_failed_turn_ends_its_conversation() -> None:
    """With its class; the turns after it are not reached, and its answers stand."""
    with serve(CountingServer(fails=(3,))) as server:
        result = run(server, workload={"jobs": 1})
    assert result.counts.failed == 1
    assert result.failures == {"status": 1}
    assert (group(result, "turn_1").counts.completed, group(result, "turn_2").counts.failed) == (1, 1)
    assert group(result, "turn_3").not_reached == 1
    assert result.measures["output_tokens"].total == 4


@service
def test_listed_prompts_are_taken_turn_by_turn() -> None:
    """Messages of a prompt are said as they are."""
    system = {"role": "system", "content": "Be brief."}
    first = {"messages": [system, {"role": "user", "content": "One"}], "max_tokens": 1}
    with serve(CountingServer()) as server:
        run(server, 2, [first, {"prompt": "Two", "max_tokens": 1}], workload={"jobs": 1})
    assert [each["content"] for each in talks(server)[0]] == ["Be brief.", "One", " answer3", "Two"]


@service
def test_a_conversation_ends_at_its_deadline() -> None:
    """Also while its user thinks: the next turn is not reached, and nothing is sent for it."""
    with serve(CountingServer()) as server:
        result = run(server, 2, conversation={"think": 60}, workload={"jobs": 2, "deadline": 0.5})
    assert result.counts.timed_out == 2
    assert group(result, "turn_1").counts.completed == 2
    assert group(result, "turn_2").not_reached == 2
    assert len(server.bodies) == 2 + 2


@service
def test_turns_are_held_to_the_ceiling_of_requests() -> None:
    """Each of them is a request; those that have to wait for their time are cancelled with the run, or leave it in time."""
    data = document("", 3, workload={"jobs": 2, "stop_at": 0.6})
    with serve(CountingServer()) as server:
        data["workload"]["job"]["url"] = server.url
        result = run_sync(spec_from_dict(data), access=Access(most_rate=2))
    assert "target_rate_limited" in {finding.code for finding in result.findings}
    assert result.counts.cancelled == 2
    # Two a second: in 0.6 s no more than two and the burst of the first instant.
    assert len(server.bodies) <= 2 + 3
    assert sum(each.counts.arrived for each in result.groups) == 2 + group(result, "turn_2").counts.arrived


@service
def test_a_stopped_run_cancels_its_conversations() -> None:
    """One that thinks is cancelled, and its first turn stands."""
    with serve(CountingServer()) as server:
        result = run(server, 2, conversation={"think": 60}, workload={"jobs": 2, "stop_at": 0.5})
    assert result.counts.cancelled == 2
    assert group(result, "turn_1").counts.completed == 2
    assert group(result, "turn_2").counts.arrived == 0


@pytest.mark.parametrize("learns", [True, False])
def test_a_text_that_is_kept_is_bounded(learns: bool) -> None:
    """An endless answer fails as too large, also where its frames are not parsed; of one that is not kept only time is."""
    frame = event({"choices": [{"index": 0, "delta": {"content": "x" * 1000}}]})
    for keeps_text in (True, False):
        answer = Answer()
        answer.begin(ignore_gap, keeps_text=keeps_text)
        if not learns:
            answer._lessons = 0
        for i in range(1200):
            answer.feed(frame, i)
        assert answer.problem == ("too_large" if keeps_text else None)
        assert len(answer.text) <= 1024**2


def test_a_conversation_sends_a_request_a_turn() -> None:
    """As a server's ceiling counts them; a simulated one sends nothing, and needs no target."""
    spec = spec_from_dict(document("http://127.0.0.1:9", turns=7))
    assert [leaf.reach().requests for leaf in spec.workload.job.leaves()] == [7]
    nowhere = Access(targets=())
    with pytest.raises(SpecError, match="does not allow"):
        check_reach(spec, nowhere)
    job = {"kind": "chat", "url": "http://127.0.0.1:9", "simulated": {"first_token_time": 1, "token_gap": 1}}
    for clock, is_refused in (("virtual", False), ("real", True)):
        simulated = spec_from_dict({"workload": {"job": job, "jobs": 1}, "clock": clock})
        with pytest.raises(SpecError, match="does not allow") if is_refused else nullcontext():
            check_reach(simulated, nowhere)


@service
async def test_the_pools_keep_the_contract() -> None:
    """Of everybody's pools: each job is done once, steps come in order, nothing is left behind."""
    with serve(CountingServer()) as server:
        for turns in (None, 3):
            conversation = None if turns is None else Conversation(turns, think=Constant(0.01))
            chat = Chat(server.url, prompts=Prompts(input=Constant(5), output=Constant(2)), conversation=conversation)
            async with chat.opened() as pool:
                await check_callback_pool(pool)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"turns": 1}, "conversation.turns"),
        ({"turns": 101}, "conversation.turns"),
        ({"job": {"endpoint": "completions"}}, "conversation"),
        ({"job": {"simulated": {"first_token_time": 1, "token_gap": 1}}}, "simulated"),
    ],
)
def test_conversations_that_cannot_be_are_refused(members: dict[str, Any], path: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec_from_dict(document("http://127.0.0.1", **members))
    assert [problem.path for problem in caught.value.problems] == [f"workload.job.{path}"]


def test_a_conversation_has_no_trace() -> None:
    with pytest.raises(SpecError) as caught:
        spec_from_dict(document("http://127.0.0.1", prompts="trace"))
    assert [problem.path for problem in caught.value.problems] == ["workload.job.conversation"]
