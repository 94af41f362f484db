"""A look over all machines of a Dask cluster, before anything begins: what they have installed, and their clocks."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

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

PATIENCE = 20.0
"""Seconds for the answer to each question."""

Ask = Callable[..., Awaitable[Any]]
"""Calls a function with arguments in one process of the cluster. Raises `ClusterRefused` where there is no answer."""


async def look_over(client: Client, where: str, kinds: list[str]) -> list[Worker]:
    """The workers, if all of them can run ``kinds`` as this machine does. Raises `ClusterRefused` with all that differs."""
    threads: dict[str, int] = await _ask(f"the scheduler at {where}", client.nthreads)
    if not threads:
        raise ClusterRefused(f"the Dask cluster at {where} has no workers: start some")
    foreign = choose_foreign(kinds)
    asking = {address: partial(_ask_worker, client, address) for address in sorted(threads)}
    scheduler = f"the scheduler at {where}"
    installed = await asyncio.gather(
        _find_installed(scheduler, partial(_ask, scheduler, client.run_on_scheduler)),
        *(_find_installed(f"the worker {address}", ask) for address, ask in asking.items()),
    )
    own = find_own(foreign)
    # Functions of ours are called only where they are the same: elsewhere they may not be there, or be others.
    same = {address: not find_mismatches(own, [each], []) for address, each in zip(asking, installed[1:], strict=True)}
    hosts = {address: await ask(describe_host, foreign) for address, ask in asking.items() if same[address]}
    workers = [
        replace(each, kinds=hosts[address]["kinds"]) if address in hosts else each
        for address, each in zip(asking, installed[1:], strict=True)
    ]
    if mismatches := find_mismatches(own, [installed[0], *workers], foreign):
        text = "; ".join(mismatches)
        raise ClusterRefused(
            f"the Dask cluster at {where} would not run what runs here: {text}. Install the same on all"
        )
    return [await _measure(address, asking[address], threads[address], host) for address, host in hosts.items()]


async def _find_installed(where: str, ask: Ask) -> Installed:
    """What a process has, by what Python itself can tell: none of our code is called."""

    async def find(distribution: str) -> str:
        try:
            return str(await ask(version, distribution))
        except PackageNotFoundError:
            return MISSING

    python = ".".join(str(await ask(platform.python_version)).split(".")[:2])
    return Installed(where, await find(DISTRIBUTION), python, await find("numpy"))


async def _measure(address: str, ask: Ask, threads: int, host: dict[str, Any]) -> Worker:
    async def read_theirs() -> int:
        return int(await ask(time.perf_counter_ns))

    is_here = _is_here(host)
    offset = choose_offset(await measure_offset(read_theirs), same_machine=is_here)
    pid = host["pid"] if is_here else 0
    return Worker(address, str(host["host"]), threads, offset.ahead_ns, offset.bound_ns, pid)


async def find_scheduler(client: Client) -> int:
    """The process number of the scheduler, 0 if it is on another machine."""
    host = await _ask("the scheduler", client.run_on_scheduler, describe_host, [])
    return int(host["pid"]) if _is_here(host) else 0


def _is_here(host: dict[str, Any]) -> bool:
    return bool(host["machine"]) and host["machine"] == name_machine()


async def _ask_worker(client: Client, address: str, function: Callable[..., Any], *arguments: Any) -> Any:
    # Each by itself: a question to all of them waits for the one that does not answer, and does not say which it is.
    answers = await _ask(f"the worker {address}", partial(client.run, workers=[address]), function, *arguments)
    return answers[address]


async def _ask(whom: str, ask: Ask, *arguments: Any) -> Any:
    try:
        async with asyncio.timeout(PATIENCE):
            return await ask(*arguments)
    except PackageNotFoundError:
        raise
    except TimeoutError:
        raise ClusterRefused(f"{whom} did not answer within {PATIENCE:g} s: it is too busy, or hangs") from None
    except Exception as error:  # noqa: BLE001 - Dask hands on whatever a machine of its cluster raised
        raise ClusterRefused(f"{whom} cannot be asked: {type(error).__name__}: {error}") from None
