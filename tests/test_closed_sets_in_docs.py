"""The tables of the documentation hold exactly the closed sets of the code: no word is missing, and none is made up."""

from __future__ import annotations

import re
from pathlib import Path

from aurea_engine.closed_sets import (
    CAPACITY_STATUSES,
    COMPARISON_REMARKS,
    COMPARISON_WORDS,
    FAILURE_CLASSES,
    FINDING_CODES,
    OBJECTIVE_OUTCOMES,
    OUTCOMES,
    REASONS,
    STATES,
    VERDICTS,
    ExitCode,
    ServeExitCode,
)

DOCS = Path(__file__).parent.parent / "docs"


def read_table(page: str, head: str) -> list[str]:
    """The first cell of each row of the table whose first heading is ``head``, without backticks."""
    lines = (DOCS / page).read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {head} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(line.split("|")[1].strip().replace("`", ""))
    return rows


def test_reasons_are_in_the_page_on_http() -> None:
    """One row for each code."""
    assert read_table("http-api.md", "`reason.code`") == sorted(REASONS)


def test_states_are_in_the_page_on_http() -> None:
    """In the order of a run's life."""
    life = (DOCS / "http-api.md").read_text().partition("## A run's life")[2].partition("`status`")[0]
    assert tuple(re.findall(r"`(\w+)`", life)) == STATES


def test_judgements_are_in_the_page_on_numbers() -> None:
    """Verdicts and outcomes of objectives."""
    assert read_table("numbers.md", "verdict") == list(VERDICTS)
    assert read_table("numbers.md", "outcome") == list(OBJECTIVE_OUTCOMES)


def test_capacity_statuses_are_in_their_page() -> None:
    """In their order, each with the meaning that it has in the code."""
    assert read_table("capacity.md", "status") == list(CAPACITY_STATUSES)
    text = (DOCS / "capacity.md").read_text()
    for name, meaning in CAPACITY_STATUSES.items():
        assert f"| `{name}` | {meaning} |" in text


def test_failure_classes_are_in_page_numbers() -> None:
    """In their order, each with the meaning that it has in the code."""
    assert read_table("numbers.md", "failure") == list(FAILURE_CLASSES)
    text = (DOCS / "numbers.md").read_text()
    for name, meaning in FAILURE_CLASSES.items():
        assert f"| `{name}` | {meaning} |" in text


def test_comparisons_are_in_the_page_on_them() -> None:
    """Words, and remarks with the meaning that they have in the code."""
    assert read_table("compare.md", "word") == list(COMPARISON_WORDS)
    assert read_table("compare.md", "remark") == list(COMPARISON_REMARKS)
    text = (DOCS / "compare.md").read_text()
    for code, meaning in COMPARISON_REMARKS.items():
        assert f"| `{code}` | {meaning} |" in text


def test_every_finding_has_a_section() -> None:
    """Of its own, by its code, in alphabetical order."""
    chapter = (DOCS / "numbers.md").read_text().partition("## Verdict and findings")[2].partition("\n## ")[0]
    assert re.findall(r"^### ([a-z_]+)$", chapter, re.MULTILINE) == sorted(FINDING_CODES)


def test_outcomes_of_jobs_add_up_in_the_page_on_numbers() -> None:
    """`arrived` is the sum of all of them."""
    chapter = (DOCS / "numbers.md").read_text().partition("## Which jobs are counted")[2].partition(", always")[0]
    assert set(re.findall(r"`(\w+)`", chapter)) - {"counts", "arrived"} == set(OUTCOMES)


def test_exit_codes_are_in_the_page_on_operations() -> None:
    """Those of the server, and those of the other commands; the signals' own beside them."""
    text = (DOCS / "operations.md").read_text()
    chapter = text.partition("## Exit codes")[2].partition("\n## ")[0]
    serve, _, others = chapter.partition("The other commands")
    for part, codes in ((serve, ServeExitCode), (others, ExitCode)):
        assert [int(code) for code in re.findall(r"^\| (\d+) \|", part, re.MULTILINE)] == [code.value for code in codes]
