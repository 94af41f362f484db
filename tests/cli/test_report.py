"""What `aurea run` shows: it fits on 80 columns, reads well, and does as it is told by nobody but us."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from aurea_engine import (
    SpecError,
    encode_json,
    parse_json,
    parse_toml,
    result_to_dict,
    run_sync,
    simulate,
    spec_from_dict,
)
from aurea_engine.codec.parsing import MAX_DEPTH
from aurea_engine.testing.selftest import Check
from aurea_server.cli.number_format import format_digits, format_money, format_number, format_seconds
from aurea_server.cli.progress_line import LiveLine
from aurea_server.cli.report import render_report
from aurea_server.cli.run_document import RunDocument
from aurea_server.cli.selftest import describe_allowed, tabulate_checks

SPECS = sorted(
    # Requests to a target cannot be simulated, and need one.
    file
    for file in (Path(__file__).parents[2] / "examples" / "specs").iterdir()
    if not file.name.startswith("http_")
)
HOSTILE = "\x1b[2J\x1b]0;owned\x07[red]red[/red]\n" + "long " * 20


def shown(renderable: RenderableType, width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.05239, "0.0524"),
        (9.996, "10.0"),
        (52.4, "52.4"),
        (523.9, "524"),
        (52_390, "52,400"),
        (-1.5, "-1.50"),
    ],
)
def test_three_digits(value: float, text: str) -> None:
    assert format_digits(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0 s"),
        (5e-8, "50.0 ns"),
        (0.0000999, "99.9 µs"),
        (0.0999499, "99.9 ms"),
        (0.9996, "1.00 s"),
        (1093.2, "1,093 s"),
    ],
)
def test_a_time_has_the_unit_in_which_it_is_short(value: float | None, text: str) -> None:
    assert format_seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unpriced"),
        (0, "0 USD"),
        (1234.5, "1,234.50 USD"),
        (0.0123, "0.0123 USD"),
        (0.0000652, "0.00006520 USD"),
        (2e-10, "0.000200 USD per million"),
    ],
)
def test_money_is_never_in_powers_of_ten(value: float | None, text: str) -> None:
    assert format_money(value, "USD") == text


def test_counts_are_whole_and_rates_are_short() -> None:
    assert [format_number(value, "/s") for value in (None, 4.0, 9.993, 60_000.4)] == ["–", "4/s", "9.99/s", "60,000/s"]


@pytest.mark.parametrize("file", SPECS, ids=lambda path: path.name)
def test_report_fits_on_80_columns(file: Path) -> None:
    """A report fits on 80 columns and no label wraps."""
    spec = spec_from_dict((parse_toml if file.suffix == ".toml" else parse_json)(file.read_bytes()))
    lines = shown(render_report(simulate(spec))).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    response = next(line for line in lines if line.startswith("response time"))
    assert response.count("s") >= 5
    assert "…" not in "".join(lines)


def test_unsupported_quantiles_have_no_column() -> None:
    """Quantiles that nothing supports have no column."""
    text = shown(render_report(simulate(spec_from_dict({"num_jobs": 100, "scheduler": {"slots": 10}}))))
    assert "p95" in text
    assert "p99 " not in text.partition("note")[0]
    assert "p99 needs 299" in text


def test_report_of_an_empty_run() -> None:
    """No job in the second that was asked for: no heading without columns, and not "in 0 s"."""
    workload = {"job": {"kind": "sleep"}, "arrivals": {"kind": "trace", "at": [5]}, "duration": 1}
    text = shown(render_report(simulate(spec_from_dict({"workload": workload, "seed": 1}))))
    assert "none arrived in 1.00 s" in text
    assert "response time" not in text
    assert "\n\n\n" not in text


def test_text_from_outside_is_shown_as_it_is() -> None:
    """A label is neither markup nor a command to the terminal."""
    result = run_sync(spec_from_dict({"num_jobs": 1, "job_duration_ms": 0, "label": HOSTILE}))
    text = shown(render_report(result))
    assert "[red]red[/red]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_deepest_specification_is_shown_again() -> None:
    """Its result nests deeper than it: by one for itself, and where numbers are written out as distributions."""
    job: dict[str, Any] = {"kind": "sleep", "duration": 0.001}
    for _ in range(MAX_DEPTH - 3):
        job = {"kind": "limited", "job": job, "timeout": 1}
    text = json.dumps({"workload": {"job": job, "jobs": 3}})
    result = simulate(spec_from_dict(parse_json(text)))
    document = encode_json(result_to_dict(result))
    with pytest.raises(SpecError):
        parse_json(json.dumps({"deeper": json.loads(text)}))
    assert shown(RunDocument.parse(document).render()) == shown(render_report(result))


def test_progress_is_one_line_for_any_label() -> None:
    """The live line is one line whatever the label."""
    console = Console(width=80, force_terminal=True, record=True, file=io.StringIO())
    line = LiveLine(console)
    simulate(spec_from_dict({"num_jobs": 3, "job_duration_ms": 1, "label": HOSTILE}), [line])
    console.print(line._bar)
    text = console.export_text().rstrip("\n")
    assert "100 %" in text
    assert "\n" not in text
    assert "\x07" not in text


def test_selftest_says_what_is_allowed() -> None:
    """One figure where the answer is exact, an interval where it is not."""
    exact, near = Check("a", 0.55, 0.55, 1e-12, "arithmetic"), Check("b", 0.05, 0.07, 0.01, "arithmetic")
    assert [describe_allowed(exact), describe_allowed(near)] == ["0.55", "0.0400 to 0.0600"]
    text = shown(tabulate_checks([exact, near]))
    assert text.count("arithmetic") == 1
    assert text.index("✓") < text.index("✗")
