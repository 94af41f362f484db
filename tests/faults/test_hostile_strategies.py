"""Strategies of installed packages that misbehave before their run begins: the client is told, the server goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.strikes import within

pytestmark = pytest.mark.faults

JOB = {"kind": "sleep", "duration": 0.001}
ENDS = ["sys.exit", "os._exit", "abort", "segfault", "kill", "interrupt", "generator exit", "close everything"]
REFUSED = ((400, "invalid_spec"), (422, "strategy_failed"))
WHERE = ["made", "checked", "coerced", "ends", "asked_rate", "scheduler", "nested"]


@pytest.fixture
def server(serve: Callable[..., Any]) -> Any:
    return serve("--memory", "1GiB", "--max-seconds", "3")


def arrivals(where: str, how: str, **more: Any) -> dict[str, Any]:
    return {"workload": {"job": JOB, "arrivals": {"kind": "asked", "where": where, "how": how, **more}, "duration": 1}}


def specifications(how: str) -> dict[str, dict[str, Any]]:
    """By the place where it is done: each hook that the server needs answered before it accepts a run."""
    return {
        "made": {"workload": {"job": {"kind": "made", "how": how}, "jobs": 1}},
        "checked": {
            "workload": {"job": JOB, "jobs": 1},
            "cost": {"kind": "asked_cost", "how": how, "where": "checked"},
        },
        "coerced": {"workload": {"job": {"kind": "coerced", "how": how}, "jobs": 1}},
        "ends": arrivals("ends", how),
        "asked_rate": arrivals("asked_rate", how),
        "scheduler": {"num_jobs": 1, "scheduler": {"kind": "asked_scheduler", "how": how}},
        "nested": {
            "workload": {"job": {"kind": "limited", "timeout": 1, "job": {"kind": "made", "how": how}}, "jobs": 1}
        },
    }


def refused(server: Any, spec: dict[str, Any]) -> tuple[int, str]:
    status, headers, problem = server.ask("POST", "/benchmark/run", spec)
    assert headers["content-type"].startswith("application/problem+json"), problem
    assert "a secret of the strategy" not in str(problem) or problem["code"] == "strategy_failed"
    assert "Traceback" not in str(problem)
    return status, problem["code"]


def tried(server: Any, spec: dict[str, Any]) -> None:
    """Whatever comes of it, it is an answer, and what was acknowledged is there."""
    status, _, document = server.ask("POST", "/benchmark/run", spec)
    assert status in (200, 400, 422), (spec, document)
    if status == 200:
        server.acknowledged.append(document["benchmark_id"])


def rotated(hows: list[str]) -> list[tuple[str, str]]:
    """(where, how): each deed at two places, each place with some deed."""
    return [(WHERE[(2 * i + k) % len(WHERE)], how) for i, how in enumerate(hows) for k in range(2)]


def test_whoever_ends_its_process_is_refused(server: Any, invariants: Callable[[Any], None]) -> None:
    for where, how in rotated(ENDS):
        assert refused(server, specifications(how)[where]) == (422, "strategy_failed"), (where, how)
    invariants(server)


def test_whoever_refuses_is_a_bad_request(server: Any, invariants: Callable[[Any], None]) -> None:
    for where, how in rotated(["refuse", "refuse without a reason"]):
        assert refused(server, specifications(how)[where]) == (400, "invalid_spec"), (where, how)
    invariants(server)


def test_whoever_raises_is_refused(server: Any, invariants: Callable[[Any], None]) -> None:
    for where, how in rotated(["raise", "refuse in no text", "do not print"]):
        assert refused(server, specifications(how)[where]) in REFUSED, (where, how)
    assert refused(server, arrivals("asked_rate", "raise")) == (422, "strategy_failed")
    assert refused(server, specifications("raise")["made"]) == (400, "invalid_spec")
    invariants(server)


def test_whoever_wants_too_much_hurts_nobody(server: Any, invariants: Callable[[Any], None]) -> None:
    for where, how in rotated(["recurse", "eat", "shout"]):
        tried(server, specifications(how)[where])
    invariants(server)


def test_others_are_served_while_a_strategy_hangs(server: Any, invariants: Callable[[Any], None]) -> None:
    """The deadline is 5 s; until then health, metrics and built-in runs are answered at once."""
    answers: list[tuple[int, str]] = []
    hanging = threading.Thread(target=lambda: answers.append(refused(server, arrivals("asked_rate", "spin"))))
    hanging.start()
    time.sleep(1)
    with within(4, "what others asked for"):
        assert server.ask("GET", "/health")[0] == 200
        assert server.ask("GET", "/metrics")[0] == 200
        assert server.run({"num_jobs": 1, "job_duration_ms": 10})["completed_jobs"] == 1
        hung = answers == []
    hanging.join()
    if not hung:
        pytest.skip("the machine was so busy that the strategy's deadline came first")
    assert answers == [(422, "strategy_failed")]
    invariants(server)


def test_a_package_that_cannot_be_loaded_is_refused(server: Any, invariants: Callable[[Any], None]) -> None:
    for kind in ("import_exits", "import_ends", "import_raises", "import_crashes", "absent"):
        assert refused(server, {"workload": {"job": {"kind": kind}, "jobs": 1}}) == (422, "strategy_failed"), kind
    invariants(server)


def test_a_package_that_never_loads_is_refused(server: Any, invariants: Callable[[Any], None]) -> None:
    assert refused(server, {"workload": {"job": {"kind": "import_hangs"}, "jobs": 1}}) == (422, "strategy_failed")
    invariants(server)


def test_nonsense_for_a_rate_is_refused_or_run(server: Any, invariants: Callable[[Any], None]) -> None:
    for rate in (-1, 1e308, "many", "nothing", None):
        tried(server, arrivals("nowhere", "raise", rate=rate))
    invariants(server)


def test_what_misbehaves_later_fails_or_completes(server: Any, invariants: Callable[[Any], None]) -> None:
    """Hooks that only the runner calls, and those that print or pickle a strategy: never a 5xx, never the server."""
    for how in ("raise", "os._exit"):
        for spec in (
            arrivals("shown", how), arrivals("span", how), arrivals("pickled", how),
            {"num_jobs": 2, "cost": {"kind": "asked_cost", "where": "monotone", "how": how}},
            {"num_jobs": 2, "cost": {"kind": "asked_cost", "where": "components", "how": how}},
            {"workload": {"job": {"kind": "sleep", "duration": {"kind": "asked_distribution", "how": how}}, "jobs": 2}},
        ):  # fmt: skip
            tried(server, spec)
    invariants(server)


def test_pricing_again_by_a_hostile_model_is_refused(server: Any, invariants: Callable[[Any], None]) -> None:
    run_id = server.run({"num_jobs": 3, "job_duration_ms": 1})["benchmark_id"]
    for where in ("made", "components"):
        for how in ("raise", "sys.exit", "os._exit", "refuse"):
            body = {"cost": {"kind": "asked_cost", "where": where, "how": how}}
            status, _, answer = server.ask("POST", f"/benchmark/runs/{run_id}/reprice", body)
            assert status in (400, 422) or answer["cost"]["total"] is None, (where, how, answer)
    invariants(server)


def test_a_well_behaved_strategy_runs_as_ever(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    """And what it is made of stands whole in the result, defaults and seed included."""
    server = serve("--memory", "1GiB")
    spec = {"workload": {"job": {"kind": "made", "where": "nowhere"}, "jobs": 3}, "label": "theirs"}
    result = server.run(spec)
    assert (result["status"], result["completed_jobs"], result["label"]) == ("completed", 3, "theirs")
    assert result["spec"]["workload"]["job"] == {"kind": "made", "how": "raise", "where": "nowhere"}
    assert isinstance(result["spec"]["seed"], int)
    again = server.run(result["spec"])
    assert again["spec"] == result["spec"]
    priced = {"cost": {"kind": "asked_cost", "where": "nowhere"}}
    status, _, document = server.ask("POST", f"/benchmark/runs/{result['benchmark_id']}/reprice", priced)
    assert (status, document["cost"]["total"], document["model"]["kind"]) == (200, "3", "asked_cost")
    status, _, problem = server.ask("POST", "/benchmark/run", {"workload": {"job": {"kind": "mad"}, "jobs": 1}})
    assert (status, problem["code"]) == (400, "invalid_spec")
    invariants(server)


def test_too_many_jobs_of_a_foreign_process_are_refused(serve: Callable[..., Any]) -> None:
    server = serve("--max-jobs", "100")
    spec = arrivals("nowhere", "raise", rate=1000.0)
    status, _, problem = server.ask("POST", "/benchmark/run", spec)
    assert (status, problem["code"]) == (400, "invalid_spec")
    assert "at most 100" in problem["detail"]
