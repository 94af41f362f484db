"""An app in this process, with a history of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from aurea_server.http.app import create_app
from aurea_server.http.connections import make_runner
from aurea_server.settings.settings import Settings


class Behind(TestServer):
    """A test server whose connections are treated as a real one's."""

    async def _make_runner(self, **_: Any) -> Any:
        return make_runner(self.app, 512)


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[TestClient[Any, Any]]]]:
    """Starts servers, each with settings of its own, and gives a client."""
    clients: list[TestClient[Any, Any]] = []

    async def make(**settings: Any) -> TestClient[Any, Any]:
        chosen = dataclasses.replace(Settings(data=str(tmp_path / f"data-{len(clients)}")), **settings)
        app = await create_app(settings=chosen)
        client = TestClient(Behind(app))
        await client.start_server()
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
async def client(serve: Callable[..., Awaitable[TestClient[Any, Any]]]) -> TestClient[Any, Any]:
    return await serve()


@pytest.fixture
def post() -> Callable[..., Awaitable[Any]]:
    """Runs something over HTTP, and gives status and decoded answer."""

    async def run(client: TestClient[Any, Any], body: Any, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with client.post("/benchmark/run", json=body, headers=named) as answer:
            return answer.status, await answer.json(content_type=None)

    return run
