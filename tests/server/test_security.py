"""Who may come in, and with what: bad bodies, foreign hosts, foreign pages, missing tokens, and the order of the checks."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aurea_server.http.operations import OPERATIONS
from aurea_server.http.security import HEADERS
from tests.server.paths import fill_path

Post = Callable[..., Awaitable[Any]]
GOOD = b'{"num_jobs": 1, "job_duration_ms": 1}'
JSON = {"Content-Type": "application/json"}
TOKEN = "correct-horse-battery"

BODIES = {
    "missing": b"{}",
    "empty": b"",
    "null": b"null",
    "array": b"[]",
    "number": b"7",
    "text": b'"x"',
    "zero": b'{"num_jobs": 0}',
    "negative": b'{"num_jobs": -1}',
    "fraction": b'{"num_jobs": 1.5}',
    "whole fraction": b'{"num_jobs": 1.0}',
    "string": b'{"num_jobs": "1"}',
    "bool": b'{"num_jobs": true}',
    "null member": b'{"num_jobs": null}',
    "NaN": b'{"num_jobs": NaN}',
    "Infinity": b'{"num_jobs": 1, "job_duration_ms": Infinity}',
    "minus Infinity": b'{"num_jobs": 1, "job_duration_ms": -Infinity}',
    "1e309": b'{"num_jobs": 1, "job_duration_ms": 1e309}',
    "1e999999999": b'{"num_jobs": 1, "job_duration_ms": 1e999999999}',
    "5,000 digits": b'{"num_jobs": ' + b"1" * 5000 + b"}",
    "40 digits": b'{"num_jobs": ' + b"9" * 40 + b"}",
    "too many": b'{"num_jobs": 1000001}',
    "negative duration": b'{"num_jobs": 1, "job_duration_ms": -1}',
    "duplicate": b'{"num_jobs": 1, "num_jobs": 1}',
    "duplicate inside": b'{"workload": {"jobs": 1, "jobs": 2, "job": {"kind": "sleep"}}}',
    "unknown": b'{"num_jobs": 1, "frobnicate": 1}',
    "unknown kind": b'{"num_jobs": 1, "scheduler": {"kind": "magic"}}',
    "kind of a class": b'{"num_jobs": 1, "scheduler": {"kind": "os:system"}}',
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 10_000,
    "17 deep": b'{"num_jobs":' + b"[" * 17 + b"]" * 17 + b"}",
    "bad UTF-8": b'{"num_jobs": 1, "label": "\xff"}',
    "UTF-16": '{"num_jobs": 1}'.encode("utf-16"),
    "BOM": b"\xef\xbb\xbf" + GOOD,
    "lone surrogate": b'{"num_jobs": 1, "label": "\\ud800"}',
    "lone surrogate in a name": b'{"num_jobs": 1, "\\ud800": 1}',
    "truncated": b'{"num_jobs": 1',
    "trailing": GOOD + b"x",
    "comment": b'{"num_jobs": 1} // more',
    "single quotes": b"{'num_jobs': 1}",
    "NUL": b"\x00",
    "long label": b'{"num_jobs": 1, "label": "' + b"x" * 300 + b'"}',
    "float price": b'{"num_jobs": 1, "cost": {"kind": "per_job", "price": -0.1}}',
    "price 1e400": b'{"num_jobs": 1, "cost": {"kind": "per_job", "price": "1e400"}}',
    "endless": b'{"workload": {"job": {"kind": "sleep"}, "arrivals": {"kind": "poisson", "rate": 1}}}',
    "a million and more": b'{"workload":{"job":{"kind":"sleep"},"arrivals":{"kind":"poisson","rate":1e6},"duration":100}}',
    "both forms": b'{"num_jobs": 1, "workload": {"job": {"kind": "sleep"}, "jobs": 1}}',
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_bad_body_is_400(client: Any, name: str) -> None:
    async with client.post("/benchmark/run", data=BODIES[name], headers=JSON) as answer:
        problem = json.loads(await answer.read())
        assert answer.status == 400, problem
        assert answer.content_type == "application/problem+json"
    assert problem["error"]
    assert problem["status"] == answer.status
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert set(problem) >= {"type", "title", "status", "detail", "code", "error", "request_id"}


async def test_a_good_body_works_after_each_bad_one(client: Any, post: Post) -> None:
    for name, body in BODIES.items():
        async with client.post("/benchmark/run", data=body, headers=JSON) as answer:
            assert answer.status == 400, name
        assert (await post(client, json.loads(GOOD)))[0] == 200, name


async def test_all_problems_of_a_body_are_told_at_once(client: Any) -> None:
    body = {"num_jobs": 0, "job_duration_ms": "x", "seed": -1, "colour": "red", "objectives": [{"metric": "beauty"}]}
    async with client.post("/benchmark/run", json=body) as answer:
        problems = (await answer.json(content_type=None))["problems"]
    assert {problem["path"] for problem in problems} >= {"num_jobs", "job_duration_ms", "seed", "colour"}
    assert all(set(problem) == {"path", "problem", "got"} for problem in problems)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/json; charset=utf-16"}, 415, "unsupported_media_type"),
        ({"Content-Type": ""}, 415, "unsupported_media_type"),
        ({**JSON, "Content-Encoding": "gzip"}, 415, "unsupported_encoding"),
        ({**JSON, "Origin": "http://evil.example"}, 403, "cross_site"),
        ({**JSON, "Origin": "null"}, 403, "cross_site"),
        ({**JSON, "Sec-Fetch-Site": "cross-site"}, 403, "cross_site"),
        ({**JSON, "Sec-Fetch-Site": "same-site"}, 403, "cross_site"),
        ({**JSON, "Host": "evil.example"}, 403, "host_not_allowed"),
    ],
)
async def test_requests_of_foreign_pages_are_refused(
    client: Any, headers: dict[str, str], status: int, code: str
) -> None:
    """What a foreign page or program sends is refused."""
    async with client.post("/benchmark/run", data=GOOD, headers=headers) as answer:
        assert (answer.status, json.loads(await answer.read())["code"]) == (status, code)
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
    async with client.get("/benchmark/runs") as answer:
        assert (await answer.json())["runs"] == []


async def test_a_page_of_our_own_may_post(client: Any) -> None:
    origin = str(client.make_url("")).rstrip("/")
    async with client.post(
        "/benchmark/run", data=GOOD, headers={**JSON, "Origin": origin, "Sec-Fetch-Site": "same-origin"}
    ) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "localhost@evil", "", "[::2]", "a b", "127.evil",
     "localhost.evil", "0", "[::1", "[1::1::1]", "[::127.0.0.1]"],
)  # fmt: skip
async def test_a_foreign_host_is_403_everywhere(client: Any, host: str) -> None:
    """A foreign host is 403 on every route and method."""
    paths = {fill_path(operation.path) for operation in OPERATIONS}
    for path in {*paths, "/", "/nowhere"}:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            async with client.request(method, path, headers={**JSON, "Host": host}) as answer:
                assert answer.status == 403, (method, path)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:80",
        "127.0.0.1:5000",
        "[::1]:5000",
        "[0:0:0:0:0:0:0:1]",
        "aurea.example",
        "aurea.example.",
    ],
)
async def test_our_own_names_are_answered(serve: Any, host: str) -> None:
    client = await serve(allowed_host=("aurea.example",))
    async with client.get("/health", headers={"Host": host}) as answer:
        assert answer.status == 200


async def test_only_probes_and_pages_need_no_token(serve: Any) -> None:
    """A token opens everything but probes and pages."""
    client = await serve(token=TOKEN)
    for operation in OPERATIONS:
        path = fill_path(operation.path)
        for given in (None, "Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", "Bearer \xff"):
            headers = {**JSON, **({"Authorization": given} if given else {})}
            async with client.request(operation.method, path, headers=headers) as answer:
                assert (answer.status == 401) != operation.open, (operation.name, given, answer.status)
                if answer.status == 401:
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        async with client.request(
            operation.method, path, headers={**JSON, "Authorization": f"Bearer {TOKEN}"}
        ) as answer:
            assert answer.status not in (401, 500)


async def test_the_order_of_the_checks_is_fixed(serve: Any) -> None:
    """Each request is wrong in every later way too, and must be refused for the first."""
    client = await serve(token=TOKEN, max_body=65536)
    good = {"Authorization": f"Bearer {TOKEN}"}
    wrong_site, wrong_type = {"Sec-Fetch-Site": "cross-site"}, {"Content-Type": "text/plain"}
    large = {"Content-Length": "65537"}
    big = b"[" * 65537
    for method, path, headers, body, code in (
        ("PUT", "/nowhere", {"Host": "evil", **wrong_site, **wrong_type}, big, "host_not_allowed"),
        ("PUT", "/nowhere", {**wrong_site, **wrong_type}, big, "not_found"),
        ("PUT", "/benchmark/run", {**wrong_site, **wrong_type}, big, "method_not_allowed"),
        ("POST", "/benchmark/run", {**wrong_site, **wrong_type}, big, "unauthorized"),
        ("POST", "/benchmark/run", {**good, **wrong_site, **wrong_type}, big, "cross_site"),
        ("POST", "/benchmark/run", {**good, **wrong_type}, big, "unsupported_media_type"),
        ("POST", "/benchmark/run", {**good, **JSON, **large}, big, "body_too_large"),
        ("POST", "/benchmark/run", {**good, **JSON}, b"[" * 60_000, "invalid_spec"),
        ("POST", "/benchmark/run", {**good, **JSON}, b'{"num_jobs": 2000000}', "invalid_spec"),
    ):
        async with client.request(method, path, headers=headers, data=body) as answer:
            assert json.loads(await answer.read())["code"] == code, (method, path, code)


async def test_every_answer_has_security_headers(client: Any) -> None:
    """Every answer carries the security headers."""
    for path in ("/health", "/metrics", "/nowhere", "/docs", "/docs/page.js", "/openapi.json", "/benchmark/runs"):
        async with client.get(path) as answer:
            for name, value in HEADERS.items():
                assert answer.headers[name] == value, (path, name)
    assert "'unsafe" not in HEADERS["Content-Security-Policy"]
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'none'")


async def test_only_plain_request_ids_are_kept(client: Any) -> None:
    """A plain request id is kept and an odd one is not."""
    async with client.get("/health", headers={"X-Request-Id": "abc-1"}) as answer:
        assert answer.headers["X-Request-Id"] == "abc-1"
    async with client.get("/health", headers={"X-Request-Id": "a b<script>"}) as answer:
        assert len(answer.headers["X-Request-Id"]) == 16


async def test_405_names_what_is_allowed(client: Any) -> None:
    async with client.get("/benchmark/run") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text; version=abc", "text/plain; version=x", ";;", "*/*", ""]
)
async def test_metrics_answer_whatever_is_accepted(client: Any, accept: str) -> None:
    async with client.get("/metrics", headers={"Accept": accept}) as answer:
        assert answer.status == 200
        assert "benchmark_runs_total" in await answer.text()


async def test_labels_from_outside_make_no_series(client: Any, post: Post) -> None:
    """Metrics stay few whatever labels are sent."""
    for i in range(5):
        spec = {
            "num_jobs": 1,
            "job_duration_ms": 0,
            "label": f"l{i}",
            "cost": {"kind": "tokens", "requests": [{"classes": []}]},
        }
        await post(client, spec)
        await post(client, {"num_jobs": 1, "job_duration_ms": 0, "label": f"l{i}"})
    async with client.get("/metrics") as answer:
        lines = [line for line in (await answer.text()).splitlines() if not line.startswith("#")]
    assert len(lines) <= 1000
    assert not [line for line in lines if "l3" in line]


async def test_a_body_that_stalls_is_408(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aurea_server.http.security.BODY_SECONDS", 0.2)

    async def drip() -> Any:
        yield b"{"
        await asyncio.sleep(60)  # the answer comes before, and ends it
        yield b"}"

    async with client.post("/benchmark/run", data=drip(), headers=JSON) as answer:
        assert (answer.status, json.loads(await answer.read())["code"]) == (408, "body_timeout")


async def test_a_chunked_body_that_is_too_large_is_413(serve: Any) -> None:
    client = await serve(max_body=65536)

    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 4096

    async with client.post("/benchmark/run", data=endless(), headers=JSON) as answer:
        assert (answer.status, json.loads(await answer.read())["code"]) == (413, "body_too_large")


async def test_expect_is_answered_when_a_body_is_wanted(client: Any) -> None:
    """Expect is answered only when the body is wanted."""
    async with client.post("/benchmark/run", data=GOOD, headers=JSON, expect100=True) as answer:
        assert answer.status == 200
    for path, host, expected, status in (
        ("/benchmark/run", "evil", "100-continue", 403),
        ("/benchmark/run", "localhost", "100-continue", 415),
        ("/nowhere", "evil", "100-continue", 403),
        ("/nowhere", "evil", "the worst", 403),
        ("/nowhere", "localhost", "the worst", 404),
        ("/health", "localhost", "100-continue", 405),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nExpect: {expected}\r\nContent-Length: 5\r\n\r\n"
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"application/problem+json" in answer
        writer.close()


async def exchange(client: Any, request: bytes) -> tuple[bytes, bytes]:
    """(head, body) of the answer to raw bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    writer.write(request)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    found = re.search(rb"Content-Length: (\d+)", head)
    body = await asyncio.wait_for(reader.readexactly(int(found[1])), 60) if found else b""
    writer.close()
    return head, body


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://localhost/health", 200),
        ("http://127.0.0.1:80/health", 200),
        ("http://evil/health", 403),
        ("http://localhost@evil/health", 403),
        ("http://evil@localhost/health", 403),
        ("HTTP://EVIL/health", 403),
    ],
)
async def test_an_absolute_targets_authority_counts(client: Any, target: str, status: int) -> None:
    head, _ = await exchange(client, f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert head.startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize(
    "coding", ["Content-Encoding: identity\r\nContent-Encoding: gzip", "Transfer-Encoding: gzip, chunked"]
)
async def test_a_compressed_body_is_refused(client: Any, coding: str) -> None:
    """A coded body is refused however it is said."""
    length = "" if "Transfer" in coding else "Content-Length: 2\r\n"
    request = (
        f"POST /benchmark/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{length}{coding}\r\n\r\n"
    )
    head, body = await exchange(client, request.encode())
    assert head.split()[1] in (b"400", b"415")
    assert json.loads(body)["code"] in ("unsupported_encoding", "bad_request")


VERSIONS = ["2.0", "0.9", "1.2", "1.9", "3.0", "9.9", "1.10", "10.1", "2", "1"]


async def test_other_versions_of_http_get_505(client: Any) -> None:
    """A problem document in HTTP/1, whatever is asked; the body that belongs to it is not run."""
    fields = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(GOOD)}\r\n\r\n"
    for start in ("GET /health", "POST /benchmark/run", "GET /metrics", "GET /nowhere", "DELETE /docs"):
        for version in VERSIONS:
            head, content = await exchange(client, f"{start} HTTP/{version}\r\n{fields}".encode() + GOOD)
            assert re.match(rb"HTTP/1\.[01] 505 ", head), (start, version)
            assert json.loads(content)["code"] == "http_version_not_supported"
            assert b"nosniff" in head
    async with client.get("/benchmark/runs") as answer:
        assert (await answer.json())["runs"] == []


@pytest.mark.parametrize("start", ["GET /health\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
async def test_http_0_9_and_http_2_get_505(client: Any, start: str) -> None:
    """Http 0 9 and the preface of http 2 get 505."""
    head, content = await exchange(client, start.encode())
    assert re.match(rb"HTTP/1\.[01] 505 ", head)
    assert json.loads(content)["code"] == "http_version_not_supported"


@pytest.mark.parametrize(
    ("header", "status"), [("A\0: GET / HTTP/2.0", b"400"), ("A: GET / HTTP/2.0", b"200"), ("HTTP/2.0: x", b"400")]
)
async def test_a_version_elsewhere_is_not_the_version(client: Any, header: str, status: bytes) -> None:
    head, _ = await exchange(client, f"GET /health HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode())
    assert head.split()[1] == status


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_http_1_is_served(client: Any, version: str) -> None:
    head, _ = await exchange(client, f"GET /health HTTP/{version}\r\nHost: localhost\r\n\r\n".encode())
    assert head.startswith(f"HTTP/{version} 200 ".encode())


@pytest.mark.parametrize(
    "request_line", [b"FOO BAR", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b", b"GET / HTTP/1.1\r\nA\0: b"]
)
async def test_parser_errors_have_the_usual_headers(client: Any, request_line: bytes) -> None:
    """What the parser refuses is dressed like every answer."""
    head, body = await exchange(client, request_line + b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert b"Server: aurea\r\n" in head
    for name in (b"Content-Security-Policy", b"X-Content-Type-Options", b"Cache-Control"):
        assert name in head
    assert json.loads(body)["request_id"].encode() in head


async def test_the_cap_answers_with_all_headers(client: Any) -> None:
    """Above the cap the answer is dressed too."""
    client.server.runner.limiter.most = 0
    head, body = await exchange(client, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    problem = json.loads(body)
    assert (problem["code"], head.split()[1]) == ("too_many_connections", b"503")
    assert b"Retry-After: 5" in head
    assert b"nosniff" in head
    assert problem["request_id"].encode() in head


async def test_a_body_that_is_not_utf8_is_refused(client: Any) -> None:
    """Half a character is refused with its place and before the queue."""
    async with client.post("/benchmark/run", data=b'{"num_jobs": 1, "label": "\\ud800"}', headers=JSON) as answer:
        problem = json.loads(await answer.read())
    assert (answer.status, problem["code"]) == (400, "invalid_spec")
    assert [each["path"] for each in problem["problems"]] == ["label"]


async def test_at_most_a_hundred_problems_are_listed(client: Any) -> None:
    """Thousands of problems are reported a hundred at a time."""
    body = b'{"num_jobs": 1, "objectives": [' + b",".join([b"0"] * 30_000) + b"]}"
    async with client.post("/benchmark/run", data=body, headers=JSON) as answer:
        problem = json.loads(await answer.read())
    assert answer.status == 400
    assert len(problem["problems"]) == 101
    assert "first 100" in problem["problems"][-1]["problem"]


@pytest.mark.parametrize("number", [b"1e99999999999999999999", b"1e-99999999999999999999"])
@pytest.mark.parametrize("member", [b"num_jobs", b"job_duration_ms", b"seed"])
async def test_a_number_beyond_decimals_is_refused(client: Any, member: bytes, number: bytes) -> None:
    """A number that no decimal can hold is a bad request."""
    async with client.post("/benchmark/run", data=b'{"' + member + b'": ' + number + b"}", headers=JSON) as answer:
        assert (answer.status, json.loads(await answer.read())["code"]) == (400, "invalid_spec")
