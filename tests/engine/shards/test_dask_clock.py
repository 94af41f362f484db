"""How far another machine's clock is ahead: by the quickest round trip, within half of it, whatever the ways took."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from aurea_engine import ConstantRate, RunSpec, Sleep, Workload
from aurea_engine.shards.dask_clock import SAME_CLOCK, ClockOffset, choose_offset, measure_offset, name_machine
from aurea_engine.shards.dask_shard import run_on_dask
from tests.engine.shards.dask_cluster import can_set_clock, start_cluster


class Ways:
    """Two clocks that are ``ahead`` apart, and ways between them that take what the test says, there and back."""

    def __init__(self, ahead: int, ways: list[tuple[int, int]]) -> None:
        self.now, self._ahead, self._ways = 10**12, ahead, iter(ways)

    def read_ours(self) -> int:
        return self.now

    async def read_theirs(self) -> int:
        there, back = next(self._ways)
        self.now += there
        reading = self.now + self._ahead
        self.now += back
        return reading


async def measure(ahead: int, ways: list[tuple[int, int]]) -> ClockOffset:
    between = Ways(ahead, ways)
    return await measure_offset(between.read_theirs, round_trips=len(ways), read_ours=between.read_ours)


async def test_equal_ways_tell_it_exactly() -> None:
    assert await measure(-3_000_000, [(500, 500)] * 3) == ClockOffset(-3_000_000, 501)


async def test_quickest_round_trip_counts() -> None:
    """The others were held up somewhere."""
    assert (await measure(7, [(10**6, 10), (40, 60), (10, 10**6)])) == ClockOffset(-3, 51)


@hypothesis.given(
    ahead=st.integers(-(10**18), 10**18),
    ways=st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=32),
)
async def test_truth_is_within_the_bound(ahead: int, ways: list[tuple[int, int]]) -> None:
    """However unequal the two ways of each round trip are."""
    found = await measure(ahead, ways)
    assert abs(found.ahead_ns - ahead) <= found.bound_ns
    assert found.bound_ns <= min(there + back for there, back in ways) // 2 + 1


def test_one_machine_has_one_clock() -> None:
    """Unless the measurement says otherwise: a container may have a clock of its own."""
    within, beyond = ClockOffset(-900, 1000), ClockOffset(-1001, 1000)
    assert choose_offset(within, same_machine=True) == SAME_CLOCK
    assert choose_offset(beyond, same_machine=True) == beyond
    assert choose_offset(within, same_machine=False) == within


@pytest.mark.service
@pytest.mark.skipif(not can_set_clock(), reason="a clock of its own for a process takes rights that are not there")
async def test_clock_that_is_really_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker's clock is a thousand seconds ahead. That is found within the bound, and both begin at the one instant."""
    monkeypatch.setattr("aurea_engine.shards.dask_link.PATIENCE", 60.0)
    spec = RunSpec(Workload(Sleep(0.01), ConstantRate(100), jobs=60), seed=7)
    with start_cluster(tmp_path, clock=1000) as cluster:
        result = await run_on_dask(spec, cluster.address)
    assert (result.status, result.counts.completed) == ("completed", 60)
    here, ahead = sorted(result.shards, key=lambda shard: shard.clock_offset)
    assert (here.clock_offset, here.clock_bound) == (0, 0)
    assert abs(ahead.clock_offset - 1000) <= ahead.clock_bound < 60
    assert all(shard.start_skew < 60 for shard in result.shards)
    assert result.duration < 120


def test_machine_has_one_name() -> None:
    assert name_machine() == name_machine()
