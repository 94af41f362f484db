"""Checks that every strategy must pass, built in or yours. They need no test framework and raise AssertionError."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.engine import simulate
from aurea_engine.errors import InvalidReport
from aurea_engine.records.batch import NS, Instants, JobBatch
from aurea_engine.records.exact_sums import summed
from aurea_engine.records.reports import ReportReader
from aurea_engine.results.result import RunResult
from aurea_engine.results.statistics import integrate_jobs_in_system
from aurea_engine.spec import RunSpec
from aurea_engine.testing.callback_pools import check_callback_pool
from aurea_engine.testing.fakes import ScriptedArrivals
from aurea_engine.workload.arrivals import Arrivals
from aurea_engine.workload.callbacks import CallbackPool
from aurea_engine.workload.distributions import Distribution, Empirical
from aurea_engine.workload.job_setup import JobSetup
from aurea_engine.workload.jobs import PLANNED, Job, JobSource, Plan, Sleep
from aurea_engine.workload.schedulers import Queue, Scheduler
from aurea_engine.workload.streams import Streams
from aurea_engine.workload.workload import Workload

MOST_BLOCKS = 250
"""How many blocks of arrivals are checked. A process that says it ends must have ended by then."""

LUMPY = Empirical((0.0, 0.01, 0.02, 0.05))
"""Service times with many ties, zeros among them."""


def check_arrivals(arrivals: Arrivals, *, seed: int = 0, blocks: int = 8) -> None:
    """Raises AssertionError if ``arrivals`` does not behave as an arrival process must.

    Instants are int64 ns, in order, none negative. They are drawn from the generator that is passed in, and from nothing
    else. A process that promises to end does.
    """
    most = MOST_BLOCKS if arrivals.ends == "by itself" else blocks
    first = list(islice(_check_blocks(arrivals.instants(np.random.default_rng(seed)), "instants"), most))
    instants = np.concatenate([np.zeros(1, np.int64), *first])
    assert (np.diff(instants) >= 0).all(), "instants are in order, within and across blocks, and none is negative"
    # Two iterators of one process, drawn alternately. State on the strategy, or the module's own random numbers, show here.
    rng, other = np.random.default_rng(seed), np.random.default_rng(seed)
    one, two = arrivals.instants(rng), arrivals.instants(other)
    for block in first:
        assert np.array_equal(next(one), block), "the same generator gives the same instants"
        assert np.array_equal(next(two), block), "two streams of one process do not share state"
    if arrivals.ends == "by itself":
        assert next(one, None) is None, f"it ends by itself, but goes on after {most} blocks"
    span, rate = arrivals.span(), arrivals.asked_rate()
    assert span is None or instants[-1] <= round(span * NS), "nothing arrives after the span that it states"
    assert rate is None or 0 < rate < float("inf"), "asked_rate is a rate, or None"
    thinks = arrivals.think_times(np.random.default_rng(seed))
    if thinks is not None:
        for block in islice(_check_blocks(thinks, "think_times"), blocks):
            assert (block >= 0).all(), "no think time is negative"


def _check_blocks(blocks: Iterator[Instants], name: str) -> Iterator[Instants]:
    for block in blocks:
        assert isinstance(block, np.ndarray), f"{name} yields numpy arrays, not {type(block).__name__}"
        assert block.dtype == np.int64, f"{name} yields int64 nanoseconds, not {block.dtype}"
        assert block.ndim == 1, f"{name} yields arrays of one dimension"
        yield block


def check_scheduler(scheduler: Scheduler, *, seed: int = 0, jobs: int = 300) -> None:
    """Raises AssertionError if ``scheduler`` does not behave as a scheduler must.

    Its queue gives back every job once, counts them, puts the lower number first among equals, accepts an unknown demand,
    and shares nothing with the queue of the next run. A simulated run keeps every identity of `check_result`.
    """
    # The same script of pushes and pops for two queues: a queue that keeps state on its scheduler gives itself away.
    first, second = _serve_at_random(scheduler.queue(), seed, jobs), _serve_at_random(scheduler.queue(), seed, jobs)
    assert first == second, "two runs' queues share nothing, and the same jobs are served in the same order"
    equals = scheduler.queue()
    for job in range(20):
        equals.push(job, 0, 1.0, 0)
    order = [equals.pop() for _ in range(20)]
    assert order == list(range(20)), f"among equals the lowest number goes first, not {order}"
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, jobs, jobs) * (NS // 100)).tolist()
    workload = Workload(Sleep(LUMPY), ScriptedArrivals(tuple(at)))
    check_result(simulate(RunSpec(workload, scheduler, seed=seed)))


def _serve_at_random(queue: Queue, seed: int, jobs: int) -> list[int]:
    """The order in which ``queue`` gives back jobs that come and go at random."""
    rng = np.random.default_rng(seed)
    waiting, order = set[int](), list[int]()
    for job in range(jobs):
        demand = float(rng.choice([0.0, 0.1, 0.1, 1.0, float("nan")]))
        queue.push(job, job // 3, demand, int(rng.integers(-1, 2)))
        waiting.add(job)
        assert len(queue) == len(waiting), f"len is the number of jobs that wait, {len(waiting)}, not {len(queue)}"
        leave = job == jobs - 1 or rng.random() < 0.2
        while leave and waiting:
            served = queue.pop()
            assert served in waiting, f"it gave out job {served}, which does not wait"
            waiting.discard(served)
            order.append(served)
            leave = job == jobs - 1 or rng.random() < 0.8
    assert len(queue) == 0, "it is empty when every job was given back"
    return order


def check_distribution(distribution: Distribution, *, seed: int = 0, n: int = 20_000) -> None:
    """Raises AssertionError if draws are no durations, or if their mean is more than 6 standard errors off."""
    drawn = distribution.sample(np.random.default_rng(seed), n)
    assert drawn.shape == (n,), f"sample gives as many draws as are asked for, {n}, not {drawn.shape}"
    assert (drawn >= 0).all(), "no duration is negative, or not a number"
    assert np.array_equal(drawn, distribution.sample(np.random.default_rng(seed), n)), (
        "the same generator, the same draws"
    )
    mean, scv = distribution.moments()
    assert scv >= 0, "a squared coefficient of variation is not negative"
    # Six standard errors: for a finite variance a correct distribution fails about once in 500 million seeds. For a variance
    # that does not exist the bound is infinite, and the check says nothing.
    error = float(mean * np.sqrt(scv / n))
    off = abs(float(drawn.mean()) - mean)
    assert off <= 6 * error + 1e-9 * mean, f"the draws' mean is {drawn.mean():g}, and moments says {mean:g}"


def check_job(job: JobSource, *, seed: int = 0, jobs: int = 4096, run: bool = True) -> None:
    """Raises AssertionError if ``job`` does not behave as a source of jobs must.

    Its plans are complete, repeatable columns. With ``run``, each leaf that is more than a timer does one job for real, and
    ends when it is cancelled. Do not call it from a running event loop.
    """
    leaves = job.leaves()
    assert leaves, "there is at least one leaf to do the work"
    assert all(isinstance(leaf, Job) for leaf in leaves), "leaves are Jobs"
    # Twice from the same seed, in two blocks: a run asks block by block, and a shard may ask for another part first.
    streams, again = Streams(seed), Streams(seed)
    demands = np.empty(0)
    for first in (0, jobs):
        plan = job.plan(streams, first, jobs)
        _check_plan(plan, jobs, len(leaves))
        repeated = job.plan(again, first, jobs)
        for column in PLANNED:
            same = np.array_equal(getattr(plan, column), getattr(repeated, column), equal_nan=column == "demand")
            assert same, f"the same streams give the same plan: {column} differs"
        demands = plan.demand
    # Timers are never called: the driver only lets their time pass.
    working = [leaf for leaf in leaves if run and leaf.executor != "timers"]
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        for leaf in working:
            runner.run(_try_job(leaf, float(demands[0])))


def _check_plan(plan: Plan, jobs: int, leaves: int) -> None:
    for column in PLANNED:
        shape = getattr(plan, column).shape
        assert shape == (jobs,), f"{column} has an entry for each of {jobs} jobs, not {shape}"
    assert (np.isnan(plan.demand) | (plan.demand >= 0)).all(), "a demand is seconds, or NaN if unknown"
    assert (plan.limit > 0).all(), "a limit is more than nothing, infinite where there is none"
    assert ((plan.leaf >= 0) & (plan.leaf < leaves)).all(), "every job has a leaf that does it"


async def _try_job(leaf: Job, demand: float) -> None:
    name = type(leaf).__name__
    async with leaf.opened_in(JobSetup()) as work:
        if leaf.executor == "callbacks":
            assert isinstance(work, CallbackPool), f"{name}.opened yields a CallbackPool, as its executor says"
            await check_callback_pool(work, demand)
            return
        assert not isinstance(work, CallbackPool), f"{name}.opened yields a pool, so its executor is callbacks"
        _check_report(leaf, await work(demand))
        task = asyncio.ensure_future(work(demand))
        await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=max(1.0, 2 * demand))
        assert done, f"{name}.run ends when it is cancelled"


def _check_report(leaf: Job, returned: object) -> None:
    """What a job returns is what it declares; when its marks came, only a run knows."""
    if not (leaf.marks or leaf.measures):
        return
    reader = ReportReader(leaf.marks, leaf.measures)
    try:
        reader.read(returned, 0, -(2**63), 2**63)
    except InvalidReport as error:
        raise AssertionError(f"{type(leaf).__name__}.run reports what it declares: {error}") from None


def check_result(result: RunResult) -> None:
    """Raises AssertionError if the records of ``result`` break an identity that every run must keep.

    Conservation; nothing before its time; Little's law; never more jobs in service than slots; no job waits while a slot is
    free; the queue within its limit; no job rejected while there was room. What concerns slots is checked in virtual time
    only, because in real time it is only as exact as the clock. Raises ValueError for a result without records.
    """
    if result.jobs is None:
        raise ValueError("check_result looks at the records of jobs, and this run kept none")
    jobs, counts = result.jobs, result.counts
    ended = counts.completed + counts.failed + counts.timed_out + counts.rejected + counts.abandoned
    ended += counts.cancelled
    assert counts.arrived == ended == len(jobs), f"{counts.arrived} arrived, {ended} ended, {len(jobs)} are recorded"
    assert (jobs.outcome > 0).all(), "every job has an outcome"
    began = jobs[jobs.was_started]
    assert (began.waiting_ns >= 0).all(), "no job starts before its intended start"
    assert (began.service_ns >= 0).all(), "no job ends before it starts"
    # ∫N(t)dt = Σ response times, as integers and so exactly (Little 1961). It does not hold for a run that was cut short,
    # because jobs are still in the system.
    if result.status == "completed":
        area, total = integrate_jobs_in_system(began.intended, began.finished), summed(began.response_ns)
        assert area == total, f"Little's law: ∫N(t)dt is {area} ns, the response times sum to {total} ns"
    slots = result.spec.scheduler.slots
    if result.spec.clock == "virtual" and result.status == "completed" and slots is not None:
        _check_service(result, slots)


def _check_service(result: RunResult, slots: int) -> None:
    assert result.jobs is not None
    limit, began = result.spec.scheduler.queue_limit, result.jobs[result.jobs.was_started]
    at = np.unique(np.concatenate([began.intended, began.started, began.finished]))
    entered, left = _find_waits(result.jobs, int(at[-1]) if len(at) else 0)
    at = np.unique(np.concatenate([at, entered, left]))
    serving = _count_inside(at, began.started, began.finished)
    waiting = _count_inside(at, entered, left)
    assert (serving <= slots).all(), f"{serving.max()} jobs were in service on {slots} slots"
    idle = (waiting > 0) & (serving < slots)
    assert not idle.any(), f"{waiting[idle][:1]} jobs waited while a slot was idle, at {at[idle][:1]} ns"
    peak = result.concurrency.peak
    assert peak is not None, "a whole run knows its peak"
    assert peak <= slots, "the peak is not above the slots"
    assert not len(serving) or serving.max() <= peak, "the peak is at least what the records show"
    if limit is not None:
        assert not len(waiting) or waiting.max() <= limit, f"{waiting.max()} jobs waited where {limit} may"
    # Slow, but only over the rejected jobs: each must have found all slots busy and the queue full.
    turned_away = (result.jobs.outcome == Outcome.REJECTED) & (result.jobs.finished < 0)
    for t in result.jobs.intended[turned_away].tolist():
        there = int(((entered <= t) & (left >= t)).sum() + ((began.started < t) & (began.finished >= t)).sum())
        assert there >= slots + (limit or 0), f"a job was rejected at {t} ns though only {there} were in the system"


def _find_waits(jobs: JobBatch, end: int) -> tuple[Instants, Instants]:
    """When each job began to wait, and when it started, left, or was cancelled while it waited (at the ``end``)."""
    waited = jobs[(jobs.outcome != Outcome.REJECTED) | (jobs.finished >= 0)]
    until = np.where(waited.was_started, waited.started, waited.finished)
    return waited.intended, np.where(until >= 0, until, np.maximum(end, waited.intended))


def _count_inside(at: Instants, entered: Instants, left: Instants) -> Instants:
    """How many are inside from each instant of ``at`` to the next."""
    # A difference array: +1 where one enters, −1 where one leaves, and the running sum is the level.
    change = np.bincount(np.searchsorted(at, entered), minlength=len(at) + 1)
    change -= np.bincount(np.searchsorted(at, left), minlength=len(at) + 1)
    return np.cumsum(change)[:-1]
