"""Flows against the hostile server, which knows the truth of each exchange: every step ends, and as it must."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aurea_engine import Closed, Data, Expect, Flow, Outcome, RunSpec, Step, Workload, run_sync
from aurea_engine.closed_sets import FAILURE_CLASSES
from aurea_engine.testing import check_result
from tests.targets.hostile.cases import conversation
from tests.targets.hostile.parts import Exchange

FLOWS = 5_000
RACES = {"idle_close", "reset_after"}  # the end of the connection and the next request may cross
EVERY = Expect(status=("2xx", "3xx", "4xx", "5xx"))


def is_plain(exchange: Exchange) -> bool:
    """A GET that takes no time and no option, and of which there is one truth."""
    asked, truth = exchange.asked, exchange.truth
    plain = asked.method == "GET" and not asked.expects and not asked.inflates
    # `expect` knows the codes that RFC 9110 has a class of.
    plain = plain and (200 <= truth.status < 600 or bool(truth.failures))
    return plain and exchange.kind not in RACES and "timeout" not in truth.failures and truth.aside is None


@pytest.mark.long
def test_hostile_replies_end_steps_rightly(hostile: Any, campaign: Callable[[int], int]) -> None:
    """Flows of two exchanges each: a step completes where the server sent a whole reply, with its status, and fails by a
    class of the truth where it did not; then the second step is not reached, and its request was never sent.
    """
    wanted, seeds, seed = campaign(FLOWS), list[int](), 0
    while len(seeds) < wanted:
        case = conversation(seed)
        if len(case) == 2 and all(map(is_plain, case)):
            seeds.append(seed)
        seed += 1
    steps = tuple(
        Step(
            f"{hostile.base}/case/{{{{row.seed}}}}/{place}",
            name=f"s{place}",
            expect=EVERY,
            extract={"v": {"regex": ".?"}},
        )
        for place in range(2)
    )
    flow = Flow(steps=steps, data=Data(rows=[{"seed": each} for each in seeds], pick="once"))
    hostile.take_log()
    result = run_sync(RunSpec(Workload(flow, Closed(16), jobs=len(seeds)), seed=1))
    check_result(result)
    assert result.steps is not None
    expected = [set[str](), set[str]()]
    for number, each in enumerate(seeds):
        truths, rows = [exchange.truth for exchange in conversation(each)], result.steps.of_job(number)
        reached = 1 if truths[0].failures else 2
        assert len(rows) == reached, each
        for place in range(reached):
            right = Outcome.FAILED if truths[place].failures else Outcome.COMPLETED
            assert rows.outcome[place] == right, (each, place)
            expected[place] |= truths[place].failures
            if not truths[place].failures:
                assert rows.measure("status")[place] == truths[place].status
    for group, classes in zip(result.groups, expected, strict=True):
        assert set(group.failures) <= classes <= set(FAILURE_CLASSES)
        assert sum(group.failures.values()) == group.counts.failed
        assert group.counts.arrived + (group.not_reached or 0) == len(seeds)
    sent = [entry["path"] for entry in hostile.take_log()]
    assert len(sent) == len(set(sent)) == len(result.steps)
