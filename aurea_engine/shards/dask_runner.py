"""The runner of a study over a Dask cluster: runs in real time after each other, each in shards on its machines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from aurea_engine.codec.catalog import Catalog
from aurea_engine.engine import Stop
from aurea_engine.results.observers import Observer
from aurea_engine.results.result import RunResult
from aurea_engine.shards.dask_address import ClusterAddress
from aurea_engine.shards.dask_shard import run_on_dask
from aurea_engine.shards.split import Sharding
from aurea_engine.spec import RunSpec
from aurea_engine.studies.repeat import repeat
from aurea_engine.workload.access import LOCAL_USER, Access


class DaskRunner:
    """A `Runner` that executes each run as `run_on_dask` does. Two at once would measure each other."""

    width = 1

    def __init__(self, cluster: ClusterAddress, sharding: Sharding, catalog: Catalog | None, access: Access) -> None:
        self._cluster, self._catalog, self._access = cluster, catalog, access
        self._sharding = replace(sharding, repetition=None)

    async def run(self, spec: RunSpec, observers: Iterable[Observer] = (), *, stop: Stop | None = None) -> RunResult:
        return await run_on_dask(
            spec, self._cluster, self._sharding, observers, stop=stop, catalog=self._catalog, access=self._access
        )


async def repeat_on_dask(
    spec: RunSpec,
    cluster: ClusterAddress,
    sharding: Sharding,
    observers: Iterable[Observer] = (),
    *,
    stop: Stop | None = None,
    catalog: Catalog | None = None,
    access: Access = LOCAL_USER,
) -> RunResult:
    """The replications of ``spec`` that ``sharding`` asks for, on a cluster. Raises as `run_on_dask` does."""
    assert sharding.repetition is not None
    runner, repetition = DaskRunner(cluster, sharding, catalog, access), sharding.repetition
    return await repeat(spec, repetition.most, until=repetition.until, runner=runner, observers=observers, stop=stop)
