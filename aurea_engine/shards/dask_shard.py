"""A shard on a worker of a Dask cluster, as the coordinator sees it; `run_on_dask`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NoReturn

import msgspec

from aurea_engine.closed_sets import Status
from aurea_engine.codec.catalog import Catalog, find_kinds
from aurea_engine.codec.specifications import spec_to_dict
from aurea_engine.engine import Stop
from aurea_engine.errors import DamagedParts, StrategyError
from aurea_engine.processes.frames import Message
from aurea_engine.processes.gated_run import check_shard, name_failure
from aurea_engine.processes.messages import Failure
from aurea_engine.processes.supervisor import ProcessFailed
from aurea_engine.processes.worker_process import make_order
from aurea_engine.records.batch import NS
from aurea_engine.results.observers import Observer
from aurea_engine.results.result import RunResult
from aurea_engine.results.summarize import summarize
from aurea_engine.run.parts import RunParts
from aurea_engine.run.shard import Shard, ShardReport
from aurea_engine.shards.coordinator import Coordinator
from aurea_engine.shards.dask_address import ClusterAddress
from aurea_engine.shards.dask_link import DaskLink, ShardEnd, open_link
from aurea_engine.shards.dask_workers import Worker, count_on_machine, deal_shards
from aurea_engine.shards.split import Sharding, check_on_loss, prepare_spec, share_access
from aurea_engine.shards.transport import Hear, ShardLost
from aurea_engine.spec import RunSpec
from aurea_engine.studies.repeat import repeat
from aurea_engine.workload.access import LOCAL_USER, Access

CLOSE_PATIENCE = 8.0
"""Seconds that a shard has to clear up on its machine."""

ON_EACH_WORKER = Sharding(is_auto=True)

_MALFORMED = (DamagedParts, msgspec.MsgspecError, KeyError, TypeError, ValueError)


class DaskShard:
    """A shard on ``worker`` (`aurea_engine.shards.transport.ShardRun`). ``order``: of `make_order`, with ``processes``."""

    lead_ns = NS

    def __init__(self, end: ShardEnd, worker: Worker, order: Message) -> None:
        self._end, self._worker, self._order = end, worker, order
        self._shard = Shard(*order["shard"])
        self._is_prepared = False
        self._status: Status | None = None

    async def prepare(self) -> None:
        self._end.prepare(self._worker.address, msgspec.msgpack.encode(self._order))
        self._is_prepared = True
        if self._status is not None:
            self._end.tell({"halt": self._status})
        while "ready" not in (message := await self._end.next()):
            if "answer" in message:
                self._raise(message)

    def start(self, opens_at_ns: int) -> None:
        # An instant of our clock, told in theirs.
        self._end.tell({"begin": opens_at_ns + self._worker.clock_ahead_ns})

    async def finish(self, hear: Hear) -> RunParts:
        while "answer" not in (message := await self._end.next()):
            if "progress" in message:
                hear(self._read(message["progress"]))
        if "lost" in message or "failure" in message:
            self._raise(message)
        parts = self._read(self._end.take_parts())
        if parts.status is None:
            raise self._lose("it sent parts of a run that has not ended")
        return parts

    def stop(self, status: Status) -> None:
        self._status = self._status or status
        if self._is_prepared:
            self._end.tell({"halt": status})

    async def close(self) -> None:
        if not self._is_prepared:
            return
        self._is_prepared = False
        self._end.tell({"drop": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_PATIENCE):
                while "dropped" not in await self._end.next():
                    pass

    def _read(self, content: object) -> RunParts:
        """The parts in what another machine sent. Raises `ShardLost`."""
        try:
            if not isinstance(content, bytes):
                raise TypeError("no bytes")
            parts = check_shard(RunParts.from_bytes(content), self._shard)
        except _MALFORMED as error:
            raise self._lose(f"it sent what no shard sends: {str(error)[:200]}") from None
        return replace(parts, shards=tuple(map(self._tell_clock, parts.shards)))

    def _tell_clock(self, report: ShardReport) -> ShardReport:
        ahead, bound = self._worker.clock_ahead_ns, self._worker.clock_bound_ns
        return replace(report, process=replace(report.process, clock_offset_ns=ahead, clock_bound_ns=bound))

    def _raise(self, answer: Message) -> NoReturn:
        if "lost" in answer:
            raise self._lose(f"{answer['lost']}"[:300])
        try:
            failed = ProcessFailed(msgspec.convert(answer["failure"], Failure).reason)
        except _MALFORMED as error:
            raise self._lose(f"it sent what no shard sends: {str(error)[:200]}") from None
        if failed.reason.code == "strategy":
            raise StrategyError(failed.reason.detail)
        named = name_failure(failed)
        raise self._lose(failed.reason.detail) if named is failed else named

    def _lose(self, why: str) -> ShardLost:
        return ShardLost(f"{why} (Dask worker {self._worker})")


async def run_on_dask(
    spec: RunSpec,
    cluster: ClusterAddress,
    sharding: Sharding = ON_EACH_WORKER,
    observers: Iterable[Observer] = (),
    *,
    stop: Stop | None = None,
    catalog: Catalog | None = None,
    access: Access = LOCAL_USER,
) -> RunResult:
    """Run ``spec`` on the machines of a Dask cluster at once, and return the one result of all.

    ``sharding``: in how many processes, one for each worker if not given, what happens when one of them is lost, and how
    often it is run. The rest is as of `run_sharded`. Each worker must have the same versions as this machine, and what the
    specification names: installed packages, files, environment variables. Raises as `run_sharded` does, and
    `ClusterRefused` where the cluster cannot be used: then nothing was begun.
    """
    runner = _DaskRunner(cluster, sharding, catalog, access)
    if (repetition := sharding.repetition) is not None:
        most, until = repetition.most, repetition.until
        return await repeat(spec, most, until=until, runner=runner, observers=observers, stop=stop)
    return await runner.run(spec, observers, stop=stop)


class _DaskRunner:
    """One run after the other on a cluster (`aurea_engine.studies.runner.Runner`)."""

    width = 1

    def __init__(self, cluster: ClusterAddress, sharding: Sharding, catalog: Catalog | None, access: Access) -> None:
        self._cluster, self._sharding, self._catalog, self._access = cluster, sharding, catalog, access

    async def run(self, spec: RunSpec, observers: Iterable[Observer] = (), *, stop: Stop | None = None) -> RunResult:
        sharding, on_loss = self._sharding, check_on_loss(self._sharding.on_loss)
        # What cannot be run anyway is said before anybody is asked.
        prepare_spec(spec, 1 if sharding.is_auto else sharding.processes)
        kinds = sorted(set(find_kinds(spec_to_dict(spec, self._catalog))))
        async with open_link(self._cluster, kinds) as link:
            number = min(len(link.workers), self._cluster.most) if sharding.is_auto else sharding.processes
            dealt = deal_shards(link.workers, number)
            shared = prepare_spec(spec, len(dealt))
            shards = [self._make_shard(link, shared, dealt, k) for k in range(len(dealt))]
            coordinator = Coordinator(spec, shared, shards, observers=observers, stop=stop, on_loss=on_loss)
            parts = await coordinator.run()
        return coordinator.report_end(parts, summarize(spec, parts))

    def _make_shard(self, link: DaskLink, spec: RunSpec, dealt: Sequence[Worker], k: int) -> DaskShard:
        shard, worker = Shard(k, len(dealt)), dealt[k]
        order = make_order(spec, shard, self._catalog, share_access(self._access, shard))
        order["processes"] = count_on_machine(dealt, worker)
        order[
            "given"
        ] = {}  # values of secrets stay on this machine: those that a shard needs are to be found on its own
        return DaskShard(link.open_end(k), worker, order)
