"""A server with a Dask cluster: its operator chooses it, runs with processes go to it, and no client has a say in that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aurea_server.settings.settings import Settings, SettingsError
from tests.engine.shards.dask_cluster import Cluster, list_below, start_local_cluster, wait_until

RUN = {
    "workload": {"job": {"kind": "sleep", "duration": 0.01}, "arrivals": {"kind": "poisson", "rate": 100}, "jobs": 60}
}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"dask": "host:8786"}, "dask: must be tls://HOST:PORT or tcp://HOST:PORT"),
        ({"dask": "tcp://10.0.0.1:8786"}, "dask: is neither encrypted nor authenticated"),
        ({"dask": "tls://10.0.0.1:8786"}, "dask_key: is needed with a tls:// address"),
        ({"dask_ca": "ca.pem"}, "dask_ca: goes with dask: name the cluster too"),
    ],
)
def test_unsafe_settings_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Settings(**settings).check()


def test_insecure_cluster_is_warned_of() -> None:
    """At each start. One that only this machine reaches is none."""
    (warning,) = Settings(dask="tcp://10.0.0.1:8786", dask_insecure=True).check()
    assert "can execute code on all of its machines" in warning
    assert Settings(dask="tcp://127.0.0.1:8786").check() == []


async def test_request_that_names_a_cluster_is_400(serve: Any, post: Any) -> None:
    """Whether the server has one or not."""
    for settings in ({}, {"dask": "tcp://127.0.0.1:1", "max_processes": 2}):
        client = await serve(**settings)
        status, problem = await post(client, {**RUN, "processes": 1, "dask": "tcp://127.0.0.1:8786"})
        assert (status, problem["code"]) == (400, "local_reference"), problem
        assert [each["path"] for each in problem["problems"]] == ["dask"]


@pytest.mark.service
async def test_cluster_that_is_gone_fails_the_run(serve: Any, post: Any) -> None:
    """With the reason. The server goes on, and so do runs without processes."""
    client = await serve(dask="tcp://127.0.0.1:1", max_processes=2)
    _, result = await post(client, {**RUN, "processes": 2})
    assert (result["status"], result["reason"]["code"]) == ("failed", "shard_lost"), result
    assert "tcp://127.0.0.1:1 cannot be reached: connection refused" in result["reason"]["detail"]
    _, result = await post(client, RUN)
    assert result["status"] == "completed"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with start_local_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.mark.service
async def test_run_with_processes_goes_to_the_cluster(serve: Any, post: Any, cluster: Cluster) -> None:
    """By auto it is one for each worker, within the operator's limit; nothing of the address is in the result."""
    where = cluster.address
    settings = {"dask": where.address, "dask_ca": where.ca, "dask_cert": where.cert, "dask_key": where.key}
    client = await serve(**settings, max_processes=8)
    status, result = await post(client, {**RUN, "processes": "auto"})
    assert (status, result["status"], result["completed_jobs"]) == (200, "completed", 60), result
    assert [shard["jobs"] for shard in result["shards"]] == [30, 30]
    assert where.address not in str(result)
    # Replications follow each other there; without processes they run here, one at a time.
    _, twice = await post(client, {**RUN, "processes": "auto", "repeat": 2})
    assert (twice["status"], len(twice["replications"]), twice["environment"]["processes"]) == ("completed", 2, 2)
    _, here = await post(client, {**RUN, "repeat": 2})
    assert (here["status"], len(here["replications"])) == ("completed", 2)
    assert "processes" not in here["environment"]
    await wait_until(lambda: not [pid for worker in cluster.workers for pid in list_below(worker)])
