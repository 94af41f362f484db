"""Virtual time: M/M/4 in order, and the same jobs under other disciplines.

Four slots, 320 jobs/s, exponential service of 10 ms: the wait is known (Erlang C), and each contender's mean wait stands
beside it, so that speed cannot be bought by being wrong. Each draws from a generator of its own, seeded alike: the mean
of that many jobs scatters.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator

import numpy as np

from aurea_engine import (
    Branch,
    Exponential,
    Fifo,
    Lifo,
    Mix,
    Poisson,
    Priority,
    RunSpec,
    Scheduler,
    ShortestFirst,
    Sleep,
    Workload,
    simulate,
)
from benchmarks.contest import AUREA, Bound, Contender, Figure, Figures, Row

# Four fifths of the slots are busy: enough to queue, and not so much that a mean wait takes millions of jobs to settle.
RATE, SERVICE, SLOTS = 320.0, 0.01, 4

_Rank = Callable[[random.Random, int, float], float]
"""(generator, number of the job, its service time) → its place in the queue, lowest first."""


def _run_aurea(jobs: int, seed: int, scheduler: Scheduler, urgent: bool = False) -> Figures:
    # Two equal kinds, so that half of the jobs are urgent and the formula for the mean over both still holds.
    kind = Sleep(Exponential(SERVICE))
    job = Mix((Branch(1, kind, priority=1), Branch(1, kind, priority=0))) if urgent else kind
    spec = RunSpec(Workload(job, Poisson(RATE), jobs=jobs), scheduler, clock="virtual", seed=seed)
    began = time.perf_counter()
    result = simulate(spec)
    wall = time.perf_counter() - began
    assert result.counts.completed == jobs
    assert result.waiting_time.mean is not None
    return {"rate": jobs / wall, "wait": result.waiting_time.mean}


def run_aurea_fifo(jobs: int, seed: int) -> Figures:
    """From the call to the result: records, quantiles, cost, theory, findings."""
    return _run_aurea(jobs, seed, Fifo(slots=SLOTS))


def run_aurea_priority(jobs: int, seed: int) -> Figures:
    """Half of the jobs are more urgent."""
    return _run_aurea(jobs, seed, Priority(slots=SLOTS), urgent=True)


def run_aurea_shortest(jobs: int, seed: int) -> Figures:
    """Shortest demand first."""
    return _run_aurea(jobs, seed, ShortestFirst(slots=SLOTS))


def run_aurea_lifo(jobs: int, seed: int) -> Figures:
    """Newest first."""
    return _run_aurea(jobs, seed, Lifo(slots=SLOTS))


def _run_simpy(jobs: int, seed: int, rank: _Rank | None) -> Figures:
    """SimPy's own bank example, with a record a job; ``rank`` orders the queue (lowest first), None keeps its order."""
    # Imported here: a contender that is not installed is absent, and no reason for the others not to run.
    import simpy

    rng, records = random.Random(seed), []
    began = time.perf_counter()
    environment = simpy.Environment()
    plain, ranked = simpy.Resource(environment, SLOTS), simpy.PriorityResource(environment, SLOTS)

    def customer(number: int, service: float) -> Generator[simpy.Event, object, None]:
        arrived = environment.now
        with ranked.request(rank(rng, number, service)) if rank else plain.request() as turn:  # type: ignore[arg-type]
            yield turn
            started = environment.now
            yield environment.timeout(service)
        records.append((arrived, started, environment.now))

    def source() -> Generator[simpy.Event, object, None]:
        for number in range(jobs):
            yield environment.timeout(rng.expovariate(RATE))
            environment.process(customer(number, rng.expovariate(1 / SERVICE)))

    environment.process(source())
    environment.run()
    # Timed as well: whoever simulates wants figures, and Aurea's come with its result.
    columns = np.array(records)
    waits = columns[:, 1] - columns[:, 0]
    np.quantile(waits, [0.5, 0.9, 0.95, 0.99])
    assert len(records) == jobs
    return {"rate": jobs / (time.perf_counter() - began), "wait": float(waits.mean())}


def run_simpy_fifo(jobs: int, seed: int) -> Figures:
    """A `Resource`."""
    return _run_simpy(jobs, seed, None)


def run_simpy_priority(jobs: int, seed: int) -> Figures:
    """A `PriorityResource`, two ranks at random."""
    return _run_simpy(jobs, seed, lambda rng, _number, _service: rng.getrandbits(1))


def run_simpy_shortest(jobs: int, seed: int) -> Figures:
    """A `PriorityResource`, ranked by service time."""
    return _run_simpy(jobs, seed, lambda _rng, _number, service: service)


def run_simpy_lifo(jobs: int, seed: int) -> Figures:
    """A `PriorityResource`, ranked from the latest number down."""
    return _run_simpy(jobs, seed, lambda _rng, number, _service: -number)


def run_ciw_fifo(jobs: int, seed: int) -> Figures:
    """One node of Ciw, stopped when that many have finished; its own records."""
    import ciw

    # The modules' own generator: Ciw takes none.
    ciw.seed(seed)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=RATE)],
        service_distributions=[ciw.dists.Exponential(rate=1 / SERVICE)],
        number_of_servers=[SLOTS],
    )
    began = time.perf_counter()
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(jobs, method="Finish")
    waits = np.array([record.waiting_time for record in simulation.get_all_records()])
    np.quantile(waits, [0.5, 0.9, 0.95, 0.99])
    return {"rate": jobs / (time.perf_counter() - began), "wait": float(waits.mean())}


# A rate is asked for, so nobody's imports, first calls and caches are timed.
_JOBS, _FEW = {"jobs": 300_000, "warm_up": 100_000}, {"jobs": 30_000, "warm_up": 10_000}
_FIGURES = (Figure("rate", "jobs/s", "/s"), Figure("wait", "mean wait", "ms"))
_OURS = "The call and its whole result: records, exact quantiles with intervals, cost, findings."
_THEIRS = "A process a job, one tuple of three instants kept, four quantiles at the end."


def _make_row(key: str, name: str, ours: Callable[..., Figures], theirs: Callable[..., Figures], note: str) -> Row:
    contenders = (
        Contender(AUREA, ours, _OURS, _JOBS, _FEW, seeded=True),
        Contender("SimPy", theirs, f"{theirs.__doc__} {_THEIRS}", _JOBS, _FEW, seeded=True),
    )
    asked = (Bound("rate", 10, "SimPy"), Bound("rate", 500_000, prototype="650,000/s"))
    return Row(key, f"Virtual time, M/M/4, {name}", _FIGURES, contenders, asked, note)


ROWS = (
    Row(
        "virtual_fifo",
        "Virtual time, M/M/4, first come, first served",
        _FIGURES,
        (
            Contender(AUREA, run_aurea_fifo, _OURS, _JOBS, _FEW, seeded=True),
            Contender("SimPy", run_simpy_fifo, f"{run_simpy_fifo.__doc__} {_THEIRS}", _JOBS, _FEW, seeded=True),
            Contender(
                "Ciw",
                run_ciw_fifo,
                "One node, its own data records, four quantiles at the end.",
                _JOBS,
                _FEW,
                seeded=True,
            ),
        ),
        (
            Bound("rate", 15, "SimPy"),
            Bound("rate", 30, "Ciw"),
            Bound("rate", 500_000, prototype="770,000/s"),
        ),
        "Theory (Erlang C): a mean wait of 7.455 ms. 300,000 jobs, after 100,000 that are not timed.",
    ),
    _make_row(
        "virtual_priority", "priorities", run_aurea_priority, run_simpy_priority, "Theory: 7.455 ms over both classes."
    ),
    _make_row("virtual_lifo", "last come, first served", run_aurea_lifo, run_simpy_lifo, "Theory: 7.455 ms."),
    _make_row(
        "virtual_shortest",
        "shortest first",
        run_aurea_shortest,
        run_simpy_shortest,
        "No formula is at hand for four slots: the two agree with each other.",
    ),
)
