"""A real `aurea serve` with a real resolver: what it is not allowed to reach gets no connection, no packet and no DNS query.

The server runs in a mount namespace in which a name server of ours answers: the addresses of names are then as we wish,
change when we wish, and every query is seen.
"""

from __future__ import annotations

import asyncio
import re
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.server.target_double import Target, open_target, redirect

pytestmark = pytest.mark.service
ROOT = Path(__file__).parents[2]
NAME_SERVER = "127.0.0.77"


class NameServer(asyncio.DatagramProtocol):
    """Answers from a dictionary, and keeps the names that it was asked for."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        self.asked: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        name, (kind,) = ".".join(labels), struct.unpack(">H", data[at + 1 : at + 3])
        self.asked.append(name)
        question = data[12 : at + 5]
        known = self.addresses.get(name)
        answer = b""
        if known is not None and kind == 1:
            answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + bytes(map(int, known.split(".")))
        flags = 0x8180 if known is not None else 0x8183
        head = data[:2] + struct.pack(">HHHHH", flags, 1, bool(answer), 0, 0)
        self.transport.sendto(head + question + answer, address)


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    try:
        transport, server = await asyncio.get_running_loop().create_datagram_endpoint(NameServer, (NAME_SERVER, 53))
    except OSError as error:
        pytest.skip(f"needs port 53 of {NAME_SERVER}: {error}")
    yield server
    transport.close()


@pytest.fixture
def serving(require: Callable[..., str], tmp_path: Path) -> Callable[..., Any]:
    """Starts a server that may send to the given entries, and ends it. It gives a coroutine: status and body for a URL."""
    unshare = require("unshare")
    if subprocess.run([unshare, "--mount", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to make a mount namespace")
    resolver = tmp_path / "resolv.conf"
    resolver.write_text(f"nameserver {NAME_SERVER}\noptions timeout:2 attempts:1\n")

    @asynccontextmanager
    async def serve(*allowed: str) -> AsyncIterator[Callable[..., Any]]:
        program = [sys.executable, "-m", "aurea_server", "--port", "0", "--data", str(tmp_path / "data")]
        entries = [word for entry in allowed for word in ("--allow-target", entry)]
        mount = f'mount --bind {resolver} /etc/resolv.conf && exec "$@"'
        process = await asyncio.create_subprocess_exec(
            unshare, "--mount", "sh", "-c", mount, "sh", *program, *entries, cwd=ROOT, stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            line = (await process.stdout.readline()).decode()
            found = re.search(r"http://\S+?:(\d+)\s", line)
            assert found, line
            async with aiohttp.ClientSession(f"http://127.0.0.1:{found[1]}") as session:

                async def ask(url: str, **members: Any) -> tuple[int, Any]:
                    spec = {"workload": {"job": {"kind": "http", "url": url, "timeout": 5, **members}, "jobs": 3}}
                    async with session.post("/benchmark/run", json=spec) as reply:
                        return reply.status, await reply.json(content_type=None)

                yield ask
        finally:
            process.terminate()
            assert await process.wait() == 0

    return serve


@asynccontextmanager
async def targets(answer: Any = None) -> AsyncIterator[tuple[Target, Target]]:
    """Two targets on one port of two addresses: the allowed one, and one that nobody allowed."""
    more = {} if answer is None else {"answer": answer}
    async with (
        open_target(host="127.0.0.2", **more) as allowed,
        open_target(host="127.0.0.3", port=allowed.port) as inside,
    ):
        yield allowed, inside


async def test_refused_name_is_not_looked_up(names: NameServer, serving: Any) -> None:
    """The allowed one is sent to, by a name that was looked up: so it is this resolver that would have been asked."""
    names.addresses = {"app.test": "127.0.0.2", "inside.test": "127.0.0.3"}
    async with targets() as (allowed, inside), serving(f"app.test:{allowed.port}") as ask:
        status, result = await ask(f"http://app.test:{allowed.port}/")
        assert (status, result["completed_jobs"]) == (200, 3)
        assert "app.test" in names.asked
        for url in (f"http://inside.test:{inside.port}/", f"http://127.0.0.3:{inside.port}/", "http://app.test:1/"):
            names.asked.clear()
            status, problem = await ask(url)
            assert (status, problem["code"], names.asked) == (403, "target_not_allowed", []), url
        assert (len(allowed.requests), inside.received) == (3, [])


async def test_name_that_changes_its_address(names: NameServer, serving: Any) -> None:
    """What a name means is decided when the server starts: an address that it gets later is refused when it is dialled."""
    names.addresses = {"app.test": "127.0.0.2"}
    async with targets() as (allowed, inside), serving(f"app.test:{allowed.port}") as ask:
        names.addresses["app.test"] = "127.0.0.3"
        status, result = await ask(f"http://app.test:{allowed.port}/")
        assert (status, result["failures"]) == (200, {"target_not_allowed": 3})
        assert (allowed.received, inside.received) == ([], [])
        names.addresses["app.test"] = "127.0.0.2"
        status, result = await ask(f"http://app.test:{allowed.port}/")
        assert (status, result["completed_jobs"]) == (200, 3)


@pytest.mark.parametrize(
    ("host", "failure"),
    [("inside.test", "target_not_allowed"), ("127.0.0.3", "target_not_allowed"), ("127.3", "redirects")],
)
async def test_redirect_leads_nowhere_else(names: NameServer, serving: Any, host: str, failure: str) -> None:
    """The first target is allowed, and sends the client to another: that one sees nothing. 127.3 is a host of no URL."""
    names.addresses = {"app.test": "127.0.0.2", "inside.test": "127.0.0.3"}
    ports: list[int] = []
    async with targets(lambda _: redirect(f"http://{host}:{ports[0]}/secret")) as (allowed, inside):
        ports.append(inside.port)
        async with serving(f"app.test:{allowed.port}") as ask:
            status, result = await ask(f"http://app.test:{allowed.port}/", redirects=3)
        assert (status, result["failures"]) == (200, {failure: 3})
        assert (len(allowed.requests), inside.received) == (3, [])


async def test_server_sends_nowhere_by_default(names: NameServer, serving: Any) -> None:
    names.addresses = {"app.test": "127.0.0.2"}
    async with targets() as (allowed, _), serving() as ask:
        for host in ("app.test", "127.0.0.2", "localhost", "[::1]"):
            status, problem = await ask(f"http://{host}:{allowed.port}/")
            assert (status, problem["code"]) == (403, "target_not_allowed")
        assert (names.asked, allowed.received) == ([], [])
