"""k6 as a contender: one scenario, figures from its own end-of-test summary."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.contest import Absent, Figures
from benchmarks.machine import find_program, run_program

_SCRIPT = """
import http from "k6/http";
import {{ check, sleep }} from "k6";
export const options = {{
    scenarios: {{ only: {scenario} }},
    summaryTrendStats: ["avg", "min", "med", "max", "p(95)", "p(99)", "count"],
    discardResponseBodies: {discard},
}};
export default function () {{ {body} }}
export function handleSummary(data) {{
    return {{ stdout: JSON.stringify({{ ms: data.state.testRunDurationMs, metrics: data.metrics }}) }};
}}
"""


def write_command(folder: str, scenario: Mapping[str, object], body: str = "", discard: bool = True) -> list[str]:
    """The command that runs ``body`` as ``scenario`` says; its script is written into ``folder``.

    ``discard``: it does not keep the bodies of responses, as its manual advises where no check reads them.
    """
    binary = find_program("k6")
    if binary is None:
        raise Absent("k6 is not installed")
    script = Path(folder) / "script.js"
    text = _SCRIPT.format(scenario=json.dumps(scenario), body=body, discard=json.dumps(discard))
    script.write_text(text, encoding="utf-8")
    quiet = ["--quiet", "--no-usage-report", "--no-color", "--log-output=none", "--address="]
    return [binary, "run", *quiet, str(script)]


def run_scenario(scenario: Mapping[str, object], body: str = "", limit: float = 120) -> Figures:
    """Figures of one run: ``rate`` and ``run`` by k6's own clock, ``wall`` of the whole program, as nobody can call less.

    ``mean`` and ``least`` are of its ``iteration_duration``, seconds; ``dropped`` counts what it could not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = write_command(folder, scenario, body)
        # k6 can only be run as a program; its own clock says how long its scenario took, this one what that cost to have.
        began = time.perf_counter()
        printed = run_program(command, limit)
        wall = time.perf_counter() - began
    seconds, values = read_summary(printed)
    done, took = values["iterations"]["count"], values["iteration_duration"]
    return {
        "rate": done / seconds,
        "whole_rate": done / wall,
        "run": seconds,
        "wall": wall,
        "done": done,
        # Times in k6's summary are milliseconds.
        "mean": took["avg"] / 1000,
        "least": took["min"] / 1000,
        "dropped": values.get("dropped_iterations", {"count": 0})["count"],
    }


def read_summary(printed: str) -> tuple[float, dict[str, Any]]:
    """How long the scenario took, s, and the values of each metric by its name; times among them are milliseconds."""
    summary = json.loads(printed)
    return summary["ms"] / 1000, {name: metric["values"] for name, metric in summary["metrics"].items()}
