"""The branches of a mix as groups: in the table, in JSON, and as filters over the exported CSV."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from aurea_server.http.app import create_app
from aurea_server.settings.settings import Settings

pytestmark = pytest.mark.service

BRANCHES = [
    {"weight": 6, "name": "reads", "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.01}}},
    {"weight": 3, "name": "writes", "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.04}}},
    {
        "weight": 1,
        "name": "GET /checks, all",
        "job": {"kind": "faulty", "failure_rate": 0.3, "job": {"kind": "sleep", "duration": 0.1}},
    },
]
SPEC = {
    "workload": {"job": {"kind": "mix", "of": BRANCHES}, "arrivals": {"kind": "poisson", "rate": 50}, "jobs": 2000},
    "scheduler": {"kind": "fifo", "slots": 3, "queue_limit": 2},
    "clock": "virtual",
    "seed": 3,
    "objectives": [{"metric": "group:reads:response_time", "quantile": 0.95, "at_most": 0.3}],
}


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, str]:
    """A history that holds a run of `SPEC`, and the run's id."""

    async def fill() -> str:
        app = await create_app(settings=Settings(data=str(tmp_path / "data")))
        async with TestClient(TestServer(app)) as client:
            answer = await client.post("/benchmark/run", json=SPEC)
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["benchmark_id"])

    return tmp_path / "data", asyncio.run(fill())


def filtered(rows: list[dict[str, str]], group: str) -> dict[str, Any]:
    """What a spreadsheet makes of the rows of one group: counts, and the response times of those that completed."""
    mine = [row for row in rows if row["group"] == group]
    times = sorted(round(float(row["response_time"]) * 1e9) for row in mine if row["outcome"] == "completed")
    n = len(times)
    return {
        "counts": Counter(row["outcome"] for row in mine),
        "count": n,
        "mean": sum(times) / n / 1e9,
        "max": times[-1] / 1e9,
        "p50": times[math.ceil(0.5 * n) - 1] / 1e9,
        "p95": times[math.ceil(0.95 * n) - 1] / 1e9,
    }


def test_groups_equal_filters_over_the_csv(stored: tuple[Path, str], aurea: Callable[..., Any]) -> None:
    """Three groups whose counts add up to the run's, and whose times are those of three filters, to the last bit."""
    data, run = stored
    code, text, _ = aurea("runs", "export", run, "--format", "csv", "--data", data)
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(text)))
    result = json.loads(aurea("runs", "export", run, "--format", "json", "--data", data)[1])
    groups = result["groups"]
    assert [group["name"] for group in groups] == [branch["name"] for branch in BRANCHES]
    for outcome, jobs in result["counts"].items():
        assert sum(group["counts"][outcome] for group in groups) == jobs
    for group in groups:
        expected = filtered(rows, group["name"])
        counts = {name: jobs for name, jobs in group["counts"].items() if jobs and name != "arrived"}
        assert counts == dict(expected.pop("counts"))
        assert {name: group["response_time"][name] for name in expected} == expected


def test_every_form_of_a_job_names_its_group(stored: tuple[Path, str], aurea: Callable[..., Any]) -> None:
    """NDJSON, the jobs of the JSON result, and CSV say the same."""
    data, run = stored
    lines = aurea("runs", "export", run, "--format", "ndjson", "--data", data)[1].splitlines()
    result = json.loads(aurea("runs", "export", run, "--format", "json", "--data", data)[1])
    rows = csv.DictReader(io.StringIO(aurea("runs", "export", run, "--format", "csv", "--data", data)[1]))
    names = [row["group"] for row in rows]
    assert names == [json.loads(line)["group"] for line in lines] == [job["group"] for job in result["jobs"]]


def test_the_report_has_a_line_for_each_group(stored: tuple[Path, str], aurea: Callable[..., Any]) -> None:
    """Jobs, failures and times: what peers call the per-request table; and the objective on a group."""
    data, run = stored
    code, text, _ = aurea("runs", "show", run, "--data", data)
    assert code == 0
    lines = text.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("group "))
    assert lines[head].split() == ["group", "jobs", "failed", "mean", "p50", "p95", "p99", "max"]
    assert [line.split("  ")[0] for line in lines[head + 1 : head + 4]] == [branch["name"] for branch in BRANCHES]
    assert "p95 response time of reads <= 0.3 s" in text


def test_a_run_without_groups_has_no_such_table(
    aurea_data: Callable[[int], tuple[Path, str]], aurea: Callable[..., Any]
) -> None:
    """A plain run is shown, and exported, as ever."""
    data, run = aurea_data(5)
    assert "group" not in aurea("runs", "show", run, "--data", data)[1]
    assert "group" not in aurea("runs", "export", run, "--format", "csv", "--data", data)[1]
