"""For tests of your own strategies: clocks that obey, scripted arrivals, connections without a network, a
recording observer, and conformance checks.

from aurea_engine.testing import check_scheduler

def test_mine_is_a_scheduler():
    check_scheduler(Mine(slots=2))

No test framework is needed: a check raises AssertionError with a sentence that says what must hold.
"""

from __future__ import annotations

from aurea_engine.costs.conformance import check_cost_model
from aurea_engine.testing.callback_pools import check_callback_pool
from aurea_engine.testing.clocks import JumpingLoop, LoopClock, ManualClock, run_jumping
from aurea_engine.testing.conformance import (
    check_arrivals,
    check_distribution,
    check_job,
    check_result,
    check_scheduler,
)
from aurea_engine.testing.fake_connections import FakeConnections, FakeRequests
from aurea_engine.testing.fakes import RecordingObserver, ScriptedArrivals

__all__ = [
    "FakeConnections",
    "FakeRequests",
    "JumpingLoop",
    "LoopClock",
    "ManualClock",
    "RecordingObserver",
    "ScriptedArrivals",
    "check_arrivals",
    "check_callback_pool",
    "check_cost_model",
    "check_distribution",
    "check_job",
    "check_result",
    "check_scheduler",
    "run_jumping",
]
