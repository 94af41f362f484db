"""What the runner process does: takes one order after the other, executes it, and tells how it goes and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import os
import queue
import select
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import aurea_engine
from aurea_engine import (
    Catalog,
    JobBatch,
    Observer,
    Progress,
    RunResult,
    RunSpec,
    Stop,
    default_catalog,
    encode_json,
    job_costs,
    loop_factory,
    result_to_dict,
    run,
    simulate,
    spec_from_dict,
)
from aurea_engine.records import column_file
from aurea_server.runner import frames, judging
from aurea_server.runner.messages import End, Reason, Snapshot, figures_of, snapshot_of

MOST_RESIDENT = 400 * 1024 * 1024
"""Bytes of memory from which on a runner is not used again: what a large run leaves fragmented is not the next one's."""


def serve(descriptor: int) -> int:
    """Execute orders until the server is gone."""
    with socket.socket(fileno=descriptor) as peer, asyncio.Runner(loop_factory=loop_factory()) as loop:
        loop.get_loop().set_exception_handler(_quiet)
        desk = _Desk(peer)
        threading.Thread(target=desk.listen, daemon=True, name="orders").start()
        signal.signal(signal.SIGTERM, desk.terminated)
        _rehearse(loop)
        gc.collect()
        gc.freeze()  # what is loaded stays: collections between runs need not look at it
        desk.send({"ready": os.getpid()})
        while True:
            order = desk.orders.get()
            if "judge" in order:
                desk.send(judging.judge(bytes(desk.records), order["judge"], desk.send))
            elif "price" in order:
                desk.send(judging.priced(order["price"], order["usage"], bytes(desk.records)))
            else:
                _execute(order, desk, loop)


def _rehearse(loop: asyncio.Runner) -> None:
    """A run of nothing, so that the first one does not pay for what is loaded and cached when it is first used.

    Installed packages are loaded by the run that names them, so that a broken one breaks no other run.
    """
    catalog = default_catalog()
    result = loop.run(run(spec_from_dict({"num_jobs": 1, "job_duration_ms": 0}, catalog)))
    _closed(result, catalog, Snapshot())


class _Desk:
    """The socket: orders come in on a thread, so that a stop is heard while a run holds the main one."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._lock = threading.Lock()
        self.orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.stops: dict[str, Stop] = {}
        self.records = bytearray()

    def listen(self) -> None:
        """Take orders; the end of the socket is the end of this process."""
        while (message := frames.read_blocking(self._peer)) is not None:
            if "stop" in message:
                if stop := self.stops.get(message["run_id"]):
                    stop.now(message["stop"])
                continue
            if "records" in message:
                self.records += message["records"]
                continue
            if "run_id" in message:
                self.stops[message["run_id"]] = Stop()
            self.orders.put(message)
        os._exit(0)

    def terminated(self, number: int, frame: object) -> None:
        """SIGTERM reaches every process when a whole group or container is stopped: only after a stop it is meant for us."""
        if any(stop.status for stop in self.stops.values()):
            os._exit(128 + number)

    def send(self, message: dict[str, Any]) -> None:
        """Send, and wait until it is sent."""
        with self._lock:
            self._peer.sendall(frames.pack(message))

    def send_if_free(self, message: dict[str, Any]) -> None:
        """Send unless the server does not listen: progress that is late is worth nothing, and must not hold up the run."""
        if select.select([], [self._peer], [], 0)[1]:
            self.send(message)


class _Reporter(Observer):
    def __init__(self, desk: _Desk, catalog: Catalog) -> None:
        self._desk, self._catalog, self._model = desk, catalog, "other"
        self.last = Snapshot()

    def on_start(self, spec: RunSpec) -> None:
        self._model = self._catalog.kind_of(spec.cost)

    def on_progress(self, progress: Progress) -> None:
        self.last = snapshot_of(progress, self._model)
        self._desk.send_if_free({"progress": msgspec.to_builtins(self.last)})


def _execute(order: dict[str, Any], desk: _Desk, loop: asyncio.Runner) -> None:
    run_id = order["run_id"]
    try:
        catalog = judging.catalog_for(order["spec"]) if order["foreign"] else default_catalog()
        reporter = _Reporter(desk, catalog)
        spec = spec_from_dict(order["spec"], catalog, local=False)
        stop = desk.stops[run_id]
        result = _run(spec, reporter, stop, run_id, loop)
        records, end = _closed(result, catalog, reporter.last)
        for part in frames.parts(records):
            desk.send({"records": part})
        message = {"end": msgspec.to_builtins(end, builtin_types=(bytes,))}
    except BaseException as error:  # noqa: BLE001 - whatever it is, it ends this run and not the server
        message = judging.failure(error)
    del desk.stops[run_id]
    desk.send(message)


def _run(spec: RunSpec, reporter: _Reporter, stop: Stop, run_id: str, loop: asyncio.Runner) -> RunResult:
    if spec.clock == "virtual":
        return simulate(spec, [reporter], stop=stop, benchmark_id=run_id)
    return loop.run(run(spec, [reporter], stop=stop, benchmark_id=run_id))


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What tasks of a job leave behind is the job's, and no news for anybody's log."""


def _closed(result: RunResult, catalog: Catalog, last: Snapshot) -> tuple[bytes, End]:
    """(the records as a file, all that the server needs of the result)."""
    out_of_memory = False
    if memory_errors := result.errors.get("MemoryError"):
        out_of_memory = True
        detail = f"{memory_errors:,} jobs found no memory left within the runner's limit"
        result = dataclasses.replace(result, status="failed", reason=aurea_engine.Reason("memory", detail))
    whole = result_to_dict(result, catalog)
    jobs, truncated = whole.pop("jobs"), whole.pop("jobs_truncated")
    # Where there is one it is stored beside the head, and joins it when the run is read.
    reason = whole["reason"]
    if reason is not None:
        del whole["reason"]
    end = End(
        head=msgspec.json.encode(whole),
        jobs=encode_json(jobs),
        truncated=truncated,
        figures=figures_of(result, catalog.kind_of(result.spec.cost), whole["start_time"], whole["end_time"]),
        last=last,
        reusable=not out_of_memory and _resident() < MOST_RESIDENT,
        reason=None if reason is None else Reason(**reason),
    )
    batch = JobBatch.empty() if result.jobs is None else result.jobs
    costs = [np.nan if job["cost"] is None else job["cost"] for job in jobs]
    if len(costs) < len(batch):
        costs = job_costs(result.spec.cost, batch)
    return column_file.encode(
        column_file.StoredRecords(result.benchmark_id, result.started_at, batch, np.array(costs, np.float64))
    ), end


def _resident() -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


__all__ = ["serve"]

if __name__ == "__main__":
    sys.exit("run `python -m aurea_server.runner`")
