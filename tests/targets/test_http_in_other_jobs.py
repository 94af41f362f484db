"""Requests as parts of other jobs: in a mix, under a limit of time, as steps of a flow, and in shards."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from aurea_engine import Outcome, Shard, execute, run_sync, spec_from_dict, summarize

pytestmark = pytest.mark.service


def spec_of(job: Any, jobs: int, **more: Any) -> Any:
    workload = {"job": job, "arrivals": {"kind": "closed", "users": 8}, "jobs": jobs, **more}
    return spec_from_dict({"workload": workload, "seed": 3})


def http(hostile: Any, path: str, **members: Any) -> dict[str, Any]:
    return {"kind": "http", "url": hostile.base + path, **members}


def test_mix_of_requests_and_sleep(hostile: Any) -> None:
    """Each branch is a group with figures of its own; only requests have a status."""
    of = [
        {"weight": 3, "name": "quick", "job": http(hostile, "/sleep/0")},
        {"weight": 1, "name": "slow", "job": http(hostile, "/sleep/0.05")},
        {"weight": 1, "name": "pause", "job": {"kind": "sleep", "duration": 0.001}},
    ]
    result = run_sync(spec_of({"kind": "mix", "of": of}, 400))
    groups = {group.name: group for group in result.groups}
    assert result.counts.completed == 400
    assert sum(group.counts.completed for group in groups.values()) == 400
    assert result.statuses == {"200": groups["quick"].counts.completed + groups["slow"].counts.completed}
    assert groups["slow"].service_time.min >= 0.05
    assert groups["pause"].counts.completed > 30


def test_limit_of_time_on_requests(hostile: Any) -> None:
    """`limited` ends a request like its own timeout does: the job timed out, and its connection is not used again."""
    result = run_sync(spec_of({"kind": "limited", "job": http(hostile, "/sleep/30"), "timeout": 0.1}, 16))
    assert result.counts.timed_out == 16
    assert result.failures == {"timeout": 16}
    assert result.jobs is not None
    assert max(result.jobs.finished - result.jobs.started) < 10e9
    quick = run_sync(spec_of({"kind": "limited", "job": http(hostile, "/sleep/0"), "timeout": 20}, 16))
    assert quick.counts.completed == 16


def test_limit_does_not_hurt_others(hostile: Any) -> None:
    """Requests that are given up leave nothing behind: others, in one pool with them, get replies of their own."""
    hostile.take_log()
    of = [
        {"weight": 1, "name": "slow", "job": {"kind": "limited", "job": http(hostile, "/sleep/0.2"), "timeout": 0.05}},
        {"weight": 3, "name": "quick", "job": http(hostile, "/sleep/0")},
    ]
    result = run_sync(spec_of({"kind": "mix", "of": of}, 400))
    groups = {group.name: group for group in result.groups}
    assert groups["slow"].counts.timed_out == groups["slow"].counts.arrived
    assert groups["quick"].counts.completed == groups["quick"].counts.arrived
    assert result.failures == {"timeout": groups["slow"].counts.arrived}


def test_faulty_requests_are_not_sent(hostile: Any) -> None:
    """`faulty` fails the job by plan, beside what the target does."""
    result = run_sync(spec_of({"kind": "faulty", "job": http(hostile, "/sleep/0"), "failure_rate": 0.5}, 200))
    assert result.counts.arrived == 200
    assert 60 < result.counts.failed < 140
    assert result.counts.completed + result.counts.failed == 200


def test_stop_gives_up_requests(hostile: Any) -> None:
    """At the stop what is in service is cancelled, at that instant, however long the target would still take."""
    began = time.monotonic()
    result = run_sync(spec_of(http(hostile, "/sleep/60", timeout=100), 100, stop_at=0.5))
    assert time.monotonic() - began < 55
    assert result.counts.cancelled == 8
    assert result.failures == {}


def test_drain_is_bounded_for_requests(hostile: Any) -> None:
    spec = spec_from_dict(
        {
            "workload": {
                "job": http(hostile, "/sleep/60", timeout=100),
                "arrivals": {"kind": "constant", "rate": 50},
                "duration": 0.2,
                "drain": 0.3,
            }
        }
    )
    result = run_sync(spec)
    assert result.counts.cancelled == result.counts.arrived == 10


def test_deadline_of_waiting_requests(hostile: Any) -> None:
    """One connection and requests of 1 s: the deadline comes for some in service, for the others while they wait."""
    job = http(hostile, "/sleep/1", connections=1)
    workload = {"job": job, "arrivals": {"kind": "all_at_once"}, "jobs": 10, "deadline": 2.5}
    result = run_sync(spec_from_dict({"workload": workload}))
    # At most one is in service at the deadline; whoever waits for the connection then is turned away.
    assert result.counts.completed + result.counts.timed_out + result.counts.rejected == 10
    assert 1 <= result.counts.completed <= 2
    assert result.counts.timed_out <= 1
    assert result.response_time.max <= 2.5


def test_patience_with_a_busy_connection(hostile: Any) -> None:
    """One connection, requests of 1 s: the first is answered, the others lose patience, and nothing is sent for them."""
    hostile.take_log()
    job = http(hostile, "/sleep/1", connections=1)
    workload = {"job": job, "arrivals": {"kind": "all_at_once"}, "jobs": 10, "patience": 0.2}
    result = run_sync(spec_from_dict({"workload": workload}))
    assert (result.counts.completed, result.counts.abandoned) == (1, 9)
    assert result.jobs is not None
    gone = result.jobs[result.jobs.outcome == Outcome.ABANDONED]
    assert (gone.started < 0).all()
    assert (gone.finished - gone.intended).min() >= 0.2e9
    flow = {"kind": "flow", "steps": [{"name": "one", "url": hostile.base + "/sleep/1", "connections": 1}]}
    flows = run_sync(spec_from_dict({"workload": {**workload, "job": flow}}))
    assert (flows.counts.completed, flows.counts.abandoned) == (1, 9)
    assert flows.groups[0].counts.arrived == 1


def test_waiting_step_ends_at_the_deadline(hostile: Any) -> None:
    """Two users share a connection for steps of 1 s. At the deadline one step is under way, the other still waits for the
    connection: both flows are in service since their first steps, and so both have timed out.
    """
    hostile.take_log()
    step = {"connections": 1, "timeout": 20}
    steps = [
        {"name": "one", "url": hostile.base + "/sleep/0", **step},
        {"name": "two", "url": hostile.base + "/sleep/5", **step},
    ]
    workload = {"job": {"kind": "flow", "steps": steps}, "arrivals": {"kind": "all_at_once"}, "jobs": 2, "deadline": 2}
    result = run_sync(spec_from_dict({"workload": workload, "seed": 3}))
    assert result.counts.timed_out == 2
    one, two = result.groups
    assert (one.counts.completed, two.counts.timed_out) == (2, 2)
    assert result.steps is not None
    assert result.steps.rows.started.min() >= 0


def test_shards_send_each_job_once(hostile: Any) -> None:
    """Three shards send what one run sends: every job once, with the number that it has in the whole run."""
    workload = {"job": http(hostile, "/sleep/0.{{index}}"), "arrivals": {"kind": "constant", "rate": 1000}, "jobs": 9}
    spec = spec_from_dict({"workload": workload, "seed": 3})
    hostile.take_log()
    parts = [execute(spec, Shard(k, 3)) for k in range(3)]
    result = summarize(spec, parts[0].merge(*parts[1:]))
    assert result.counts.completed == 9
    assert result.jobs is not None
    assert Counter(result.jobs.outcome) == {Outcome.COMPLETED: 9}
    service = result.service_time
    assert 0.8 <= service.max < 3
    assert service.min < 0.5
