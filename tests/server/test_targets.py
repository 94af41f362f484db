"""The HTTP target through the server: what is allowed is sent, and of what is not, nothing is resolved and nothing sent."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from aurea_engine import Access, run, spec_from_dict
from aurea_engine.records.batch import NS
from aurea_engine.targets.addresses import resolve_entries
from aurea_engine.workload.access import parse_allowed_target
from aurea_engine.workload.pacing import BURST_NS
from aurea_server.http.app_keys import SERVICE
from tests.server.target_double import OK, Target, open_target, redirect

Serve = Callable[..., Awaitable[TestClient[Any, Any]]]
Post = Callable[..., Awaitable[tuple[int, Any]]]


def asking(url: str, jobs: int = 3, **members: Any) -> dict[str, Any]:
    return {"workload": {"job": {"kind": "http", "url": url, **members}, "jobs": jobs}}


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with open_target() as opened:
        yield opened


def forbid_lookups(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Whatever asks a resolver in this process, which is the server's, fails, and is in the list."""
    asked: list[object] = []

    def ask(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        raise AssertionError("a resolver was asked")

    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
        monkeypatch.setattr(socket, name, ask)
    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", ask)
    return asked


async def test_an_allowed_target_is_sent_to(serve: Serve, post: Post, target: Target) -> None:
    client = await serve(allow_target=(f"127.0.0.1:{target.port}",))
    status, result = await post(client, asking(f"http://127.0.0.1:{target.port}/a?b=c"))
    assert (status, result["completed_jobs"]) == (200, 3)
    assert target.requests == ["GET /a?b=c HTTP/1.1"] * 3
    assert result["statuses"] == {"200": 3}


@pytest.mark.parametrize(
    "model",
    [
        {"kind": "egress", "price": "1000000000", "unit": "GB"},
        {"kind": "tokens", "classes": [{"name": "all", "measure": "bytes_received", "price": "1000000"}]},
    ],
)
async def test_what_was_received_is_priced_again(serve: Serve, post: Post, target: Target, model: Any) -> None:
    """A model that asks for what only requests report prices a stored run of requests: here 1 USD a byte."""
    client = await serve(allow_target=(f"127.0.0.1:{target.port}",))
    _, result = await post(client, asking(f"http://127.0.0.1:{target.port}/"))
    async with client.post(f"/benchmark/runs/{result['benchmark_id']}/reprice", json={"cost": model}) as answer:
        priced = await answer.json(content_type=None)
    assert (answer.status, priced.get("error")) == (200, None)
    assert (priced["cost"]["total"], priced["model"]["kind"]) == (str(3 * len(OK)), model["kind"])


@pytest.mark.parametrize("allowed", [(), ("app.invalid:80",), ("127.0.0.1:1",), ("10.0.0.0/8:1",)])
async def test_a_refused_target_sees_nothing(
    serve: Serve, post: Post, target: Target, monkeypatch: pytest.MonkeyPatch, allowed: tuple[str, ...]
) -> None:
    """403 before anything is queued: no connection, no look-up, and no row in the history."""
    # An app of our own needs names to have addresses at the start; here it is enough that there are some.
    monkeypatch.setattr("aurea_server.http.app.resolve_entries", _keep)
    client = await serve(allow_target=allowed)
    names = [f"http://127.0.0.1:{target.port}/", f"http://localhost:{target.port}/"]
    names += [f"https://[::ffff:127.0.0.1]:{target.port}/", f"http://rebind.invalid:{target.port}/"]
    asked = forbid_lookups(monkeypatch)
    for url in names:
        status, problem = await post(client, asking(url))
        assert (status, problem["code"]) == (403, "target_not_allowed"), url
        assert [each["code"] for each in problem["problems"]] == ["target_not_allowed"]
    # Other spellings of an address are no URLs of ours at all.
    for host in ("2130706433", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1."):
        status, problem = await post(client, asking(f"http://{host}:{target.port}/"))
        assert (status, problem["code"]) in [(403, "target_not_allowed"), (400, "invalid_spec")], host
    async with client.get("/benchmark/runs") as answer:
        assert (await answer.json())["runs"] == []
    assert asked == []
    assert target.received == []


async def _keep(targets: Any) -> Any:
    return tuple(targets)


async def test_refusals_reach_every_wrapper(serve: Serve, post: Post, target: Target) -> None:
    """In a mix, behind a limit and a fault: all refused targets are told at once."""
    client = await serve(allow_target=(f"127.0.0.1:{target.port}",))
    good, two, three = ({"kind": "http", "url": f"http://127.0.0.1:{port}/"} for port in (target.port, 2, 3))
    faulty = {"kind": "faulty", "failure_rate": 0.5, "job": two}
    of = [
        good,
        {"kind": "limited", "timeout": 1, "job": faulty},
        {"kind": "mix", "of": [{"weight": 0, "job": three}, {"weight": 1, "job": good}]},
    ]
    job = {"kind": "mix", "of": [{"weight": 1, "job": each} for each in of]}
    status, problem = await post(client, {"workload": {"job": job, "jobs": 3}})
    assert (status, problem["code"]) == (403, "target_not_allowed")
    assert [each["got"] for each in problem["problems"]] == ["127.0.0.1:2", "127.0.0.1:3"]
    assert target.received == []


async def test_http_runs_inside_every_wrapper(serve: Serve, post: Post, target: Target) -> None:
    client = await serve(allow_target=("127.0.0.0/8",))
    http = {"kind": "http", "url": f"http://127.0.0.1:{target.port}/x"}
    limited = {"kind": "limited", "timeout": 10, "job": http}
    faulty = {"kind": "faulty", "failure_rate": 0, "job": http}
    job = {
        "kind": "mix",
        "of": [{"weight": 1, "job": each} for each in (limited, faulty, {"kind": "sleep", "duration": 0})],
    }
    status, result = await post(client, {"workload": {"job": job, "jobs": 30}, "seed": 1})
    assert (status, result["completed_jobs"]) == (200, 30)
    assert len(target.requests) == result["statuses"]["200"] > 10


async def test_redirect_reaches_nothing_refused(serve: Serve, post: Post) -> None:
    """The first address is allowed, the second is not: the job fails, and the other target sees no connection."""
    async with open_target() as other, open_target(lambda _: redirect(f"http://127.0.0.1:{other.port}/")) as first:
        client = await serve(allow_target=(f"127.0.0.1:{first.port}",))
        status, result = await post(client, asking(f"http://127.0.0.1:{first.port}/", redirects=3))
        assert (status, result["failures"]) == (200, {"target_not_allowed": 3})
        for location in (
            "http://169.254.169.254/latest/",
            "http://localhost:{port}/",
            "http://[::1]:{port}/",
            "//0/",
            "http://2130706433:{port}/",
        ):
            async with open_target(lambda _, to=location: redirect(to.format(port=other.port))) as hop:
                client = await serve(allow_target=(f"127.0.0.1:{hop.port}",))
                _, result = await post(client, asking(f"http://127.0.0.1:{hop.port}/", redirects=3))
                # What is no URL leads nowhere.
                assert result["failures"] in ({"target_not_allowed": 3}, {"redirects": 3}), location
        assert other.received == []


async def test_an_allowed_redirect_is_followed(serve: Serve, post: Post) -> None:
    async with open_target() as other, open_target(lambda _: redirect(f"http://127.0.0.1:{other.port}/b")) as first:
        client = await serve(allow_target=("127.0.0.1",))
        status, result = await post(client, asking(f"http://127.0.0.1:{first.port}/a", redirects=1))
        assert (status, result["completed_jobs"], other.requests) == (200, 3, ["GET /b HTTP/1.1"] * 3)


async def test_the_server_is_no_target_of_its_own(serve: Serve, post: Post) -> None:
    """Whatever is allowed: a caller would come in as loopback does."""
    client = await serve(allow_target=("0.0.0.0/0", "::/0"))
    assert client.port is not None
    client.app[SERVICE].set_listeners([("127.0.0.1", client.port)])  # type: ignore[union-attr]
    for host in ("127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"):
        status, problem = await post(client, asking(f"http://{host}:{client.port}/metrics"))
        assert (status, problem["code"]) == (403, "target_not_allowed")
    # A name is not looked up before the run, so this one is accepted, and fails at its address.
    status, result = await post(client, asking(f"http://localhost:{client.port}/metrics", jobs=1))
    assert (status, result["completed_jobs"]) == (200, 0)


async def test_rebound_name_is_refused_at_dialling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name has the allowed address when the server starts, and another one, where somebody listens, when it runs.

    A resolver of our own stands in place of the loop's, since no other could change its mind on request.
    """
    answers = [["127.0.0.1"], ["127.0.0.2"]]

    async def getaddrinfo(_: Any, host: str, port: int, **__: Any) -> list[Any]:
        assert host == "app.example"
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", getaddrinfo)
    async with open_target() as allowed, open_target(host="127.0.0.2", port=allowed.port) as inside:
        entries = await resolve_entries([parse_allowed_target(f"app.example:{allowed.port}")])
        access = Access(targets=entries, local=False)
        spec = spec_from_dict(asking(f"http://app.example:{allowed.port}/"), local=False)
        result = await run(spec, access=access)
        assert result.failures == {"target_not_allowed": 3}
        assert (allowed.received, inside.received) == ([], [])
        # The same name with its old address is dialled, by that address.
        answers[:] = [["127.0.0.1"]]
        result = await run(spec, access=access)
        assert (result.counts.completed, len(allowed.requests), inside.received) == (3, 3, [])
    assert ipaddress.ip_network("127.0.0.1/32") in entries[0].networks


@pytest.mark.parametrize(
    "members",
    [
        {"file": "/etc/hostname"}, {"data": {"file": "/etc/passwd"}}, {"tls": {"ca": "/etc/ssl/ca.pem"}},
        {"tls": {"cert": "c.pem"}}, {"tls": {"key": "/k.pem"}}, {"auth": {"bearer": {"env": "HOME"}}},
        {"auth": {"basic": {"file": "/etc/shadow"}}}, {"headers": {"x-api-key": {"env": "HOME"}}},
        {"url": "unix:/run/app.sock:/"}, {"url": "UNIX:/run/app.sock:/"},
    ],
)  # fmt: skip
async def test_nothing_of_the_machine_is_named(serve: Serve, post: Post, members: dict[str, Any]) -> None:
    """A file, a variable, a certificate, a socket: refused whether it exists or not, even where all targets are allowed."""
    client = await serve(allow_target=("0.0.0.0/0",))
    job = {"kind": "http", "url": "http://127.0.0.1:9/", "method": "POST", **members}
    status, problem = await post(client, {"workload": {"job": job, "jobs": 1}})
    assert (status, problem["code"]) == (400, "local_reference"), problem


@pytest.mark.parametrize(
    "members",
    [
        {"url": "http://user:planted-3f@127.0.0.1:9/"}, {"headers": {"Authorization": "Bearer planted-3f"}},
        {"headers": {"cookie": "planted-3f"}}, {"headers": {"X-API-KEY": "planted-3f"}},
        {"headers": {"Proxy-Authorization": "planted-3f"}}, {"headers": {"Authorization": "Bearer planted-3f{{index}}"}},
    ],
)  # fmt: skip
async def test_literal_credentials_are_refused(serve: Serve, post: Post, members: dict[str, Any]) -> None:
    """Specifications are stored and shown. The refusal does not repeat the credential."""
    client = await serve(allow_target=("0.0.0.0/0",))
    status, problem = await post(
        client, {"workload": {"job": {"kind": "http", "url": "http://127.0.0.1:9/", **members}, "jobs": 1}}
    )
    assert (status, problem["code"]) == (400, "literal_credential"), problem
    assert "planted-3f" not in str(problem)


async def test_a_published_socket_is_sent_to(serve: Serve, post: Post, tmp_path: Path) -> None:
    """By the name that the operator gave it; its path is in no answer."""
    target = Target(lambda _: OK)
    listener = await asyncio.start_unix_server(target.serve, tmp_path / "app.sock")
    client = await serve(allow_target=(f"app:80=unix:{tmp_path}/app.sock",))
    status, result = await post(client, asking("http://app/x"))
    listener.close()
    assert (status, result["completed_jobs"]) == (200, 3), result
    assert target.requests == ["GET /x HTTP/1.1"] * 3
    assert "app.sock" not in str(result)
    for url in ("http://app:81/", "https://app/", f"unix:{tmp_path}/app.sock:/"):
        status, _ = await post(client, asking(url))
        assert status in (400, 403), url


async def test_ceilings_are_told_with_the_refusal(serve: Serve, post: Post) -> None:
    client = await serve(allow_target=("127.0.0.1",), max_target_connections=10, max_target_rate=100.0)
    status, problem = await post(client, asking("http://127.0.0.1:9/", connections=11))
    assert (status, problem["code"]) == (400, "invalid_spec")
    assert "10" in problem["error"]
    spec = asking("http://127.0.0.1:9/")
    spec["workload"]["arrivals"] = {"kind": "poisson", "rate": 101}
    status, problem = await post(client, spec)
    assert (status, problem["problems"][0]["path"]) == (400, "workload.arrivals")


async def test_a_flood_is_paced_at_the_ceiling(serve: Serve, post: Post, target: Target) -> None:
    """60 jobs at once, at 100/s: the last is sent no sooner than 59 intervals less the burst, and the result says why."""
    client = await serve(allow_target=("127.0.0.1",), max_target_rate=100.0, max_target_connections=4)
    status, result = await post(client, asking(f"http://127.0.0.1:{target.port}/", jobs=60))
    assert (status, result["completed_jobs"]) == (200, 60)
    # From the window's opening: a busy machine may start the first job late, and none early.
    assert max(job["started"] for job in result["jobs"]) >= 59 / 100 - BURST_NS / NS
    assert "target_rate_limited" in [finding["code"] for finding in result["findings"]]
    assert len(target.received) <= 4


async def test_a_template_cannot_change_the_target(serve: Serve, post: Post, target: Target) -> None:
    """Scheme, host and port take no template, so what a row says is never where a request goes."""
    client = await serve(allow_target=("127.0.0.1",))
    for url in ("http://{{row.host}}/", "http://127.0.0.1:{{row.port}}/", "{{row.url}}"):
        status, problem = await post(client, asking(url, data={"rows": [{"host": "h", "port": 1, "url": "u"}]}))
        assert (status, problem["code"]) == (400, "invalid_spec"), url
    evil = [{"path": "@evil.example/"}, {"path": "\r\nHost: evil.example"}, {"path": "//evil.example/x"}]
    url = f"http://127.0.0.1:{target.port}/{{{{row.path}}}}"
    _, result = await post(client, asking(url, data={"rows": evil}))
    assert result["completed_jobs"] == 3
    assert all(line.startswith("GET /") and " HTTP/1.1" in line for line in target.requests)
    assert b"".join(target.received).lower().count(b"\r\nhost:") == 3


def test_access_of_a_run_can_be_narrowed() -> None:
    """The value that a server sends with an order is plain data, and can be made narrower for one run."""
    access = Access(targets=(parse_allowed_target("10.0.0.0/8"),), local=False)
    assert replace(access, targets=()).targets == ()
