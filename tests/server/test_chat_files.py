"""Prompts and traces of chats over HTTP: what the operator published by its name, and nothing else of the machine."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.targets.chat.counting_server import CountingServer
from tests.targets.chat.counting_server import serve as serve_model

Serve = Callable[..., Awaitable[TestClient[Any, Any]]]
Post = Callable[..., Awaitable[tuple[int, Any]]]

TRACE = Path(__file__).parents[1] / "engine" / "traces" / "azure_2023.csv"
SIMULATED = {"first_token_time": 0.1, "token_gap": 0.01}


def asking(url: str, prompts: Any, arrivals: Any = None, clock: str = "real", **members: Any) -> dict[str, Any]:
    job = {"kind": "chat", "url": url, "prompts": prompts, "max_tokens": 3, **members}
    workload = {"job": job, "arrivals": arrivals or {"kind": "all_at_once"}, "jobs": 2}
    return {"workload": workload, "clock": clock, "seed": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    published = tmp_path / "published"
    published.mkdir()
    (published / "prompts.jsonl").write_text('"one"\n{"prompt": "one two", "max_tokens": 2}\n')
    (published / "wrong.jsonl").write_text('"one"\n{"prompt": 5}\n')
    (published / "day.csv").write_bytes(TRACE.read_bytes())
    (tmp_path / "private.jsonl").write_text('"secret"\n')
    (published / "link.jsonl").symlink_to(tmp_path / "private.jsonl")
    return published


async def test_published_prompts_are_asked(serve: Serve, post: Post, folder: Path) -> None:
    """By their plain name, which is all that the result shows."""
    with serve_model(CountingServer()) as model:
        client = await serve(allow_target=("127.0.0.1",), data_dir=str(folder))
        status, result = await post(client, asking(model.url, {"file": "prompts.jsonl"}))
    assert (status, result["completed_jobs"]) == (200, 2), result
    asked = [(body["messages"][0]["content"], body["max_tokens"]) for body in model.bodies]
    assert sorted(asked) == [("one", 3), ("one two", 2)]
    assert result["spec"]["workload"]["job"]["prompts"]["file"] == "prompts.jsonl"
    assert str(folder) not in json.dumps(result)


@pytest.mark.parametrize("clock", ["real", "virtual"])
@pytest.mark.parametrize("name", ["link.jsonl", "../private.jsonl", "/etc/passwd.jsonl", "none.jsonl", "wrong.jsonl"])
async def test_other_prompts_open_nothing(serve: Serve, post: Post, folder: Path, name: str, clock: str) -> None:
    """400, in either time: never a request, and never the operator's path."""
    with serve_model(CountingServer()) as model:
        client = await serve(allow_target=("127.0.0.1",), data_dir=str(folder))
        status, answer = await post(client, asking(model.url, {"file": name}, clock=clock, simulated=SIMULATED))
    assert status == 400, answer
    assert str(folder) not in json.dumps(answer)
    assert "secret" not in json.dumps(answer)
    assert model.bodies == []


async def test_without_a_folder_prompts_are_refused(serve: Serve, post: Post) -> None:
    """Whether the file exists or not; and a list of prompts is for everybody."""
    client = await serve(allow_target=("127.0.0.1",))
    for name in (str(TRACE), "/no/such.jsonl"):
        status, answer = await post(client, asking("http://127.0.0.1:9", {"file": name}))
        assert status == 400
        assert [problem["path"] for problem in answer["problems"]] == ["workload.job.prompts.file"]
        assert "comes over HTTP" in answer["problems"][0]["problem"]


async def test_published_traces_give_the_lengths(serve: Serve, post: Post, folder: Path) -> None:
    """In virtual time, for which no target need be allowed."""
    client = await serve(data_dir=str(folder))
    arrivals = {"kind": "trace", "file": "day.csv", "format": "azure", "slice": [5, 7]}
    body = asking("http://127.0.0.1:9", "trace", arrivals, "virtual", simulated=SIMULATED)
    status, result = await post(client, body)
    assert status == 200, result
    rows = [line.split(",") for line in TRACE.read_text().splitlines()[6:8]]
    measures = [job["measures"] for job in result["jobs"]]
    assert [[str(each[name]) for name in ("input_tokens", "output_tokens")] for each in measures] == [
        row[1:] for row in rows
    ]
    status, again = await post(client, result["spec"])
    assert (status, again["jobs"][0]["measures"]) == (200, measures[0])
    status, answer = await post(client, {**body, "clock": "real"})
    assert (status, answer["code"]) == (403, "target_not_allowed")
