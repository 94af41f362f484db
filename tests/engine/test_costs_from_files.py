"""The money rows of the known answers through specification files, JSON and TOML: what is written is what is billed."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from aurea_engine import RunResult, parse_json, parse_toml, simulate, spec_from_dict
from aurea_engine.costs import project

F = Fraction

FOUR = [0.1, 0.25, 1.0, 1.5]
SERVERLESS = {"kind": "serverless", "price": "0.0000166667", "request_price": "0.0000002", "memory_mb": 128}
AZURE_LIKE = {**SERVERLESS, "minimum": 0.1, "memory_step": 128, "memory_minimum": 128}
TASK = {
    "kind": "container_task",
    "vcpu_price": 0.04048,
    "memory_price": 0.004445,
    "vcpu": 0.25,
    "memory_gb": 0.5,
}
TIERS = [{"price": "0.10", "up_to": 100}, {"price": "0.05", "up_to": 500}, {"price": "0.02"}]


def run_of(cost: dict[str, Any], durations: list[float]) -> RunResult:
    """A virtual run of jobs of these lengths, all at once, described in JSON."""
    text = json.dumps(
        {
            "workload": {"job": {"kind": "replay", "durations": durations}, "jobs": len(durations)},
            "cost": cost,
            "clock": "virtual",
        }
    )
    return simulate(spec_from_dict(parse_json(text)))


@pytest.mark.parametrize(
    ("cost", "durations", "expected"),
    [
        pytest.param({"kind": "per_second"}, FOUR, F(57, 20000), id="the default price"),
        pytest.param({"kind": "per_second", "price": 0.001}, FOUR, F(57, 20000), id="a JSON number is an exact price"),
        pytest.param({"kind": "per_second", "price": "0.001", "step": 1}, FOUR, F(1, 200), id="rounded up to 1 s"),
        pytest.param({"kind": "per_job", "price": "0.0000002"}, FOUR, F(1, 1250000), id="0.20 per million"),
        pytest.param(SERVERLESS, [0.1], F(326667, 800000000000), id="one job of 100 ms at 128 MB"),
        pytest.param(SERVERLESS, [1e-9], F(16166667, 80000000000000), id="one job of 1 ns"),
        pytest.param({**SERVERLESS, "memory_mb": 512}, FOUR, F(9820019, 400000000000), id="four jobs at 512 MB"),
        pytest.param(TASK, [1.0], F(253, 1500000) + F(889, 24000000), id="a task pays for a minute"),
        pytest.param({"kind": "free"}, FOUR, F(0), id="free"),
    ],
)
def test_a_bill_from_a_file_is_exact(cost: dict[str, Any], durations: list[float], expected: F) -> None:
    """The exact fraction of the known answers, through JSON, arrivals, simulator, meters and rates."""
    assert expected == run_of(cost, durations).cost.total


@pytest.mark.parametrize(("memory", "duration", "gb_seconds"), [(100, 0.03, F(1, 80)), (160, 0.25, F(1, 16))])
def test_minimums_and_steps_hold_from_a_file(memory: int, duration: float, gb_seconds: F) -> None:
    """100 MB for 30 ms is billed as 128 MB for 100 ms; 160 MB as 256 MB."""
    bill = run_of({**AZURE_LIKE, "memory_mb": memory}, [duration]).cost
    assert gb_seconds == bill.lines[0].quantity


@pytest.mark.parametrize(
    ("jobs", "graduated", "cliff"),
    [
        (1, F("0.1"), F("0.1")),
        (100, F(10), F(10)),
        (101, F("10.05"), F("5.05")),
        (500, F(30), F(25)),
        (501, F("30.02"), F("10.02")),
        (1000, F(40), F(20)),
    ],
)
def test_tiers_hold_from_a_file(jobs: int, graduated: F, cliff: F) -> None:
    """The mode is part of the data, and both modes meet their table at and beside every bound."""
    durations = [0.001] * jobs
    assert graduated == run_of({"kind": "tiered", "mode": "graduated", "tiers": TIERS}, durations).cost.total
    assert cliff == run_of({"kind": "tiered", "mode": "cliff", "tiers": TIERS}, durations).cost.total


def test_fleet_from_toml_is_sized_by_little() -> None:
    """250 jobs a second of 120 ms fill 30 slots; at 70 % of 8 slots each that takes 6 machines."""
    spec = spec_from_dict(
        parse_toml(
            """
            clock = "virtual"
            [workload]
            jobs = 1000
            job = { kind = "sleep", duration = 0.12 }
            arrivals = { kind = "constant", rate = 250 }
            [cost]
            kind = "fleet"
            price = 0.096
            slots = 8
            target_utilization = 0.7
            """
        )
    )
    hour = project(simulate(spec).usage, spec.cost, rate=250, hours=1)
    assert F(6) == hour.cost.lines[0].quantity
    assert F("0.576") == hour.per_hour
    assert F("0.64") == hour.per_million


def test_a_bill_adds_up_from_its_lines() -> None:
    """Models in a file's ``composite`` stand on one bill, and the lines are the total exactly."""
    both = {"kind": "composite", "of": [SERVERLESS, {"kind": "per_job", "price": "0.001"}]}
    bill = run_of(both, FOUR).cost
    assert bill.total == sum((line.amount or F(0) for line in bill.lines), F(0))
    alone = run_of(SERVERLESS, FOUR).cost.total
    assert alone is not None
    assert alone + F("0.004") == bill.total


def test_billed_outcomes_hold_from_a_file() -> None:
    """3 of 100 ms complete, one of 40 ms fails, one is stopped after 1 s, one finds no slot: 1.26389075e-6 per success.

    Which job fails is drawn, so the seed is one with which it is the fourth.
    """
    job = {
        "kind": "faulty",
        "failure_rate": 0.2,
        "job": {
            "kind": "limited",
            "timeout": 1,
            "job": {"kind": "replay", "durations": [0.1, 0.1, 0.1, 0.04, 2.0, 0.1]},
        },
    }
    written = {
        "workload": {"job": job, "jobs": 6},
        "scheduler": {"kind": "fifo", "slots": 5, "queue_limit": 0},
        "cost": SERVERLESS,
        "clock": "virtual",
    }
    wanted = ["completed", "completed", "completed", "failed", "timed_out", "rejected"]
    for seed in range(1000):
        result = simulate(spec_from_dict(parse_json(json.dumps({**written, "seed": seed}))))
        assert result.jobs is not None
        if [result.jobs.record(i).outcome.name.lower() for i in range(6)] == wanted:
            break
    else:
        raise AssertionError("no seed made the fourth job fail")
    gb_ms = 3 * 100 + 40 + 1000
    exact = (F(gb_ms * 128, 1_024_000) * F("0.0000166667") + 5 * F("0.0000002")) / 3
    assert exact == result.cost.per_success
    assert F("0.00000126389075") == exact
