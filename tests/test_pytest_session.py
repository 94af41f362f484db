"""Whole sessions of pytest with the plugin installed: a pull request's worth of tests, and what it comes to."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aurea_engine import Exponential, Poisson, RunSpec, Sleep, Workload, encode_json, result_to_dict, simulate

pytestmark = pytest.mark.service

TESTS = """
import time
from aurea_engine import ConstantRate, Exponential, Job, Objective, Poisson, RunSpec, Sleep, Workload

SIMULATED = Workload(Sleep(Exponential(0.01)), Poisson(100), jobs=1000)

def spec(bound, quantile=0.9):
    return RunSpec(SIMULATED, clock="virtual", seed=1, objectives=(Objective("response_time", bound, quantile=quantile),))

def test_met(aurea):
    aurea.require(aurea.run(spec(0.1)))

def test_missed(aurea):
    aurea.require(aurea.run(spec(0.01)))

def test_open(aurea):
    aurea.require(aurea.run(spec(0.01, 0.6322)))

class Blocks(Job):
    async def run(self, demand):
        time.sleep(0.02)  # the event loop with it: three jobs in four are released late, whatever else the machine does

def test_invalid(aurea):
    workload = Workload(Blocks(), ConstantRate(200), jobs=40)
    aurea.require(aurea.run(RunSpec(workload, objectives=(Objective("response_time", at_most=0.1),))))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "test_objectives.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return folder


@pytest.fixture(scope="module")
def session(project: Path) -> Callable[..., tuple[int, str]]:
    """``session("-k", "met")`` is the exit code of pytest in the project, and all that it printed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "COV_", "PYTEST"))}
    plain.pop("GITHUB_STEP_SUMMARY", None)

    def run(*arguments: str, **environment: str) -> tuple[int, str]:
        # Other plugins of these tests take longer to load than everything else here takes.
        without = [f"-pno:{name}" for name in ("cacheprovider", "schemathesis", "hypothesispytest", "looptime_plugin")]
        command = [sys.executable, "-m", "pytest", *without, *arguments]
        done = subprocess.run(
            command, cwd=project, env=plain | environment, check=False, capture_output=True, text=True, timeout=300
        )
        return done.returncode, done.stdout + done.stderr

    return run


def burn(until: float) -> None:
    while time.monotonic() < until:
        pass


@pytest.fixture
def burning() -> Iterator[None]:
    """Every core is busy with something else. The processes end by themselves, should nobody end them."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=burn, args=(time.monotonic() + 120,)) for _ in range(os.cpu_count() or 1)]
    for process in processes:
        process.start()
    yield
    for process in processes:
        process.kill()
        process.join()


def test_a_pull_request_of_four(session: Callable[..., tuple[int, str]], project: Path, burning: None) -> None:
    """Passed, failed, skipped, skipped, each with its reason; in the terminal, in JUnit and in Markdown."""
    code, printed = session("-rs", "-v", "--junitxml", "junit.xml", GITHUB_STEP_SUMMARY="summary.md")
    assert code == 1
    outcomes = dict(re.findall(r"::test_(\w+) (PASSED|FAILED|SKIPPED)", printed))
    assert outcomes == {"met": "PASSED", "missed": "FAILED", "open": "SKIPPED", "invalid": "SKIPPED"}
    assert "1 of 1 objective missed" in printed
    assert "test_open: the measurement decides neither way (p63.22 response time" in printed
    assert "test_invalid: the measurement is invalid (late_releases:" in printed
    assert "\n2 objectives not judged\n" in printed
    junit = {case.get("name"): case for case in ET.parse(project / "junit.xml").iter("testcase")}
    verdicts = {
        name: [each.get("value") for each in case.iter("property") if each.get("name") == "aurea.verdict"]
        for name, case in junit.items()
    }
    assert verdicts == {
        "test_met": ["valid"],
        "test_missed": ["valid"],
        "test_open": ["valid"],
        "test_invalid": ["invalid"],
    }
    markdown = (project / "summary.md").read_text()
    assert re.findall(r"\| (met|\*\*missed\*\*|not judged) \|", markdown) == ["met", "**missed**", *["not judged"] * 2]
    # GitHub's file is that of a whole step: what stood in it stays.
    session("-k", "met", GITHUB_STEP_SUMMARY="summary.md")
    assert (project / "summary.md").read_text().startswith(markdown)


@pytest.mark.parametrize(
    ("name", "code", "strict"), [("met", 0, 0), ("missed", 1, 1), ("open", 0, 1), ("invalid", 0, 1)]
)
def test_the_exit_code_of_each_alone(
    name: str, code: int, strict: int, session: Callable[..., tuple[int, str]], request: pytest.FixtureRequest
) -> None:
    """What decides nothing breaks no build, unless it is asked to."""
    if name == "invalid":
        request.getfixturevalue("burning")
    alone = f"test_objectives.py::test_{name}"
    assert session(alone)[0] == code
    assert session(alone, "--aurea-strict")[0] == strict


def test_a_session_without_it_costs_nothing(session: Callable[..., tuple[int, str]], project: Path) -> None:
    """The engine is not imported before a test asks for the fixture, and the plugin can be turned off."""
    (project / "test_other.py").write_text("import sys\n\ndef test_other():\n    assert 'numpy' not in sys.modules\n")
    code, printed = session("test_other.py")
    assert code == 0
    assert "aurea" not in printed.replace("plugins: ", "").partition("collected")[2]
    code, printed = session("-p", "no:aurea", "test_objectives.py::test_met")
    assert code == 1
    assert "fixture 'aurea' not found" in printed
    (project / "test_other.py").unlink()


def test_a_baseline_is_named_on_the_command_line(session: Callable[..., tuple[int, str]], project: Path) -> None:
    """Worse than it fails; one that no run met is told of; what is none is an error of usage, before any test."""
    quick = simulate(RunSpec(Workload(Sleep(Exponential(0.005)), Poisson(100), jobs=1000), seed=1))
    (project / "quick.json").write_bytes(encode_json(result_to_dict(quick)))
    code, printed = session("--aurea-baseline", "quick.json", "--aurea-summary", "made.md", "-k", "met")
    assert code == 1
    assert "worse than quick.json" in printed
    assert "| response\\_time.mean |" in (project / "made.md").read_text()
    document = result_to_dict(quick)
    document["spec"]["label"] = document["label"] = "search"
    (project / "quick.json").write_bytes(encode_json(document))
    code, printed = session("--aurea-baseline", "quick.json", "-k", "met")
    assert code == 0
    assert "quick.json was compared with no run: none was required that has the label 'search'" in printed
    code, printed = session("--aurea-summary", "missing/made.md", "-k", "met")
    assert code == 4
    assert "1 passed" in printed
    assert "the summary cannot be written: missing/made.md: No such file or directory" in printed
    (project / "quick.json").write_text(json.dumps({}))
    code, printed = session("--aurea-baseline", "quick.json")
    assert code == 4
    assert "--aurea-baseline: quick.json is no result" in printed
