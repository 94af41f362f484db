"""What is stored of a run goes bad: it is said of that run, and nothing else suffers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aurea_server.http.app_keys import SERVICE

Post = Callable[..., Awaitable[Any]]
RECORDED = {
    "workload": {"job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.002}}, "jobs": 3000},
    "clock": "virtual",
    "seed": 1,
}
"""Its records need a file. In real time they may not: on a busy machine many jobs end at one instant, which packs well."""


def truncated(file: Path) -> None:
    os.truncate(file, 100)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def scrambled(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[300:400] = bytes(100)
    file.write_bytes(content)


def longer(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"x")


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def gone(file: Path) -> None:
    file.unlink()


async def asked(client: Any, path: str) -> Any:
    async with asyncio.timeout(60), client.get(path) as answer:
        return answer.status, await answer.json(content_type=None)


async def well(client: Any, post: Post, caplog: pytest.LogCaptureFixture) -> None:
    """The server takes runs, and has not failed."""
    assert (await asked(client, "/health/ready"))[0] == 200
    assert (await post(client, {"num_jobs": 1, "job_duration_ms": 1}))[0] == 200
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("damage", [truncated, empty, scrambled, longer, folder, link, pipe, gone])
async def test_damaged_records_fail_nothing_else(
    client: Any, post: Post, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    """Records that are damaged are reported and nothing else fails."""
    _, result = await post(client, RECORDED)
    path = f"/benchmark/runs/{result['benchmark_id']}"
    damage(tmp_path / "data-0" / "records" / f"{result['benchmark_id']}.columns")
    status, left = await asked(client, path)
    assert status == 200
    assert {**left, "jobs": result["jobs"], "jobs_truncated": False} == result
    assert (left["jobs"], left["jobs_truncated"]) == ([], True)
    for query in ("", "?format=csv", "?format=ndjson"):
        status, problem = await asked(client, f"{path}/jobs{query}")
        assert (status, problem["code"]) == (503, "storage_failed")
        assert "this run" in problem["detail"]
    await well(client, post, caplog)


@pytest.mark.parametrize("column", ["head", "figures", "reason"])
@pytest.mark.parametrize("content", [b"\0\1\2\3", b'{"a": ', b'"\xff"', b"[]"])
async def test_a_damaged_row_leaves_the_list_whole(
    client: Any, post: Post, caplog: pytest.LogCaptureFixture, column: str, content: bytes
) -> None:
    """A row that is damaged is reported and the others are listed."""
    service = client.server.app[SERVICE]
    good, bad = [(await post(client, {"num_jobs": 3, "job_duration_ms": 1}))[1]["benchmark_id"] for _ in range(2)]

    def damage() -> None:
        service._history._ledger._connection.execute(f"UPDATE run SET {column} = ? WHERE id = ?", (content, bad))

    await service._history._ask(damage)
    service._active._logs.clear()
    path = f"/benchmark/runs/{bad}"
    status, document = await asked(client, path)
    if column == "reason":
        assert (status, document["reason"]["code"]) == (200, "storage")
    else:
        assert (status, document["code"]) == (503, "storage_failed")
    async with client.post(f"{path}/reprice", json={"cost": {"kind": "per_job", "price": "1"}}) as answer:
        assert answer.status in (200, 422, 503)
    async with client.get(f"{path}/events") as answer:
        assert answer.status == 200
        assert "event: end" in (await answer.text())
    listed = (await asked(client, "/benchmark/runs"))[1]["runs"]
    assert [(row["benchmark_id"], row["status"]) for row in listed] == [(bad, "completed"), (good, "completed")]
    async with client.delete(path, headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 204
    await well(client, post, caplog)
