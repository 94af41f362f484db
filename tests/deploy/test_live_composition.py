"""The dashboard's rows on groups and shards, asked of a real Prometheus, with and without native histograms.

The oracle is the response of the run. Rates are known up to Prometheus' extrapolation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.service

DASHBOARD = json.loads((Path(__file__).parents[2] / "deploy/grafana/dashboards/aurea.json").read_text())
ROWS = {
    row["title"]: {target["legendFormat"]: target["expr"] for panel in row["panels"] for target in panel["targets"]}
    for row in DASHBOARD["panels"]
    if row["title"] in ("Groups", "Shards")
}
EXPRESSIONS = {
    (panel["title"], target["expr"])
    for row in DASHBOARD["panels"]
    for panel in (row, *row.get("panels", ()))
    for target in panel.get("targets", [])
}
WINDOW = 60.0
BRANCHES = 18


class Scene(NamedTuple):
    """What is left when the run is over."""

    prometheus: Any
    run: dict[str, Any]

    def values(self, expression: str) -> dict[str, float]:
        asked = (
            expression.replace("$__rate_interval", f"{WINDOW:.0f}s").replace("$job", ".+").replace("$instance", ".+")
        )
        return dict(self.prometheus.values(asked))


@pytest.fixture(scope="module", params=[(), ("--native-histograms",)], ids=["classic", "native"])
def scene(
    request: pytest.FixtureRequest,
    scraped_server: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """A mix of 18 branches in two processes; every other branch fails often."""
    jobs = [{"kind": "sleep", "duration": 0.01 * (i + 1)} for i in range(BRANCHES)]
    branches = [
        {"weight": 1, "name": f'hostile"}} {i}', "job": {"kind": "faulty", "job": job, "failure_rate": 0.3 * (i % 2)}}
        for i, job in enumerate(jobs)
    ]
    spec = {
        "workload": {
            "job": {"kind": "mix", "of": branches},
            "arrivals": {"kind": "poisson", "rate": 150},
            "duration": 6,
        },
        "seed": 7,
        "processes": 2,
        "objectives": [{"metric": "response_time", "quantile": 0.5, "at_most": 60}],
    }
    with scraped_server(tmp_path_factory.mktemp("composition"), "--max-processes", "2", *request.param) as scraped:
        run = json.loads(scraped.ask("/benchmark/run", spec))
        yield Scene(scraped.prometheus._replace(at=scraped.await_scrape()), run)


def test_groups_show_what_the_run_did(scene: Scene) -> None:
    """Sixteen by position, the rest as one; a name is nowhere."""
    groups = scene.run["groups"]
    assert len(groups) == BRANCHES
    jobs = {
        f"group={i if i <= 16 else 'other'},outcome={outcome}": 0.0
        for i in range(1, 18)
        for outcome in ("completed", "failed")
    }
    for i, group in enumerate(groups, 1):
        for outcome in ("completed", "failed"):
            jobs[f"group={i if i <= 16 else 'other'},outcome={outcome}"] += group["counts"][outcome]
    assert scene.values("benchmark_group_jobs_total") == jobs
    rates = scene.values(ROWS["Groups"]["{{group}}, {{outcome}}"])
    assert rates.keys() == {key for key, count in jobs.items() if count}
    for key, rate in rates.items():
        # Extrapolated past the first and the last sample, by half an interval at most each.
        assert jobs[key] / WINDOW * (1 - 1e-9) <= rate <= jobs[key] / WINDOW * 1.3, key
    for name in ("p50", "p99"):
        wanted = {f"group={i}": group["response_time"][name] for i, group in enumerate(groups[:16], 1)}
        found = scene.values(f"benchmark_group_response_time_{name}_seconds")
        # Those of the result are exact, these of a histogram.
        assert found == pytest.approx({key: value for key, value in wanted.items() if value is not None}, rel=0.01)


def test_shards_show_what_the_run_did(scene: Scene) -> None:
    """Both were up during the run and are not now; their jobs and lag are those of the result."""
    shards = scene.run["shards"]
    assert len(shards) == 2
    assert set(scene.values(ROWS["Shards"]["up {{instance}}"]).values()) == {0}
    during = scene.prometheus.query("sum(benchmark_shard_up)[1m:1s]")
    assert max(float(value) for series in during for _, value in series["values"]) == 2
    for member, name in (("jobs", "shard_jobs"), ("worst_lag", "shard_worst_lag_seconds")):
        wanted = {f"shard={each['shard']}": each[member] for each in shards}
        assert scene.values(f"benchmark_{name}") == pytest.approx(wanted)


def test_each_panel_answers_in_either_configuration(scene: Scene) -> None:
    """A Prometheus that takes native histograms keeps the buckets of the classic ones, which panels ask for."""
    answers = {(title, expression): scene.values(expression) for title, expression in EXPRESSIONS}
    for title in (
        "Response time",
        "Service time",
        "Waiting time",
        "Lag",
        "Means",
        "Response times",
        "p95 job duration",
    ):
        found = [answer for (its, _), answer in answers.items() if its == title]
        assert all(answer and not any(map(math.isnan, answer.values())) for answer in found), title
    assert {
        key: value for (title, _), value in answers.items() if title == "Objectives of the run" for key in value
    } == {"position=1,result=met": {"position=1,result=met": 1.0}}
