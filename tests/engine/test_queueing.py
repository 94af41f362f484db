"""Virtual time against queueing theory: the figures of the textbook models, each within its own standard error.

Expected values are literals from tables (Erlang B and C, Pollaczek–Khinchine, mean value analysis), not calls of our own
functions. Waits of neighbours are alike, so a single run's spread says little: where no formula gives the standard error
of a figure, independent replications do, and the mean of R of them must be within 4 of their standard errors,
4·s/√R. Runs begin empty; n is chosen so that this bias (about one relaxation time of jobs) is a small part of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from aurea_engine import (
    Closed,
    Constant,
    Distribution,
    Exponential,
    Fifo,
    Gamma,
    LogNormal,
    Poisson,
    RunResult,
    RunSpec,
    Sleep,
    Workload,
    simulate,
)

REPLICATIONS = 12
MS = 1e-3


def assert_agrees(spec: RunSpec, expected: dict[str, float], figure: Callable[[RunResult, str], float]) -> None:
    """Each figure's mean over the replications is within 4 standard errors of what is expected."""
    runs = [simulate(replace(spec, seed=seed)) for seed in range(REPLICATIONS)]
    for name, value in expected.items():
        seen = np.array([figure(run, name) for run in runs])
        error = seen.std(ddof=1) / math.sqrt(len(seen))
        assert abs(seen.mean() - value) < 4 * error, f"{name}: {seen.mean():.6g} ± {error:.2g}, expected {value}"
        assert error < 0.08 * value, f"{name}: ± {error:.2g} is too wide to say anything of {value}"


def seconds(run: RunResult, name: str) -> float:
    """``waits``: the share that waited; ``wait``: the mean waiting time; others of the response time."""
    assert run.jobs is not None
    if name == "waits":
        return float((run.jobs.waiting_ns > 0).mean())
    if name == "rejected":
        return run.counts.rejected / run.counts.arrived
    if name == "throughput":
        assert run.throughput is not None
        return run.throughput
    value = run.waiting_time.mean if name == "wait" else getattr(run.response_time, name)
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("slots", "rate", "waits", "milliseconds"),
    [
        pytest.param(1, 80, 0.8, (40.0, 50.0, 34.657, 149.787, 230.259), id="M/M/1 at 0.8"),
        pytest.param(4, 320, 0.596432, (7.4554, 17.4554, 13.462, 47.380, 68.932), id="M/M/4 at 0.8"),
        pytest.param(4, 200, 0.173913, (0.8696, 10.8696, 7.834, 31.497, 47.642), id="M/M/4 at 0.5"),
    ],
)
def test_mmc_waits_as_erlang_c(slots: int, rate: float, waits: float, milliseconds: tuple[float, ...]) -> None:
    """Exponential service of 10 ms, first come first served: mean wait and response, and three quantiles of the response."""
    spec = RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(rate), jobs=40_000), Fifo(slots))
    expected = {name: ms * MS for name, ms in zip(("wait", "mean", "p50", "p95", "p99"), milliseconds, strict=True)}
    assert_agrees(spec, {"waits": waits, **expected}, seconds)


def test_mm1_wait_within_standard_error() -> None:
    """SE of the mean of n successive FCFS waits is √(ρ(2 + 5ρ − 4ρ² + ρ³)/((1 − ρ)⁴n))/μ: 1.406 ms at ρ 0.8, n 1e5."""
    rho, n, mu = 0.8, 100_000, 100
    error = math.sqrt(rho * (2 + 5 * rho - 4 * rho**2 + rho**3) / ((1 - rho) ** 4 * n)) / mu
    assert pytest.approx(error, rel=1e-3) == 1.406e-3
    for seed in range(5):
        spec = RunSpec(Workload(Sleep(Exponential(1 / mu)), Poisson(rho * mu), jobs=n), Fifo(1), seed=seed)
        measured = simulate(spec).waiting_time.mean
        assert measured is not None
        assert abs(measured - 0.040) < 4 * error


@pytest.mark.parametrize(
    ("service", "wait"),
    [
        pytest.param(Constant(0.01), 0.020, id="constant, CV² 0"),
        pytest.param(Exponential(0.01), 0.040, id="exponential, CV² 1"),
        pytest.param(Gamma(0.01, 2), 0.100, id="gamma, CV² 4"),
        pytest.param(LogNormal(0.01, 2), 0.100, id="log-normal, CV² 4"),
    ],
)
def test_mg1_waits_as_pollaczek_khinchine(service: Distribution, wait: float) -> None:
    """ρs(1 + CV²)/2(1 − ρ) at ρ 0.8 and s 10 ms: only the mean and the spread of the service matter."""
    spec = RunSpec(Workload(Sleep(service), Poisson(80), jobs=60_000), Fifo(1))
    assert_agrees(spec, {"wait": wait, "mean": wait + 0.01}, seconds)


@pytest.mark.parametrize("service", [Exponential(0.1), Constant(0.1), Gamma(0.1, 2)], ids=["M", "D", "CV 2"])
@pytest.mark.parametrize(("slots", "load", "lost"), [(10, 8.0, 0.121661), (4, 3.2, 0.228145)], ids=["10, 8", "4, 3.2"])
def test_loss_is_erlang_b_for_any_service(service: Distribution, slots: int, load: float, lost: float) -> None:
    """No queue at all: who finds every slot busy is lost. Insensitive to the distribution of the service."""
    spec = RunSpec(Workload(Sleep(service), Poisson(load / 0.1), jobs=12_000), Fifo(slots, queue_limit=0))
    assert_agrees(spec, {"rejected": lost}, seconds)


@pytest.mark.parametrize(
    ("users", "throughput", "response"),
    [pytest.param(10, 9.24074, 0.082165, id="10 users"), pytest.param(30, 19.8309, 0.512794, id="30 users")],
)
def test_closed_model_is_that_of_mva(users: int, throughput: float, response: float) -> None:
    """Think 1 s, service 50 ms, one slot. The first 20 s are left out: all users begin together."""
    workload = Workload(Sleep(Exponential(0.05)), Closed(users, Exponential(1.0)), duration=1500)
    spec = RunSpec(workload, Fifo(1), warmup=20)
    assert_agrees(spec, {"throughput": throughput, "mean": response}, seconds)


@pytest.mark.parametrize(
    ("arrivals", "scheduler", "model"),
    [
        pytest.param(Poisson(320), Fifo(4), "M/M/4", id="M/M/4"),
        pytest.param(Poisson(80), Fifo(1), "M/M/1", id="M/M/1"),
        pytest.param(Closed(10, Exponential(1.0)), Fifo(1), "closed MVA", id="closed"),
    ],
)
def test_result_has_theory_beside_it(arrivals: Poisson | Closed, scheduler: Fifo, model: str) -> None:
    """Every row agrees within 5 of the standard errors that it states."""
    result = simulate(RunSpec(Workload(Sleep(Exponential(0.01)), arrivals, jobs=60_000), scheduler, seed=5))
    assert {model} == {row.model for row in result.theory}
    scores = [row.z for row in result.theory if row.z is not None]
    assert scores
    assert all(abs(z) < 5 for z in scores)
    assert all(row.measured == pytest.approx(row.expected, rel=0.15) for row in result.theory)
