"""Known answers on your machine: whether this installation can be trusted, and how much the machine can carry."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter_ns

from aurea_engine.engine import run, simulate
from aurea_engine.records.batch import NS
from aurea_engine.records.quantiles import find_rank
from aurea_engine.results.result import RunResult
from aurea_engine.results.statistics import T_29
from aurea_engine.results.theory import closed_mva, erlang_b, mg1_wait, mmc_wait
from aurea_engine.run.environment import read_loop_name
from aurea_engine.spec import RunSpec
from aurea_engine.workload.arrivals import Closed, Constant, Poisson
from aurea_engine.workload.distributions import Constant as ConstantDuration
from aurea_engine.workload.distributions import Exponential, Gamma
from aurea_engine.workload.jobs import Sleep
from aurea_engine.workload.recorded import Replay
from aurea_engine.workload.schedulers import Fifo, ShortestFirst
from aurea_engine.workload.workload import Workload

SEED = 20_261_122
JOBS = 200_000
HONEST_LAG = 0.001
"""A rate is honest if 99 % of its jobs are released within this time, in seconds."""

LOWEST_RATE = 1000.0
"""Where the search for the highest honest rate begins, in jobs per second. The rate is 0 if not even this one is honest."""


@dataclass(frozen=True)
class Check:
    """One known answer. ``tolerance`` is absolute, in the unit of the figure. ``source``: where the answer comes from."""

    name: str
    expected: float
    measured: float
    tolerance: float
    source: str

    @property
    def passed(self) -> bool:
        """Whether the measured figure is within the tolerance."""
        return abs(self.measured - self.expected) <= self.tolerance


@dataclass(frozen=True)
class Machine:
    """What this machine can do. Times in seconds, rates in jobs per second."""

    loop: str
    clock_resolution: float
    timer_error_median: float
    timer_error_worst: float
    dispatch_floor: float
    highest_honest_rate: float


def run_virtual_checks() -> Iterator[Check]:
    """Known answers in virtual time: identities and schedules to the nanosecond, queues within four standard errors."""
    yield from _check_schedules()
    yield from _check_queues()


def _check_schedules() -> Iterator[Check]:
    batch = simulate(RunSpec(Workload(Sleep(ConstantDuration(0.1)), jobs=100), Fifo(slots=10), seed=SEED))
    yield Check("100 jobs of 0.1 s on 10 slots, makespan", 1.0, batch.duration, 0.0, "arithmetic")
    yield Check("their mean response", 0.55, _read_mean_response(batch), 1e-12, "arithmetic")
    jobs = Replay((8.0, 4.0, 2.0, 1.0))
    for name, scheduler, expected in (
        ("jobs of 8, 4, 2, 1 s in order, mean response", Fifo(slots=1), 12.25),
        ("the same, shortest first", ShortestFirst(slots=1), 6.5),
        ("the same, shortest first, two slots", ShortestFirst(slots=2), 4.5),
    ):
        yield Check(
            name,
            expected,
            _read_mean_response(simulate(RunSpec(Workload(jobs, jobs=4), scheduler))),
            1e-12,
            "arithmetic",
        )
    even = simulate(RunSpec(Workload(Sleep(ConstantDuration(0.001)), Constant(100), duration=1)))
    yield Check("constant 100/s for 1 s, offered rate", 100.0, even.offered_rate or 0.0, 0.0, "arithmetic")


def _check_queues() -> Iterator[Check]:
    # Both at 80 % utilization. For M/M/1 the standard error is known in closed form. Elsewhere the run's own batch means
    # give it, so those checks also test the batch means.
    for slots, rate in ((1, 80.0), (4, 320.0)):
        result = _simulate_queue(Exponential(0.01), rate, slots)
        error = 4 * compute_mm1_wait_error(0.8, JOBS) * 0.01 if slots == 1 else _compute_four_errors(result)
        yield Check(
            f"M/M/{slots} at 80 %, mean wait", mmc_wait(rate, 0.01, slots), _read_mean_wait(result), error, "Erlang C"
        )
    for cv in (0.0, 2.0):
        service = Gamma(0.01, cv) if cv else ConstantDuration(0.01)
        result, expected = _simulate_queue(service, 80, 1), mg1_wait(80, 0.01, cv**2)
        name = f"M/G/1 with CV {cv:g}, mean wait"
        yield Check(name, expected, _read_mean_wait(result), _compute_four_errors(result), "Pollaczek–Khinchine")
    lost = simulate(RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(800), jobs=JOBS), Fifo(10, 0), seed=SEED))
    blocking = erlang_b(8, 10)
    # The variance of the number of rejected jobs is more than binomial, because rejections come in bursts.
    spread = 4 * math.sqrt(3 * blocking / JOBS)  # overflow is peaked: three times a binomial's variance bounds it here
    yield Check(
        "10 slots at load 8, rejected", blocking, lost.counts.rejected / lost.counts.arrived, spread, "Erlang B"
    )
    closed = RunSpec(Workload(Sleep(Exponential(0.05)), Closed(10, Exponential(1.0)), jobs=JOBS), Fifo(1), seed=SEED)
    throughput, _ = closed_mva(10, 1.0, 0.05)
    yield Check("10 users, 1 s thinking, throughput", throughput, simulate(closed).throughput or 0.0, 0.1, "exact MVA")


def compute_mm1_wait_error(rho: float, n: int) -> float:
    """Standard error of the mean of ``n`` successive waits in M/M/1, in service times.

    Successive waits are correlated, so it is not σ/√n. The formula is the asymptotic variance of Daley (1968), *The serial
    correlation coefficients of waiting times in a stationary single server queue*, as given by Whitt (1989).
    """
    return math.sqrt(rho * (2 + 5 * rho - 4 * rho**2 + rho**3) / ((1 - rho) ** 4 * n))


def _simulate_queue(service: Exponential | Gamma | ConstantDuration, rate: float, slots: int) -> RunResult:
    return simulate(RunSpec(Workload(Sleep(service), Poisson(rate), jobs=JOBS), Fifo(slots), seed=SEED))


def _compute_four_errors(result: RunResult) -> float:
    """Four standard errors of the mean wait, from the batch means of the run itself."""
    interval, mean = result.waiting_time.mean_interval, result.waiting_time.mean
    return 4 * (interval.high - mean) / T_29 if interval is not None and mean is not None else 0.0


def _read_mean_response(result: RunResult) -> float:
    return result.response_time.mean or 0.0


def _read_mean_wait(result: RunResult) -> float:
    return result.waiting_time.mean or 0.0


async def run_real_checks() -> list[Check]:
    """Short runs on the real clock. Lower bounds hold everywhere; upper ones leave room for a busy machine."""
    batch = await run(RunSpec(Workload(Sleep(ConstantDuration(0.05)), jobs=1000), seed=SEED))
    # A sleep may last longer than specified, and must never be shorter. So lower bounds are exact, and upper ones generous.
    service = batch.service_time
    queued = await run(RunSpec(Workload(Sleep(ConstantDuration(0.02)), jobs=50), Fifo(slots=10), seed=SEED))
    return [
        Check(
            "1,000 sleeps of 50 ms at once, shortest", 0.0525, service.min or 0.0, 0.0025, "never shorter than asked"
        ),
        Check("their mean", 0.0525, service.mean or 0.0, 0.0025, "within 10 %"),
        Check("50 jobs of 20 ms on 10 slots, makespan", 0.11, queued.duration, 0.01, "arithmetic, within 20 %"),
    ]


async def measure_machine() -> Machine:
    """Measure the machine. Takes about five seconds."""
    errors = await _measure_timer_errors()
    return Machine(
        read_loop_name() or "none",
        _measure_clock_resolution(),
        errors[find_rank(0.5, len(errors)) - 1] / NS,
        errors[-1] / NS,
        await _measure_dispatch_floor(),
        await find_highest_honest_rate(),
    )


def _measure_clock_resolution() -> float:
    """The smallest step that the clock was seen to make, in seconds."""
    # Spinning until the clock changes finds its step. The smallest of many is not disturbed by other work.
    steps = []
    for _ in range(1000):
        before = now = perf_counter_ns()
        while now == before:
            now = perf_counter_ns()
        steps.append(now - before)
    return min(steps) / NS


async def _measure_timer_errors() -> list[int]:
    """By how many ns the event loop's timer missed 1.3 ms, forty times, in rising order."""
    # 1.3 ms is no multiple of a millisecond, so an event loop that only has whole ones is found out.
    errors = []
    for _ in range(40):
        began = perf_counter_ns()
        await asyncio.sleep(0.0013)
        errors.append(abs(perf_counter_ns() - began - 1_300_000))
    return sorted(errors)


async def _measure_dispatch_floor() -> float:
    """The time from one empty job to the next, in seconds, if the engine does nothing else."""
    result = await run(RunSpec(Workload(Sleep(ConstantDuration(0.0)), Closed(50), jobs=100_000), seed=SEED))
    return result.duration / result.counts.arrived


async def find_highest_honest_rate(seconds: float = 0.4, steps: int = 7) -> float:
    """The highest constant rate of empty jobs with a p99 lag within `HONEST_LAG`: doubling, then bisection."""
    low, high = LOWEST_RATE, 2 * LOWEST_RATE
    if not await _is_honest(low, seconds):
        return 0.0
    while high < 1e7 and await _is_honest(high, seconds):
        low, high = high, high * 2
    # The geometric mean: rates are compared by ratio.
    for _ in range(steps):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if await _is_honest(middle, seconds) else (low, middle)
    return low


async def _is_honest(rate: float, seconds: float) -> bool:
    """Whether one of three tries is. Other work on the machine can only make a rate look too high for it."""
    spec = RunSpec(Workload(Sleep(ConstantDuration(0.0)), Constant(rate), duration=seconds), seed=SEED)
    for _ in range(3):
        lag = (await run(spec)).lag.p99
        if lag is not None and lag <= HONEST_LAG:
            return True
    return False
