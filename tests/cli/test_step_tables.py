"""Steps of flows in the terminal's table of groups."""

from __future__ import annotations

import io

from rich.console import Console

from aurea_engine import Flow, RunSpec, Sleep, Step, Workload, run_sync
from aurea_engine.workload.jobs import JobSource
from aurea_server.cli.report import render_report


def render(job: JobSource) -> list[str]:
    """The report of three jobs, line by line."""
    result = run_sync(RunSpec(Workload(job, jobs=3), seed=1))
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(render_report(result))
    return console.export_text().splitlines()


def test_table_says_who_did_not_come_to_step() -> None:
    """Nobody listens: each flow fails with its first step, and none comes to the second."""
    flow = Flow(steps=(Step("http://127.0.0.1:9/", name="login"), Step("http://127.0.0.1:9/", name="buy")))
    lines = [line.split() for line in render(flow)]
    assert ["group", "jobs", "failed", "not", "reached"] in lines
    assert ["login", "3", "3", "0"] in lines
    assert ["buy", "0", "0", "3"] in lines


def test_other_reports_have_no_such_column() -> None:
    """Where every job came to every step there is nothing to say."""
    assert not any("not reached" in line for line in render(Sleep(0.001)))
