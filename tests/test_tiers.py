"""Which tests run when nothing, a folder, a file, a test, a marker or everything is asked for."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
MIXED = """
import pytest

def test_plain(): pass
@pytest.mark.service
def test_service(): pass
@pytest.mark.realtime
def test_realtime(): pass
@pytest.mark.faults
def test_faults(): pass
@pytest.mark.long
def test_long(campaign): print(f"rounds: {campaign(1001)}")
def test_program(require): pass
"""
EVERYTHING = {"plain", "service", "realtime", "faults", "long", "program"}


@pytest.fixture
def ran(pytester: pytest.Pytester) -> object:
    """``ran("-k", "x")`` is the names of the tests that run with these arguments, and all that is printed."""
    shutil.copy(ROOT / "setup.cfg", pytester.path)
    tests = pytester.mkdir("tests")
    shutil.copy(ROOT / "tests/conftest.py", tests)
    (tests / "part").mkdir()
    (tests / "part/test_mixed.py").write_text(MIXED)
    (tests / "test_more.py").write_text("def test_more(): pass\n")

    def run(*arguments: str) -> tuple[set[str], str]:
        # pytester's own process would meet our plugins' warnings, and the session's loop.
        done = pytester.runpytest_subprocess("-v", "-s", "-p", "no:cacheprovider", *arguments)
        printed = done.stdout.str()
        return set(re.findall(r"::test_(\w+)", printed)), printed

    return run


@pytest.mark.service
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"plain", "more"}),
        (["tests"], {"plain", "more"}),
        (["tests/part"], {"plain"}),
        (["tests/part/test_mixed.py"], EVERYTHING),
        (["tests/part/test_mixed.py::test_long"], {"long"}),
        (["-k", "plain or faults"], {"plain"}),
        (["-m", "service"], {"service", "program"}),
        (["-m", "faults or long", "tests/part"], {"faults", "long"}),
        (["-m", "not long"], EVERYTHING - {"long"} | {"more"}),
        (["--all"], EVERYTHING | {"more"}),
        (["--all", "-m", "long"], {"long"}),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_what_is_asked_for_runs(arguments: list[str], expected: set[str], ran: object) -> None:
    names, printed = ran(*arguments)  # type: ignore[operator]
    assert names == expected, printed
    assert ("more tests start servers" in printed) == (
        arguments in ([], ["tests"], ["tests/part"], ["-k", "plain or faults"])
    )
    if "long" in expected:
        assert ("rounds: 1001" if "--all" in arguments else "rounds: 101") in printed


def test_ci_leaves_no_tier_out() -> None:
    """Its stages together are every test: each marker is asked for where another stage excludes it."""
    stages = re.findall(r'scripts/test -m "([^"]+)"|scripts/test -m (\w+)', (ROOT / ".ci/run").read_text())
    expressions = [quoted or plain for quoted, plain in stages]
    markers = ["faults", "long", "realtime", "service"]
    for wanted in range(2 ** len(markers)):
        on = {name: bool(wanted >> i & 1) for i, name in enumerate(markers)}
        chosen = [expression for expression in expressions if eval(expression, {}, on)]
        assert len(chosen) == 1, (on, chosen)


def test_ci_tries_nothing_twice() -> None:
    """And forgets no failure: of a stage, of a lane of stages."""
    script = (ROOT / ".ci/run").read_text()
    calls = [
        *re.findall(r"^ *(?:HYPOTHESIS_PROFILE=traced )?stage ", script, re.MULTILINE),
        *re.findall(r"^ +on_python ", script, re.MULTILINE),
    ]
    assert script.count("failed=1") == len(calls) + 2, "each call, and each of the two lanes"
    text = script + (ROOT / "setup.cfg").read_text()
    assert not re.search(r"rerun|retry|retries|flaky|--lf|last-failed|\buntil\b", text)


def test_an_unmarked_test_starts_no_server() -> None:
    """The fixtures that start one imply the marker, or the whole folder has it."""
    for file in sorted((ROOT / "tests/faults").glob("test_*.py")):
        assert "pytestmark = pytest.mark.faults" in file.read_text(), file.name


def test_the_scripts_that_documents_name_exist() -> None:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    for name in set(listed.split()) - {"CHANGELOG.md"}:  # it tells what there was
        for script in re.findall(r"(?<![\w/])(?:scripts|\.ci)/\w+", (ROOT / name).read_text()):
            assert (ROOT / script).exists(), f"{name} names {script}"
