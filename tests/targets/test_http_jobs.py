"""The job kind `http` from the specification to the result, against a server that keeps what it was sent."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import (
    Access,
    Branch,
    Closed,
    ConstantRate,
    Data,
    Expect,
    Faulty,
    Fifo,
    Http,
    Limited,
    Mix,
    Outcome,
    RunParts,
    RunResult,
    RunSpec,
    Shard,
    Sleep,
    SpecError,
    Workload,
    execute,
    result_from_dict,
    result_to_dict,
    run,
    spec_from_dict,
    summarize,
)
from aurea_engine.testing import check_job
from aurea_engine.workload.access import parse_allowed_target
from aurea_engine.workload.jobs import JobSource
from tests.targets.recording_server import Received, RecordingServer, recording_server, reply


async def run_jobs(job: JobSource, jobs: int = 1, slots: int | None = None, **members: Any) -> RunResult:
    """A run of ``jobs``, all at once."""
    return await run(RunSpec(Workload(job, jobs=jobs, **members), Fifo(slots=slots), seed=1))


def failures_of(result: RunResult) -> dict[str, int]:
    """Class → jobs."""
    return dict(result.failures)


def column(result: RunResult, name: str) -> list[int]:
    """One column of the records, job by job."""
    jobs = result.jobs
    assert jobs is not None
    known = {mark.name for mark in jobs.schema.marks} | {measure.name for measure in jobs.schema.measures}
    find = getattr if name not in known else type(jobs).mark if jobs.schema.mark(name) else type(jobs).measure
    return [int(value) for value in find(jobs, name)]


async def test_plain_request_is_sent_and_recorded() -> None:
    """What goes out by default, and what is kept of the reply: bytes are counted by the server too."""
    async with recording_server(lambda _: reply("hello")) as server:
        result = await run_jobs(Http(server.url("/a?b=c")), jobs=3)
    assert result.counts.completed == 3
    first = server.received[0]
    assert (first.method, first.target, first.body) == ("GET", "/a?b=c", b"")
    assert first.lines[0] == f"Host: 127.0.0.1:{server.port}"
    assert [line.partition("/")[0] for line in first.lines[1:]] == ["User-Agent: aurea", "Accept: *"]
    sent = len("\r\n".join(["GET /a?b=c HTTP/1.1", *first.lines, "", ""]))
    assert column(result, "status") == [200] * 3
    assert column(result, "bytes_sent") == [sent] * 3
    assert column(result, "bytes_received") == [len(reply("hello"))] * 3


async def test_marks_lie_within_the_service() -> None:
    """In their order; on a connection that was kept none is made."""
    async with recording_server() as server:
        result = await run_jobs(Http(server.url(), warm=False), jobs=4, slots=1)
    names = ("started", "connected", "sent", "first_byte", "finished")
    rows = list(zip(*(column(result, name) for name in names), strict=True))
    assert rows[0][1] > 0
    assert [row[1] for row in rows[1:]] == [-1] * 3
    for started, connected, sent, first_byte, finished in rows:
        assert started <= max(connected, started) <= sent <= first_byte <= finished


async def test_each_body_is_sent_as_its_kind(tmp_path: Path) -> None:
    """With its type and length; the standard readers are the oracle."""
    (tmp_path / "a.bin").write_bytes(b"\x00{{index}}\xff")
    bodies: list[tuple[dict[str, Any], str, bytes]] = [
        ({"body": "grün {{index}}"}, "text/plain; charset=utf-8", "grün 0".encode()),
        ({"json": {"a": "{{index}}", "b": [1, None]}}, "application/json", b'{"a":"0","b":[1,null]}'),
        ({"form": {"a b": "ü&", "c": "{{index}}"}}, "application/x-www-form-urlencoded", b"a+b=%C3%BC%26&c=0"),
        ({"file": str(tmp_path / "a.bin")}, "application/octet-stream", b"\x00{{index}}\xff"),
    ]
    async with recording_server() as server:
        for members, *_ in bodies:
            await run_jobs(Http(server.url(), method="POST", **members))
        await run_jobs(Http(server.url(), method="POST"))
        await run_jobs(Http(server.url(), body="in a GET", headers={"content-type": "text/x"}))
    for (_, kind, body), received in zip(bodies, server.received, strict=False):
        assert (received.header("content-type"), received.body) == (kind, body)
        assert received.header("content-length") == str(len(body))
    assert (server.received[4].header("content-length"), server.received[4].header("content-type")) == ("0", None)
    assert (server.received[5].method, server.received[5].header("content-type")) == ("GET", "text/x")


async def test_compressed_bodies_are_asked_for() -> None:
    """A check sees what was compressed; the bytes that are counted are those that came, 100 among them."""
    content = gzip.compress(b'{"a": 1}' * 100)
    async with recording_server(lambda _: reply(content, 200, "Content-Encoding: gzip")) as server:
        expect = Expect(contains='{"a": 1}{"a": 1}')
        http = Http(server.url(), method="PUT", body="x{{index}}", expect_continue=True, decompress=True, expect=expect)
        result = await run_jobs(http, jobs=2)
    assert result.counts.completed == 2
    received = server.received[0]
    assert (received.header("expect"), received.body[:1]) == ("100-continue", b"x")
    expected = len(reply(content, 200, "Content-Encoding: gzip")) + len(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert column(result, "bytes_received") == [expected] * 2


async def test_headers_replace_the_defaults() -> None:
    async with recording_server() as server:
        headers = {"host": "virtual:81", "USER-AGENT": "me", "X-Id": "{{index}}", "Accept": "a/b"}
        await run_jobs(Http(server.url(), headers=headers, decompress=True, reuse=False))
    assert server.received[0].lines == (
        "host: virtual:81",
        "Accept-Encoding: gzip, deflate",
        "USER-AGENT: me",
        "X-Id: 0",
        "Accept: a/b",
        "Connection: close",
    )


async def test_failures_are_told_by_class() -> None:
    """Each with its measures; the status of a failed check is counted too."""

    def answer(received: Received) -> bytes:
        return {
            "/404": reply("no", 404),
            "/red": reply("red"),
            "/big": reply("x" * 1000),
            "/none": b"garbage\r\n\r\n",
        }[received.target]

    async with recording_server(answer) as server:

        def branch(target: str, expect: Expect) -> Branch:
            return Branch(1, Http(server.url(target), expect=expect, reuse=False), name=target[1:])

        mix = Mix(
            (
                branch("/404", Expect()),
                branch("/red", Expect(contains="green")),
                branch("/big", Expect(max_bytes=999)),
                branch("/none", Expect()),
            )
        )
        result = await run_jobs(mix, jobs=40)
    sent = {target: sum(r.target == target for r in server.received) for target in ("/404", "/red", "/big", "/none")}
    assert failures_of(result) == {
        "status": sent["/404"],
        "check": sent["/red"],
        "too_large": sent["/big"],
        "protocol": sent["/none"],
    }
    assert result.counts.failed == 40


async def test_a_timeout_is_an_outcome() -> None:
    """By the job's own timeout, by `limited`, and by the deadline of the workload: whichever is first."""
    async with recording_server(lambda received: b"" if received.target == "/hang" else reply()) as server:
        hang = Http(server.url("/hang"), timeout=0.05)
        for job, deadline in (
            (hang, None),
            (Limited(Http(server.url("/hang")), 0.05), None),
            (Http(server.url("/hang")), 0.05),
        ):
            result = await run_jobs(job, jobs=2, deadline=deadline)
            assert (result.counts.timed_out, failures_of(result)) == (2, {"timeout": 2})
        result = await run_jobs(Faulty(Http(server.url("/")), 1.0), jobs=2)
        assert result.counts.failed == 2


async def test_rows_go_in_order_and_again() -> None:
    """By the number of the job among those of its kind, over all shards; random ones by seed and number."""
    rows = tuple({"a": f"r{i}"} for i in range(5))
    async with recording_server() as server:
        await run_jobs(Http(server.url("/{{row.a}}"), data=Data(rows=rows)), jobs=12, slots=1)
        in_order = [received.target for received in server.received]
        assert in_order == [f"/r{i % 5}" for i in range(12)]
        drawn = []
        for _ in range(2):
            server.received.clear()
            await run_jobs(Http(server.url("/{{row.a}}/{{index}}"), data=Data(rows=rows, pick="random")), jobs=50)
            drawn.append(sorted(received.target for received in server.received))
        assert drawn[0] == drawn[1]
        assert len({target.split("/")[1] for target in drawn[0]}) == 5


async def test_a_row_is_used_once() -> None:
    """Arrivals end with the rows, and a finding says so."""
    rows = tuple({"a": i} for i in range(7))
    async with recording_server() as server:
        result = await run_jobs(Http(server.url("/{{row.a}}"), data=Data(rows=rows, pick="once")), jobs=100)
    assert sorted(received.target for received in server.received) == [f"/{i}" for i in range(7)]
    assert result.counts.arrived == result.counts.completed == 7
    assert "data_exhausted" in [finding.code for finding in result.findings]


def test_shards_share_rows_and_uuids(tmp_path: Path) -> None:
    """Two shards send together what the whole run sends: index, row and UUID of every job."""
    (tmp_path / "rows.csv").write_text("a\n" + "".join(f"{i}\n" for i in range(9)))

    async def serve(spec_of: Any, shards: list[Shard]) -> list[str]:
        async with recording_server() as server:
            for shard in shards:
                await asyncio.to_thread(execute, spec_of(server), shard)
        return sorted(received.target for received in server.received)

    for pick in ("in_order", "random", "once"):

        def spec_of(server: RecordingServer, pick: Any = pick) -> RunSpec:
            data = Data(file=str(tmp_path / "rows.csv"), pick=pick)
            job = Http(server.url("/{{index}}/{{row.a}}/{{uuid}}"), data=data)
            return RunSpec(Workload(job, jobs=20), seed=3)

        whole = asyncio.run(serve(spec_of, [Shard()]))
        cut = asyncio.run(serve(spec_of, [Shard(0, 2), Shard(1, 2)]))
        assert whole == cut
        assert len(whole) == (9 if pick == "once" else 20)


def test_shards_divide_connections() -> None:
    """Only if the scheduler says so: then each has its share, and the shares add up to the whole."""

    def spec_of(server: RecordingServer, divided: bool) -> RunSpec:
        scheduler = Fifo(divided=divided)
        return RunSpec(Workload(Http(server.url(), connections=5), ConstantRate(1000), jobs=60), scheduler, seed=3)

    async def serve() -> list[RunParts]:
        async with recording_server() as server:
            with pytest.raises(SpecError, match="cannot be limited in a shard"):
                Shard(0, 2).check(spec_of(server, False))
            with pytest.raises(SpecError, match="one for each shard"):
                Shard(0, 6).check(spec_of(server, True))
            specs.append(spec_of(server, True))
            return [await asyncio.to_thread(execute, specs[0], Shard(index, 2)) for index in range(2)]

    specs: list[RunSpec] = []
    parts = asyncio.run(serve())
    assert [each.pool and each.pool.opened for each in parts] == [3, 2]
    finding = next(each for each in summarize(specs[0], parts[0].merge(parts[1])).findings if each.code == "divided")
    assert "5 connections were divided among 2 shards" in finding.detail


async def test_wrong_file_ends_a_run_at_once(tmp_path: Path) -> None:
    """With the line, and nothing is sent."""
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n3\n")
    async with recording_server() as server:
        for text, problem in (("{{row.a}}", "line 3 has 1 fields"), ("{{row.c}}", "line 2 has no field 'c'")):
            with pytest.raises(SpecError, match=problem):
                await run_jobs(Http(server.url(f"/{text}"), data=Data(file=str(tmp_path / "rows.csv"))))
        for members in ({"file": str(tmp_path / "none")}, {"headers": {"x": {"env": "AUREA_TEST_UNSET"}}}):
            with pytest.raises(SpecError):
                await run_jobs(Http(server.url(), **members))
    assert not server.received


async def test_published_files_are_of_their_folder(tmp_path: Path) -> None:
    """A specification from elsewhere names them plainly, and its result says no folder."""
    (tmp_path / "rows.jsonl").write_text('{"a": "x"}\n{"a": "y"}\n')
    (tmp_path / "body.bin").write_bytes(b"BODY")

    def read(file: str) -> RunSpec:
        members = {"url": server.url("/{{row.a}}"), "method": "POST", "file": file, "data": {"file": "rows.jsonl"}}
        document = {"workload": {"job": {"kind": "http", **members}, "jobs": 2}}
        return spec_from_dict(document, local=False, data_dir=tmp_path)

    async with recording_server() as server:
        result = await run(read("body.bin"), access=Access(local=False))
        with pytest.raises(SpecError, match="plain name"):
            read("../body.bin")
    assert sorted((received.target, received.body) for received in server.received) == [
        ("/x", b"BODY"),
        ("/y", b"BODY"),
    ]
    assert str(tmp_path) not in json.dumps(result_to_dict(result)["spec"])


async def test_results_are_read_where_nothing_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another machine a result can be shown, whatever files and variables its specification names."""
    monkeypatch.setenv("AUREA_TEST_SECRET", "swordfish")
    (tmp_path / "rows.csv").write_text("a\nx\n")
    (tmp_path / "times.csv").write_text("0\n0.001\n")
    async with recording_server() as server:
        job = {
            "kind": "http",
            "url": server.url("/{{row.a}}"),
            "data": {"file": str(tmp_path / "rows.csv")},
            "headers": {"X": {"env": "AUREA_TEST_SECRET"}},
        }
        arrivals = {"kind": "trace", "file": str(tmp_path / "times.csv"), "unit": "s"}
        spec = spec_from_dict({"workload": {"job": job, "arrivals": arrivals}})
        written = result_to_dict(await run(spec))
    (tmp_path / "rows.csv").unlink()
    (tmp_path / "times.csv").unlink()
    again = result_from_dict(written, local=False, keep_unknown=True)
    assert result_to_dict(again)["spec"] == written["spec"]
    with pytest.raises(SpecError, match=r"workload\.arrivals\.file"):
        result_from_dict(written, local=False)


async def test_value_that_ends_header_fails_a_job() -> None:
    """That job only, as `local`, and its connection is used again."""
    rows = ({"a": "good"}, {"a": "bad\r\nHost: evil"}, {"a": "fine"})
    async with recording_server() as server:
        result = await run_jobs(Http(server.url(), headers={"X": "{{row.a}}"}, data=Data(rows=rows)), jobs=3, slots=1)
    assert failures_of(result) == {"local": 1}
    assert [received.header("X") for received in server.received] == ["good", "fine"]
    assert {received.connection for received in server.received} == {0}


async def test_redirects_are_one_job() -> None:
    """Its service spans them, its bytes are their sum, its marks those of the first and the last."""
    hops = {"/a": reply("", 302, "Location: /b"), "/b": reply("", 307, "Location: /c"), "/c": reply("end")}
    async with recording_server(lambda received: hops[received.target]) as server:
        result = await run_jobs(
            Http(server.url("/a"), redirects=2, expect=Expect(contains="end", status=(200,))), jobs=2
        )
    assert result.counts.completed == 2
    assert column(result, "bytes_received") == [sum(map(len, hops.values()))] * 2
    sizes = [len("\r\n".join([f"{r.method} {r.target} HTTP/1.1", *r.lines, "", ""])) for r in server.received]
    assert sum(column(result, "bytes_sent")) == sum(sizes)
    assert column(result, "status") == [200, 200]


@pytest.mark.parametrize(
    ("location", "redirects", "failure"),
    [("/a", 3, "redirects"), ("ftp://h/", 3, "redirects"), ("http://127.0.0.1:1/", 1, "refused"), ("/a", 0, None)],
)
async def test_a_redirect_that_fails(location: str, redirects: int, failure: str | None) -> None:
    """Loops, places that cannot be followed, and none at all where they are not followed."""
    async with recording_server(lambda _: reply("", 302, f"Location: {location}")) as server:
        result = await run_jobs(Http(server.url("/a"), redirects=redirects))
    assert failures_of(result) == ({} if failure is None else {failure: 1})
    assert len(server.received) == (redirects + 1 if location == "/a" else 1)


async def test_redirects_are_checked_like_requests() -> None:
    """To a place that the run may not reach: the job fails by its class, and nobody is asked there."""
    async with recording_server() as other, recording_server() as server:
        allowed = (parse_allowed_target(f"127.0.0.1:{server.port}"),)
        for there in (other.url(), "http://none.invalid/", "http://169.254.169.254/", "http://[::ffff:a9fe:a9fe]/"):
            server.answer = lambda _, there=there: reply("", 302, f"Location: {there}")
            spec = RunSpec(Workload(Http(server.url(), redirects=1), jobs=2), seed=1)
            result = await run(spec, access=Access(targets=allowed, local=False))
            assert failures_of(result) == {"target_not_allowed": 2}
    assert not other.received


async def test_the_timeout_spans_redirects() -> None:
    """The second request hangs."""
    hops = {"/a": reply("", 302, "Location: /hang"), "/hang": b""}
    async with recording_server(lambda received: hops[received.target]) as server:
        result = await run_jobs(Http(server.url("/a"), redirects=2, timeout=0.1))
    assert failures_of(result) == {"timeout": 1}
    assert column(result, "outcome") == [int(Outcome.TIMED_OUT)]
    assert result.failure_time.max is not None


async def test_cookies_are_those_of_one_job() -> None:
    """Each job begins without any, and sends what it was given on."""

    def answer(received: Received) -> bytes:
        if received.target == "/login":
            return reply("", 303, "Location: /home", f"Set-Cookie: id={received.header('X-Id')}; Path=/")
        return reply()

    async with recording_server(answer) as server:
        http = Http(server.url("/login"), headers={"X-Id": "{{index}}"}, redirects=1, cookies=True)
        await run_jobs(http, jobs=5, slots=1)
    first, then = (
        [r for r in server.received if r.target == "/login"],
        [r for r in server.received if r.target == "/home"],
    )
    assert [received.header("Cookie") for received in first] == [None] * 5
    assert [received.header("Cookie") for received in then] == [f"id={i}" for i in range(5)]


async def test_a_mix_of_targets_has_groups() -> None:
    """Beside jobs of other kinds; a name is the group's."""
    async with recording_server() as server:
        mix = Mix(
            (Branch(1, Http(server.url("/a"), name="reads")), Branch(1, Http(server.url("/b"))), Branch(1, Sleep(0.0)))
        )
        result = await run_jobs(mix, jobs=60)
    assert [group.name for group in result.groups] == ["reads", "http", "sleep"]
    assert sum(group.counts.completed for group in result.groups) == 60
    assert Http("http://h/", name="home").groups() == ("home",)
    assert Mix((Branch(1, Limited(Http("http://h/", name="home"), 1), name="first"),)).groups() == ("first",)


async def test_users_of_closed_model_are_connected() -> None:
    """Three users, three connections, opened before the window: no job made one."""
    async with recording_server() as server:
        result = await run(RunSpec(Workload(Http(server.url()), Closed(3), jobs=30), seed=1))
    assert result.counts.completed == 30
    assert server.connections == 3
    assert column(result, "connected") == [-1] * 30


async def test_a_stopped_run_gives_its_jobs_up() -> None:
    """Also one that waits for a connection, and one on its way along redirects."""
    hops = {"/a": reply("", 302, "Location: /hang"), "/hang": b""}
    async with recording_server(lambda received: hops[received.target]) as server:
        http = Http(server.url("/a"), redirects=2, connections=1)
        result = await run(RunSpec(Workload(http, ConstantRate(50), jobs=10, stop_at=0.3), seed=1))
    assert result.counts.cancelled == 10
    assert failures_of(result) == {}


async def test_it_keeps_the_contract_of_jobs() -> None:
    """The check that is shipped for everybody's jobs."""
    async with recording_server() as server:
        await asyncio.to_thread(check_job, Http(server.url(), connections=3))


async def test_a_ceiling_on_the_rate_is_waiting() -> None:
    """At most 100/s of the server's operator: jobs come at once, and wait; their service is no longer for it."""
    async with recording_server() as server:
        spec = RunSpec(Workload(Http(server.url()), jobs=30), seed=1)
        result = await run(spec, access=Access(most_rate=100))
    assert result.counts.completed == 30
    # One at once, one more in the burst of 10 ms, then one each 10 ms: none is in service before.
    assert result.jobs is not None
    assert result.jobs.waiting_ns.max() >= 270_000_000
    assert all(at >= 10_000_000 * (k - 1) for k, at in enumerate(sorted(result.jobs.started.tolist())))


async def test_deadline_ends_wait_for_the_ceiling() -> None:
    """Nothing is sent for such a job."""
    async with recording_server() as server:
        spec = RunSpec(Workload(Http(server.url()), jobs=10, deadline=0.05), seed=1)
        result = await run(spec, access=Access(most_rate=0.01))
    assert result.counts.completed == len(server.received)
    assert result.counts.completed + result.counts.timed_out + result.counts.rejected == 10
    assert result.counts.rejected >= 8
    assert result.duration < 90  # the second place is 100 s away


async def test_redirects_count_against_the_ceiling() -> None:
    """Each is a request: ten jobs with two each need 190 ms at 100/s, less the burst of 10 ms."""
    async with recording_server() as server:
        server.answer = lambda received: reply("", 302, "Location: /b") if received.target == "/a" else reply()
        spec = RunSpec(Workload(Http(server.url("/a"), redirects=1), jobs=10), seed=1)
        result = await run(spec, access=Access(most_rate=100))
    assert (result.counts.completed, len(server.received)) == (10, 20)
    assert result.jobs is not None
    assert result.jobs.finished.max() >= 180_000_000


async def test_redirects_that_wait_for_ceiling_end() -> None:
    """At the job's timeout, though the next place is 100 s away; or with the run."""
    async with recording_server(lambda _: reply("", 302, "Location: /b")) as server:
        for members, stop_at, counted in (({"timeout": 0.05}, None, "timed_out"), ({}, 0.1, "cancelled")):
            workload = Workload(Http(server.url("/a"), redirects=5, **members), jobs=1, stop_at=stop_at)
            result = await run(RunSpec(workload, seed=1), access=Access(most_rate=0.01))
            assert getattr(result.counts, counted) == 1
            assert result.duration < 90


async def test_paced_jobs_can_be_given_up() -> None:
    async with recording_server() as server:
        spec = RunSpec(Workload(Http(server.url()), jobs=30, stop_at=0.05), seed=1)
        result = await run(spec, access=Access(most_rate=1))
    assert (result.counts.completed + result.counts.cancelled, len(server.received)) == (30, result.counts.completed)
    assert result.counts.cancelled >= 28


async def test_each_body_is_made_in_its_turn() -> None:
    """Two thousand jobs wait for one connection, and go in their order."""
    async with recording_server() as server:
        http = Http(server.url(), method="POST", json={"i": "{{index|json}}"}, connections=1)
        result = await run_jobs(http, jobs=2000)
    assert result.counts.completed == 2000
    assert [json.loads(received.body)["i"] for received in server.received] == list(range(2000))


async def test_what_waits_is_a_number_and_no_text() -> None:
    """Five thousand jobs with bodies of 10 kB wait for a target that hangs: their bodies would be 50 MB."""
    async with recording_server(lambda _: b"") as server:
        http = Http(server.url(), method="POST", json={"x": "y" * 10_000, "i": "{{index|json}}"}, connections=1)
        tracemalloc.start()
        try:
            result = await run_jobs(http, jobs=5000, stop_at=0.2)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert result.counts.cancelled == 5000
    assert peak < 15_000_000
