"""The program of the server's runner processes: executes runs, judges specifications, prices, compares and draws stored
runs.

It runs in the process that `aurea_engine.processes` supervises, and nowhere else: what others' code does here, it does to
this process.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import numpy as np

import aurea_engine
from aurea_engine import (
    Access,
    Catalog,
    JobBatch,
    RunParts,
    RunResult,
    RunSpec,
    Stop,
    default_catalog,
    encode_json,
    job_costs,
    result_to_dict,
    run,
    simulate,
    spec_from_dict,
    summarize,
)
from aurea_engine.codec.catalog import load_catalog_for
from aurea_engine.processes.child import Handler, ParentConnection, ProgressReporter, to_plain
from aurea_engine.processes.frames import Message
from aurea_engine.processes.linux import resident_bytes
from aurea_engine.processes.messages import Reason, Snapshot
from aurea_engine.records import column_file
from aurea_engine.shards.dask_address import ClusterAddress
from aurea_engine.shards.dask_runner import repeat_on_dask
from aurea_engine.shards.dask_shard import run_on_dask
from aurea_engine.shards.process_runner import run_as
from aurea_engine.shards.split import Sharding
from aurea_server.runner import third_party
from aurea_server.runner.messages import RunEnd, make_figures
from aurea_server.runner.stored_runs import compare_runs, draw
from aurea_server.settings.limits import Limits

REUSABLE_BYTES = 400 * 1024 * 1024
"""Bytes of memory from which on a runner is not used again: what a large run leaves fragmented is not the next one's."""


def start(parent: ParentConnection, loop: asyncio.Runner) -> Handler:
    """Get ready, and give back what handles an order."""
    _rehearse(loop)
    return functools.partial(_handle, parent, loop)


def _handle(parent: ParentConnection, loop: asyncio.Runner, order: Message) -> None:
    if "judge" in order:
        access = Access.from_plain(order["access"])
        limits = Limits(jobs=order["judge"], is_shared=order["shared"])
        parent.send(third_party.judge(parent.attached("document"), limits, access, parent.send))
    elif "price" in order:
        parent.send(third_party.price_run(order["price"], order["usage"], parent.attached("records")))
    elif "compare" in order:
        parent.send(compare_runs(order["compare"], parent.attached))
    elif "draw" in order:
        parent.send(draw(order["draw"], parent.attached))
    else:
        _execute(order, parent, loop)


def _rehearse(loop: asyncio.Runner) -> None:
    """A run of nothing, so that the first one does not pay for what is loaded and cached when it is first used.

    Installed packages are loaded by the run that names them, so that a broken one breaks no other run.
    """
    catalog = default_catalog()
    spec = spec_from_dict({"num_jobs": 1, "job_duration_ms": 0}, catalog)
    _close(loop.run(run(spec)), Snapshot(), catalog)


def _execute(order: Message, parent: ParentConnection, loop: asyncio.Runner) -> None:
    run_id = order["id"]
    try:
        catalog = load_catalog_for(order["spec"]) if order["foreign"] else default_catalog()
        reporter = ProgressReporter(parent, catalog)
        access = Access.from_plain(order["access"])
        spec = spec_from_dict(order["spec"], catalog, local=False, data_dir=access.data_dir)
        sharding = Sharding.from_plain(order["sharding"]) if "sharding" in order else None
        if sharding is None:
            result = _run(spec, reporter, parent.stops[run_id], run_id, loop, access)
        else:
            # Their processes are below this one: the guard above it leaves nothing of them, whatever ends it.
            stop, begin = parent.stops[run_id], _choose_place(spec, sharding, order["cluster"])
            running = begin(spec, observers=[reporter], stop=stop, catalog=catalog, access=access)
            result = replace(loop.run(running), benchmark_id=run_id)
        # Of a trial nobody wants them, and a million jobs take longer to be sent than to be simulated.
        kept = result if order["keeps_records"] else replace(result, jobs=None, steps=None)
        end, values = _close(kept, reporter.last, catalog)
        message = {"end": to_plain(end)}
    except BaseException as error:  # noqa: BLE001 - whatever it is, it ends this run and not the server
        values = {}
        message = third_party.describe_failure(error)
    # Before the answer: once it is sent the server may stop the *next* run, and must not find this one's Stop.
    del parent.stops[run_id]
    parent.send_answer(message, values)


def _run(
    spec: RunSpec, reporter: ProgressReporter, stop: Stop, run_id: str, loop: asyncio.Runner, access: Access
) -> RunResult:
    # Virtual time needs no event loop, and in this thread SIGTERM reaches the strategies that it calls.
    if spec.clock == "virtual":
        return simulate(spec, [reporter], stop=stop, benchmark_id=run_id)
    return loop.run(run(spec, [reporter], stop=stop, benchmark_id=run_id, access=access))


def _choose_place(
    spec: RunSpec, sharding: Sharding, cluster: Message | None
) -> Callable[..., Coroutine[Any, Any, RunResult]]:
    """What runs ``spec`` in several processes: of the operator's cluster, or of this machine."""
    # Virtual replications are whole runs, which use the cores here; and so are real ones that are not to be cut.
    whole = sharding.repetition is not None and (
        spec.clock == "virtual" or (sharding.processes, sharding.is_auto) == (1, False)
    )
    if cluster is None or whole:
        return functools.partial(run_as, sharding)
    begin = run_on_dask if sharding.repetition is None else repeat_on_dask
    return functools.partial(begin, cluster=ClusterAddress.from_plain(cluster), sharding=sharding)


def _close(result: RunResult, last: Snapshot, catalog: Catalog) -> tuple[RunEnd, dict[str, bytes]]:
    """(the last message, what is sent ahead of it in pieces)."""
    memory_errors = result.failures.get("MemoryError")
    if memory_errors:
        result = _fail(result, f"{memory_errors:,} jobs found no memory left within the runner's limit")
    document = result_to_dict(result, catalog)
    end = RunEnd(
        figures=make_figures(result, catalog.kind_of(result.spec.cost), document["start_time"], document["end_time"]),
        last=last,
        reusable=not memory_errors and resident_bytes() < REUSABLE_BYTES,
        reason=None if result.reason is None else Reason(code=result.reason.code, detail=result.reason.detail),
    )
    return end, {
        "result": encode_json(document),
        "records": _encode_records(result, document["jobs"]),
        # The records are stored by themselves, with what each job cost, which is no part of what was measured.
        "parts": _encode_parts(result.parts),
    }


def _encode_parts(parts: RunParts | None) -> bytes:
    """Nothing of a run that was repeated: its replications are runs of their own, and have been summed up."""
    return b"" if parts is None else replace(parts, records=None, numbers=None).to_bytes()


def _fail(result: RunResult, detail: str) -> RunResult:
    """A run that failed in spite of its driver: what it measured without memory is not to be trusted."""
    reason, parts = aurea_engine.Reason("memory", detail), result.parts
    if parts is None:
        return replace(result, status="failed", reason=reason)
    shards = tuple(replace(report, status="failed", reason=reason) for report in parts.shards)
    return summarize(result.spec, replace(parts, shards=shards), benchmark_id=result.benchmark_id)


def _encode_records(result: RunResult, rows: list[dict[str, Any]]) -> bytes:
    """The content of the run's file of records, with what each job cost."""
    batch = JobBatch.empty() if result.jobs is None else result.jobs
    # The rows of the result have the costs already, unless there are more jobs than rows. Pricing them once more would
    # ask a cost model of others twice, and take twice as long.
    costs = [np.nan if row["cost"] is None else row["cost"] for row in rows]
    if len(costs) < len(batch):
        costs = job_costs(result.spec.cost, batch)
    stored = column_file.StoredRecords(result.benchmark_id, result.started_at, batch, np.array(costs, np.float64))
    return column_file.encode(stored)
