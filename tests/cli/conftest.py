"""The command line in this process."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from aiohttp.test_utils import TestClient, TestServer

from aurea_server.cli import main
from aurea_server.http.app import create_app
from aurea_server.settings.settings import Settings
from tests.targets.recording_server import RecordingServer, recording_server, reply


@pytest.fixture
def aurea(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Any]:
    """``aurea("runs", "list")`` is (exit code, stdout, stderr)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capfdbinary.readouterr()
        return code, captured.out.decode(), captured.err.decode()

    return call


class Saying(NamedTuple):
    """A job that goes on for ten minutes, and says on a file that it has begun."""

    spec: Path
    said: Path
    environment: dict[str, str]

    def begun(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until it has, in a process that runs the specification."""
        until = time.monotonic() + 120
        while not self.said.exists() and time.monotonic() < until:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        assert self.said.exists()


@pytest.fixture
def saying(tmp_path: Path) -> Saying:
    folder = tmp_path / "saying"
    package = folder / "saying-1.dist-info"
    package.mkdir(parents=True)
    (folder / "saying.py").write_text(
        "import asyncio, pathlib\nfrom dataclasses import dataclass\nfrom aurea_engine import Job\n\n\n"
        "@dataclass(frozen=True)\nclass Saying(Job):\n    async def run(self, demand):\n"
        f"        pathlib.Path({str(folder / 'said')!r}).touch()\n        await asyncio.sleep(600)\n"
    )
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: saying\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[aurea.jobs]\nsaying = saying:Saying\n")
    (folder / "spec.json").write_text('{"workload": {"job": {"kind": "saying"}, "jobs": 1}}')
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), root])}
    return Saying(folder / "spec.json", folder / "said", environment)


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


@pytest.fixture
def target() -> Iterator[RecordingServer]:
    """A server that keeps what it is sent, on a thread: a command has an event loop of its own."""
    with _on_a_thread() as server:
        yield server


@pytest.fixture
def secure_target(tmp_path: Path) -> Iterator[RecordingServer]:
    """The same over TLS. Its authority is in ``ca.pem`` of the test's folder."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with _on_a_thread(context) as server:
        yield server


@contextmanager
def _on_a_thread(context: ssl.SSLContext | None = None) -> Iterator[RecordingServer]:
    started: list[tuple[RecordingServer, asyncio.AbstractEventLoop, asyncio.Event]] = []
    ready = threading.Event()

    async def serve() -> None:
        async with recording_server(lambda _: reply("ok"), context) as server:
            ended = asyncio.Event()
            started.append((server, asyncio.get_running_loop(), ended))
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(120)
    server, loop, ended = started[0]
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
