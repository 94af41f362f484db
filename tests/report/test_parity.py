"""The section of a report that has what other tools would say of the same requests."""

from __future__ import annotations

import pytest

from aurea_engine import (
    Branch,
    Constant,
    ConstantRate,
    Mix,
    Objective,
    PerJob,
    RunResult,
    RunSpec,
    Sleep,
    Workload,
    default_catalog,
    simulate,
)
from aurea_engine.report.markdown import render_markdown
from aurea_engine.report.page import render_html
from aurea_engine.results.parity import TOOLS, Bounds, parity
from tests.planned_chat import PlannedChat
from tests.report.conftest import RESULTS
from tests.report.read_page import read_page

CATALOG = default_catalog().add("jobs", "planned_chat", PlannedChat)


def run_chat(jobs: int = 100, *, keep_jobs: bool = True) -> RunResult:
    spec = RunSpec(
        Workload(PlannedChat(Constant(0.5)), ConstantRate(10), jobs=jobs),
        cost=PerJob("0.01"),
        clock="virtual",
        seed=1,
        objectives=(
            Objective("first_token", at_most=0.06, quantile=0.9),
            Objective("token_gap", at_most=0.03, quantile=0.9),
        ),
        keep_jobs=keep_jobs,
    )
    return simulate(spec)


def test_each_figure_stands_beside_those_of_the_tools() -> None:
    table = parity(run_chat())
    assert table is not None
    rows = {(row.definition.figure, row.statistic): row for row in table.rows}
    first = rows["first_token_time", "mean"]
    assert first.ours == 50
    assert first.theirs == {"vLLM": 50, "aiperf": 50, "guidellm": 50}
    # 99 gaps of 0.1 s lie between the first request and the last one, which takes 0.5 s, 0.45 s to its last token.
    assert rows["duration", ""].theirs == {"vLLM": 10.4, "aiperf": 10.35, "guidellm": 10.4}
    assert rows["goodput", ""].ours == 100 / 10.4
    assert rows["goodput", ""].theirs["aiperf"] == 100 / 10.35
    assert rows["output_token_rate", ""].ours == 2000 / 10.4


def test_a_page_has_the_table_and_each_definition() -> None:
    page = read_page(render_html(run_chat(), CATALOG))
    section = next(each for each in page.find_all("section") if each.attributes["id"] == "parity")
    heads = [cell.text for cell in section.find("thead").find_all("th")]
    assert heads == ["figure", "", "unit", "Aurea", *TOOLS]
    rows = [[cell.text for cell in row.children] for row in section.find("tbody").find_all("tr")]
    assert ["first token", "mean", "ms", "50", "50", "50", "50"] in rows
    # A mark by which 100 requests bear no p99 of ours, and a figure that only one of the tools has.
    assert ["first token", "p99", "ms", "–", "50", "50", "50"] in rows
    assert ["most at once", "", "requests", "5", "5", "", ""] in rows
    assert "vLLM: TTFT = first_frame − started" in section.find("details").text


def test_markdown_has_the_short_table() -> None:
    text = render_markdown(run_chat())
    assert "<details><summary>What other tools would report of the same requests</summary>" in text
    assert "| p99 end to end, ms | – | 450 | 450 | 500 |" in text
    assert "| share of good requests | 100.0 % |  | 100.0 % | 100.0 % |" in text


@pytest.mark.parametrize("name", ["open", "everything", "repeated"])
def test_other_runs_have_no_such_section(name: str) -> None:
    assert parity(RESULTS[name]()) is None
    assert "parity" not in render_html(RESULTS[name]())


def test_without_records_there_is_none() -> None:
    assert parity(run_chat(keep_jobs=False)) is None


def test_bounds_may_be_given() -> None:
    table = parity(run_chat(), Bounds(first_token=0.04))
    assert table is not None
    assert {table.value(tool, "goodput") for tool in TOOLS} == {0}


def test_other_jobs_of_a_mix_are_no_requests() -> None:
    """Counted are the requests of the chat alone, and rates are theirs."""
    chat = Branch(1, PlannedChat(Constant(0.5)), name="ask")
    mix = Mix((chat, Branch(1, Sleep(Constant(0.5)), name="wait")))
    result = simulate(RunSpec(Workload(mix, ConstantRate(10), jobs=200), clock="virtual", seed=1))
    table = parity(result)
    assert result.jobs is not None
    assert table is not None
    asked = len(result.jobs.of_group("ask"))
    rows = {(row.definition.figure, row.statistic): row for row in table.rows}
    answered = rows["requests_answered", ""]
    assert 0 < asked < 200
    assert {answered.ours, *answered.theirs.values()} == {asked}
    rate, (begin, end) = rows["request_rate", ""].ours, result.window
    assert rate == pytest.approx(asked / (end - begin))
    assert rows["peak_concurrency", ""].ours is None
