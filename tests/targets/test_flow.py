"""The job kind `flow` from the specification to the result, against a server that keeps what it was sent."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from zlib import crc32

import pytest

from aurea_engine import (
    Branch,
    ConstantRate,
    Exponential,
    Fifo,
    Limited,
    Mix,
    NotSimulable,
    Objective,
    Outcome,
    RunResult,
    RunSpec,
    Shard,
    Sleep,
    SpecError,
    Workload,
    encode_json,
    execute,
    result_from_dict,
    result_to_dict,
    run,
    run_sync,
    simulate,
    spec_from_dict,
    spec_to_dict,
    summarize,
)
from aurea_engine.costs import Egress, PerJob
from aurea_engine.records.batch import NS
from aurea_engine.targets.http.data import Data
from aurea_engine.targets.http.extraction import Extraction
from aurea_engine.targets.http.flow import Flow, Step
from aurea_engine.targets.http.job import Http
from aurea_engine.targets.http.think_times import BLOCK, BLOCKS_KEPT, ThinkTimes
from aurea_engine.testing import check_callback_pool, check_result
from aurea_engine.workload.access import Access
from aurea_engine.workload.jobs import JobSource
from aurea_engine.workload.streams import Streams
from tests.targets.recording_server import Received, RecordingServer, recording_server, reply


async def run_flows(job: JobSource, jobs: int = 1, slots: int | None = None, **members: Any) -> RunResult:
    """A run of ``jobs``, all at once."""
    spec = {name: members.pop(name) for name in ("cost", "objectives", "seed") if name in members}
    result = await run(RunSpec(Workload(job, jobs=jobs, **members), Fifo(slots=slots), **{"seed": 1, **spec}))
    check_result(result)
    return result


def shop(server: RecordingServer, **members: Any) -> Flow:
    """A user who logs in, looks at an item and buys it."""
    return Flow(
        steps=(
            Step(
                server.url("/login"),
                "POST",
                json={"user": "u{{index}}"},
                name="login",
                extract={"token": {"json": "/token"}},
            ),
            Step(
                server.url("/items/{{login.token}}"),
                headers={"X-Token": "{{login.token}}"},
                name="item",
                think=0.01,
                extract={"id": {"header": "X-Id"}, "form": {"regex": 'value="([^"]+)"'}},
            ),
            Step(
                server.url("/buy"), "POST", form={"id": "{{item.id}}", "form": "{{item.form}}"}, name="buy", think=0.01
            ),
        ),
        **members,
    )


def answer_shop(received: Received) -> bytes:
    """A token for each user, and items that belong to it."""
    if received.target == "/login":
        user = json.loads(received.body)["user"]
        return reply(json.dumps({"token": f"t-{user}"}))
    if received.target.startswith("/items/"):
        return reply(f'<input value="f {received.header("X-Token")}">', 200, f"X-Id: {received.target[7:]}/1")
    return reply("thanks")


async def test_values_of_step_stand_in_later_ones() -> None:
    """By pointer, header and regex; each flow has its own, escaped for the place in which they stand."""
    async with recording_server(answer_shop) as server:
        result = await run_flows(shop(server), jobs=20)
    assert result.counts.completed == 20
    bought = sorted(each.body.decode() for each in server.received if each.target == "/buy")
    assert bought == sorted(f"id=t-u{i}%2F1&form=f+t-u{i}" for i in range(20))
    assert [group.counts.completed for group in result.groups] == [20, 20, 20]


async def test_a_flow_lasts_as_long_as_its_parts() -> None:
    """Its response is the sum of its steps' responses and of its think times, to the nanosecond."""
    async with recording_server(answer_shop) as server:
        result = await run_flows(shop(server), jobs=10)
    assert result.steps is not None
    assert result.jobs is not None
    for number in range(10):
        steps = result.steps.of_job(number)
        assert (steps.intended[1:] - steps.finished[:-1]).tolist() == [NS // 100] * 2
        assert int(steps.response_ns.sum()) + 2 * NS // 100 == int(result.jobs.response_ns[number])
        assert (steps.released >= steps.intended).all()
        assert (steps.started >= steps.released).all()
        # The flow's own marks are those of its first step, and its bytes those of all of them.
        for name in ("sent", "first_byte"):
            assert steps.mark(name)[0] == result.jobs.mark(name)[number]
        for name in ("bytes_sent", "bytes_received"):
            assert steps.measure(name).sum() == result.jobs.measure(name)[number]
        assert steps.measure("status").tolist() == [200] * 3


FAULTS = {"status": reply("", 500), "extract": reply("no value here"), "protocol": b"no HTTP at all\r\n\r\n"}


@pytest.mark.parametrize("failure", FAULTS)
async def test_a_failed_step_fails_its_flow(failure: str) -> None:
    """By its class; the steps after it were not reached, and nothing more is sent."""

    def answer(received: Received) -> bytes:
        return FAULTS[failure] if received.target.startswith("/items/") else answer_shop(received)

    async with recording_server(answer) as server:
        result = await run_flows(shop(server), jobs=5)
    login, item, buy = result.groups
    assert (login.counts.completed, item.counts.failed, buy.counts.arrived) == (5, 5, 0)
    assert (login.not_reached, item.not_reached, buy.not_reached) == (0, 0, 5)
    assert dict(item.failures) == dict(result.failures) == {failure: 5}
    assert not any(each.target == "/buy" for each in server.received)


async def test_cookies_belong_to_one_flow() -> None:
    """What a step sets, later steps of the same flow send, and no other flow does."""

    def answer(received: Received) -> bytes:
        path, _, user = received.target.partition("?u=")
        return reply("", 200, f"Set-Cookie: who={user}; Path=/") if path == "/set" else reply()

    async with recording_server(answer) as server:
        flow = Flow(
            steps=(
                Step(server.url("/set?u={{index}}"), name="set", cookies=True),
                Step(server.url("/other"), name="other"),
                Step(server.url("/get?u={{index}}"), name="get", cookies=True),
            )
        )
        await run_flows(flow, jobs=10)
    got = {each.target: each.header("Cookie") for each in server.received}
    assert {target: cookie for target, cookie in got.items() if "/get" in target} == {
        f"/get?u={i}": f"who={i}" for i in range(10)
    }
    assert got["/other"] is None


async def test_a_redirect_is_part_of_its_step() -> None:
    """With the cookies that were set on the way."""

    def answer(received: Received) -> bytes:
        if received.target == "/old":
            return reply("", 302, "Location: /new", "Set-Cookie: way=1; Path=/")
        return reply(json.dumps({"at": received.target}))

    async with recording_server(answer) as server:
        first = Step(server.url("/old"), name="a", redirects=3, cookies=True, extract={"at": {"json": "/at"}})
        result = await run_flows(Flow(steps=(first, Step(server.url("/b{{a.at}}"), name="b", cookies=True))))
    assert [each.target for each in server.received] == ["/old", "/new", "/b%2Fnew"]
    assert [each.header("Cookie") for each in server.received] == [None, "way=1", "way=1"]
    assert [group.counts.completed for group in result.groups] == [1, 1]


async def test_each_flow_has_its_row() -> None:
    """The same row in all of its steps; with ``once`` the flows end with the rows."""
    async with recording_server() as server:
        flow = Flow(
            steps=(Step(server.url("/{{row.id}}/1"), name="a"), Step(server.url("/{{row.id}}/2/{{uuid}}"), name="b")),
            data=Data(rows=[{"id": f"r{i}"} for i in range(7)], pick="once"),
        )
        result = await run_flows(flow, jobs=100, slots=1)
    assert result.counts.completed == 7
    assert [each.target[:5] for each in server.received] == [f"/r{i}/{step}" for i in range(7) for step in (1, 2)]


async def test_shards_send_what_whole_run_sends() -> None:
    """The same rows, numbers and UUIDs, drawn by the number of the flow: two processes are the same users."""
    async with recording_server() as server:
        steps = (
            Step(server.url("/{{index}}/{{row.id}}/{{uuid}}"), name="a"),
            Step(server.url("/{{uuid}}"), name="b", think=Exponential(0.01)),
        )
        flow = Flow(steps=steps, data=Data(rows=[{"id": i} for i in range(5)], pick="random"))
        spec = RunSpec(Workload(flow, jobs=20), seed=4)
        whole = await run(spec)
        sent = sorted(each.target for each in server.received)
        server.received.clear()
        parts = [await asyncio.to_thread(execute, spec, Shard(k, 3)) for k in range(3)]
        assert sorted(each.target for each in server.received) == sent
    merged = summarize(spec, parts[0].merge(*parts[1:]))
    assert [group.counts for group in merged.groups] == [group.counts for group in whole.groups]
    assert merged.steps is not None
    assert whole.steps is not None
    thoughts = [each.rows.intended[1::2] - each.rows.finished[::2] for each in (whole.steps, merged.steps)]
    assert (thoughts[0] == thoughts[1]).all()


async def test_waiting_step_ends_with_its_flow() -> None:
    """The limit of a flow comes while its second step waits for the only connection: the step never began."""

    def answer(received: Received) -> bytes:
        return b"" if received.target == "/b" else reply()

    async with recording_server(answer) as server:
        steps = (Step(server.url("/a"), name="a"), Step(server.url("/b"), name="b", connections=1))
        result = await run_flows(Limited(Flow(steps=steps), 0.2), jobs=5)
    assert result.counts.timed_out == 5
    assert dict(result.groups[1].failures) == {"timeout": 5}
    assert result.steps is not None
    second = result.steps.rows.of_group("b")
    # One had the connection. When it was given up, others may have had it for the moment that was left to them.
    assert (second.service_ns == 0).any()
    assert (second.waiting_ns >= 0).all()
    assert [each.target for each in server.received].count("/b") < 5


async def test_a_flow_that_thinks_keeps_its_slot() -> None:
    """So one slot has one user at a time, and its think times hold up the others."""
    async with recording_server() as server:
        flow = Flow(steps=(Step(server.url("/1"), name="a"), Step(server.url("/2"), name="b", think=0.05)))
        result = await run_flows(flow, jobs=3, slots=1)
    assert [each.target for each in server.received] == ["/1", "/2"] * 3
    assert result.duration >= 0.15


async def test_a_limit_ends_a_flow_that_thinks() -> None:
    """At its instant: timed out, and the step that it was thinking about was not reached."""
    async with recording_server() as server:
        flow = Flow(steps=(Step(server.url("/1"), name="a"), Step(server.url("/2"), name="b", think=30)))
        result = await run_flows(Limited(flow, 0.05), jobs=4)
    assert result.counts.timed_out == 4
    assert dict(result.failures) == {"timeout": 4}
    assert [(group.counts.completed, group.not_reached) for group in result.groups] == [(4, 0), (0, 4)]
    assert result.jobs is not None
    assert (result.jobs.service_ns >= NS // 20).all()


async def test_a_stop_cancels_what_is_under_way() -> None:
    """A flow that thinks is cancelled between its steps; one that waits for a reply, with the step."""

    def answer(received: Received) -> bytes:
        return b"" if received.target == "/never" else reply()

    async with recording_server(answer) as server:
        thinks = Flow(steps=(Step(server.url("/1"), name="a"), Step(server.url("/2"), name="b", think=30)))
        waits = Flow(steps=(Step(server.url("/1"), name="a"), Step(server.url("/never"), name="b")))
        job = Mix((Branch(1, thinks, name="thinks"), Branch(1, waits, name="waits")))
        result = await run_flows(job, jobs=20, stop_at=0.3)
    groups = {group.name: group for group in result.groups}
    assert result.counts.cancelled == 20
    assert groups["thinks/b"].not_reached == groups["thinks"].counts.arrived > 0
    assert groups["waits/b"].counts.cancelled == groups["waits"].counts.arrived > 0
    assert result.steps is not None
    stop = round(0.3 * NS)
    assert (result.steps.rows.of_group("waits/b").finished == stop).all()


async def test_a_pool_of_one_makes_steps_wait() -> None:
    """Waiting for the connection is the step's waiting time; steps of equal options share one pool."""
    async with recording_server() as server:
        steps = tuple(Step(server.url(f"/{i}"), name=f"s{i}", connections=1) for i in range(3))
        result = await run_flows(Flow(steps=steps), jobs=10)
    assert server.connections == 1
    assert result.counts.completed == 10
    assert result.groups[1].waiting_time.max > 0


async def test_flows_stand_beside_other_jobs() -> None:
    """In a mix with single requests and sleeps: groups of each, objectives on a step, and bills by step."""
    async with recording_server(answer_shop) as server:
        job = Mix(
            (
                Branch(1, shop(server), name="shop"),
                Branch(1, Http(server.url("/ping")), name="ping"),
                Branch(1, Sleep(0.001), name="rest"),
            )
        )
        goal = Objective("group:shop/item:response_time", at_most=5)
        result = await run_flows(job, jobs=60, objectives=(goal,), cost=PerJob(1, per="step"))
    names = ["shop", "ping", "rest", "shop/login", "shop/item", "shop/buy"]
    counts = {group.name: group.counts.completed for group in result.groups}
    assert list(counts) == names
    assert result.objectives[0].outcome == "met"
    assert result.cost.total == 3 * counts["shop"] + counts["ping"] + counts["rest"]
    assert len(server.received) == 3 * counts["shop"] + counts["ping"]


async def test_bytes_cost_the_same_by_step() -> None:
    """All that was received is in both, and equals what the server sent."""
    sent = []

    def answer(received: Received) -> bytes:
        sent.append(answer_shop(received))
        return sent[-1]

    for per in ("job", "step"):
        sent.clear()
        async with recording_server(answer) as server:
            result = await run_flows(shop(server), jobs=10, cost=Egress(price=1, unit="GB", per=per))
        assert result.cost.total * 10**9 == sum(map(len, sent))


async def test_flows_keep_the_contract_of_pools() -> None:
    """The check that is there for everybody's pools."""
    async with recording_server(answer_shop) as server, shop(server).opened() as pool:
        await check_callback_pool(pool)


async def test_open_arrivals_start_users() -> None:
    """The rate is of flows: 100 users a second, each with three requests."""
    async with recording_server(answer_shop) as server:
        result = await run_flows(shop(server), jobs=30, arrivals=ConstantRate(100))
    assert result.counts.completed == 30
    assert result.offered_rate == pytest.approx(100)
    assert len(server.received) == 90


def test_virtual_time_refuses_flows() -> None:
    """With the remedy."""
    flow = Flow(steps=(Step("http://127.0.0.1:1/", name="a"),))
    with pytest.raises(NotSimulable, match="clock"):
        simulate(RunSpec(Workload(flow, jobs=1)))


def test_think_times_belong_to_flows() -> None:
    """By the number of the flow and the step, in whatever order they are asked for; the seed decides them."""
    steps = [None, Exponential(0.1), Exponential(0.1), 0.5]
    flows = [0, 5, BLOCK - 1, BLOCK, 3 * BLOCK + 7, (BLOCKS_KEPT + 5) * BLOCK]
    thinks = [ThinkTimes(read_thinks(steps), Streams(1).child("x")) for _ in range(2)]
    there = {(step, flow): thinks[0].before(step, flow) for flow in flows for step in range(4)}
    back = {(step, flow): thinks[1].before(step, flow) for flow in reversed(flows) for step in range(3, -1, -1)}
    assert there == back
    assert there[0, 5] == 0
    assert there[3, 5] == NS // 2
    assert len({there[1, flow] for flow in flows} | {there[2, flow] for flow in flows}) == 2 * len(flows)
    other = ThinkTimes(read_thinks(steps), Streams(2).child("x"))
    assert other.before(1, 5) != there[1, 5]


def read_thinks(given: list[Any]) -> list[Any]:
    """As a specification has them: a number is a constant."""
    return [Step("http://a/", name="x", think=each).think for each in given]


WRONG = {
    "no step": ([], "steps", "at least one"),
    "no name": ([{"url": "http://a/"}], "steps[0].name", "is required"),
    "one name twice": ([{"url": "http://a/", "name": "a"}] * 2, "steps[1].name", "different"),
    "a slash": ([{"url": "http://a/", "name": "a/b"}], "steps[0].name", "slash"),
    "a first thought": ([{"url": "http://a/", "name": "a", "think": 1}], "steps[0].think", "left out"),
    "a later variable": (
        [{"url": "http://a/{{b.x}}", "name": "a"}, {"url": "http://a/", "name": "b", "extract": {"x": {"json": ""}}}],
        "steps[0].url",
        "names nothing",
    ),
    "its own variable": (
        [{"url": "http://a/{{a.x}}", "name": "a", "extract": {"x": {"json": ""}}}],
        "steps[0].url",
        "names nothing",
    ),
    "a row without data": ([{"url": "http://a/{{row.x}}", "name": "a"}], "steps[0].url", "there is no data"),
    "a body of HEAD": (
        [{"url": "http://a/", "method": "HEAD", "name": "a", "extract": {"x": {"json": ""}}}],
        "steps[0].extract",
        "headers only",
    ),
    "a name with a space": (
        [{"url": "http://a/", "name": "a b", "extract": {"x": {"json": ""}}}],
        "steps[0].name",
        "without spaces",
    ),
    "too large a body": (
        [{"url": "http://a/", "name": "a", "expect": {"max_bytes": 2**21}, "extract": {"x": {"json": ""}}}],
        "steps[0].expect.max_bytes",
        "kept whole",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_flows_are_refused(name: str) -> None:
    """With the path of the member, before anything is sent."""
    steps, path, says = WRONG[name]
    with pytest.raises(SpecError) as refused:
        spec_from_dict({"workload": {"job": {"kind": "flow", "steps": steps}, "jobs": 1}})
    assert [(f"workload.job.{path}", True)] == [(each.path, says in each.problem) for each in refused.value.problems]


@pytest.mark.parametrize("in_a_mix", [False, True])
def test_a_result_of_flows_survives_json(in_a_mix: bool) -> None:
    """Nobody listens. The steps of the result are no groups of its jobs, and both are read as they were written."""
    job: JobSource = Flow(steps=(Step("http://127.0.0.1:9/", name="a"), Step("http://127.0.0.1:9/", name="b")))
    job = Mix((Branch(1, job, name="f"), Branch(1, Sleep(0.001), name="s"))) if in_a_mix else job
    result = run_sync(RunSpec(Workload(job, jobs=6), seed=1))
    again = result_from_dict(json.loads(encode_json(result_to_dict(result))))
    assert again.jobs == result.jobs
    assert again.groups == result.groups
    assert json.loads(encode_json(result_to_dict(again))) == json.loads(encode_json(result_to_dict(result)))


def test_a_flow_survives_json() -> None:
    """From the document and back: the same specification."""
    document = {
        "kind": "flow",
        "steps": [
            {"url": "http://127.0.0.1:80/a", "name": "a", "extract": {"x": {"json": "/x"}, "y": {"regex": "y=(.)"}}},
            {"url": "http://127.0.0.1:80/{{a.x}}", "name": "b", "think": {"kind": "exponential", "mean": 2}},
        ],
        "data": {"rows": [{"u": 1}]},
    }
    spec = spec_from_dict({"workload": {"job": document, "jobs": 1}})
    again = spec_from_dict(spec_to_dict(spec))
    assert spec_to_dict(again) == spec_to_dict(spec)
    assert again.workload.job.steps[0].extract == spec.workload.job.steps[0].extract
    assert spec.workload.job.reach().requests == 2


@pytest.mark.parametrize("seed", [1, 2])
async def test_steps_and_flows_are_conserved(seed: int) -> None:
    """Against a server that fails a third of its requests: every step of every flow is accounted for."""

    def answer(received: Received) -> bytes:
        return reply("", 503) if crc32(received.target.encode() + received.body) % 3 == 0 else answer_shop(received)

    async with recording_server(answer) as server:
        result = await run_flows(shop(server), jobs=200, arrivals=ConstantRate(2000), stop_at=0.15, seed=seed)
    assert result.jobs is not None
    started = int((result.jobs.started >= 0).sum())
    for group in result.groups:
        counts = group.counts
        assert counts.arrived == counts.completed + counts.failed + counts.timed_out + counts.cancelled
        assert counts.arrived + (group.not_reached or 0) == started
    ended = [Outcome(each) for each in result.jobs.outcome.tolist()]
    assert result.groups[-1].counts.completed == ended.count(Outcome.COMPLETED)


async def test_a_deadline_ends_flows_at_a_ceiling() -> None:
    """One that the run's ceiling holds back is turned away at its deadline, and nothing is sent for it."""
    async with recording_server() as server:
        flow = Flow(steps=(Step(server.url("/a"), name="a"), Step(server.url("/b"), name="b")))
        spec = RunSpec(Workload(flow, jobs=10, deadline=0.05), seed=1)
        result = await run(spec, access=Access(most_rate=0.01))
    check_result(result)
    assert len(server.received) <= 2
    assert result.counts.rejected >= 9
    assert result.duration < 90  # the second place is 100 s away


async def test_extraction_without_memory_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow ends by it, and is not lost in a callback of the event loop."""

    def take(*_: object) -> bool:
        raise MemoryError

    monkeypatch.setattr(Extraction, "take", take)
    async with recording_server() as server:
        result = await run_flows(shop(server), jobs=2, drain=20)
    assert result.failures == {"MemoryError": 2}
