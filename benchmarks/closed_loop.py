"""Closed loop: 50 users, a job that somebody wrote and that does nothing, and every job on record."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime

from aurea_engine import Closed, Constant, Job, RunSpec, Sleep, Workload, run_sync
from benchmarks.contest import AUREA, CORES, Bound, Contender, Figure, Figures, Row
from benchmarks.k6 import run_scenario

USERS = 50


class Nothing(Job):
    """What a user writes, less what it would do: the rest is what the engine costs."""

    async def run(self, demand: float) -> None:
        """Do nothing."""


def run_aurea(jobs: int) -> Figures:
    """The engine with a user's own job."""
    return _run_aurea(Nothing(), jobs)


def run_aurea_sleep(jobs: int) -> Figures:
    """The engine with a sleep that takes no time."""
    return _run_aurea(Sleep(Constant(0.0)), jobs)


def _run_aurea(job: Job, jobs: int) -> Figures:
    """The rate of the whole call includes quantiles, cost, theory and findings."""
    # No thought and a slot for each user: one of them is always ready, so the rate is what the engine takes for a job.
    spec = RunSpec(Workload(job, Closed(USERS), jobs=jobs))
    began = time.perf_counter()
    result = run_sync(spec)
    wall = time.perf_counter() - began
    assert result.jobs is not None
    assert result.counts.completed == len(result.jobs) == jobs
    return {"rate": jobs / result.duration, "whole_rate": jobs / wall}


def run_k6(seconds: float) -> Figures:
    """50 virtual users and an empty function."""
    return run_scenario({"executor": "constant-vus", "vus": USERS, "duration": f"{seconds}s", "gracefulStop": "0s"})


def run_locust(seconds: float) -> Figures:
    """50 users, an empty task, one request event a task, as Locust's documentation has it for what is not HTTP."""
    # Imported here: gevent patches the process that it is loaded into, and only this contender may run so.
    import gevent
    from locust import User, constant, task
    from locust.env import Environment

    class Idle(User):
        wait_time = constant(0)

        @task
        def job(self) -> None:
            about = {"request_type": "job", "name": "empty", "start_time": time.time(), "response_length": 0}
            began = time.perf_counter()
            about["response_time"] = (time.perf_counter() - began) * 1000
            self.environment.events.request.fire(**about, response=None, exception=None, context={})

    environment = Environment(user_classes=[Idle])
    runner = environment.create_local_runner()
    runner.start(USERS, spawn_rate=USERS)
    # The start of its users is no part of the rate: by its own count, from when all are there.
    while runner.user_count < USERS:
        gevent.sleep(0.05)
    # Counts of the window alone, and its length by this clock: Locust's own rate is a moving mean.
    first, began = environment.stats.total.num_requests, time.perf_counter()
    gevent.sleep(seconds)
    done, wall = environment.stats.total.num_requests - first, time.perf_counter() - began
    runner.quit()
    return {"rate": done / wall, "whole_rate": done / wall}


def run_thread_pool(jobs: int) -> Figures:
    """A pool of 50 threads, a dictionary a job, and a mean at the end: what people write first."""

    def job(number: int) -> dict[str, object]:
        start = time.perf_counter()
        latency = time.perf_counter() - start
        return {"job_id": f"job-{number}", "latency": latency, "timestamp": datetime.now(UTC).isoformat()}

    # Futures and a dictionary each, and no queue of our own: the first thing that people write.
    began, records = time.perf_counter(), []
    with ThreadPoolExecutor(max_workers=USERS) as pool:
        futures = [pool.submit(job, number) for number in range(jobs)]
        records = [future.result() for future in as_completed(futures)]
    wall = time.perf_counter() - began
    assert len(records) == jobs
    return {"rate": jobs / wall, "whole_rate": jobs / wall}


ROWS = (
    Row(
        "closed_loop",
        "Closed loop, 50 users, a user's own empty job, every job recorded",
        (
            Figure("rate", "jobs/s in the window", "/s"),
            Figure("whole_rate", "jobs/s, result included", "/s"),
            Figure(CORES, "cores used", "cores"),
        ),
        (
            Contender(
                AUREA,
                run_aurea,
                "A `Job` subclass whose `run` is empty: a coroutine and an asyncio task a job, eager from Python 3.12 on."
                " Per job: intended start, release, start and end in nanoseconds and an outcome, all kept. One core.",
                {"jobs": 500_000, "warm_up": 20_000},
                {"jobs": 50_000},
            ),
            Contender(
                "Aurea, Sleep(0)",
                run_aurea_sleep,
                "The same loop with `Sleep(0)`: a timer that is due at once, so no code of a user is called."
                " No bound is set for it.",
                {"jobs": 500_000, "warm_up": 20_000},
                {"jobs": 50_000},
            ),
            Contender(
                "k6",
                run_k6,
                "`constant-vus`, an empty `default` function. Per iteration: the samples k6 always takes"
                " (iteration count, duration), aggregated for its summary. All cores.",
                {"seconds": 4},
                {"seconds": 1.5},
            ),
            Contender(
                "Locust",
                run_locust,
                "An empty task, `wait_time = constant(0)`, one `request` event a task; its statistics count it. One core.",
                {"seconds": 4},
                {"seconds": 1.5},
            ),
            Contender(
                "thread pool",
                run_thread_pool,
                "`ThreadPoolExecutor(50)`, one future and one dictionary a job (id, latency, time stamp).",
                {"jobs": 60_000},
                {"jobs": 20_000},
            ),
        ),
        (Bound("rate", 1.6, "Locust"),),
        "Each tool's rate in the window is by its own clock; with the result included it is of the whole call, or, for k6,"
        " of the whole program.",
    ),
)
