"""Pools of connections: who gets which, who waits, and what is counted."""

from __future__ import annotations

from time import perf_counter_ns

from aurea_engine.targets.http.options import ConnectionOptions
from aurea_engine.targets.http.origin import Origin
from aurea_engine.targets.http.pool import ConnectionPool
from aurea_engine.targets.null_target import serve_null_target
from aurea_engine.workload.access import Access


async def test_warm_pool_is_open_before_jobs() -> None:
    """`open` makes as many connections as are wanted, and none has a job."""
    async with serve_null_target("127.0.0.1", 0) as (host, port):
        pool = ConnectionPool(ConnectionOptions(Origin("http", host, port)), Access(), perf_counter_ns)
        await pool.open(10)
        state = pool.state()
        await pool.close()
    assert (state.open, state.busy, state.opened, state.failed_dials) == (10, 0, 10, 0)
