"""A result as Markdown says what its table says, in the same figures."""

from __future__ import annotations

from aurea_engine.report.judgement import write_amount
from aurea_engine.report.markdown import render_markdown
from aurea_engine.report.number_format import format_number, format_seconds
from tests.report.conftest import RESULTS, to_json


def read_tables(text: str) -> list[list[list[str]]]:
    """The cells of each table, without the line that aligns them."""
    blocks = [block.split("\n") for block in text.split("\n\n") if block.startswith("|")]
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in block if "---" not in line]
        for block in blocks
    ]


def test_objectives_and_key_figures() -> None:
    result = RESULTS["open"]()
    text, document = render_markdown(result), to_json(result)
    objectives, figures = read_tables(text)
    assert text.startswith("### ✓ baseline: valid, 1 of 5 missed, 1 of 5 inconclusive, 3 of 5 met\n")
    assert [row[1].split()[1] for row in objectives[1:]] == [each["outcome"] for each in document["objectives"]]
    for row, judged in zip(objectives[1:], result.objectives, strict=True):
        assert row[3] == write_amount(judged.objective, judged.observed, result)
    named = dict(zip(*figures, strict=True))
    assert named["throughput"] == format_number(document["throughput"], "/s")
    assert named["completed"] == f"{document['completed_jobs']:,} of {document['num_jobs']:,}"
    assert named["p99"] == format_seconds(document["response_time"]["p99"])
    assert named["cost"].split()[0] == f"{document['total_cost']:.4f}"


def test_findings_with_advice() -> None:
    text = render_markdown(RESULTS["late"]())
    assert "- **degraded** `late_releases`: 0.2 % of the jobs were released late. Keep it quiet." in text
    assert "- **note** `gc_pause`" in text


def test_without_objectives_there_is_no_table_of_them() -> None:
    (figures,) = read_tables(render_markdown(RESULTS["seed form"]()))
    assert figures[0][0] == "throughput"
