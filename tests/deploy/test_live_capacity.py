"""The dashboard's row on capacity, asked of a real Prometheus after a search; the oracle is the search's own answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.service

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/aurea.json").read_text())
ROW = next(row for row in DASHBOARD["panels"] if row["title"] == "Capacity")
SPEC = {
    "workload": {
        "job": {"kind": "sleep", "duration": 0.01},
        "arrivals": {"kind": "constant", "rate": 50},
        "jobs": 500,
    },
    "scheduler": {"kind": "fifo", "slots": 1},
    "clock": "virtual",
    "objectives": [{"metric": "response_time", "quantile": 0.9, "at_most": 0.0125}],
}
"""D/D/1 at 100/s: see tests/server/test_searches.py."""


def test_row_shows_what_a_search_found(scraped_server: Callable[..., Any], tmp_path: Path) -> None:
    with scraped_server(tmp_path, "--max-jobs", "500") as scraped:
        path = f"/benchmark/searches/{json.loads(scraped.ask('/benchmark/searches', SPEC))['search_id']}"
        scraped.until(lambda: json.loads(scraped.ask(path))["status"] == "completed", "end of the search", 120)
        answer = json.loads(scraped.ask(path))["answer"]
        assert answer["status"] == "found"
        bounds = {**answer["interval"], "value": answer["value"]}
        capacity = {f"bound={name},clock=virtual": value for name, value in bounds.items()}
        shown: dict[str, dict[str, float]] = {
            "{{bound}} ({{clock}})": capacity,
            "{{status}}": {"status=found": 1},
            "started": {"": 1},
            "in progress": {"": 0},
        }
        ask = scraped.prometheus._replace(at=None).values
        scraped.until(lambda: ask("benchmark_capacity_jobs_per_second") == capacity, "scrape after the search")
        until = time.time()
        for panel in ROW["panels"]:
            for target in panel["targets"]:
                expression = target["expr"].replace("$job", ".+").replace("$instance", ".+")
                found = scraped.prometheus._replace(at=until).values(expression)
                wanted = {} if panel["title"] == "Slots" else shown[target["legendFormat"]]
                assert found == pytest.approx(wanted), panel["title"]
