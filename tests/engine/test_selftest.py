"""The self-test: known answers come out right, and a machine is measured in figures that can be."""

from __future__ import annotations

import pytest

from aurea_engine.testing import selftest
from aurea_engine.testing.selftest import Check, run_real_checks, run_virtual_checks


@pytest.fixture(autouse=True)
def few_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the jobs: the tolerances follow from their number."""
    monkeypatch.setattr(selftest, "JOBS", 20_000)


def test_every_known_answer_comes_out_right() -> None:
    """Schedules to the nanosecond, queues within four standard errors."""
    checks = list(run_virtual_checks())
    assert [check.name for check in checks if not check.passed] == []
    assert len(checks) >= 12


def test_a_wrong_figure_is_seen() -> None:
    """A check can fail, or it would be none."""
    assert not Check("off by more than allowed", 1.0, 1.2, 0.1, "arithmetic").passed
    assert not Check("not exact", 1.0, 1.0 + 1e-12, 0.0, "arithmetic").passed
    assert Check("within", 1.0, 1.09, 0.1, "arithmetic").passed


@pytest.mark.realtime
async def test_the_machine_is_measured() -> None:
    """Lower bounds that hold on any machine; the upper ones belong to the person who reads the table."""
    assert all(check.measured >= check.expected - check.tolerance for check in await run_real_checks())
    found = await selftest.measure_machine()
    assert 0 < found.clock_resolution < 0.01
    assert 0 <= found.timer_error_median <= found.timer_error_worst
    assert 0 < found.dispatch_floor < 0.01
    assert found.highest_honest_rate >= 0
