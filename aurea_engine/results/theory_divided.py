"""Queueing theory of slots that were divided among shards: each shard is a station of its own.

Shard k of N has every N-th job of a Poisson stream. So the time between its jobs is a sum of N exponential ones, and with
exponential service on c slots it is the queue E_N/M/c: a GI/M/c (Takács 1962, *Introduction to the Theory of Queues*,
chapter 2; the formulas as in Allen 1990, *Probability, Statistics, and Queueing Theory*, table 5.2). Every shard has the
same share of the jobs, so figures of the whole are means over the shards. Users of a closed model are divided too, and each
shard is a closed network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aurea_engine.results.theory import Prediction, closed_mva, invert_tail, mmc_response_tail
from aurea_engine.run.shard import Shard
from aurea_engine.spec import RunSpec
from aurea_engine.workload.arrivals import Closed, Poisson
from aurea_engine.workload.distributions import Exponential
from aurea_engine.workload.jobs import Job
from aurea_engine.workload.schedulers import Fifo

MOST_SLOTS = 100
"""Slots of a shard up to which a sum of its formulas is worth its rounding; beyond, hardly a job waits."""


@dataclass(frozen=True)
class Station:
    """E_N/M/c: ``waits`` is the share of jobs that wait, ``idle`` the c·(1 − σ) at whose rate waits end, in services."""

    waits: float
    idle: float

    @property
    def mean_wait(self) -> float:
        """In mean service times."""
        return self.waits / self.idle

    def response_tail(self, x: float) -> float:
        """P(response > ``x`` mean service times)."""
        # Who waits does so for an exponential time, as in M/M/c; only the rate and the share that waits are others.
        return mmc_response_tail(self.idle, self.waits, x)


def solve_station(load: float, shards: int, slots: int) -> Station:
    """Every ``shards``-th job of a Poisson stream of ``load`` busy slots in all, on ``slots``; it must be stable."""
    transform = _transform(load, shards)
    sigma = _find_root(lambda x: transform(slots * (1 - x)))
    idle = slots * (1 - sigma)

    def quotient(j: int, phi: float) -> float:
        # Numerator and denominator vanish together where j is the root itself: there, the derivative.
        if abs(idle - j) > 1e-6:
            return (slots * (1 - phi) - j) / (idle - j)
        return 1 - slots * shards / (load + idle) * sigma

    total, product = 1 / (1 - sigma), 1.0
    for j in range(1, slots + 1):
        phi = transform(j)
        product *= phi / (1 - phi)
        # So many slots for so little load that no float holds the share of jobs that wait.
        if not product:
            return Station(0.0, idle)
        total += math.comb(slots, j) / (product * (1 - phi)) * quotient(j, phi)
    return Station(1 / total / (1 - sigma), idle)


def lost_share(load: float, shards: int, slots: int) -> float:
    """Share of the jobs that find all ``slots`` of such a station busy and are lost (Takács: GI/M/c without a queue)."""
    transform, total, product = _transform(load, shards), 1.0, 1.0
    for j in range(1, slots + 1):
        phi = transform(j)
        product *= (1 - phi) / phi if phi else math.inf
        total += math.comb(slots, j) * product
    return 1 / total


def _transform(load: float, shards: int) -> Callable[[float], float]:
    """The Laplace transform of the time between the jobs of a shard, in mean service times: Erlang of ``shards`` stages."""
    return lambda s: (load / (load + s)) ** shards


def _find_root(image: Callable[[float], float]) -> float:
    """The σ below 1 at which ``image`` is σ. It is convex and 1 at 1, so what is iterated from 0 rises to it."""
    low, high = 0.0, 1.0
    # Bisection on image(x) − x, which is positive below the root: iteration alone is slow where the load is high.
    while high - low > 1e-15:
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if image(middle) > middle else (low, middle)
    return low


def predict_divided(spec: RunSpec, shards: int) -> Iterator[Prediction]:
    """What theory says of ``spec`` where its slots are divided among ``shards``."""
    job, scheduler, arrivals = spec.workload.job, spec.scheduler, spec.workload.arrivals
    service = job.distribution() if isinstance(job, Job) else None
    if type(scheduler) is not Fifo or scheduler.slots is None or not spec.workload.plain:
        return
    if not isinstance(service, Exponential):
        return
    mean = service.moments().mean
    slots = [Shard(k, shards).count_of(scheduler.slots) for k in range(shards)]
    if isinstance(arrivals, Poisson) and max(slots) <= MOST_SLOTS:
        yield from _open(arrivals.rate * mean, mean, slots, scheduler.queue_limit)
    elif isinstance(arrivals, Closed) and scheduler.queue_limit is None:
        yield from _closed(spec, arrivals, mean, slots)


def _open(load: float, mean: float, slots: Sequence[int], queue_limit: int | None) -> Iterator[Prediction]:
    shards = len(slots)
    name = " and ".join(f"E{shards}/M/{c}" for c in sorted(set(slots)))
    if queue_limit == 0:
        yield Prediction(f"{name} without a queue", "rejected_ratio", _mean(lost_share(load, shards, c) for c in slots))
        return
    # The shard with the fewest slots decides whether there is a steady state at all.
    if queue_limit is not None or load / shards >= min(slots):
        return
    stations = [solve_station(load, shards, c) for c in slots]
    wait = _mean(each.mean_wait for each in stations)
    yield Prediction(name, "wait_ratio", _mean(each.waits for each in stations))
    yield Prediction(name, "waiting_time.mean", wait * mean)
    yield Prediction(name, "response_time.mean", (wait + 1) * mean)
    for label, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        at = invert_tail(lambda x: _mean(each.response_tail(x) for each in stations), 1 - q)
        yield Prediction(name, f"response_time.{label}", at * mean)
    yield Prediction(name, "utilization", load / sum(slots))


def _closed(spec: RunSpec, arrivals: Closed, mean: float, slots: Sequence[int]) -> Iterator[Prediction]:
    users = [Shard(k, len(slots)).count_of(arrivals.users) for k in range(len(slots))]
    # Jobs are dealt out evenly: unequal shards need unequal times for theirs, and the run is no mean of anything.
    if spec.workload.jobs is not None and (len(set(users)) > 1 or len(set(slots)) > 1):
        return
    think = arrivals.think_time.moments().mean
    networks = [closed_mva(n, think, mean, c) for n, c in zip(users, slots, strict=True)]
    throughput, name = sum(rate for rate, _ in networks), f"closed MVA of {len(slots)} shards"
    if throughput and math.isfinite(throughput):
        yield Prediction(name, "throughput", throughput)
        yield Prediction(name, "response_time.mean", sum(rate * time for rate, time in networks) / throughput)


def _mean(values: Iterator[float]) -> float:
    each = list(values)
    return math.fsum(each) / len(each)
