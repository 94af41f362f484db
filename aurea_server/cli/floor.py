"""``--floor``: the limit of this client on this machine, measured against a null target after the run.

Two short runs of the same request, by the same client, against a server that answers at once (`null_target_process`):

- *the same arrivals*, for at most `SECONDS`: the least response time that this client could have measured at this load;
- *a closed loop* with as many users as the run had connections: the most requests that this client can make.

Its replies are as long as those of the target were on average. It speaks no TLS. Nothing is subtracted from anything: the
floor of a busy client is not additive, so its figures stand beside those of the run.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from aurea_engine import (
    Catalog,
    Floor,
    Problem,
    RunResult,
    RunSpec,
    SpecError,
    Stop,
    attach_floor,
    loop_factory,
    run,
    spec_from_dict,
    spec_to_dict,
)
from aurea_engine.targets.null_target import MOST_BODY_BYTES
from aurea_server.cli.null_target_process import open_null_target_process
from aurea_server.cli.target_line import find_path

MeasureFloor: TypeAlias = Callable[[RunResult, Stop], RunResult]

SECONDS, CEILING_SECONDS = 3.0, 2.0
WITHOUT = ("tls", "auth", "expect", "redirects", "cookies")
"""Members that mean something to the target alone. Credentials are not sent to anybody else."""
STATUS_LINE = 40
"""Bytes of a reply of the null target beside its body."""
MOST_USERS = 10_000


def make_measurer(spec: RunSpec, catalog: Catalog) -> MeasureFloor:
    """What measures the floor of ``spec`` once it has run. Raises SpecError if it has none."""
    document = spec_to_dict(spec, catalog)
    if document["workload"]["job"].get("kind") != "http" or spec.clock != "real":
        raise SpecError([Problem("--floor", "goes with a job of kind http in real time: leave it out")])

    def measure(result: RunResult, stop: Stop) -> RunResult:
        seconds = f"{SECONDS + CEILING_SECONDS:g} s"
        sys.stderr.write(f"aurea: measuring the floor of this client against a null target, about {seconds}\n")
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            floor = runner.run(_measure(document, result, catalog, stop))
        return result if floor is None else attach_floor(result, floor)

    return measure


async def _measure(document: dict[str, Any], result: RunResult, catalog: Catalog, stop: Stop) -> Floor | None:
    """None if it was stopped: half a floor is none."""
    # In a process of its own, as the target is: in this one the two would take turns, and each measure the other.
    async with open_null_target_process(_count_body_bytes(result)) as url:
        latency = await run(spec_from_dict(_same_arrivals(document, url), catalog), stop=stop)
        ceiling = await run(spec_from_dict(_closed_loop(document, url, _count_users(result)), catalog), stop=stop)
    return None if stop.status is not None else Floor.of(latency, ceiling)


def _same_arrivals(document: dict[str, Any], url: str) -> dict[str, Any]:
    # From their beginning: of stages and ramps these are the first seconds, which is said in docs/numbers.md.
    duration = min(document["workload"].get("duration") or SECONDS, SECONDS)
    workload = {**document["workload"], "job": _aim(document["workload"]["job"], url), "duration": duration}
    # A run that was to be stopped early would stop its floor, too.
    return _make_document({**workload, "stop_at": None}, document)


def _closed_loop(document: dict[str, Any], url: str, users: int) -> dict[str, Any]:
    job = {**_aim(document["workload"]["job"], url), "connections": users}
    workload = {"job": job, "arrivals": {"kind": "closed", "users": users}, "duration": CEILING_SECONDS}
    return _make_document(workload, {"seed": document["seed"]})


def _make_document(workload: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {name: document[name] for name in ("scheduler", "seed") if name in document}
    return {**kept, "workload": workload, "cost": {"kind": "free"}}


def _aim(job: dict[str, Any], url: str) -> dict[str, Any]:
    """The same request to the null target."""
    aimed = {name: member for name, member in job.items() if name not in WITHOUT}
    # References to secrets are no texts, so they stay behind.
    headers = {name: value for name, value in job.get("headers", {}).items() if isinstance(value, str)}
    return aimed | {"url": url.rstrip("/") + find_path(job["url"]), "headers": headers}


def _count_body_bytes(result: RunResult) -> int:
    received = result.measures.get("bytes_received")
    # Where nothing came back there is no length to imitate, and empty replies are the fastest.
    mean = received.amounts.mean if received is not None and received.amounts.count else None
    return min(max(round(mean or 0) - STATUS_LINE, 0), MOST_BODY_BYTES)


def _count_users(result: RunResult) -> int:
    """As many as there were connections at most: no more jobs than these were in service at once."""
    peak = result.concurrency.peak
    if peak is None and result.parts is not None and result.parts.pool is not None:
        peak = result.parts.pool.open  # without records nobody knows how many of them had a job at once
    return min(max(peak or 1, 1), MOST_USERS)
