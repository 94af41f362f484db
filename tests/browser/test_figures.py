"""Every number that the page shows is that of the API, and charts are drawn from what it answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser import runs
from tests.browser.conftest import Visit
from tests.browser.reading import check_figures, read_charts
from tests.faults.conftest import Server

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]

FIRST = {
    "throughput",
    "response_time.p99",
    "response_time.p50",
    "counts.completed",
    "cost.total",
    "objectives.0.observed",
}
"""Without these a view of a run says too little."""

VARIANTS: dict[str, dict[str, Any]] = {
    "two groups": {},
    "in euros": {"cost": {"kind": "per_job", "price": "0.0001", "currency": "EUR"}},
    "free": {"cost": {"kind": "free"}},
    "unpriced": {"cost": {"kind": "packed", "price": "0.12", "concurrency": 2}, "keep_jobs": False},
    "few": {"seconds": 2, "rate": 3},
    "cut off": {"workload": {"job": {"kind": "sleep", "duration": 5}, "arrivals": {"kind": "poisson", "rate": 9},
                             "duration": 20, "stop_at": 10, "patience": {"kind": "exponential", "mean": 2}}},
    "with a warm-up": {"warmup": 10},
    "repeated": {"repeat": 3},
}  # fmt: skip


async def open_run(visit: Visit, run_id: str) -> Any:
    page = await visit(f"#/run/{run_id}")
    await page.locator("[data-verdict]").wait_for()
    return page


@pytest.mark.parametrize("name", VARIANTS)
async def test_figures_of_a_run_are_those_of_the_api(server: Server, visit: Visit, name: str) -> None:
    run_id = runs.start(server, **{"label": name, **VARIANTS[name]})
    page = await open_run(visit, run_id)
    shown = await check_figures(page, runs.result(server, run_id))
    assert shown >= FIRST


async def test_figures_of_the_list_are_those_of_the_api(server: Server, visit: Visit) -> None:
    run_id = runs.start(server, label="listed")
    page = await visit("#/runs")
    await page.locator(f"[data-run='{run_id}']").wait_for()
    status, _, listed = server.ask("GET", "/benchmark/runs?limit=50")
    assert status == 200
    known = {"runs": {run["benchmark_id"]: run for run in listed["runs"]}}
    shown = await check_figures(page, known)
    assert {f"runs.{run_id}.{name}" for name in ("throughput", "p99", "total_cost")} <= shown


async def test_charts_are_drawn_from_the_series(server: Server, visit: Visit) -> None:
    run_id = runs.start(server, label="charts")
    page = await open_run(visit, run_id)
    await page.locator("[data-chart] canvas").first.wait_for()
    charts, series = await read_charts(page), runs.series(server, run_id)
    points = series["points"]
    ends = points["until"]
    begins = [0, *ends[:-1]]
    middles = [(begin + end) / 2 for begin, end in zip(begins, ends, strict=True)]
    rates = {
        name: [count / (end - begin) for count, begin, end in zip(points[name], begins, ends, strict=True)]
        for name in ("arrived", "completed", "failed")
    }
    assert charts["rates"] == [middles, rates["arrived"], rates["completed"], rates["failed"]]
    times = [points[name] for name in ("p99", "p90", "p50", "service_p99")]
    assert charts["response-times"] == [middles, *times]
    assert charts["in-system"] == [ends, points["in_service"], points["waiting"]]
    assert charts["cost"] == [ends, points["cost"]]


async def test_a_bar_is_as_high_as_its_share(server: Server, visit: Visit) -> None:
    """Of jobs that all take as long: one bar, and it is all of them, by the labels of its axis."""
    body = {"num_jobs": 50, "job_duration_ms": 100, "clock": "virtual", "label": "all alike"}
    page = await open_run(visit, server.run(body)["benchmark_id"])
    bars = page.locator("[data-chart='distribution']")
    await bars.locator("svg").first.wait_for()
    from playwright.async_api import expect

    await expect(bars.locator("svg")).to_contain_text("100 %")
