"""The command line in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from aurea_server.app import create_app
from aurea_server.cli import main
from aurea_server.settings import Settings


@pytest.fixture
def aurea(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Any]:
    """``aurea("runs", "list")`` is (exit code, stdout, stderr)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capfdbinary.readouterr()
        return code, captured.out.decode(), captured.err.decode()

    return call


@pytest.fixture
def aurea_data(tmp_path: Path) -> Callable[[int], tuple[Path, str]]:
    """A history with one run of so many jobs, as a server leaves it: (folder, id of the run)."""

    def make(jobs: int) -> tuple[Path, str]:
        async def fill() -> str:
            app = await create_app(settings=Settings(data=str(tmp_path / "data")))
            async with TestClient(TestServer(app)) as client:
                answer = await client.post("/benchmark/run", json={"num_jobs": jobs, "job_duration_ms": 1})
                return str((await answer.json())["benchmark_id"])

        return tmp_path / "data", asyncio.run(fill())

    return make
