"""Queueing theory: what a specification that *is* a textbook model must come to.

Formulas: Erlang B and C (Erlang 1917), Pollaczek–Khinchine (1930) for M/G/1, exact mean value analysis (Reiser and
Lavenberg 1980) by its product form (Gordon and Newell 1967) for the closed model; collected in Harchol-Balter,
*Performance Modeling and Design of Computer Systems*, 2013. Times in seconds, rates per second, offered load in busy slots.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from aurea_engine.spec import RunSpec
from aurea_engine.workload.arrivals import Closed, Poisson
from aurea_engine.workload.distributions import Exponential
from aurea_engine.workload.jobs import Job
from aurea_engine.workload.schedulers import Fifo


class Prediction(NamedTuple):
    """``figure``: a member of the result (``waiting_time.mean``, ``utilization``), ``wait_ratio`` or ``rejected_ratio``."""

    model: str
    figure: str
    expected: float


def erlang_b(load: float, slots: int) -> float:
    """Share of arrivals that find ``slots`` busy and are lost; any service distribution. Stable recurrence in 1/B."""
    # B(0) = 1, B(k) = a·B(k−1) ÷ (k + a·B(k−1)). The sum of aᵏ/k! leaves a float at some hundred slots; this does not.
    blocking = 1.0
    for k in range(1, slots + 1):
        blocking = load * blocking / (k + load * blocking)
    return blocking


def erlang_c(load: float, slots: int) -> float:
    """Share of arrivals that wait in M/M/c; ``load`` < ``slots``."""
    # C = B ÷ (1 − ρ·(1 − B)): by way of B, so that nothing overflows here either.
    lost = erlang_b(load, slots)
    return lost / (1 - load / slots * (1 - lost))


def mmc_wait(rate: float, service: float, slots: int) -> float:
    """Mean waiting time of M/M/c."""
    load = rate * service
    return erlang_c(load, slots) * service / (slots - load)


def mmc_response_tail(idle: float, waits: float, x: float) -> float:
    """P(response > ``x`` mean service times) in M/M/c, first come first served.

    ``idle``: slots that are free on average; ``waits``: the share of jobs that wait (`erlang_c`).
    """
    # A job waits with probability C, then for an exponential time at rate (c − a)/s, and is served for one at rate 1/s. The
    # sum of the two is hypoexponential, and Erlang-2 where both rates are equal: the general form would divide by 0 there.
    if abs(idle - 1) < 1e-9:
        return math.exp(-x) * (1 + waits * x)
    slow = waits / (1 - idle)
    return (1 - slow) * math.exp(-x) + slow * math.exp(-idle * x)


def mmc_response_quantile(rate: float, service: float, slots: int, q: float) -> float:
    """The t at which P(response ≤ t) = q in M/M/c, by bisection to 1e-12 relative; ``rate``·``service`` < ``slots``."""
    load = rate * service
    idle, waits = slots - load, erlang_c(load, slots)
    return invert_tail(lambda x: mmc_response_tail(idle, waits, x), 1 - q) * service


def invert_tail(tail: Callable[[float], float], share: float) -> float:
    """The x that ``tail``, P(X > x), falls below ``share`` at."""
    low, high = 0.0, 1.0
    while tail(high) > share:
        high *= 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) > share else (low, middle)
    return high


def mg1_wait(rate: float, service: float, scv: float) -> float:
    """Mean waiting time of M/G/1: ρ·s·(1 + c²) / 2(1 − ρ)."""
    rho = rate * service
    return rho * service * (1 + scv) / (2 * (1 - rho))


def closed_mva(users: int, think: float, service: float, slots: int = 1) -> tuple[float, float]:
    """Throughput and mean response time of ``users`` who think and then need an exponential service on ``slots``.

    What exact mean value analysis comes to, from the product form that it solves: P(n at the station) is in proportion to
    N!/(N − n)! · Π s/(Z·min(j, c)), j = 1 … n. The recursion over users cancels where there are several slots; logarithms
    of these do not. Think times may have any distribution.
    """
    n = np.arange(1, users + 1)
    busy = np.minimum(n, slots)
    # In logarithms, since N!/(N − n)! leaves a float; less the greatest of them, since only their proportions matter.
    if think:
        logs = np.cumsum(np.log((users + 1.0 - n) / busy) + (math.log(service) - math.log(think)))
        weights = np.exp(logs - logs.max())
    else:  # nobody is ever away
        weights = (n == users).astype(float)
    # Little's law at the station: E[N] ÷ throughput, where the throughput is E[min(N, c)] ÷ s.
    response = float((n @ weights) / (busy @ weights)) * service
    return (users / (think + response) if think + response else math.inf), response


def find_response_tail(spec: RunSpec) -> tuple[str, Callable[[float], float]] | None:
    """(model, t → P(response > t seconds)) where theory knows the whole distribution of ``spec``; None where it does not."""
    model = next((each.model for each in predict_figures(spec) if each.model.startswith("M/M/")), None)
    job, slots, arrivals = spec.workload.job, spec.scheduler.slots, spec.workload.arrivals
    service = job.distribution() if isinstance(job, Job) else None
    if model is None or service is None or slots is None or not isinstance(arrivals, Poisson):
        return None
    mean = service.moments().mean
    load = arrivals.rate * mean
    idle, waits = slots - load, erlang_c(load, slots)
    return model, lambda t: mmc_response_tail(idle, waits, t / mean)


def predict_figures(spec: RunSpec) -> Iterator[Prediction]:
    """What theory says of ``spec``; nothing where it is no such model, has no steady state, or no float holds it."""
    return (each for each in _predictions(spec) if math.isfinite(each.expected))


def _predictions(spec: RunSpec) -> Iterator[Prediction]:
    job, scheduler, arrivals = spec.workload.job, spec.scheduler, spec.workload.arrivals
    service = job.distribution() if isinstance(job, Job) else None
    # Exactly first come, first served: a subclass of `Fifo` may do anything.
    if service is None or type(scheduler) is not Fifo or scheduler.slots is None:
        return
    if not spec.workload.plain:  # the formulas are of systems in which every job waits until it is served
        return
    mean, scv = service.moments()
    if isinstance(arrivals, Poisson):
        yield from _open(
            arrivals.rate, mean, scv, scheduler.slots, scheduler.queue_limit, isinstance(service, Exponential)
        )
    elif isinstance(arrivals, Closed) and isinstance(service, Exponential) and scheduler.queue_limit is None:
        yield from _closed(arrivals, mean, scheduler.slots)


def _closed(arrivals: Closed, mean: float, slots: int) -> Iterator[Prediction]:
    throughput, response = closed_mva(arrivals.users, arrivals.think_time.moments().mean, mean, slots)
    yield Prediction("closed MVA", "throughput", throughput)
    yield Prediction("closed MVA", "response_time.mean", response)


def _open(
    rate: float, mean: float, scv: float, slots: int, queue_limit: int | None, exponential: bool
) -> Iterator[Prediction]:
    load = rate * mean
    if queue_limit == 0:
        yield Prediction("Erlang B", "rejected_ratio", erlang_b(load, slots))
        return
    # Where load reaches the slots there is no steady state, and every measured mean depends on when the run stopped.
    if queue_limit is not None or load >= slots or not math.isfinite(scv):
        return
    if exponential:
        name = f"M/M/{slots}"
        wait = mmc_wait(rate, mean, slots)
        yield Prediction(name, "wait_ratio", erlang_c(load, slots))
        yield Prediction(name, "waiting_time.mean", wait)
        yield Prediction(name, "response_time.mean", wait + mean)
        for label, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            yield Prediction(name, f"response_time.{label}", mmc_response_quantile(rate, mean, slots, q))
    elif slots == 1:
        name = "M/D/1" if scv == 0 else "M/G/1"
        yield Prediction(name, "waiting_time.mean", mg1_wait(rate, mean, scv))
        yield Prediction(name, "response_time.mean", mg1_wait(rate, mean, scv) + mean)
    else:
        return
    yield Prediction(name, "utilization", load / slots)
