"""What one run may ask for."""

from __future__ import annotations

import pytest

from aurea_engine import Poisson, RunSpec, Sleep, SpecError, Workload
from aurea_server.settings.limits import Limits, apply_limits

FEW = Limits(jobs=1000)


@pytest.mark.parametrize("end", ["duration", "stop_at"])
def test_a_rate_and_an_end_say_how_many_come(end: str) -> None:
    """Too many are refused before they run; few enough are left as they are, since a number of jobs is part of the run."""
    with pytest.raises(SpecError, match="2,000 jobs"):
        apply_limits(RunSpec(Workload(Sleep(), Poisson(100), **{end: 20.0})), FEW)
    few = RunSpec(Workload(Sleep(), Poisson(100), **{end: 5.0}), seed=1)
    assert apply_limits(few, FEW) == few


def test_the_earlier_of_two_ends_counts() -> None:
    """A duration of an hour that is cut off after 5 s brings 500 jobs."""
    spec = RunSpec(Workload(Sleep(), Poisson(100), duration=3600.0, stop_at=5.0), seed=1)
    assert apply_limits(spec, FEW) == spec
