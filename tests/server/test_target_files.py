"""Files and secrets that an operator publishes: usable by their names, for what they are meant, and shown to nobody."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.server.target_double import OK, open_target, redirect

Serve = Callable[..., Awaitable[TestClient[Any, Any]]]
Post = Callable[..., Awaitable[tuple[int, Any]]]

PLANTED = "planted-9f27c4d1e8"


def asking(url: str, jobs: int = 2, **members: Any) -> dict[str, Any]:
    return {"workload": {"job": {"kind": "http", "url": url, **members}, "jobs": jobs}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    published = tmp_path / "published"
    published.mkdir()
    (published / "rows.csv").write_text("name\nada\ngrace\n")
    (published / "rows.jsonl").write_text('{"name": "ada"}\n{"name": "grace"}\n')
    (published / "body.bin").write_bytes(b"\0\xff body")
    (published / "day.csv").write_text("at\n0\n0.01\n0.02\n")
    (tmp_path / "private.csv").write_text("name\nsecret\n")
    (published / "link.csv").symlink_to(tmp_path / "private.csv")
    return published


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
async def test_published_rows_are_sent(serve: Serve, post: Post, folder: Path, name: str) -> None:
    """The result names the file as the specification did, so that it can be sent again, and not where it lies."""
    async with open_target() as target:
        client = await serve(allow_target=("127.0.0.1",), data_dir=str(folder))
        url = f"http://127.0.0.1:{target.port}/{{{{row.name}}}}"
        status, result = await post(client, asking(url, data={"file": name}))
        assert (status, result["completed_jobs"]) == (200, 2), result
        assert sorted(target.requests) == ["GET /ada HTTP/1.1", "GET /grace HTTP/1.1"]
        assert result["spec"]["workload"]["job"]["data"]["file"] == name
        assert str(folder) not in json.dumps(result)
        status, again = await post(client, result["spec"])
        assert (status, again["completed_jobs"]) == (200, 2)


async def test_a_published_file_is_a_body(serve: Serve, post: Post, folder: Path) -> None:
    async with open_target() as target:
        client = await serve(allow_target=("127.0.0.1",), data_dir=str(folder))
        members = {"method": "PUT", "file": "body.bin"}
        status, result = await post(client, asking(f"http://127.0.0.1:{target.port}/", 1, **members))
        assert (status, result["completed_jobs"]) == (200, 1), result
        # The body comes behind the head, which is all that this target reads by itself.
        assert b"Content-Length: 7" in target.received[0]


async def test_published_traces_set_the_arrivals(serve: Serve, post: Post, folder: Path) -> None:
    client = await serve(data_dir=str(folder))
    arrivals = {"kind": "trace", "file": "day.csv", "unit": "s"}
    status, result = await post(client, {"workload": {"job": {"kind": "sleep", "duration": 0}, "arrivals": arrivals}})
    assert (status, result["num_jobs"]) == (200, 3), result
    assert [job["intended"] for job in result["jobs"]] == [0, 0.01, 0.02]
    assert str(folder) not in json.dumps(result)


@pytest.mark.parametrize("name", ["link.csv", "../private.csv", "/etc/passwd", "none.csv", "."])
async def test_other_names_open_nothing(serve: Serve, post: Post, folder: Path, name: str) -> None:
    """400 for a specification, or a run that fails by its file: never a request, and never the operator's path."""
    async with open_target() as target:
        client = await serve(allow_target=("127.0.0.1",), data_dir=str(folder))
        url = f"http://127.0.0.1:{target.port}/{{{{row.name}}}}"
        status, answer = await post(client, asking(url, data={"file": name}))
        assert status == 400, answer
        assert str(folder) not in json.dumps(answer)
        assert target.received == []


async def test_interface_describes_published_files(serve: Serve, folder: Path) -> None:
    """Only where there are some: what is always refused is not described."""
    found = {}
    for name, settings in {"none": {}, "some": {"data_dir": str(folder)}}.items():
        client = await serve(**settings)
        async with client.get("/openapi.json") as answer:
            schemas = (await answer.json())["components"]["schemas"]
        found[name] = {kind: "file" in schemas[kind]["properties"] for kind in ("Arrivals.trace", "Job.http")}
    assert found == {"none": dict.fromkeys(found["none"], False), "some": dict.fromkeys(found["some"], True)}


async def test_a_secret_goes_to_its_own_target(
    serve: Serve, post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a bearer token, as user and password, and as any header; each by its name."""
    monkeypatch.setenv("API_TOKEN", PLANTED)
    (tmp_path / "login").write_text(f"ada:{PLANTED}\n")
    async with open_target() as target:
        here = f"127.0.0.1:{target.port}"
        secrets = (f"api=env:API_TOKEN@{here}", f"login=file:{tmp_path}/login@{here}")
        client = await serve(allow_target=(here,), secret=secrets)
        for members in (
            {"auth": {"bearer": {"secret": "api"}}},
            {"auth": {"basic": {"secret": "login"}}},
            {"headers": {"X-Api-Key": {"secret": "api"}}},
        ):
            status, result = await post(client, asking(f"http://{here}/", 1, **members))
            assert (status, result["completed_jobs"]) == (200, 1), result
        sent = b"".join(target.received).decode()
        assert f"Bearer {PLANTED}" in sent
        assert f"Basic {base64.b64encode(f'ada:{PLANTED}'.encode()).decode()}" in sent
        assert f"X-Api-Key: {PLANTED}" in sent


async def test_a_secret_goes_nowhere_else(serve: Serve, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to another target, however it is allowed, and not across a redirect; its name there is that of none."""
    monkeypatch.setenv("API_TOKEN", PLANTED)
    async with open_target() as other, open_target(lambda _: redirect(f"http://127.0.0.1:{other.port}/")) as first:
        here = f"127.0.0.1:{first.port}"
        client = await serve(allow_target=("127.0.0.0/8",), secret=(f"api=env:API_TOKEN@{here}",))
        auth = {"auth": {"bearer": {"secret": "api"}}}
        for url in (
            f"http://127.0.0.1:{other.port}/",
            f"http://localhost:{first.port}/",
            f"http://127.0.0.2:{first.port}/",
        ):
            status, problem = await post(client, asking(url, **auth))
            assert (status, problem["code"]) == (400, "invalid_spec"), url
        members = {"headers": {"x-api-key": {"secret": "api"}}, "redirects": 2, **auth}
        status, result = await post(client, asking(f"http://{here}/", **members))
        assert (status, result["completed_jobs"]) == (200, 2)
        assert PLANTED.encode() in b"".join(first.received)
        assert other.requests
        assert PLANTED.encode() not in b"".join(other.received)


async def read_all(client: TestClient[Any, Any], run_id: str) -> list[str]:
    """Every resource that says anything of a run."""
    paths = ["", "/jobs", "/jobs?format=csv", "/jobs?format=ndjson", "/events", "/steps"]
    found = []
    for path in [f"/benchmark/runs/{run_id}{path}" for path in paths] + [
        "/benchmark/runs",
        "/metrics",
        "/openapi.json",
        "/docs",
    ]:
        async with client.get(path) as answer:
            found.append(await answer.text())
    async with client.post(f"/benchmark/runs/{run_id}/reprice", json={"cost": {"kind": "free"}}) as answer:
        found.append(await answer.text())
    return found


async def test_secrets_stand_nowhere(
    serve: Serve, post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Planted in a variable and a file, sent by runs that succeed, that fail, and that are refused. Then everything is
    searched, also for its encoded form: all files of the data folder, all answers, the events and the log.
    """
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("API_TOKEN", PLANTED)
    (tmp_path / "login").write_text(f"ada:{PLANTED}\n")
    answers: list[str] = []
    echo = lambda head: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Echo: x\r\n\r\n%s" % (len(head), head)  # noqa: E731
    async with open_target(echo) as target, open_target(lambda _: b"no HTTP at all\r\n\r\n") as broken:
        there = [f"127.0.0.1:{each.port}" for each in (target, broken)]
        secrets = [f"api{i}=env:API_TOKEN@{here}" for i, here in enumerate(there)]
        secrets += [f"login{i}=file:{tmp_path}/login@{here}" for i, here in enumerate(there)]
        client = await serve(allow_target=tuple(there), secret=tuple(secrets))
        for i, here in enumerate(there):
            for members in (
                {"auth": {"bearer": {"secret": f"api{i}"}}},
                {"auth": {"basic": {"secret": f"login{i}"}}, "expect": {"contains": "not there"}},
                {"headers": {"x-api-key": {"secret": f"api{i}"}}, "expect": {"json": {"/a": 1}}},
                {"auth": {"bearer": {"secret": f"api{1 - i}"}}},
            ):
                status, answer = await post(client, asking(f"http://{here}/", **members))
                answers.append(json.dumps(answer))
                if status == 200:
                    answers += await read_all(client, answer["benchmark_id"])
        assert PLANTED.encode() in b"".join(target.received), "it was sent"
    encoded = base64.b64encode(f"ada:{PLANTED}".encode()).decode()
    data = next(tmp_path.glob("data-*"))
    kept = {str(file): file.read_bytes() for file in data.rglob("*") if file.is_file()}
    assert any("ledger.db" in name for name in kept)
    for text in (PLANTED, encoded):
        assert [name for name, content in kept.items() if text.encode() in content] == []
        assert [answer[:200] for answer in answers if text in answer] == []
        assert text not in caplog.text


async def test_a_secret_that_is_gone_fails_the_run(serve: Serve, post: Post, tmp_path: Path) -> None:
    """It is read when the run opens: the file was there when the server started."""
    (tmp_path / "key").write_text(PLANTED)
    async with open_target() as target:
        here = f"127.0.0.1:{target.port}"
        client = await serve(allow_target=(here,), secret=(f"key=file:{tmp_path}/key@{here}",))
        (tmp_path / "key").unlink()
        status, problem = await post(client, asking(f"http://{here}/", auth={"bearer": {"secret": "key"}}))
        assert (status, problem["code"]) == (400, "invalid_spec")
        assert str(tmp_path) not in json.dumps(problem)
        assert target.received == []


async def test_a_changed_secret_is_read_anew(serve: Serve, post: Post, tmp_path: Path) -> None:
    """A rotated file needs no restart."""
    async with open_target(lambda _: OK) as target:
        here = f"127.0.0.1:{target.port}"
        (tmp_path / "key").write_text("first-value")
        client = await serve(allow_target=(here,), secret=(f"key=file:{tmp_path}/key@{here}",))
        for value in ("first-value", "second-value"):
            (tmp_path / "key").write_text(value)
            await post(client, asking(f"http://{here}/", 1, auth={"bearer": {"secret": "key"}}))
        await asyncio.sleep(0)
        sent = b"".join(target.received)
        assert sent.count(b"first-value") == sent.count(b"second-value") == 1
