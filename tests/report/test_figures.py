"""Every figure of a report is the API's: cell by cell for tables, read back from the page for charts."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from aurea_engine import RunResult, simulate, spec_from_dict
from aurea_engine.closed_sets import Outcome
from aurea_engine.report.number_format import format_seconds
from aurea_engine.report.page import render_html
from tests.report.conftest import OPEN, RESULTS, to_json
from tests.report.read_page import Element, look_up, read_page, read_series


def test_figures_are_the_result(result: RunResult) -> None:
    """Each has the place of the result's JSON that it comes from, and exactly the value that stands there."""
    page, document = read_page(render_html(result)), to_json(result)
    data = page.find_all("data")
    assert len(data) > 20
    for each in data:
        known, written = look_up(document, each.attributes["data-of"]), each.attributes["value"]
        if known is None:
            assert written == ""
        elif isinstance(known, str):
            assert written == known, each.attributes
        else:
            assert float(written) == known, each.attributes


def test_figures_are_shown_as_they_are(result: RunResult) -> None:
    """The digits that are shown are those of the value, rounded to three or more."""
    units = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1, "%": 0.01}
    for each in read_page(render_html(result)).find_all("data"):
        found = re.fullmatch(r"([+−-]?[\d,.]+) ?(ns|µs|ms|s|%|.*)", each.text)
        if not each.attributes["value"]:
            assert each.text in ("–", "unpriced", "not known")
            continue
        assert found, each.text
        shown = float(found[1].replace(",", "").replace("−", "-")) * units.get(found[2], 1)
        if each.attributes["data-of"].startswith("/cost/per_"):
            shown /= 1_000_000  # money is shown per million jobs
        if "/" in (value := each.attributes["value"]):
            numerator, _, denominator = value.partition("/")
            value = str(int(numerator) / int(denominator))
        # Standard errors have two decimals, whatever their size.
        least = 0.0051 if each.attributes["data-of"].endswith("/z") else 0.0006
        assert shown == pytest.approx(float(value), rel=0.006, abs=least), each.text


def test_every_figure_in_a_table_says_its_place(result: RunResult) -> None:
    page = read_page(render_html(result))
    for table in page.find_all("table"):
        if table.find("caption").text == "Figures over time":
            continue  # compared below, with the series
        shares = table.find("thead").text.endswith("share")
        for row in table.find("tbody").find_all("tr"):
            for cell in row.find_all("td", class_="figure")[: -1 if shares else None]:
                has_figure = any(character.isdigit() for character in cell.text)
                assert not has_figure or cell.find_all("data"), cell.text


def test_figures_over_time_are_those_of_the_series() -> None:
    """A row for each step, which is three points here at most: jobs are summed, quantiles those of the worst point."""
    result = RESULTS["open"]()
    points, table = to_json(result)["series"]["points"], _table(result, "Figures over time")
    heads = [each.text for each in table.find("thead").find_all("th")]
    rows = [
        dict(zip(heads, (cell.text for cell in row.children), strict=True))
        for row in table.find("tbody").find_all("tr")
    ]
    assert len(rows) == len(points)
    for row, point in zip(rows, points, strict=True):
        assert float(row["from, s"]) == point["at"]
        assert int(row["arrived"]) == point["arrived"]
        assert int(row["completed"]) == point["completed"]
        assert [row[name] for name in ("p50", "p90", "p99")] == [
            format_seconds(point[name]) for name in ("p50", "p90", "p99")
        ]
        assert int(row["in service"]) + int(row["waiting"]) == point["in_system"]


def _table(result: RunResult, label: str) -> Element:
    tables = read_page(render_html(result)).find_all("table")
    return next(each for each in tables if each.find("caption").text == label)


# --- Charts ----------------------------------------------------------------------------------------------------------


def charts(result: RunResult) -> dict[str, Element]:
    return {
        each.attributes["id"]: each.find("svg", role="img")
        for each in read_page(render_html(result)).find_all("figure")
    }


ALL = {"rates", "response-times", "in-system", "lag", "cost-over-time", "heat-map", "distribution", "tail"}


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("open", ALL - {"lag"}),
        ("late", ALL),
        ("mixed", ALL - {"lag", "cost-over-time"}),
        ("without records", ALL - {"lag", "cost-over-time", "heat-map"}),
        ("earlier version", ALL - {"lag", "cost-over-time", "heat-map", "distribution", "tail"}),
        ("parts only", ALL - {"lag", "cost-over-time"}),
        ("seed form", {"distribution", "tail"}),
        ("nothing arrived", set()),
    ],
)
def test_charts_that_the_result_has_figures_for(name: str, drawn: set[str]) -> None:
    assert charts(RESULTS[name]()).keys() == drawn


def test_points_of_charts_are_the_series(result: RunResult) -> None:
    document, drawn = to_json(result), charts(result)
    points = document["series"]["points"]
    if len(points) < 3:
        assert "rates" not in drawn
        return
    assert len(points) <= 160, "every step is one point here"
    for chart in ("rates", "response-times"):
        for name in (
            attribute[5:] for attribute in drawn.get(chart, Element("", {})).attributes if "data-" in attribute
        ):
            member = {"begins": "at"}.get(name, name)
            assert read_series(drawn[chart], name) == [point[member] for point in points]


def test_many_points_are_gathered() -> None:
    """Of 2,000 points: sums of jobs, and of each step the point with the highest p99. No peak is lost."""
    result = _long()
    points, drawn = to_json(result)["series"]["points"], charts(result)
    size = math.ceil(len(points) / 160)
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    assert read_series(drawn["rates"], "arrived") == [sum(each["arrived"] for each in group) for group in groups]
    worst = [max(group, key=lambda each: each["p99"] or -1) for group in groups]
    for name in ("p50", "p90", "p99"):
        assert read_series(drawn["response-times"], name) == [each[name] for each in worst]
    assert max(each["p99"] or 0 for each in points) == max(x or 0 for x in read_series(drawn["response-times"], "p99"))


def _long() -> RunResult:
    arrivals = {"kind": "poisson", "rate": 3}
    job = {"kind": "sleep", "duration": {"kind": "exponential", "mean": 1}}
    return simulate(spec_from_dict(OPEN | {"workload": {"job": job, "arrivals": arrivals, "duration": 1999}}))


@pytest.mark.parametrize("name", ["open", "mixed", "late"])
def test_jobs_in_service_and_waiting(name: str) -> None:
    """Counted one by one at each second, from the jobs that the API shows."""
    result = RESULTS[name]()
    jobs, chart = to_json(result)["jobs"], charts(result)["in-system"]
    begins, ends = read_series(chart, "begins"), result.window[1]
    edges = [min((begin or 0) + 1, ends) for begin in begins]
    in_service = [sum(1 for job in jobs if _in_service(job, edge)) for edge in edges]
    assert read_series(chart, "in-service") == in_service
    waiting = [sum(1 for job in jobs if _waits(job, edge)) for edge in edges]
    assert read_series(chart, "waiting") == waiting


def _in_service(job: dict[str, Any], at: float) -> bool:
    return job["started"] is not None and job["started"] < at < job["finished"]


def _waits(job: dict[str, Any], at: float) -> bool:
    if job["started"] is not None:
        return job["intended"] < at <= job["started"]
    left = job["finished"] if job["finished"] is not None else math.inf if job["outcome"] == "cancelled" else -1.0
    return job["intended"] < at < left


def test_lag_of_the_generator() -> None:
    """The latest release of each second, with the instant of the finding that it led to."""
    result = RESULTS["late"]()
    assert result.jobs is not None
    lag, begun = read_series(charts(result)["lag"], "lag"), (result.jobs.intended // 1_000_000_000).tolist()
    worst = [max((int(each) for each, at in zip(result.jobs.lag_ns, begun, strict=True) if at == second), default=None)
             for second in range(len(lag))]  # fmt: skip
    assert lag[: len(worst)] == [None if each is None else each / 1e9 for each in worst]
    assert lag.index(0.25) == 10
    assert [each.text for each in charts(result)["lag"].find_all("text", class_="mark-number")] == ["1"]


def test_cost_grows_to_the_total() -> None:
    result = RESULTS["open"]()
    jobs, cost = to_json(result)["jobs"], read_series(charts(result)["cost-over-time"], "cost")
    assert cost[-1] == pytest.approx(float(to_json(result)["cost"]["total"]))
    assert cost[9] == pytest.approx(sum(job["cost"] for job in jobs if job["finished"] <= 10))


@pytest.mark.parametrize("name", ["open", "parts only"])
def test_heat_map_holds_every_completed_job(name: str) -> None:
    """In the column of its end and the row of its response time."""
    result = RESULTS[name]()
    chart = charts(result)["heat-map"]
    cells = _read_cells(chart)
    points = to_json(result)["series"]["points"]
    assert read_series(chart, "width") == [2.0]  # of 110 seconds
    pairs = [sum(point["completed"] for point in points[at : at + 2]) for at in range(0, len(points), 2)]
    assert cells.sum(axis=0).tolist() == pairs
    low, high = read_series(chart, "low")[0] or 0, read_series(chart, "high")[0] or 0
    jobs = RESULTS["open"]().jobs
    assert jobs is not None
    times = jobs.response_ns[jobs.outcome == Outcome.COMPLETED] / 1e9
    top = int((times > low * (high / low) ** (16.5 / 32)).sum())
    assert cells[17:].sum() <= top + 60
    assert cells[16:].sum() >= top - 60


def _read_cells(chart: Element) -> np.ndarray[Any, Any]:
    cells: list[int] = []
    for word in chart.attributes["data-cells"].split():
        zeros = re.fullmatch(r"0x(\d+)", word)
        cells += [0] * int(zeros[1]) if zeros else [int(word)]
    return np.array(cells).reshape(32, -1)


@pytest.mark.parametrize("name", ["open", "without records", "parts only", "seed form"])
def test_bars_count_the_jobs(name: str) -> None:
    """Exactly, at the edges of the histogram's buckets."""
    result = RESULTS[name]()
    chart, times = charts(result)["distribution"], RESULTS["seed form" if name == "seed form" else "open"]().jobs
    assert times is not None
    uppers, counts = read_series(chart, "uppers"), read_series(chart, "counts")
    response = times.response_ns[(times.intended >= result.window[0] * 1e9)] / 1e9
    within = np.cumsum([each or 0 for each in counts])
    beneath = result.response_time.count - within[-1]
    assert 0 <= beneath <= 0.006 * result.response_time.count
    for upper, count in zip(uppers, within, strict=True):
        assert int((response <= (upper or 0)).sum()) == count + beneath


def test_theory_is_drawn_where_it_is_known() -> None:
    known, unknown = charts(RESULTS["open"]())["tail"], charts(RESULTS["mixed"]())["tail"]
    assert known.find_all("path", class_="theory")
    assert not unknown.find_all("path", class_="theory")
