"""``aurea report``, and ``--report`` of a run: the same page, from whatever holds the result."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurea_engine.report.document import MOST_BYTES

Aurea = Callable[..., tuple[int, str, str]]

RUN = ("run", "--jobs", 500, "--rate", "50/s", "--virtual", "--seed", 3, "--label", "<b>mine</b>")


@pytest.fixture
def made(aurea: Aurea, tmp_path: Path) -> dict[str, Path]:
    """A run with its page, as JSON and whole."""
    files = {name: tmp_path / name for name in ("run.json", "run.aurea", "page.html")}
    code, out, _ = aurea(*RUN, "--report", files["page.html"], "-o", files["run.aurea"], "--json")
    assert code == 0
    files["run.json"].write_text(out)
    return files


def test_a_run_with_its_report(made: dict[str, Path]) -> None:
    page = made["page.html"].read_text()
    assert page.startswith("<!doctype html>")
    assert "&lt;b&gt;mine&lt;/b&gt;" in page
    assert len(page.encode()) <= MOST_BYTES
    assert json.loads(made["run.json"].read_text())["benchmark_id"] in page


@pytest.mark.parametrize("name", ["run.json", "run.aurea"])
def test_a_stored_result_has_the_same_report(aurea: Aurea, made: dict[str, Path], tmp_path: Path, name: str) -> None:
    again = tmp_path / "again.html"
    assert aurea("report", made[name], "-o", again) == (0, "", "")
    assert again.read_text() == made["page.html"].read_text()


def test_stdout_has_the_page(aurea: Aurea, made: dict[str, Path]) -> None:
    assert aurea("report", made["run.json"]) == (0, made["page.html"].read_text(), "")


def test_markdown(aurea: Aurea, made: dict[str, Path]) -> None:
    code, out, _ = aurea("report", made["run.aurea"], "--markdown")
    assert code == 0
    assert out.startswith("### ✓ &#60;b&#62;mine&#60;/b&#62;: valid\n")


def test_a_run_of_the_history(
    aurea: Aurea, aurea_data: Callable[[int], tuple[Path, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, run_id = aurea_data(5)
    monkeypatch.setenv("AUREA_DATA", str(folder))
    assert aurea("report", run_id, "-o", tmp_path / "page.html") == (0, "", "")
    assert run_id in (tmp_path / "page.html").read_text()


def test_a_terminal_is_not_flooded(aurea: Aurea, made: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a hundred kilobytes is for a file; Markdown is for reading."""
    monkeypatch.setattr(os, "isatty", lambda _: True)
    code, out, err = aurea("report", made["run.json"])
    assert (code, out) == (2, "")
    assert "-o report.html" in err


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{}", "must be a result"),
        ("[", "must be JSON"),
        ('{"benchmark_id": "benchmark-1", "status": "queued"}', "has no result: it is queued"),
        ('{"benchmark_id": "benchmark-1", "counts": {}}', "is required"),
    ],
)
def test_what_is_no_result(aurea: Aurea, tmp_path: Path, document: str, said: str) -> None:
    file, page = tmp_path / "x.json", tmp_path / "page.html"
    file.write_text(document)
    code, out, err = aurea("report", file, "-o", page)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert not page.exists()


def test_a_folder_that_is_not_there(aurea: Aurea, tmp_path: Path) -> None:
    """It is said before the run, and names the option."""
    code, out, err = aurea(*RUN, "--report", tmp_path / "none" / "page.html")
    assert (code, out) == (2, "")
    assert "--report" in err


def test_a_page_that_cannot_be_written_costs_the_result_nothing(aurea: Aurea, tmp_path: Path) -> None:
    code, out, err = aurea(*RUN, "--report", "/dev/full", "--json")
    assert code == 2
    assert json.loads(out)["counts"]["completed"] == 500
    assert "/dev/full" in err


def test_a_run_on_a_server_is_reported_afterwards(aurea: Aurea, tmp_path: Path) -> None:
    code, _, err = aurea(*RUN, "--server", "http://127.0.0.1:9", "--report", tmp_path / "page.html")
    assert code == 2
    assert "--report" in err


def test_kinds_that_are_not_known_here(aurea: Aurea, made: dict[str, Path], tmp_path: Path) -> None:
    """A result of a machine with other packages has a report, too."""
    document: dict[str, Any] = json.loads(made["run.json"].read_text())
    document["spec"]["workload"]["job"] = {"kind": "warp_drive", "factor": 9}
    (tmp_path / "x.json").write_text(json.dumps(document))
    assert aurea("report", tmp_path / "x.json", "-o", tmp_path / "x.html")[0] == 0
    assert "warp_drive" in (tmp_path / "x.html").read_text()


def test_a_comparison_has_a_report(aurea: Aurea, made: dict[str, Path], tmp_path: Path) -> None:
    page = tmp_path / "compared.html"
    code, out, _ = aurea("compare", made["run.aurea"], made["run.json"], "--report", page, "--json")
    assert code == 0
    assert json.loads(out)["word"] == "same"
    assert "Run B is the same as run A" in page.read_text()
    assert aurea("compare", made["run.json"], made["run.json"], "--report", tmp_path / "no" / "x.html")[0] == 2


def test_a_capacity_search_has_a_report(aurea: Aurea, tmp_path: Path) -> None:
    """Of a search that fails at once, since its lowest rate is above what one slot does."""
    spec, page = tmp_path / "spec.json", tmp_path / "capacity.html"
    workload = {"job": {"kind": "sleep", "duration": 0.1}, "arrivals": {"kind": "constant", "rate": 20}, "jobs": 100}
    objectives = [{"metric": "response_time", "quantile": 0.5, "at_most": 0.01}]
    spec.write_text(
        json.dumps({"workload": workload, "scheduler": {"slots": 1}, "objectives": objectives, "clock": "virtual"})
    )
    code, out, err = aurea(
        "capacity", spec, "--rate", "5..20", "--trial-jobs", 200, "--processes", 1, "--report", page, "--json"
    )
    assert code == 3, err
    assert json.loads(out)["status"] == "infeasible"
    assert "No rate was found" in page.read_text()
