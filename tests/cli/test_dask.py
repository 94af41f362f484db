"""``--dask``: what is refused before anything begins, and a run on a cluster with one table."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.shards.dask_cluster import Cluster, start_local_cluster

NOBODY = "tcp://127.0.0.1:1"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--dask", ""], "--dask: must be tls://HOST:PORT or tcp://HOST:PORT"),
        (["--dask", "scheduler:8786"], "--dask: must be tls://HOST:PORT or tcp://HOST:PORT"),
        (["--dask", "tcp://10.0.0.1:8786"], "--dask: is neither encrypted nor authenticated"),
        (["--dask", "tls://10.0.0.1:8786", "--dask-ca", "missing.pem"], "--dask-cert: is needed with a tls:// address"),
        (["--dask-ca", "ca.pem"], "--dask-ca: goes with --dask: name the cluster too"),
        (["--dask-insecure"], "--dask-insecure: goes with --dask: name the cluster too"),
        (["--dask", NOBODY, "--virtual"], "--dask: goes with a run in real time, or a repeated one"),
        (["--dask", NOBODY, "--processes", 2, "--slots", 4], "scheduler.slots: cannot be used in a shard"),
        (["--dask", NOBODY, "--processes", "many"], "--processes: must be a whole number from 1 to 256"),
        (["--dask", NOBODY, "--on-loss", "retry"], '--on-loss: must be "fail" or "continue"'),
        (["--dask", NOBODY, "--server", "http://127.0.0.1:1"], "--dask: goes with a run on this machine"),
    ],
)  # fmt: skip
def test_what_is_refused_without_asking_anybody(aurea: Callable[..., Any], options: list[Any], told: str) -> None:
    """Bad input, by the name of the option."""
    code, out, err = aurea("run", "--jobs", 5, *options)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


def test_without_the_extra(aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, out, err = aurea("run", "--jobs", 5, "--dask", NOBODY)
    assert (code, out) == (2, "")
    assert err == "aurea: Dask is not installed here: install it with: pip install 'aurea-orchestrator[dask]'\n"


def test_variable_is_for_runs_in_real_time(aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where runs go in general. One in virtual time takes one core, of this machine."""
    monkeypatch.setenv("AUREA_DASK", "nowhere")
    assert "--dask: must be tls://" in aurea("run", "--jobs", 5)[2]
    assert aurea("run", "--jobs", 5, "--virtual", "--json")[0] in (0, 6)


@pytest.mark.service
def test_nobody_is_there(aurea: Callable[..., Any]) -> None:
    code, out, err = aurea("run", "--jobs", 5, "--dask", NOBODY)
    assert (code, out) == (2, "")
    assert (
        err == f"aurea: {NOBODY} cannot be reached: connection refused. Start the scheduler, or correct the address\n"
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with start_local_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.mark.service
def test_run_on_a_cluster(
    aurea: Callable[..., Any], cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One process on each worker: one result as JSON, and one table with a line for each."""
    for name, value in zip(("", "_CA", "_CERT", "_KEY"), ("address", "ca", "cert", "key"), strict=True):
        monkeypatch.setenv(f"AUREA_DASK{name}", getattr(cluster.address, value))
    file = tmp_path / "result.json"
    code, out, err = aurea("run", "--rate", "100/s", "--duration", 1, "-o", file)
    assert code in (0, 6), err
    result = json.loads(file.read_text())
    assert (result["num_jobs"], result["completed_jobs"], result["status"]) == (100, 100, "completed")
    assert [shard["jobs"] for shard in result["shards"]] == [50, 50]
    lines = out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("shard "))
    assert [line.split()[:2] for line in lines[head + 1 : head + 3]] == [["0", "50"], ["1", "50"]]


@pytest.mark.service
def test_specification_is_judged_there_too(aurea: Callable[..., Any], cluster: Cluster, tmp_path: Path) -> None:
    """What a worker finds wrong with it is bad input, as it would be here."""
    spec = {
        "workload": {
            "job": {"kind": "http", "url": "http://127.0.0.1:9/", "auth": {"bearer": {"env": "NOT_THERE"}}},
            "jobs": 2,
        }
    }
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(spec))
    given = ["--dask", cluster.address.address, "--dask-ca", cluster.address.ca]
    given += ["--dask-cert", cluster.address.cert, "--dask-key", cluster.address.key, "--processes", 1]
    code, out, err = aurea("run", file, *given)
    assert (code, out) == (2, "")
    assert "NOT_THERE" in err
