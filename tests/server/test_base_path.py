"""Under a path prefix: behind a proxy that takes it away or leaves it, with the setting or without, and in another app."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urljoin

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from aurea_server.cli import main
from aurea_server.history import AcceptedRun, FinishedRun
from aurea_server.http.app import create_app
from aurea_server.http.app_keys import SERVICE
from aurea_server.http.operations import OPERATIONS
from aurea_server.settings.settings import Settings, SettingsError
from aurea_server.settings.sources import resolve
from tests.server.paths import fill_path

Proxy = Callable[..., Awaitable[TestClient[Any, Any]]]


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """Makes a client of a proxy that shows the server under /bench, and nothing else."""
    clients: list[TestClient[Any, Any]] = []
    sessions: list[ClientSession] = []

    async def make(behind: TestClient[Any, Any], *, strip: bool) -> TestClient[Any, Any]:
        session = ClientSession(auto_decompress=False)
        sessions.append(session)

        async def forward(request: web.Request) -> web.StreamResponse:
            path = request.raw_path.removeprefix("/bench") if strip else request.raw_path
            url = f"http://127.0.0.1:{behind.server.port}{path}"
            headers = {name: value for name, value in request.headers.items() if name != "Host"}
            async with session.request(
                request.method, url, headers=headers, data=await request.read(), allow_redirects=False
            ) as answer:
                response = web.StreamResponse(status=answer.status)
                for name in ("Content-Type", "Content-Encoding", "Location", "Link", "Vary", "Content-Security-Policy"):
                    if name in answer.headers:
                        response.headers[name] = answer.headers[name]
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
                return response

        app = web.Application()
        app.router.add_route("*", "/bench/{rest:.*}", forward)
        client = TestClient(TestServer(app))
        await client.start_server()
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()
    for session in sessions:
        await session.close()


async def store(client: TestClient[Any, Any], *ids: int, app: web.Application | None = None) -> None:
    history = (app or client.server.app)[SERVICE]._history
    for number in ids:
        await history.add(AcceptedRun(f"benchmark-{number}", number, None, b"{}"), None)
        assert await history.end(f"benchmark-{number}", FinishedRun("completed", number + 1)) is None


async def walk(client: TestClient[Any, Any], start: str) -> list[str]:
    """Every id in the list of runs, page by page, by nothing but ``Link``."""
    found, where = [], start
    while where:
        async with client.get(where) as answer:
            assert answer.status == 200, where
            found += [run["benchmark_id"] for run in (await answer.json())["runs"]]
            link = re.fullmatch(r'<(.*)>; rel="next"', answer.headers.get("Link", ""))
            where = "" if link is None else urljoin(str(answer.url.relative()), link[1])
    return found


async def references(client: TestClient[Any, Any], page: str) -> dict[str, int]:
    """What the page at ``page`` refers to, where a browser would look for it → status."""
    async with client.get(page) as answer:
        text = await answer.text()
    found = {}
    for reference in re.findall(r'(?:href|src)="([^"]+)"', text):
        where = urljoin(page, reference)
        async with client.get(where) as answer:
            found[where] = answer.status
    return found


@pytest.mark.parametrize("strip", [True, False])
async def test_links_and_pages_work_behind_a_proxy(serve: Any, proxy: Proxy, strip: bool) -> None:
    """Only paths under /bench exist there: whatever is rooted elsewhere would be somebody else's."""
    server = await serve(base_path="/bench")
    await store(server, 1, 2, 3)
    client = await proxy(server, strip=strip)
    assert await walk(client, "/bench/benchmark/runs?limit=1") == ["benchmark-3", "benchmark-2", "benchmark-1"]
    shown = await references(client, "/bench/docs")
    assert set(shown.values()) == {200}
    assert {"/bench/docs/page.js", "/bench/docs/swagger-ui-bundle.js", "/bench/openapi.json"} <= set(shown)
    async with client.get("/bench/openapi.json") as answer:
        described = await answer.json()
    assert described["servers"] == [{"url": "/bench"}]
    for path in ("/health", "/health/live", "/health/ready", "/metrics", "/benchmark/runs/benchmark-2"):
        async with client.get(described["servers"][0]["url"] + path) as answer:
            assert answer.status == 200, path
    async with client.get("/bench/benchmark/runs/benchmark-2/events") as answer:
        assert "event: end" in await answer.text()
    async with client.get("/bench/benchmark/runs/benchmark-9") as answer:
        assert (answer.status, (await answer.json(content_type=None))["type"]) == (
            404,
            "urn:aurea:problem:run_not_found",
        )


async def test_pages_need_no_setting(client: Any, proxy: Proxy) -> None:
    shown = await references(await proxy(client, strip=True), "/bench/docs")
    assert set(shown.values()) == {200}
    assert all(where.startswith("/bench/") for where in shown)


@pytest.mark.service
@pytest.mark.parametrize("strip", [True, False])
async def test_location_leads_to_the_run_behind_a_proxy(serve: Any, proxy: Proxy, strip: bool) -> None:
    client = await proxy(await serve(base_path="/bench"), strip=strip)
    body = {"num_jobs": 2, "job_duration_ms": 1}
    asked = {"Prefer": "respond-async", "Idempotency-Key": "k"}
    async with client.post("/bench/benchmark/run", json=body, headers=asked) as answer:
        assert answer.status == 202
        where = answer.headers["Location"]
    assert re.fullmatch(r"/bench/benchmark/runs/benchmark-\d+", where)
    async with client.get(f"{where}/events") as answer:
        assert "completed" in await answer.text()
    async with client.get(where) as answer:
        assert (answer.status, (await answer.json())["completed_jobs"]) == (200, 2)
    async with client.post("/bench/benchmark/run", json=body, headers={"Idempotency-Key": "k"}) as answer:
        assert (answer.status, answer.headers["Location"]) == (200, where)
    async with client.get(f"{where}/jobs?limit=1") as answer:
        assert answer.headers["Link"] == f'<{where}/jobs?limit=1&cursor=1>; rel="next"'


async def test_every_route_is_guarded_twice(serve: Any) -> None:
    """The prefix opens no door: token, host and method are checked under it as at the root."""
    client = await serve(base_path="/a/b", token="correct-horse-battery")
    for operation in OPERATIONS:
        path = fill_path(operation.path)
        for prefix in ("", "/a/b"):
            headers = {"Content-Type": "application/json"}
            async with client.request(operation.method, prefix + path, headers=headers) as answer:
                assert (answer.status == 401) != operation.open, (prefix, path)
            async with client.request(operation.method, prefix + path, headers={**headers, "Host": "evil"}) as answer:
                assert answer.status == 403
    for path in ("/a/health", "/b/health", "/a/bhealth", "/a/b/a/b/health"):
        async with client.get(path) as answer:
            assert answer.status == 404, path


@pytest.mark.parametrize("strip", [True, False])
async def test_the_page_works_behind_a_proxy(serve: Any, proxy: Proxy, strip: bool) -> None:
    """Its references lead under the prefix, and so does the base path without its slash."""
    client = await proxy(await serve(base_path="/bench"), strip=strip)
    shown = await references(client, "/bench/")
    assert {"/bench/ui/start/main.js", "/bench/ui/styles/base.css"} <= set(shown)
    assert set(shown.values()) == {200}


async def test_the_base_path_leads_to_the_page(serve: Any) -> None:
    """From `/a/b` a relative reference would lead under `/a/`. The base path may also be one of our own paths."""
    client = await serve(base_path="/a/b", token="correct-horse-battery")
    async with client.get("/a/b", allow_redirects=False) as answer:
        assert (answer.status, urljoin("/a/b", answer.headers["Location"])) == (308, "/a/b/")
    client = await serve(base_path="/docs")
    async with client.get("/docs", allow_redirects=False) as answer:
        assert "Aurea: the HTTP interface" in await answer.text()


@pytest.mark.parametrize("base", ["/docs", "/benchmark", "/benchmark/runs", "/health", "/metrics"])
async def test_a_base_path_hides_no_route(serve: Any, base: str) -> None:
    client = await serve(base_path=base)
    await store(client, 1)
    for prefix in ("", base):
        for path in (
            "/health",
            "/docs",
            "/docs/page.js",
            "/openapi.json",
            "/benchmark/runs",
            "/benchmark/runs/benchmark-1",
        ):
            async with client.get(prefix + path) as answer:
                assert answer.status == 200, prefix + path


async def test_links_of_a_sub_application(tmp_path: Any) -> None:
    """No setting is needed there: aiohttp knows the prefix. Its probes and pages are as open as at the root."""
    inner = await create_app(settings=Settings(data=str(tmp_path), token="correct-horse-battery"))
    outer = web.Application()
    outer.add_subapp("/load", inner)
    async with TestClient(TestServer(outer)) as client:
        await store(client, 1, 2, app=inner)
        client.session.headers["Authorization"] = "Bearer correct-horse-battery"
        assert await walk(client, "/load/benchmark/runs?limit=1") == ["benchmark-2", "benchmark-1"]
        assert set((await references(client, "/load/docs")).values()) == {200}
        del client.session.headers["Authorization"]
        for path, status in (("/health", 200), ("/docs", 200), ("/metrics", 401), ("/benchmark/runs", 401)):
            async with client.get(f"/load{path}") as answer:
                assert answer.status == status, path


@pytest.mark.parametrize(
    ("text", "path"), [("", ""), ("/", ""), ("/bench", "/bench"), ("/a/b.c/", "/a/b.c"), ("/..a", "/..a")]
)
def test_a_base_path_is_plain(text: str, path: str) -> None:
    assert resolve({"base_path": text}, {}).settings.base_path == path
    assert resolve({}, {"AUREA_BASE_PATH": text}).settings.base_path == path


@pytest.mark.parametrize(
    "text",
    [
        "bench",
        "//",
        "/a//b",
        "/..",
        "/a/../b",
        "/.",
        "/a b",
        "/ä",
        "/a?b",
        "/a#b",
        "/a%20b",
        "/{x}",
        "http://h/b",
        "/a\n",
    ],
)
def test_an_odd_base_path_is_refused(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsError, match="such as /bench"):
        resolve({"base_path": text}, {})
    assert main(["serve", "--base-path", text]) == 2
    assert capfd.readouterr().err.count("\n") == 1
