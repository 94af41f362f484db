"""Closed loop: 50 users, a job that does nothing, and every job on record."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime

from aurea_engine import Closed, Constant, Job, RunSpec, Sleep, Workload, run_sync
from benchmarks.contest import CORES, Asked, Contender, Figure, Figures, Row
from benchmarks.k6 import k6

USERS = 50


def aurea(jobs: int) -> Figures:
    """The engine with a job of its own that takes no time."""
    return _aurea(Sleep(Constant(0.0)), jobs)


def _aurea(job: Job, jobs: int) -> Figures:
    """The rate of the whole call includes quantiles, cost, theory and findings."""
    spec = RunSpec(Workload(job, Closed(USERS), jobs=jobs))
    began = time.perf_counter()
    result = run_sync(spec)
    wall = time.perf_counter() - began
    assert result.jobs is not None
    assert result.counts.completed == len(result.jobs) == jobs
    return {"rate": jobs / result.duration, "whole_rate": jobs / wall}


class Nothing(Job):
    """A job of one's own that does nothing: unlike a sleep of zero it is called, as a task."""

    async def run(self, demand: float) -> None:
        """Do nothing."""


def aurea_own_job(jobs: int) -> Figures:
    """The engine with a job that somebody wrote."""
    return _aurea(Nothing(), jobs)


def grafana_k6(seconds: float) -> Figures:
    """50 virtual users and an empty function."""
    return k6({"executor": "constant-vus", "vus": USERS, "duration": f"{seconds}s", "gracefulStop": "0s"})


def locust(seconds: float) -> Figures:
    """50 users, an empty task, one request event a task, as Locust's documentation has it for what is not HTTP."""
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
    while runner.user_count < USERS:
        gevent.sleep(0.05)
    first, began = environment.stats.total.num_requests, time.perf_counter()
    gevent.sleep(seconds)
    done, wall = environment.stats.total.num_requests - first, time.perf_counter() - began
    runner.quit()
    return {"rate": done / wall, "whole_rate": done / wall}


def thread_pool(jobs: int) -> Figures:
    """A pool of 50 threads, a dictionary a job, and a mean at the end: what people write first."""

    def job(number: int) -> dict[str, object]:
        start = time.perf_counter()
        latency = time.perf_counter() - start
        return {"job_id": f"job-{number}", "latency": latency, "timestamp": datetime.now(UTC).isoformat()}

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
        "Closed loop, 50 users, an empty job, every job recorded",
        (
            Figure("rate", "jobs/s in the window", "/s"),
            Figure("whole_rate", "jobs/s, result included", "/s"),
            Figure(CORES, "cores used", "cores"),
        ),
        (
            Contender(
                "Aurea",
                aurea,
                "`Sleep(0)`: no user code is called, and the engine takes the short cut that it has for just this loop."
                " Per job: intended start, release, start and end in nanoseconds and an outcome, all kept. One core.",
                {"jobs": 1_000_000},
                {"jobs": 200_000},
            ),
            Contender(
                "Aurea, own job",
                aurea_own_job,
                "The same with a `Job` subclass whose `run` is empty: one asyncio task a job. No bound is set for it.",
                {"jobs": 200_000},
                {"jobs": 50_000},
            ),
            Contender(
                "k6",
                grafana_k6,
                "`constant-vus`, an empty `default` function. Per iteration: the samples k6 always takes"
                " (iteration count, duration), aggregated for its summary. All cores.",
                {"seconds": 4},
                {"seconds": 1.5},
            ),
            Contender(
                "Locust",
                locust,
                "An empty task, `wait_time = constant(0)`, one `request` event a task; its statistics count it. One core.",
                {"seconds": 4},
                {"seconds": 1.5},
            ),
            Contender(
                "thread pool",
                thread_pool,
                "`ThreadPoolExecutor(50)`, one future and one dictionary a job (id, latency, time stamp).",
                {"jobs": 60_000},
                {"jobs": 20_000},
            ),
        ),
        (
            Asked("rate", 4, "k6"),
            Asked("rate", 10, "Locust"),
            Asked("rate", 30, "thread pool"),
            Asked("rate", 700_000, prototype="0.7–1.3 M/s"),
        ),
        "Each tool's rate in the window is by its own clock; with the result included it is of the whole call, or, for k6,"
        " of the whole program.",
    ),
)
