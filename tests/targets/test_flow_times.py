"""Flows in time that jumps, over connections without a network: what they add up to, to the nanosecond."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st

from aurea_engine import Closed, Exponential, Fifo, Flow, Limited, Poisson, RunResult, RunSpec, Step, Workload
from aurea_engine.records.batch import NS
from aurea_engine.targets.http.draws import Draws
from aurea_engine.targets.http.flow_jobs import FlowJobs, PreparedStep
from aurea_engine.targets.http.http_jobs import RowPicker
from aurea_engine.targets.http.prepared import prepare_request
from aurea_engine.targets.http.think_times import ThinkTimes
from aurea_engine.testing import check_result, run_jumping
from aurea_engine.workload.access import Access
from aurea_engine.workload.callbacks import PoolState
from aurea_engine.workload.job_setup import JobSetup


class FakeReply:
    """One exchange, as a connection would tell of it."""

    def __init__(self, started: int, finished: int, status: int) -> None:
        self.started, self.finished, self.status = started, finished, status
        self.connected, self.sent, self.first_byte = -1, started, finished
        self.bytes_sent, self.bytes_received = 10, 100
        self.headers: list[tuple[str, str]] = []
        self.body = b""


class FakePool:
    """Each exchange lasts as long as the hash of its request says, and ``fails`` of 100 have the status 500."""

    def __init__(self, pools: FakePools) -> None:
        self._pools = pools
        self._busy: dict[int, tuple[int, asyncio.TimerHandle]] = {}

    def send(
        self, sender: Any, token: int, rules: Any, timeout: int, deadline: int | None, limit: int | None = None
    ) -> None:
        began, drawn = self._pools.now(), crc32(sender.encode(token))
        lasts = 1_000_000 * (1 + drawn % 50)
        ends = [began + lasts, began + timeout]
        ends += [each for each in (deadline, None if limit is None else began + limit) if each is not None]
        end = max(min(ends), began)
        failure = None if end == ends[0] else "timeout"
        status = 500 if drawn // 64 % 100 < self._pools.fails else 200
        loop = asyncio.get_running_loop()
        timer = loop.call_at(loop.time() + (end - began) / NS, self._end, sender, token, status, failure)
        self._busy[token] = began, timer

    def _end(self, sender: Any, token: int, status: int, failure: str | None) -> None:
        began, _ = self._busy.pop(token)
        sender.replied(token, FakeReply(began, self._pools.now(), -1 if failure else status), failure)

    def cancel(self, token: int, sender: Any) -> int | None:
        began, timer = self._busy.pop(token)
        timer.cancel()
        return began


class FakePools:
    """Stands for `Pools`."""

    def __init__(self, fails: int) -> None:
        self.fails = fails
        self.now: Callable[[], int] = lambda: 0
        self._pools: dict[object, FakePool] = {}

    def get(self, options: object) -> FakePool:
        return self._pools.setdefault(options, FakePool(self))

    def state(self) -> PoolState:
        return PoolState()

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class FlowWithoutNetwork(Flow):
    """A flow whose requests go nowhere."""

    fails: int = 0

    @asynccontextmanager
    async def opened_in(self, setup: JobSetup) -> AsyncIterator[FlowJobs]:
        fields = self.row_fields()
        steps = [
            PreparedStep(prepare_request(step, self.names_of(i, fields), Access()), None, False, False)
            for i, step in enumerate(self.steps)
        ]
        thinks = ThinkTimes([step.think for step in self.steps], setup.streams)
        flows = FlowJobs(steps, thinks, setup, RowPicker([], "in_order", Draws(setup.streams)), FakePools(self.fails))
        yield flows
        await flows.close()


def make_flow(steps: int, think: object, fails: int) -> FlowWithoutNetwork:
    """Steps whose requests differ from flow to flow."""
    return FlowWithoutNetwork(
        steps=tuple(
            Step(f"http://a/{i}/{{{{index}}}}", name=f"s{i}", think=think if i else None) for i in range(steps)
        ),
        fails=fails,
    )


def check_flows(result: RunResult, steps: int) -> None:
    """Every flow that began, step by step."""
    jobs, found = result.jobs, result.steps
    assert jobs is not None
    assert found is not None
    served = (jobs.started >= 0).nonzero()[0].tolist()
    for number in served:
        rows = found.of_job(number)
        thinks = (rows.intended[1:] - rows.finished[:-1]).tolist()
        assert rows.group.tolist() == list(range(len(rows)))
        assert rows.intended[0] == jobs.intended[number]
        assert rows.started[0] == jobs.started[number]
        assert all(think >= 0 for think in thinks)
        if jobs.outcome[number] == 1:
            assert len(rows) == steps
            assert int(rows.response_ns.sum()) + sum(thinks) == int(jobs.response_ns[number])
            assert int(rows.measure("bytes_received").sum()) == int(jobs.measure("bytes_received")[number])
    assert len(found) == sum(len(found.of_job(number)) for number in served)
    for group in result.groups:
        counts = group.counts
        assert counts.arrived == counts.completed + counts.failed + counts.timed_out + counts.cancelled
        assert counts.arrived + (group.not_reached or 0) == len(served)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.integers(1, 4),
    think=st.sampled_from([None, 0.02, Exponential(0.05)]),
    fails=st.sampled_from([0, 20]),
    limit=st.one_of(st.none(), st.floats(0.01, 0.3)),
    slots=st.one_of(st.none(), st.integers(1, 5)),
    ends=st.sampled_from([{}, {"stop_at": 0.4}, {"deadline": 0.15}, {"drain": 0.05}]),
    users=st.booleans(),
)
def test_flows_are_conserved(
    steps: int, think: Any, fails: int, limit: float | None, slots: int | None, ends: dict[str, float], users: bool
) -> None:
    """Think times, failures, limits, deadlines, slots, stops, open and closed: each flow is its steps and its thoughts."""
    flow = make_flow(steps, think, fails)
    job = flow if limit is None else Limited(flow, limit)
    arrivals = Closed(5, 0.01) if users else Poisson(60)
    result = run_jumping(RunSpec(Workload(job, arrivals, jobs=40, **ends), Fifo(slots), seed=steps))
    check_result(result)
    check_flows(result, steps)


def test_flow_is_same_whatever_is_around_it() -> None:
    """Another scheduler and another rate change when flows run, and no user's thoughts."""
    thoughts = []
    for slots, rate in ((None, 60), (2, 500)):
        flow = make_flow(3, Exponential(0.05), 0)
        result = run_jumping(RunSpec(Workload(flow, Poisson(rate), jobs=30), Fifo(slots), seed=9))
        found = result.steps
        assert found is not None
        rows = [found.of_job(number) for number in range(30)]
        thoughts.append([(each.intended[1:] - each.finished[:-1]).tolist() for each in rows])
    assert thoughts[0] == thoughts[1]


def test_without_records_the_figures_remain() -> None:
    """Counts of steps are the same; nothing is kept of single ones."""
    spec = RunSpec(Workload(make_flow(3, 0.02, 20), Poisson(60), jobs=60), seed=2)
    kept, flat = run_jumping(spec), run_jumping(replace(spec, keep_jobs=False))
    assert flat.steps is None
    assert [(each.counts, each.not_reached) for each in flat.groups] == [
        (each.counts, each.not_reached) for each in kept.groups
    ]
