"""What an interval over replications says of itself is true: it holds theory as often as it says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aurea_engine import Exponential, Fifo, Poisson, RunSpec, Sleep, Workload, repeat_sync

# M/M/1 at half load: 20,000 jobs after a warm-up of 2,000, which at 50/s arrive in 40 s.
MM1 = Workload(Sleep(Exponential(0.01)), Poisson(50), jobs=22_000)
THEORY = 1 / (100 - 50)
REPLICATIONS = 10


@pytest.mark.long
@pytest.mark.service
def test_interval_covers_theory_as_often_as_it_says(campaign: Callable[[int], int]) -> None:
    """The 95 % interval of the mean response time, in 95 ± 3 % of 400 studies; of the tenth within the same in deviations.

    ±3 % of 400 are 2.75 standard deviations of what chance allows: √(0.05 · 0.95 · 400) is 4.36 studies. Seeds are fixed.
    """
    studies, held = campaign(400), 0
    for seed in range(studies):
        result = repeat_sync(RunSpec(MM1, Fifo(1), clock="virtual", seed=seed, warmup=40), REPLICATIONS)
        assert result.replications is not None
        spread = result.replications.spread("response_time.mean")
        assert spread is not None
        assert spread.interval is not None
        held += spread.interval.low <= THEORY <= spread.interval.high
    deviations = (held - 0.95 * studies) / (0.05 * 0.95 * studies) ** 0.5
    print(f"{held} of {studies} intervals held {THEORY} s, {deviations:+.2f} standard deviations from 95 %")
    assert abs(deviations) <= 0.03 * 400 / (0.05 * 0.95 * 400) ** 0.5
