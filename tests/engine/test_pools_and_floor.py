"""Connections of pools in parts and reports, and the floor that a null target gives."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import reduce
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import (
    CallbackPool,
    Closed,
    Constant,
    ConstantRate,
    Counts,
    Fifo,
    Floor,
    Outcome,
    Poisson,
    PoolState,
    Progress,
    RunParts,
    RunResult,
    RunSpec,
    Shard,
    Sleep,
    Stop,
    StrategyError,
    Timing,
    Workload,
    attach_floor,
    encode_json,
    execute,
    parse_json,
    result_from_dict,
    result_to_dict,
    run_sync,
)
from aurea_engine.records.batch import NEVER, NS
from aurea_engine.testing import FakeConnections, FakeRequests, RecordingObserver, check_job, run_jumping

counts = st.integers(0, 10**6)
states = st.builds(PoolState, counts, counts, counts, counts, counts, counts, counts)

FOUR = RunSpec(Workload(FakeRequests(), ConstantRate(100), duration=10.0), seed=1)
"""Four connections for 40 jobs a second, and 100 come, for ten seconds."""


def test_four_connections_give_known_waits() -> None:
    """Job 999 comes at 9.99 s, begins at 24.93 s and is done at 25.03 s. Its service took 0.1 s all the same."""
    result = run_jumping(FOUR)
    assert result.jobs is not None
    last = result.jobs.record(999)
    assert (last.waiting_time, last.finished) == (pytest.approx(14.94), 25.03)
    assert (result.service_time.min, result.service_time.max) == (0.1, 0.1)
    assert result.parts is not None
    # Full from job 3 on, to the end of job 996: 0.03 s to 25 s.
    assert result.parts.pool == PoolState(
        open=4, busy=0, waiting=0, waited=996, full_ns=24_970_000_000, opened=4, failed_dials=0
    )
    (found,) = [finding for finding in result.findings if finding.code == "pool_exhausted"]
    assert "996 of 1,000 jobs had to wait for a connection; all were busy for 25 s, 100 % of the run" in found.detail


def test_reports_have_the_connections_of_now() -> None:
    """While the run goes on, open, busy and waiting; at its end none waits."""
    watcher = RecordingObserver()

    class Looking(FakeConnections):
        seen: ClassVar[list[PoolState]] = []

        def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
            super().start(job, demand, limit, deadline)
            self.seen.append(self.state())

    class Looks(FakeRequests):
        @asynccontextmanager
        async def opened(self) -> AsyncIterator[CallbackPool]:
            yield Looking(self.connections)

    run_jumping(replace(FOUR, workload=replace(FOUR.workload, job=Looks())), [watcher])
    pools = [report.pool for report in watcher.reports]
    assert all(pool is not None and pool.open == 4 for pool in pools)
    assert pools[-1] is not None
    assert pools[-1].waiting == 0
    assert max(state.waiting for state in Looking.seen) > 100


def test_jobs_that_wait_for_connections_wait() -> None:
    """The dispatcher has given all of them to the pool, yet never are more than four in service."""
    assert run_jumping(FOUR).concurrency.peak == 4
    assert run_jumping(replace(FOUR, keep_jobs=False)).concurrency.peak is None


@pytest.mark.parametrize(
    ("limits", "left", "counts"),
    [
        ({"patience": Constant(2.5)}, Outcome.ABANDONED, Counts(20, 12, 0, 0, 0, 8, 0)),
        ({"deadline": 2.5}, Outcome.REJECTED, Counts(20, 8, 0, 4, 8, 0, 0)),
    ],
)
def test_waits_in_a_pool_end(limits: dict[str, Any], left: Outcome, counts: Counts) -> None:
    """Twenty jobs of 1 s come at once for four connections: at 2.5 s eight still wait, and leave as from a queue."""
    workload = Workload(FakeRequests(Constant(1.0)), jobs=20, **limits)
    result = run_jumping(RunSpec(workload, seed=1))
    assert result.counts == counts
    assert result.jobs is not None
    gone = result.jobs[result.jobs.outcome == left]
    assert gone.started.tolist() == [NEVER] * 8
    assert np.abs(gone.finished / NS - 2.5).max() < 0.002
    slots = run_jumping(RunSpec(replace(workload, job=Sleep(Constant(1.0))), Fifo(4), seed=1))
    assert slots.counts == counts


def test_progress_tells_pool_waits_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the run goes on, too: who waits in the pool is queued, and not in flight.

    A job that the pool has just ended is in flight until the run takes its end: one, since no two end at once here.
    """
    monkeypatch.setattr("aurea_engine.engine.PROGRESS_NS", 0)
    watcher = RecordingObserver()
    run_jumping(FOUR, [watcher])
    assert max(report.queued for report in watcher.reports) > 100
    for report in watcher.reports:
        assert report.pool is not None
        assert report.queued == report.pool.waiting
        assert report.pool.busy <= report.in_flight <= report.pool.busy + 1


def test_runs_without_connections_have_none() -> None:
    """A pool may have no state at all."""
    assert execute(RunSpec(Workload(NoState(), jobs=3), seed=1)).pool is None


class NoState(FakeRequests):
    @asynccontextmanager
    async def opened(self) -> AsyncIterator[CallbackPool]:
        class Silent(FakeConnections):
            def state(self) -> None:  # type: ignore[override]
                return None

        yield Silent(self.connections)


def test_a_state_that_is_none_ends_the_run() -> None:
    """A pool that answers with something else is told so."""

    class Wrong(FakeRequests):
        @asynccontextmanager
        async def opened(self) -> AsyncIterator[CallbackPool]:
            class Odd(FakeConnections):
                def state(self) -> str:  # type: ignore[override]
                    return "fine"

            yield Odd(self.connections)

    with pytest.raises(StrategyError, match=r"Odd\.state must give a PoolState or None, not 'fine'"):
        run_jumping(RunSpec(Workload(Wrong(), jobs=1), seed=1))


def test_fake_connections_keep_the_contract() -> None:
    """They pass the check that ships for pools; and limits and cancellations reach jobs that wait."""
    check_job(FakeRequests(Constant(0.001)))
    late = replace(FOUR, workload=replace(FOUR.workload, deadline=1.0))
    result = run_jumping(late)
    assert result.failures == {"timeout": result.counts.timed_out}
    stop = Stop()
    stop.now()
    assert run_jumping(FOUR, stop=stop).status == "cancelled"


@given(st.lists(states, min_size=1, max_size=5))
def test_states_are_joined_in_any_order(each: list[PoolState]) -> None:
    """Counts add up; and pools that are full at once are full once."""
    joined = PoolState.join(each)
    assert joined == reduce(lambda a, b: PoolState.join([a, b]) or a, reversed(each))
    assert joined is not None
    assert joined.waited == sum(state.waited for state in each)
    assert joined.full_ns == max(state.full_ns for state in each)


def test_no_states_are_none() -> None:
    assert PoolState.join([]) is None


def test_states_of_shards_are_joined() -> None:
    """Each process has its own connections."""
    spec = RunSpec(Workload(FakeRequests(Constant(1e-4)), Poisson(1e5), jobs=60), seed=2)
    shards = [execute(spec, Shard(index, 3)) for index in range(3)]
    merged = shards[2].merge(shards[0], shards[1])
    assert merged.pool is not None
    assert merged.pool.opened == 12
    assert merged.pool.waited == sum(shard.pool.waited for shard in shards if shard.pool is not None)
    again = RunParts.from_bytes(merged.to_bytes())
    assert again == merged
    assert again.pool == merged.pool


class Supplied(FakeRequests):
    def supply(self) -> int | None:
        return 50


def test_shards_know_that_the_data_ended() -> None:
    """Also those that had none of the last rows."""
    spec = RunSpec(Workload(Supplied(Constant(1e-4)), Poisson(1e5), jobs=60), seed=2)
    assert [execute(spec, Shard(index, 3)).used_up for index in range(3)] == [50, 50, 50]


def test_stopped_run_did_not_use_its_data_up() -> None:
    """Its plan knows where the data end, but it never came there."""
    spec = RunSpec(Workload(Supplied(), ConstantRate(10), jobs=60, stop_at=2.0), seed=2)
    result = run_jumping(spec)
    assert result.parts is not None
    assert result.parts.used_up is None


# --- The floor -------------------------------------------------------------------------------------------------------


def measure(rate: float) -> RunResult:
    return run_jumping(RunSpec(Workload(FakeRequests(Constant(0.01)), ConstantRate(rate), duration=10.0), seed=1))


CEILING = run_jumping(RunSpec(Workload(FakeRequests(Constant(0.01)), Closed(4), jobs=4000), seed=1))
"""Four users, 10 ms each: 400 a second."""


@pytest.mark.parametrize(("rate", "is_limited"), [(100, False), (319, False), (321, True), (400, True)])
def test_throughput_near_floor_is_the_client(rate: float, is_limited: bool) -> None:
    """From 80 % of what the client reaches against a target that answers at once."""
    result, floor = measure(rate), Floor.of(measure(rate), CEILING)
    assert (floor.throughput, floor.users) == (400.0, 4)
    attached = attach_floor(result, floor)
    found = [finding for finding in attached.findings if finding.code == "client_limited"]
    assert len(found) == is_limited
    assert attached.verdict == ("degraded" if is_limited else result.verdict)
    if is_limited:
        assert f"{rate / 4:.0f} % of what this client reaches" in found[0].detail
    # Nothing is subtracted.
    assert (attached.response_time, attached.throughput) == (result.response_time, result.throughput)


def test_the_client_is_found_limited_once() -> None:
    """Attaching a floor twice says nothing twice."""
    floor = Floor.of(measure(400), CEILING)
    attached = attach_floor(attach_floor(measure(400), floor), floor)
    assert sum(finding.code == "client_limited" for finding in attached.findings) == 1


@pytest.mark.parametrize("throughput", [None, 0.0])
def test_empty_floor_judges_nothing(throughput: float | None) -> None:
    floor = Floor(throughput, None, Timing(0), Timing(0))
    assert attach_floor(measure(100), floor).findings == measure(100).findings


def test_floors_are_written_and_read() -> None:
    """As the member ``floor``, null where none was measured."""
    result = attach_floor(measure(100), Floor.of(measure(100), CEILING))
    document = json.loads(encode_json(result_to_dict(result)))
    assert document["floor"]["throughput"] == 400.0
    assert document["floor"]["service_time"]["p50"] == 0.01
    text = encode_json(result_to_dict(result))
    assert result_from_dict(parse_json(text), keep_unknown=True).floor == result.floor
    assert result_to_dict(measure(100))["floor"] is None


def test_progress_has_failures_and_statuses() -> None:
    """By the meters, as the result does."""
    watcher = RecordingObserver()
    result = run_sync(RunSpec(Workload(FakeRequests(Constant(0.001)), jobs=20), seed=1), [watcher])
    last: Progress = watcher.reports[-1]
    assert (last.failures, last.statuses) == (result.failures, result.statuses) == ({}, {})
