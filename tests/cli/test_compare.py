"""`aurea compare`: a table for people, JSON for programs, an exit code for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurea_server.cli import main
from aurea_server.cli.compare import parse_tolerance

Aurea = Callable[..., Any]

RUNS = {"a": (1, 0.01, 20_000), "b": (2, 0.01, 20_000), "slow": (3, 0.011, 20_000), "few": (4, 0.01, 60)}
"""Seed, mean service time and jobs."""


def make_spec(seed: int, mean: float, jobs: int) -> dict[str, Any]:
    job = {"kind": "sleep", "duration": {"kind": "exponential", "mean": mean}}
    workload = {"job": job, "arrivals": {"kind": "poisson", "rate": 200}, "jobs": jobs}
    return {"workload": workload, "scheduler": {"kind": "fifo", "slots": 4}, "clock": "virtual", "seed": seed}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Run files by name: two of one specification, one 10 % slower, one of 60 jobs; and one as JSON."""
    folder = tmp_path_factory.mktemp("runs")
    files = {name: folder / f"{name}.aurea" for name in RUNS} | {"json": folder / "a.json"}
    for name, file in files.items():
        (folder / "spec").write_text(json.dumps(make_spec(*RUNS[name if name in RUNS else "a"])))
        assert main(["run", str(folder / "spec"), "-o", str(file)]) == 0
    return files


@pytest.mark.parametrize(
    ("a", "b", "options", "code", "word"),
    [
        ("a", "slow", (), 3, "worse"),
        ("slow", "a", (), 0, "better"),
        ("a", "b", ("--tolerance", "15%"), 0, "same"),
        ("a", "b", ("--tolerance", "0"), 6, "inconclusive"),
        ("few", "few", (), 6, "inconclusive"),
        ("json", "slow", (), 3, "worse"),
    ],
)
def test_the_word_decides_the_exit_code(
    runs: dict[str, Path], aurea: Aurea, a: str, b: str, options: tuple[str, ...], code: int, word: str
) -> None:
    """0 same or better, 3 worse, 6 not decided; the table and the JSON say the same."""
    got, out, err = aurea("compare", runs[a], runs[b], *options)
    assert (got, err) == (code, "")
    assert f"B is           {word}: " in out
    got, out, _ = aurea("compare", runs[a], runs[b], *options, "--json")
    assert (got, json.loads(out)["word"]) == (code, word)


def test_the_table_fits_on_a_terminal(runs: dict[str, Path], aurea: Aurea) -> None:
    """80 columns, with every figure beside its interval and its word."""
    _, out, _ = aurea("compare", runs["a"], runs["slow"])
    rows = [line for line in out.splitlines() if line.rstrip().endswith(("worse", "same", "inconclusive", "better"))]
    assert len(rows) == 8
    assert max(map(len, map(str.rstrip, rows))) <= 80
    assert "workload.job.duration.mean 0.01 → 0.011" in out


def test_a_lost_record_is_said(runs: dict[str, Path], aurea: Aurea) -> None:
    """JSON of 20,000 jobs holds the first 10,000: histograms are compared instead."""
    _, out, _ = aurea("compare", runs["json"], runs["b"])
    assert "from_histograms: A: " in out


@pytest.mark.parametrize("tolerance", ["3", "-1%", "101%", "x", "1e3%", "nan", "%"])
def test_a_tolerance_that_is_none_is_refused(runs: dict[str, Path], aurea: Aurea, tolerance: str) -> None:
    """3 may be 3 % or three hundred: it is not guessed."""
    code, _, err = aurea("compare", runs["a"], runs["b"], f"--tolerance={tolerance}")
    assert code == 2
    assert "--tolerance: must be a share from 0 to 100 %, such as 3% or 0.03" in err


@pytest.mark.parametrize(
    ("text", "value"), [("3%", 0.03), ("3 %", 0.03), ("0.5%", 0.005), ("0.03", 0.03), ("0", 0), ("1", 1)]
)
def test_tolerances_are_shares(text: str, value: float) -> None:
    assert parse_tolerance(text) == pytest.approx(value)


def test_stdin_is_one_of_the_two(aurea: Aurea) -> None:
    code, _, err = aurea("compare", "-", "-")
    assert code == 2
    assert "only one of the two" in err


def test_two_runs_that_both_failed_are_not_called_the_same(aurea: Aurea, tmp_path: Path) -> None:
    """That as many jobs failed in both is known. Of their times nothing is."""
    for name, seed in (("a", 1), ("b", 2)):
        spec = make_spec(seed, 0.01, 400)
        spec["workload"]["job"] = {"kind": "faulty", "job": spec["workload"]["job"], "failure_rate": 1}
        (tmp_path / "spec").write_text(json.dumps(spec))
        aurea("run", tmp_path / "spec", "-o", tmp_path / f"{name}.aurea")
    code, out, _ = aurea("compare", tmp_path / "a.aurea", tmp_path / "b.aurea")
    assert (code, "B is           inconclusive: nothing is known of the times" in out) == (6, True)
    assert any(line.startswith("failure ratio") and line.endswith("same") for line in out.splitlines())
