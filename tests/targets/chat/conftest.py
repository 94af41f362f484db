"""The planted server, in a process of its own, and runs against it."""

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

ROOT = Path(__file__).parents[3]


class Planted(NamedTuple):
    port: int

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take_log(self) -> dict[int, dict[str, Any]]:
        """What it did for each number since the last call."""
        with urllib.request.urlopen(f"{self.base}/log", timeout=60) as reply:
            return {int(number): entry for number, entry in json.load(reply).items()}


@pytest.fixture(scope="session")
def planted() -> Iterator[Planted]:
    command = [sys.executable, "-m", "tests.targets.chat.planted_server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Planted(int(process.stdout.readline()))
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.fixture
def play(planted: Planted) -> Callable[..., RunResult]:
    """``play("plain", "cut", stream=True)``: a run in which job i plays the i-th scenario. ``spec``: members of the run."""

    def run(
        *scenarios: str, rate: float | None = None, drain: float | None = None, spec: Any = None, **members: Any
    ) -> RunResult:
        planted.take_log()
        prompts = [f"{i} {scenario}" for i, scenario in enumerate(scenarios)]
        arrivals = {"kind": "closed", "users": 4} if rate is None else {"kind": "constant", "rate": rate}
        job = {"kind": "chat", "url": planted.base, "model": "m", "prompts": prompts, **members}
        workload = {"job": job, "arrivals": arrivals, "jobs": len(scenarios), "drain": drain}
        return run_sync(spec_from_dict({"workload": workload, "seed": 5, **(spec or {})}))

    return run
