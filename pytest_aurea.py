"""The pytest plugin of Aurea as pytest loads it: options, the fixture ``aurea``, and what is said at the end.

pytest loads this file at every start, also where no test needs it, so it imports nothing of Aurea before a test asks for the
fixture or an option is used. It is no part of a package for the same reason: importing one of the engine's modules loads the
engine, numpy included, which takes a third of a second. What the fixture does is in `aurea_engine.testing.pytest_plugin`.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aurea_engine.testing.pytest_plugin import Aurea
    from aurea_engine.testing.stored_baselines import Baselines

JUDGED = pytest.StashKey[list[dict[str, Any]]]()
"""What each `Aurea.require` of a test came to, as plain values."""

BASELINES = pytest.StashKey[Any]()
"""`Baselines`, where any are given."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("aurea", "objectives of Aurea runs")
    group.addoption(
        "--aurea-strict",
        action="store_true",
        help="fail tests whose objectives could not be judged, instead of skipping",
    )
    group.addoption(
        "--aurea-baseline",
        action="append",
        default=[],
        metavar="FILE",
        help="compare runs with this stored result, those that have the same label; may be given more than once",
    )
    group.addoption(
        "--aurea-summary",
        metavar="FILE",
        help="write a Markdown summary for a pull request; by default appended to what GITHUB_STEP_SUMMARY names",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.option.aurea_baseline:
        from aurea_engine.testing.stored_baselines import Baselines  # noqa: PLC0415 - loads the engine

        try:
            config.stash[BASELINES] = Baselines.read(config.option.aurea_baseline)
        except ValueError as error:
            raise pytest.UsageError(f"--aurea-baseline: {error}") from None
    config.pluginmanager.register(_Session(config), "aurea-session")


@pytest.fixture
def aurea(request: pytest.FixtureRequest) -> Aurea:
    """Runs specifications and requires their objectives: ``aurea.require(aurea.run(spec))``."""
    from aurea_engine.testing.pytest_plugin import Aurea  # noqa: PLC0415 - loads the engine, for those who use it

    config = request.config
    return Aurea(
        beside=request.path.parent,
        strict=config.option.aurea_strict,
        baselines=config.stash.get(BASELINES, None),
        judged=request.node.stash.setdefault(JUDGED, []),
        properties=request.node.user_properties,
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """The last report of a test carries what was judged, also from a worker of pytest-xdist to its controller."""
    report = yield
    if report.when == "teardown" and (judged := item.stash.get(JUDGED, None)):
        report.aurea_judged = judged
    return report


class _Session:
    """Gathers what the tests of a session judged, wherever they ran, and tells of it at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._judged: list[tuple[str, dict[str, Any]]] = []
        self._unwritten: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._judged += [(report.nodeid, each) for each in getattr(report, "aurea_judged", ())]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        open_ones = [(test, each) for test, each in self._judged if each["not_judged"]]
        count = sum(each["not_judged"] for _, each in open_ones)
        lines = [f"{test}: {each['reason']}" for test, each in open_ones]
        lines += [*self._list_unused(), *self._unwritten]
        if count:
            lines.append(f"{count} objective{'' if count == 1 else 's'} not judged")
        if lines:
            terminalreporter.section("aurea")
            for line in lines:
                terminalreporter.write_line(line)

    def _list_unused(self) -> Sequence[str]:
        baselines: Baselines | None = self._config.stash.get(BASELINES, None)
        if baselines is None:
            return []
        unused: list[str] = baselines.list_unused(each["baseline"] for _, each in self._judged)
        return unused

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        asked: str | None = self._config.option.aurea_summary
        path = asked or os.environ.get("GITHUB_STEP_SUMMARY")
        # A worker of pytest-xdist hands its reports to the controller, which writes for all of them.
        if hasattr(self._config, "workerinput") or not self._judged or not path:
            return
        from aurea_engine.testing.pull_request_summary import write_summary  # noqa: PLC0415

        try:
            write_summary(path, self._judged, append=not asked)
        except OSError as error:
            # Told at the end: what the tests came to is shown all the same, and a failure of theirs is the graver one.
            self._unwritten.append(f"the summary cannot be written: {error.filename}: {error.strerror}")
            session.exitstatus = session.exitstatus or pytest.ExitCode.USAGE_ERROR
