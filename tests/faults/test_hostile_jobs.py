"""Jobs, cost models, schedulers and arrivals that do what they must not: the run says why, and the server goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.strikes import within

pytestmark = pytest.mark.faults


def does(what: str, **more: Any) -> dict[str, Any]:
    return {"workload": {"job": {"kind": "does", "what": what}, "jobs": 1}, **more}


@pytest.fixture
def server(serve: Callable[..., Any]) -> Any:
    return serve("--memory", "1GiB")


@pytest.fixture
def hasty(serve: Callable[..., Any]) -> Any:
    """A server for jobs that would never end."""
    return serve("--memory", "1GiB", "--max-seconds", "3")


RAISED = [
    "SystemExit", "KeyboardInterrupt", "GeneratorExit", "StopIteration", "StopAsyncIteration", "TimeoutError", "MemoryError",
    "Unpicklable", "BaseException", "BaseExceptionGroup",
]  # fmt: skip


def test_whatever_a_job_raises_is_that_jobs_failure(server: Any, invariants: Callable[[Any], None]) -> None:
    for what in RAISED:
        spec = {"workload": {"job": {"kind": "raises", "what": what}, "jobs": 3}}
        result = server.run(spec)
        assert (result["status"], result["counts"]["failed"]) == ("completed", 3), (what, result["counts"])
    invariants(server)


DEATHS = [
    ("os_exit", "exited with code 7"),
    ("segfault", "killed by SIGSEGV"),
    ("abort", "killed by SIGABRT"),
    ("kill_itself", "killed by SIGKILL"),
    ("signal_without_a_name", "killed by signal 40"),
]


def test_a_job_that_ends_its_process_ends_only_its_run(server: Any, invariants: Callable[[Any], None]) -> None:
    for what, why in DEATHS:
        result = server.run(does(what))
        assert (result["status"], result["reason"]["code"]) == ("failed", "runner_died"), result
        assert why in result["reason"]["detail"]
    invariants(server)


def test_sys_exit_in_a_task_of_a_job_fails_the_run(server: Any, invariants: Callable[[Any], None]) -> None:
    result = server.run(does("sys_exit_in_a_task"))
    assert result["status"] in ("failed", "completed")
    assert result["status"] == "failed" or result["counts"]["failed"] == 1
    invariants(server)


@pytest.mark.parametrize("what", ["regex", "block", "spin", "swallow_cancel"])
def test_a_job_that_hangs_ends_at_the_deadline(hasty: Any, invariants: Callable[[Any], None], what: str) -> None:
    with within(3 + 5, "the end at the deadline"):
        result = hasty.run(does(what))
    assert result["status"] == "timed_out", result
    invariants(hasty)


@pytest.mark.parametrize("what", ["regex", "block"])
def test_a_job_that_hangs_can_be_cancelled(server: Any, invariants: Callable[[Any], None], what: str) -> None:
    run_id = server.accept(does(what))
    server.running(run_id)
    with within(6, "the end of a run that was cancelled"):
        assert server.ask("POST", f"/benchmark/runs/{run_id}/cancel")[0] == 202
        result = server.final(run_id)
    assert (result["status"], result["reason"]["code"]) == ("cancelled", "runner_unresponsive"), result
    invariants(server)


def test_a_job_that_leaks_fails_for_memory(server: Any, invariants: Callable[[Any], None]) -> None:
    result = server.run(does("leak"))
    assert (result["status"], result["reason"]["code"]) == ("failed", "memory"), result
    invariants(server)


@pytest.mark.parametrize("what", ["fork", "start_programs", "shout"])
def test_what_a_job_leaves_behind_is_gone_after_its_run(
    server: Any, invariants: Callable[[Any], None], what: str
) -> None:
    result = server.run(does(what))
    assert result["status"] == "completed", result
    invariants(server)


@pytest.mark.parametrize("what", ["close_everything", "write_to_the_socket"])
def test_a_job_that_tampers_with_its_process_hurts_only_its_run(
    hasty: Any, invariants: Callable[[Any], None], what: str
) -> None:
    result = hasty.run(does(what))
    assert result["status"] in ("failed", "timed_out", "completed"), result
    invariants(hasty)


FORGED = [
    "end of another run", "end with a state of its own", "end by a stop that nobody asked for",
    "end with a broken histogram", "end with an endless cost", "end with an endless bill", "end that is no JSON",
    "end with broken jobs", "end without a result", "failure with a code of its own", "piece without a name",
    "progress with an endless cost", "progress with an endless bill", "progress with a broken histogram",
    "progress with an endless histogram",
]  # fmt: skip


def test_what_a_job_forges_is_not_believed(server: Any, invariants: Callable[[Any], None]) -> None:
    for what in FORGED:
        job = {"kind": "forges", "what": what}
        result = server.run({"workload": {"job": job, "jobs": 1}})
        assert (result["status"], result["reason"]["code"]) == ("failed", "runner_died"), what
        assert "no runner sends" in result["reason"]["detail"]
        following = server.run({"num_jobs": 4, "job_duration_ms": 1})
        assert (following["status"], following["completed_jobs"]) == ("completed", 4), what
    job = {"kind": "forges", "what": "records that are none"}
    run_id = server.run({"workload": {"job": job, "jobs": 1}})["benchmark_id"]
    assert server.ask("GET", f"/benchmark/runs/{run_id}")[0] in (200, 503)
    invariants(server)


def test_cost_models_that_raise_or_talk_nonsense_leave_the_run_unpriced(
    server: Any, invariants: Callable[[Any], None]
) -> None:
    for kind in ("raises_when_priced", "nonsense"):
        result = server.run({"num_jobs": 3, "job_duration_ms": 1, "cost": {"kind": kind}})
        assert result["completed_jobs"] == 3, result
        assert result["total_cost"] is None, result["cost"]
    invariants(server)


def test_strategies_that_break_their_contract_fail_the_run(server: Any, invariants: Callable[[Any], None]) -> None:
    job = {"kind": "sleep", "duration": 0.001}
    for spec in (
        {"num_jobs": 5, "job_duration_ms": 1, "scheduler": {"kind": "invents_jobs", "slots": 1}},
        {"workload": {"job": job, "jobs": 20, "arrivals": {"kind": "unsorted"}}},
    ):
        result = server.run(spec)
        assert (result["status"], result["reason"]["code"]) == ("failed", "strategy"), result
    invariants(server)


def test_a_strategy_that_cannot_be_made_is_a_bad_request(server: Any, invariants: Callable[[Any], None]) -> None:
    status, _, problem = server.ask(
        "POST", "/benchmark/run", {"workload": {"job": {"kind": "raises_when_made"}, "jobs": 1}}
    )
    assert (status, problem["code"]) == (400, "invalid_spec")
    invariants(server)


@pytest.mark.parametrize("memory", ["1MiB", "32MiB", "64MiB", "100MiB", "118MiB"])
def test_a_limit_in_which_a_runner_cannot_even_load_is_told_as_that(serve: Callable[..., Any], memory: str) -> None:
    server = serve("--memory", memory, start=False).start()
    result = server.run({"num_jobs": 1, "job_duration_ms": 1})
    assert (result["status"], result["reason"]["code"]) == ("failed", "memory"), result["reason"]
    assert "Traceback" not in result["reason"].get("output", "")
    assert server.stop() == 0
