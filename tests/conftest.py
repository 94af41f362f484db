"""What every test may use. Fixtures for one subject live in the conftest of its folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

# CI must fail for what changed, not for what was drawn; everywhere else, new examples are welcome. No deadlines, and no
# check of how long drawing takes: a busy machine is not a defect.
PATIENT = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("ci", derandomize=True, print_blob=True, **PATIENT)
# While coverage traces every line, a fifth of the examples reaches the same lines.
hypothesis.settings.register_profile("traced", hypothesis.settings.get_profile("ci"), max_examples=20)
hypothesis.settings.register_profile("aurea", **PATIENT)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "aurea"))

# The tiers, which CONTRIBUTING.md explains. A test without any of these markers belongs to the first: it runs in this
# process, takes less than two seconds, and does not depend on how busy the machine is.
LATER = ("service", "realtime", "faults", "long")


def pytest_configure() -> None:
    """A shell lets its background commands ignore SIGINT, nohup SIGHUP, and so would all that the tests start and end."""
    for number, usual in [(signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)]:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run every test, and campaigns at their full length")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave only the first tier, unless something else was asked for: --all, -m, or a test or file by its name."""
    for item in items:
        if "require" in getattr(item, "fixturenames", ()) and item.path.name != "test_require.py":
            item.add_marker("service")  # it starts the program that it asks for
    if config.option.all or config.option.markexpr:
        return
    named = named_files(config)
    kept: list[pytest.Item] = []
    later: list[pytest.Item] = []
    for item in items:
        asked = item.path in named or not any(item.get_closest_marker(name) for name in LATER)
        (kept if asked else later).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=later)
    config.stash[LEFT_OUT] = len(later)


LEFT_OUT = pytest.StashKey[int]()


def named_files(config: pytest.Config) -> set[Path]:
    """The files in which something was asked for by name; a folder only narrows the first tier."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return set()
    paths = (config.invocation_params.dir / argument.partition("::")[0] for argument in config.args)
    return {path.resolve() for path in paths if path.is_file()}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left_out := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{left_out} more tests start servers and programs, measure on the real clock or take long: "
            'scripts/test -m "not long" runs them, a file\'s name those of the file, --all everything'
        )


@pytest.fixture(scope="session", autouse=True)
def no_loop_of_its_own() -> None:
    """Asking for the current event loop where there is none makes one that nobody closes; pytest-asyncio asks."""
    asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def campaign(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """``campaign(10_000)`` is how many rounds to go: all with --all, and the first tenth of the same ones elsewhere."""
    return lambda rounds: rounds if request.config.option.all else -(-rounds // 10)


@pytest.fixture(scope="session")
def require() -> Callable[..., str]:
    """``require("prometheus", "promtool")`` is the path of promtool: on the PATH, or beside this Python, where pip puts it.

    Without it the test skips and says so. Where AUREA_REQUIRE names the component (``AUREA_REQUIRE=prometheus,chromium``, as
    CI sets it), the test fails instead: there a missing component is a broken installation, and no reason to test less.
    """
    beside = str(Path(sys.executable).parent)

    def find(name: str, program: str | None = None) -> str:
        path = shutil.which(program or name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
        if path is not None:
            return path
        reason = f"needs {name}: no {program or name} on the PATH"
        if name in os.environ.get("AUREA_REQUIRE", "").replace(",", " ").split():
            pytest.fail(f"{reason}, though AUREA_REQUIRE names it", pytrace=False)
        pytest.skip(reason)

    return find


@pytest.fixture(scope="session")
def shop() -> Iterator[str]:
    """Address of the small web shop of the examples, which stands on port 8080 in what readers see: `127.0.0.1:PORT`."""
    program = Path(__file__).parent.parent / "examples" / "http_aiohttp_app.py"
    environment = {**os.environ, "PYTHONPATH": str(program.parent.parent)}
    command = [sys.executable, str(program), "serve", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert "http://" in said, "the shop did not say where it is"
        try:
            yield said.rpartition("http://")[2].strip()
        finally:
            process.kill()
