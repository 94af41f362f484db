"""The dashboard's row on targets, asked of a real Prometheus during and after a run that sends requests to a real server.

The oracle is the response of the run, and the log of the target. Rates are known up to Prometheus' extrapolation.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.realtime

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/aurea.json").read_text())
ROW = next(row for row in DASHBOARD["panels"] if row["title"] == "Targets")
EXPRESSIONS = {
    (panel["title"], target["legendFormat"]): target["expr"] for panel in ROW["panels"] for target in panel["targets"]
}
WINDOW = 30.0
CONNECTIONS = 4


class Target(ThreadingHTTPServer):
    """Answers /STATUS with that status after 20 ms, and /0 by closing; counts what it answered."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answered: Counter[str] = Counter()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Target

    def do_GET(self) -> None:
        time.sleep(0.02)
        status = int(self.path.strip("/"))
        self.server.answered[f"{status // 100}xx"] += 1
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"x" * 100)

    def log_message(self, *_: object) -> None:
        pass


class Scene(NamedTuple):
    """What is left when the run is over, and what Prometheus said while it was on."""

    prometheus: Any
    run: dict[str, Any]
    answered: Counter[str]


@pytest.fixture(scope="module")
def scene(scraped_server: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    target = Target()
    threading.Thread(target=target.serve_forever, daemon=True).start()
    here = f"127.0.0.1:{target.server_port}"
    branches = [
        {
            "weight": weight,
            "name": f"s{status}",
            "job": {"kind": "http", "url": f"http://{here}/{status}", "connections": 1},
        }
        for weight, status in [(6, 200), (1, 404), (1, 503), (1, 0)]
    ]
    spec = {
        "workload": {
            "job": {"kind": "mix", "of": branches},
            "arrivals": {"kind": "poisson", "rate": 50},
            "duration": 6,
        },
        "seed": 7,
    }
    folder = tmp_path_factory.mktemp("targets")
    with target, scraped_server(folder, "--allow-target", here) as scraped:
        run = json.loads(scraped.ask("/benchmark/run", spec))
        yield Scene(scraped.prometheus._replace(at=scraped.await_scrape()), run, target.answered)
        target.shutdown()


def per_second(total: float) -> tuple[float, float]:
    """A rate over a window in which a counter went from 0 to ``total``."""
    return total / WINDOW * (1 - 1e-9), total / WINDOW * 1.25


def total_of(run: dict[str, Any], measure: str) -> int:
    return int(run["measures"][measure]["total"])


def expected(scene: Scene) -> dict[tuple[str, str], dict[str, tuple[float, float]]]:
    run = scene.run
    classes = {f"status_class={name}": count for name, count in scene.answered.items() if name != "0xx"}
    classes["status_class=none"] = scene.answered["0xx"]
    return {
        ("Requests by status", "{{status_class}}"): {name: per_second(count) for name, count in classes.items()},
        ("Failures by class", "{{failure}}"): {
            f"failure={name}": per_second(count) for name, count in run["failures"].items()
        },
        ("Bytes", "sent"): {"": per_second(total_of(run, "bytes_sent"))},
        ("Bytes", "received"): {"": per_second(total_of(run, "bytes_received"))},
        ("Connections", "open"): {"": (0, 0)},
        ("Connections", "busy"): {"": (0, 0)},
        ("Jobs that wait for a connection", "waiting"): {"": (0, 0)},
        # 6 of 9 jobs, of 20 ms each, at 50/s on one connection: it is busy two thirds of the time at least, so as many of
        # these jobs have to wait. On a busy machine more do, and for longer.
        ("Jobs that wait for a connection", "had to wait, per second"): {"": (50 / WINDOW, 1.25 * 400 / WINDOW)},
        ("Pool full", "{{instance}}"): {"": (2 / WINDOW, 1.25 * 4 * 30 / WINDOW)},
        # Each answer to /0 closes its connection, and another is opened, but for the last if the run is over by then.
        ("Opened connections", "opened"): {
            "": (
                per_second(scene.answered["0xx"] + CONNECTIONS - 1)[0],
                per_second(scene.answered["0xx"] + CONNECTIONS)[1],
            )
        },
        ("Opened connections", "failed"): {"": (0, 0)},
        # Nothing here is a language model.
        ("Tokens", "{{token_class}}"): {},
    }


@pytest.mark.parametrize(("title", "legend"), sorted(EXPRESSIONS))
def test_a_panel_shows_what_was_exchanged(scene: Scene, title: str, legend: str) -> None:
    expression = EXPRESSIONS[title, legend].replace("$__rate_interval", f"{WINDOW:.0f}s")
    found = scene.prometheus.values(expression.replace("$job", ".+").replace("$instance", ".+"))
    wanted = expected(scene)[title, legend]
    assert wanted.keys() <= found.keys()
    assert {series for series in found.keys() - wanted.keys() if found[series]} == set()
    wrong = {
        name: (found[name], bounds) for name, bounds in wanted.items() if not bounds[0] <= found[name] <= bounds[1]
    }
    assert wrong == {}


def test_counters_agree_with_the_result(scene: Scene) -> None:
    """To the byte, and to the request."""
    asked = scene.prometheus
    requests = {name: count for name, count in asked.values("benchmark_target_requests_total").items() if count}
    answered = {f"status_class={name.replace('0xx', 'none')}": count for name, count in scene.answered.items()}
    assert requests == answered
    assert sum(requests.values()) == scene.run["counts"]["arrived"]
    failures = {name: count for name, count in asked.values("benchmark_job_failures_total").items() if count}
    assert failures == {f"failure={name}": count for name, count in scene.run["failures"].items()}
    for measure, name in [("bytes_sent", "sent"), ("bytes_received", "received")]:
        assert asked.value(f"benchmark_target_{name}_bytes_total") == total_of(scene.run, measure)


@pytest.mark.parametrize(
    "metric",
    [
        "benchmark_target_open_connections", "benchmark_target_busy_connections", "benchmark_target_waiting_jobs",
        "benchmark_target_requests_total", "benchmark_target_received_bytes_total", "benchmark_job_failures_total",
        "benchmark_target_pool_full_seconds_total",
    ],
)  # fmt: skip
def test_metrics_of_targets_move_during_run(scene: Scene, metric: str) -> None:
    """Graphs are about what is happening: each is above 0 before the end."""
    during = f"sum({metric}) and on () (sum(benchmark_runs_in_progress) == 1)"
    seen = [float(value) for series in scene.prometheus.query(f"({during})[1m:1s]") for _, value in series["values"]]
    assert max(seen, default=0) > 0
