"""A capacity search on the real clock: the target is the limit, or the generator is, and the answer says which."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurea_engine import CapacityAnswer, RunSpec, SearchLimits, capacity, spec_from_dict
from aurea_engine.studies.search_plan import Lengths, SearchSettings

pytestmark = pytest.mark.realtime
ROOT = Path(__file__).parents[2]
CEILING = 400
FEW = SearchLimits(trials=40)  # twice what a quiet machine needs
QUICK = SearchSettings(width=0.03, votes=1, confirmations=2, lengths=Lengths.real(1.0, 100))


@contextlib.contextmanager
def started(*command: str) -> Iterator[str]:
    """The URL of a server in a process of its own, which prints its port first and ends with its standard input."""
    with subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        process.stdin.close()


def read(url: str) -> bytes:
    """The body of a page."""
    with urllib.request.urlopen(url, timeout=60) as reply:
        return bytes(reply.read())


def make_spec(url: str, rate: float) -> RunSpec:
    """Requests at even gaps, nine of ten of which have to be answered within 20 ms."""
    return spec_from_dict(
        {
            "workload": {
                "job": {"kind": "http", "url": url},
                "arrivals": {"kind": "constant", "rate": rate},
                "duration": 1,
            },
            "objectives": [{"metric": "response_time", "quantile": 0.9, "at_most": 0.02}],
            "seed": 5,
        }
    )


def tells_of_the_machine(answer: CapacityAnswer) -> bool:
    """Whether the answer says by itself that this machine was too busy to decide."""
    spoilt = [trial.problem for trial in answer.trials if trial.outcome == "limited"]
    return answer.status in ("generator_limited", "undecided") and bool(spoilt)


async def test_ceiling_of_a_paced_server() -> None:
    """400 a second, one after the other, 2.5 ms each. Above, a backlog grows by 2.5 ms for each request too many: in trials
    of a second 20 ms are passed from 402 + 20 / 2.25 = 411/s on, which is 3 % of it.
    """
    with started("tests.targets.paced_server", str(CEILING)) as url:
        answer = await capacity(make_spec(url, 100), settings=QUICK, limits=FEW)
        replies, late = (int(each) for each in (await asyncio.to_thread(read, f"{url}late")).split())
    # However busy the machine is, the server never does more, so no answer may say so.
    assert (answer.value or 0) <= 1.05 * CEILING
    if tells_of_the_machine(answer) or late > 0.01 * replies:
        pytest.skip(
            "the machine had no time for the server or the generator: its ceiling was not the one that is known"
        )
    assert answer.status == "found", answer
    assert answer.value == pytest.approx(CEILING, rel=0.05)
    assert answer.verification is not None
    assert answer.verification.passed
    assert answer.ceiling == pytest.approx(CEILING, rel=0.05)


async def hold_the_loop(share: float) -> None:
    """Burn that share of the event loop's time: whatever runs on it beside is as slow as a much slower machine."""
    while True:
        until = time.perf_counter() + share * 0.01
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0.01 * (1 - share))


async def test_generator_is_the_limit() -> None:
    """The target answers at once, and something else holds the generator's event loop for 9 ms of 10: the generator is late
    long before the target is.
    """
    with started("tests.targets.stalling_server", "0", "0") as url:
        hog = asyncio.create_task(hold_the_loop(0.9))
        try:
            answer = await capacity(make_spec(url, 1000), low=500, high=50_000, settings=QUICK, limits=FEW)
        finally:
            hog.cancel()
    assert answer.status == "generator_limited", answer
    assert any(trial.outcome == "limited" and trial.problem for trial in answer.trials)
    assert answer.interval.high is None  # no rate failed by the target's fault
