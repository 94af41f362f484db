"""Requests that nobody would write by hand: whatever comes, there is a documented answer, and the server goes on."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.strikes import HANGS

pytestmark = pytest.mark.faults

SCALARS = [
    0,
    1,
    -1,
    1.5,
    True,
    False,
    None,
    "",
    "x",
    "sleep",
    "poisson",
    1e308,
    -1e308,
    2**63,
    10**30,
    [],
    {},
    "\u202e",
    "a\0b",
]
SEEDS: list[Any] = [
    {"num_jobs": 3, "job_duration_ms": 1},
    {
        "workload": {
            "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.001}},
            "arrivals": {"kind": "poisson", "rate": 1000},
            "jobs": 20,
        },
        "scheduler": {"kind": "fifo", "slots": 4, "queue_limit": 10},
        "cost": {
            "kind": "composite",
            "of": [{"kind": "per_second", "price": "0.001"}, {"kind": "per_job", "price": "0.1"}],
        },
        "clock": "virtual",
        "seed": 7,
        "objectives": [{"metric": "response_time", "quantile": 0.99, "at_most": 0.5}],
        "label": "x",
    },
]


def mutate(value: Any, chance: random.Random) -> Any:
    """The same with something changed somewhere inside."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        name = chance.choice(list(value))
        match chance.randrange(6):
            case 0:
                return {other: inner for other, inner in value.items() if other != name}
            case 1:
                return {
                    **value,
                    chance.choice(["kind", "jobs", "duration", "x", "of", name.upper()]): chance.choice(SCALARS),
                }
            case _:
                return {**value, name: mutate(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        return [*value[:at], mutate(value[at], chance), *value[at + 1 :]]
    return chance.choice(SCALARS)


def fuzz_bodies(server: Any, count: int, seed: int) -> dict[int, int]:
    """How often each status came. The runs that are accepted are virtual or tiny, and none lasts longer than 0.2 s."""
    chance, seen = random.Random(seed), dict[int, int]()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANGS)
    for _ in range(count):
        body = chance.choice(SEEDS)
        for _ in range(chance.randrange(1, 5)):
            body = mutate(body, chance)
        data = json.dumps(body).encode()
        if chance.random() < 0.2:
            at = chance.randrange(len(data) + 1)
            data = data[:at] + chance.randbytes(1) + data[at + 1 :]
        connection.request("POST", "/benchmark/run", data, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        seen[answer.status] = seen.get(answer.status, 0) + 1
        assert answer.status in (200, 400, 429), (answer.status, data, content[:500])
        json.loads(content)
        if answer.getheader("Connection") == "close":
            connection.close()
    connection.close()
    return seen


@pytest.fixture
def server(serve: Callable[..., Any]) -> Any:
    server = serve("--max-seconds", "0.2", "--max-jobs", "2000")
    server.tries = 50
    return server


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_mutated_specifications_get_a_documented_answer(
    server: Any, invariants: Callable[[Any], None], campaign: Callable[[int], int]
) -> None:
    count = campaign(100_000)
    seen = fuzz_bodies(server, count, 42)
    print(seen)
    assert seen[400] > count / 2
    invariants(server)


# A check of what is no specification has succeeded: it is answered with the problem, and not refused.
ANSWERS_ANYTHING = """
[[operations]]
include-operation-id = "check_specification"
checks.negative_data_rejection.enabled = false
"""


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_schemathesis_finds_nothing(
    serve: Callable[..., Any],
    invariants: Callable[[Any], None],
    require: Callable[..., str],
    campaign: Callable[[int], int],
    tmp_path: Path,
) -> None:
    """All its checks but one: a schema cannot say that a workload needs an end, so some that it allows are refused.

    The server offers built-in kinds only. A hostile package that never ends its import has its own tests, and here each of
    its kinds would take the ten seconds after which it is refused: the client's own limit.
    """
    # A search would otherwise keep the turn for an hour, and the run of the invariants waiting.
    server = serve("--max-search-seconds", "0.2", PYTHONPATH=str(Path(__file__).parents[2]))
    program, count = require("schemathesis", "st"), campaign(100)
    # Its coverage phase goes through every member of the specification, whatever the number of examples.
    phases = "examples,fuzzing,stateful" if count < 100 else "examples,coverage,fuzzing,stateful"
    command = [
        program, "run", f"http://127.0.0.1:{server.port}/openapi.json", "--max-examples", str(count),
        "--phases", phases, "--seed", "7", "--workers", "1", "--exclude-operation-id", "get_events",
        "--exclude-operation-id", "get_search_events",
        "--exclude-checks", "positive_data_acceptance", "--request-timeout", str(HANGS),
    ]  # fmt: skip
    (tmp_path / "schemathesis.toml").write_text(ANSWERS_ANYTHING)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    server.acknowledged = []
    invariants(server)
