"""A target may send anything, for ever: the run says what happened by a closed class, and the server goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aurea_engine.closed_sets import FAILURE_CLASSES
from aurea_server.settings.settings import VARIABLES
from tests.faults.hostile_target import ESCAPES, PATHS, HostileTarget
from tests.faults.strikes import ProcessorShare, within

pytestmark = pytest.mark.faults

SECRET = "planted-77aa01"
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f\x9b]")
CHECKED = {"expect": {"contains": "needle", "json": {"/a/b": 1}}, "redirects": 5, "cookies": True}


@pytest.fixture(scope="module")
def target() -> Iterator[HostileTarget]:
    with HostileTarget() as opened:
        yield opened


@pytest.fixture
def server(serve: Callable[..., Any], target: HostileTarget) -> Any:
    here = f"127.0.0.1:{target.port}"
    return serve(
        "--memory", "1GiB", "--max-seconds", "300", "--allow-target", here, "--secret", f"api=env:HOSTILE@{here}",
        HOSTILE=SECRET,
    )  # fmt: skip


ANSWERED = ("fine", "metadata")
"""Paths that are answered at once, so that a timeout would only say how busy the machine is."""


def asking(target: HostileTarget, path: str, jobs: int = 4, **members: Any) -> dict[str, Any]:
    patience = 60 if path in ANSWERED else 1
    job = {
        "kind": "http", "url": f"http://127.0.0.1:{target.port}/{path}", "timeout": patience, "connect_timeout": patience,
        "auth": {"bearer": {"secret": "api"}}, **members,
    }  # fmt: skip
    return {"workload": {"job": job, "jobs": jobs}}


def resident(server: Any) -> int:
    """Bytes that the runner process has in memory."""
    status = Path(f"/proc/{server.runner()}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


@pytest.mark.parametrize("members", [{}, CHECKED], ids=["plain", "checked"])
def test_each_way_to_harm_ends_as_a_class(
    server: Any, target: HostileTarget, invariants: Callable[[Any], None], members: dict[str, Any]
) -> None:
    """One run for each: nothing hangs beyond its timeout, and nothing is without a class. Then the server is as before."""
    ended = {}
    for path in PATHS:
        with ProcessorShare() as processor:
            result = server.run(asking(target, path, **members))
        counts = result["counts"]
        assert (result["status"], counts["arrived"]) == ("completed", 4), (path, result["reason"])
        assert counts["completed"] + counts["failed"] + counts["timed_out"] == 4, (path, counts)
        assert sum(result["failures"].values()) == counts["failed"] + counts["timed_out"], (path, result["failures"])
        assert set(result["failures"]) <= set(FAILURE_CLASSES), (path, result["failures"])
        assert result["duration"] * processor.share < 5, (path, result["duration"])
        ended[path] = set(result["failures"])
    for path in ("headers", "one_header", "body", "chunks", "small_chunks", "to_the_end", "drip", "nothing"):
        # Which comes first, the bound or the timeout, is the machine's affair.
        assert ended[path]
        assert ended[path] <= {"timeout", "too_large", "protocol"}, (path, ended)
    assert ended["metadata"] == ({"target_not_allowed"} if members else set()), ended
    invariants(server)


def test_endless_answers_take_no_memory(server: Any, target: HostileTarget, invariants: Callable[[Any], None]) -> None:
    """50 of each at once, for seconds: gigabytes arrive, and the process stays what it was."""
    before = resident(server)
    for path in ("body", "chunks", "headers", "one_header", "bomb", "trailers"):
        result = server.run(asking(target, path, 50, timeout=2, decompress=True, **CHECKED))
        assert result["status"] == "completed", (path, result["reason"])
    assert resident(server) - before < 200 * 1024**2
    invariants(server)


def test_no_control_character_comes_through(
    server: Any, target: HostileTarget, invariants: Callable[[Any], None]
) -> None:
    """Not into the log, an answer, an event or the metrics; and neither does the secret that was sent."""
    for path in ("escapes", "escaped_location", "garbage"):
        result = server.run(asking(target, path, **CHECKED))
        run = f"/benchmark/runs/{result['benchmark_id']}"
        for resource in (run, f"{run}/jobs?format=csv", f"{run}/events", "/metrics", "/benchmark/runs"):
            content = server.ask("GET", resource)[2]
            content = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
            assert CONTROL.search(content.replace(b"\r\n", b"\n")) is None, resource
            assert b"owned" not in content
            assert SECRET.encode() not in content
    log = server.log.read_bytes()
    assert CONTROL.search(log) is None
    assert ESCAPES[-4:] not in log
    for file in [*server.data.rglob("*"), server.log]:
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes(), file
    invariants(server)


def test_run_on_silent_target_is_cancelled(
    server: Any, target: HostileTarget, invariants: Callable[[Any], None]
) -> None:
    """Jobs that wait for an answer do not keep the run."""
    for path in ("nothing", "body", "drip"):
        run_id = server.accept(asking(target, path, 20, timeout=250, connect_timeout=250))
        server.running(run_id)
        with within(6, "the end of a run that was cancelled"):
            assert server.ask("POST", f"/benchmark/runs/{run_id}/cancel")[0] == 202
            result = server.final(run_id)
        assert (result["status"], result["counts"]["cancelled"] + result["counts"]["failed"]) == ("cancelled", 20), (
            result
        )
    invariants(server)


def test_killed_runner_leaves_no_connection(
    server: Any, target: HostileTarget, invariants: Callable[[Any], None]
) -> None:
    import os
    import signal

    run_id = server.accept(asking(target, "nothing", 20, timeout=250, connect_timeout=250))
    server.running(run_id)
    os.kill(server.runner(), signal.SIGKILL)
    assert server.final(run_id)["reason"]["code"] == "runner_died"
    result = server.run(asking(target, "fine"))
    assert result["completed_jobs"] == 4
    invariants(server)


def test_kinds_of_packages_change_nothing(
    server: Any, target: HostileTarget, invariants: Callable[[Any], None]
) -> None:
    """A specification that names somebody's kind is judged in a process of its own, by the same rules."""
    own = {"kind": "raises", "what": "ValueError"}
    for url, code in [("http://169.254.169.254/", "target_not_allowed"), ("unix:/run/app.sock:/", "local_reference")]:
        job = {"kind": "mix", "of": [{"weight": 1, "job": own}, {"weight": 1, "job": {"kind": "http", "url": url}}]}
        status, _, problem = server.ask("POST", "/benchmark/run", {"workload": {"job": job, "jobs": 4}})
        assert (status, problem["code"]) == (403 if code == "target_not_allowed" else 400, code), problem
    fine = asking(target, "fine")["workload"]["job"]
    job = {"kind": "mix", "of": [{"weight": 1, "job": own}, {"weight": 1, "job": fine}]}
    result = server.run({"workload": {"job": job, "jobs": 20}, "seed": 1})
    assert result["statuses"] == {"200": result["counts"]["completed"]}
    invariants(server)


def test_runners_get_secrets_and_no_settings(serve: Callable[..., Any], target: HostileTarget) -> None:
    """The variables of secrets are where runs read them; those of the server's own settings are not."""
    here = f"127.0.0.1:{target.port}"
    server = serve(
        AUREA_ALLOW_TARGET=here, AUREA_SECRET=f"api=env:HOSTILE@{here}", AUREA_TOKEN="", HOSTILE=SECRET, OTHER="kept"
    )
    variables = Path(f"/proc/{server.runner()}/environ").read_bytes().split(b"\0")
    assert {each.partition(b"=")[0].decode() for each in variables} & VARIABLES == set()
    assert f"HOSTILE={SECRET}".encode() in variables
    assert b"OTHER=kept" in variables
