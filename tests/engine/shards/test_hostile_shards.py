"""Jobs that turn against the process of their shard. Oracle: what the same job does to a worker of the server."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from aurea_engine import RunResult, Stop, StrategyError, spec_from_dict
from aurea_engine.codec.catalog import load_catalog_for
from aurea_engine.shards.local import run_sharded

pytestmark = [pytest.mark.service, pytest.mark.faults]

HOSTILE = Path(__file__).parents[2] / "faults" / "hostile"


@pytest.fixture(autouse=True)
def _hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package with the jobs is installed, here and in every process."""
    monkeypatch.syspath_prepend(str(HOSTILE))
    monkeypatch.setenv("PYTHONPATH", str(HOSTILE))


async def run_with_a_job_that(does: str, *, duration: float = 3.0, stop: Stop | None = None) -> RunResult:
    """Two processes; one job in a hundred, always the same one, does it."""
    bad = {"kind": "does", "what": does}
    job = {"kind": "mix", "of": [{"weight": 99, "job": {"kind": "sleep", "duration": 0.01}}, {"weight": 1, "job": bad}]}
    workload = {"job": job, "arrivals": {"kind": "constant", "rate": 100}, "duration": duration}
    document = {"workload": workload, "seed": 2}
    catalog = load_catalog_for(document)
    return await run_sharded(spec_from_dict(document, catalog), 2, stop=stop, catalog=catalog)


@pytest.mark.parametrize("does", ["os_exit", "segfault", "kill_itself", "close_everything"])
async def test_job_that_ends_its_process_loses_it(does: str) -> None:
    result = await run_with_a_job_that(does)
    assert (result.status, result.verdict) == ("failed", "invalid")
    assert result.reason is not None
    assert result.reason.code == "shard_lost"


async def test_job_that_writes_into_the_socket() -> None:
    """What is no message ends the process that sent it, and with it the run."""
    result = await run_with_a_job_that("write_to_the_socket")
    assert result.status == "failed"
    assert result.reason is not None
    assert "sent what no runner sends" in result.reason.detail or "shard_lost" in result.reason.code


@pytest.mark.parametrize("does", ["spin", "regex"])
async def test_job_that_holds_the_processor_is_no_loss(does: str) -> None:
    """For longer than the patience; it is ended by a stop, and by the kill ladder."""
    stop, began = Stop(), time.monotonic()
    asyncio.get_running_loop().call_later(10, stop.now)
    result = await run_with_a_job_that(does, stop=stop)
    assert time.monotonic() - began > 10
    assert result.reason is not None
    assert "used no processor" not in result.reason.detail


async def test_strategy_that_breaks_its_contract_is_raised() -> None:
    """As by a run in one process."""
    workload = {"job": {"kind": "sleep", "duration": 0.01}, "jobs": 10}
    document = {"workload": workload, "scheduler": {"kind": "invents_jobs", "slots": 1}, "seed": 2}
    catalog = load_catalog_for(document)
    with pytest.raises(StrategyError):
        await run_sharded(spec_from_dict(document, catalog), 1, catalog=catalog)
