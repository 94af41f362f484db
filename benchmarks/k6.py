"""k6 as a contender: one scenario, no request, figures from its own end-of-test summary."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.contest import Absent, Figures
from benchmarks.machine import find_program, run_program

_SCRIPT = """
import {{ sleep }} from "k6";
export const options = {{
    scenarios: {{ only: {scenario} }},
    summaryTrendStats: ["avg", "min", "max", "p(99)", "count"],
}};
export default function () {{ {body} }}
export function handleSummary(data) {{
    return {{ stdout: JSON.stringify({{ ms: data.state.testRunDurationMs, metrics: data.metrics }}) }};
}}
"""


def run_scenario(scenario: Mapping[str, object], body: str = "", limit: float = 120) -> Figures:
    """Figures of one run: ``rate`` and ``run`` by k6's own clock, ``wall`` of the whole program, as nobody can call less.

    ``mean`` and ``least`` are of its ``iteration_duration``, seconds; ``dropped`` counts what it could not start.
    """
    binary = find_program("k6")
    if binary is None:
        raise Absent("k6 is not installed")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.js"
        script.write_text(_SCRIPT.format(scenario=json.dumps(scenario), body=body), encoding="utf-8")
        quiet = ["--quiet", "--no-usage-report", "--no-color", "--log-output=none", "--address="]
        # k6 can only be run as a program; its own clock says how long its scenario took, this one what that cost to have.
        began = time.perf_counter()
        printed = run_program([binary, "run", *quiet, str(script)], limit)
        wall = time.perf_counter() - began
    summary = json.loads(printed)
    # Times in k6's summary are milliseconds.
    values = {name: metric["values"] for name, metric in summary["metrics"].items()}
    done, took, run = values["iterations"]["count"], values["iteration_duration"], summary["ms"] / 1000
    dropped = values.get("dropped_iterations", {"count": 0})["count"]
    return {
        "rate": done / run,
        "whole_rate": done / wall,
        "run": run,
        "wall": wall,
        "done": done,
        "mean": took["avg"] / 1000,
        "least": took["min"] / 1000,
        "dropped": dropped,
    }
