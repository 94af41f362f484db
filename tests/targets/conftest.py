"""Servers for the tests of targets, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aurea_engine import RunResult, run_sync, spec_from_dict

ROOT = Path(__file__).parents[2]


class Authority(NamedTuple):
    """A private certificate authority: its certificate, and those of a server and a client with their keys, as PEM files."""

    ca: str
    server: str
    client: str
    authority: Any


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """It signed for one server, on this machine, and one client."""
    import trustme

    folder = tmp_path_factory.mktemp("authority")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name, leaf in [("server", ca.issue_cert("localhost", "127.0.0.1")), ("client", ca.issue_cert("a.client"))]:
        leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
    return Authority(*(str(folder / f"{name}.pem") for name in ("ca", "server", "client")), ca)


@pytest.fixture(scope="session")
def ask() -> Callable[..., RunResult]:
    """``ask(url, jobs=20, users=3, method="HEAD")``: the result of a run with that many requests, by three users in turn.

    All members of the job `http` may be given, and ``arrivals`` in place of users.
    """

    def run(url: str, jobs: int, users: int = 4, arrivals: Any = None, cost: Any = None, **members: Any) -> RunResult:
        workload = {
            "job": {"kind": "http", "url": url, **members},
            "arrivals": arrivals or {"kind": "closed", "users": users},
            "jobs": jobs,
        }
        more = {} if cost is None else {"cost": cost}
        return run_sync(spec_from_dict({"workload": workload, "seed": 11, **more}))

    return run


class HostileServer(NamedTuple):
    port: int
    tls_port: int

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take_log(self) -> list[dict[str, Any]]:
        """What reached the server since the last call: of each request path, connection, bytes, whether it was right."""
        with urllib.request.urlopen(f"{self.base}/log", timeout=60) as reply:
            return json.load(reply)  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def hostile(authority: Authority) -> Iterator[HostileServer]:
    command = [sys.executable, "-m", "tests.targets.hostile.server", authority.server]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        yield HostileServer(ports["plain"], ports["tls"])
        process.stdin.close()
        assert process.wait(120) == 0
