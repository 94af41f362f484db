"""A look over all machines of a Dask cluster, before anything begins: what they have installed, and their clocks."""

from __future__ import annotations

import asyncio
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, TypeVar

from aurea_engine.errors import ClusterRefused
from aurea_engine.fields.version import DISTRIBUTION
from aurea_engine.shards.dask_clock import choose_offset, measure_offset, name_machine
from aurea_engine.shards.dask_handshake import (
    MISSING,
    Installed,
    choose_foreign,
    describe_host,
    find_mismatches,
    find_own,
)
from aurea_engine.shards.dask_workers import Worker

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds for each question to all workers at once."""


async def look_over(client: Client, where: str, kinds: list[str]) -> list[Worker]:
    """The workers, if all of them can run ``kinds`` as this machine does. Raises `ClusterRefused` with all that differs."""
    threads: dict[str, int] = await _in_time(client.nthreads(), where)
    if not threads:
        raise ClusterRefused(f"the Dask cluster at {where} has no workers: start some")
    foreign = choose_foreign(kinds)
    scheduler, workers = await _find_installed(client, where)
    own = find_own(foreign)
    # Functions of ours are called only where they are the same: elsewhere they may not be there, or be others.
    same = [address for address, installed in workers.items() if not find_mismatches(own, [installed], [])]
    hosts: dict[str, dict[str, Any]] = await _ask(client, where, describe_host, foreign, workers=same) if same else {}
    for address, host in hosts.items():
        workers[address] = _with_kinds(workers[address], host["kinds"])
    if mismatches := find_mismatches(own, [scheduler, *workers.values()], foreign):
        text = "; ".join(mismatches)
        raise ClusterRefused(
            f"the Dask cluster at {where} would not run what runs here: {text}. Install the same on all"
        )
    return [await _measure(client, where, address, threads[address], hosts[address]) for address in sorted(hosts)]


def _with_kinds(installed: Installed, kinds: dict[str, str]) -> Installed:
    return Installed(installed.where, installed.aurea, installed.python, installed.numpy, kinds)


async def _find_installed(client: Client, where: str) -> tuple[Installed, dict[str, Installed]]:
    """Of the scheduler and of each worker, by what Dask and Python themselves can tell: none of our code is called."""
    found = await _in_time(client.get_versions(), where)
    aurea = await _ask(client, where, version, DISTRIBUTION, on_error="return")
    try:
        of_scheduler = await _in_time(client.run_on_scheduler(version, DISTRIBUTION), where)
    except PackageNotFoundError:
        of_scheduler = MISSING
    scheduler = _read(f"the scheduler at {where}", found["scheduler"], of_scheduler)
    workers = {
        address: _read(f"the worker {address}", known, aurea.get(address, MISSING))
        for address, known in found["workers"].items()
    }
    return scheduler, workers


def _read(where: str, known: dict[str, Any], aurea: object) -> Installed:
    python = ".".join(str(known["host"]["python"]).split(".")[:2])
    numpy = known["packages"].get("numpy") or MISSING
    return Installed(where, aurea if isinstance(aurea, str) else MISSING, python, str(numpy))


async def _measure(client: Client, where: str, address: str, threads: int, host: dict[str, Any]) -> Worker:
    async def read_theirs() -> int:
        answers = await _ask(client, where, time.perf_counter_ns, workers=[address])
        return int(answers[address])

    offset = choose_offset(await measure_offset(read_theirs), same_machine=_is_this_machine(host["machine"]))
    return Worker(address, str(host["host"]), threads, offset.ahead_ns, offset.bound_ns)


def _is_this_machine(name: object) -> bool:
    return bool(name) and name == name_machine()


async def _ask(client: Client, where: str, function: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
    answers: dict[str, Any] = await _in_time(client.run(function, *arguments, **options), where)
    return answers


async def _in_time(asking: Any, where: str) -> Any:
    """Raises `ClusterRefused` where there is no answer, or an error for one."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await asking
    except PackageNotFoundError:
        raise
    except TimeoutError:
        raise ClusterRefused(f"the Dask cluster at {where} did not answer within {PATIENCE:g} s") from None
    except Exception as error:  # noqa: BLE001 - Dask hands on whatever a machine of its cluster raised
        raise ClusterRefused(f"the Dask cluster at {where} cannot be asked: {type(error).__name__}: {error}") from None
