"""``--repeat`` and ``--until``: replications from the command line, as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurea_server.cli.progress_line import describe_replication

SPEC = """{
  "workload": {
    "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.01}},
    "arrivals": {"kind": "poisson", "rate": 50},
    "jobs": 2000
  },
  "scheduler": {"kind": "fifo", "slots": 1},
  "objectives": [{"metric": "response_time", "at_most": 0.04}],
  "clock": "virtual",
  "seed": 7
}"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    file = tmp_path / "spec.json"
    file.write_text(SPEC)
    return file


def test_report_shows_intervals_and_replications(aurea: Callable[..., Any], spec: Path) -> None:
    code, out, err = aurea("run", spec, "--repeat", 6, "--processes", 1)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "replications   6 completed; figures are means over them" in lines
    head = next(i for i, line in enumerate(lines) if line.startswith("figure "))
    assert [name in lines[head] for name in ("mean", "95 % interval", "std", "min", "max", "pooled")] == [True] * 6
    assert [line.split("  ")[0] for line in lines[head + 1 : head + 7]] == [
        "throughput",
        "mean response",
        "p50",
        "p95",
        "p99",
        "USD/million",
    ]
    head = next(i for i, line in enumerate(lines) if line.startswith("replication "))
    assert [line.split()[0] for line in lines[head + 1 : head + 7]] == ["1", "2", "3", "4", "5", "6"]
    tables = [line for line in lines if not line.startswith(("note", "degraded"))]
    assert all(len(line) <= 80 for line in tables)


def test_seed_of_a_replication_runs_it_again(aurea: Callable[..., Any], spec: Path) -> None:
    _, out, _ = aurea("run", spec, "--repeat", 2, "--processes", 1, "--json")
    second = json.loads(out)["replications"][1]
    alone = json.loads(aurea("run", spec, "--seed", second["seed"], "--json")[1])
    assert alone["response_time"]["mean"] == second["response_time.mean"]
    assert len(alone["jobs"]) == 2000


def test_member_of_the_file_says_it_too(aurea: Callable[..., Any], tmp_path: Path) -> None:
    """Beside the specification; options have the last word."""
    file = tmp_path / "repeated.json"
    file.write_text(json.dumps({**json.loads(SPEC), "repeat": 3, "processes": 1}))
    result = json.loads(aurea("run", file, "--json")[1])
    assert (len(result["replications"]), result["repeat"]["asked"]) == (3, 3)
    result = json.loads(aurea("run", file, "--repeat", 2, "--json")[1])
    assert (len(result["replications"]), result["environment"]["repeat"]) == (2, 2)
    assert "repeat" not in result["spec"]


def test_until_ends_it_early(aurea: Callable[..., Any], spec: Path) -> None:
    code, out, _ = aurea("run", spec, "--until", "20%", "--processes", 1)
    assert code == 0
    assert "10 completed of at most 100, until the interval was ±20.0 % of the mean response time" in out


def test_stored_result_is_shown_and_read(aurea: Callable[..., Any], spec: Path, tmp_path: Path) -> None:
    """As JSON and as a run file: the same tables; run again, it is one run."""
    _, shown, _ = aurea("run", spec, "--repeat", 3, "--processes", 1, "-o", tmp_path / "out.json")
    assert "replication" in shown
    again = json.loads(aurea("run", tmp_path / "out.json", "--json")[1])
    assert again["replications"] == []
    code, _, err = aurea("run", spec, "--repeat", 3, "--processes", 1, "-o", tmp_path / "out.aurea")
    assert (code, err) == (0, "")


def test_many_replications_are_not_all_listed(aurea: Callable[..., Any], spec: Path) -> None:
    """Those far from the others are; JSON has all."""
    _, out, _ = aurea("run", spec, "--repeat", 30, "--processes", 1)
    lines = out.splitlines()
    assert any(line.startswith("figure ") for line in lines)
    assert not any(line.startswith("replication ") for line in lines)


@pytest.mark.service
def test_virtual_replications_use_processes(aurea: Callable[..., Any], spec: Path) -> None:
    """Two give what one gives."""
    results = [json.loads(aurea("run", spec, "--repeat", 4, "--processes", n, "--json")[1]) for n in (1, 2)]
    for result in results:
        for name in ("benchmark_id", "start_time", "end_time"):
            del result[name]
        del result["usage"]["run"]["started_at"]
    assert results[0] == results[1]


@pytest.mark.service
def test_real_replications_in_shards(aurea: Callable[..., Any]) -> None:
    _, out, _ = aurea("run", "--jobs", 6, "--duration-ms", 5, "--repeat", 2, "--processes", 2, "--json")
    result = json.loads(out)
    assert (result["completed_jobs"], len(result["replications"])) == (12, 2)
    assert (result["environment"]["processes"], result["environment"]["repeat"]) == (2, 2)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--repeat", "0"], "--repeat: must be a whole number from 1 to 1000"),
        (["--repeat", "many"], "--repeat: must be a whole number from 1 to 1000"),
        (["--until", "0"], '--until: must be a share above 0 and below 1, such as 0.01 or "1%"'),
        (["--repeat", "3", "--processes", "0"], "--processes: must be a whole number from 1 to 256"),
    ],
)
def test_wrong_options_are_named(aurea: Callable[..., Any], spec: Path, options: list[str], told: str) -> None:
    code, out, err = aurea("run", spec, *options)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


def test_progress_line_says_which_replication() -> None:
    assert describe_replication(3, 10) == "replication 3 of 10"


def test_an_interval_that_is_too_wide_is_not_said_to_be_narrow(aurea: Callable[..., Any], spec: Path) -> None:
    _, out, _ = aurea("run", spec, "--until", "0.01%", "--repeat", 3, "--processes", 1)
    assert "3 completed of at most 3, and the interval is not yet ±0.01 % of the mean response time" in out


def test_an_option_for_parts_of_a_run_is_named_where_it_has_none(aurea: Callable[..., Any], spec: Path) -> None:
    for given in (("--on-loss", "continue"), ("--dask", "tls://127.0.0.1:8786")):
        code, _, err = aurea("run", spec, *given)
        assert (code, f"{given[0]}: goes with a run in real time" in err, "processes:" in err) == (2, True, False)
