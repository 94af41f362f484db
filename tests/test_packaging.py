"""What is installed is what we say: metadata, contents, pins, and packages that can be imported without a trace."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = ("aurea_engine", "aurea_server")


# Metadata


def test_the_installed_distribution_is_the_one_in_pyproject() -> None:
    installed = metadata.metadata("aurea-orchestrator")
    assert installed["Version"] == PROJECT["version"] == "0.1.0"
    assert installed["License-Expression"] == "MIT"
    assert installed["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in installed.get_all("Classifier", [])


def test_setup_cfg_holds_no_metadata() -> None:
    """Beside a [project] table, setuptools drops entry points that stand in setup.cfg, and says nothing."""
    sections = [line for line in (ROOT / "setup.cfg").read_text().splitlines() if line.startswith("[")]
    assert not {"[metadata]", "[options]", "[options.entry_points]"} & set(sections)


@pytest.mark.parametrize("dependency", PROJECT["dependencies"])
def test_dependencies_have_lower_bounds_only(dependency: str) -> None:
    assert [bound.operator for bound in Requirement(dependency).specifier] == [">="]


def test_the_aurea_command_is_installed() -> None:
    (command,) = metadata.entry_points(group="console_scripts", name="aurea")
    assert command.value == "aurea_server.__main__:aurea"
    assert callable(command.load())


def test_the_pytest_plugin_is_installed() -> None:
    (plugin,) = metadata.entry_points(group="pytest11", name="aurea")
    assert plugin.value == "pytest_aurea"


@pytest.mark.parametrize("group", ["aurea.jobs", "aurea.arrivals", "aurea.schedulers", "aurea.cost_models"])
def test_our_own_strategies_need_no_entry_point(group: str) -> None:
    """Those are for other people's packages: what ships with the engine is found without looking at what is installed."""
    assert [entry.value for entry in metadata.entry_points(group=group) if entry.value.startswith("aurea_")] == []


def test_the_changelog_has_an_entry_for_this_version() -> None:
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


# What is built


def files_of(package: str) -> set[str]:
    return {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution, built in a copy: building litters."""
    folder = tmp_path_factory.mktemp("build")
    aside = shutil.ignore_patterns(
        ".git", ".venv*", ".*_cache", ".coverage*", "*.egg-info", "build", "dist", "__pycache__"
    )
    copy = shutil.copytree(ROOT, folder / "copy", ignore=aside)
    build = (
        "import sys; from setuptools import build_meta as backend; to = sys.argv[1]; "
        "backend.build_wheel(to); backend.build_sdist(to)"
    )
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", build, folder], cwd=copy, env=plain, check=False, capture_output=True, text=True
    )
    (folder / "log").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.service
def test_building_warns_of_nothing(built: Path) -> None:
    """A newcomer would take it for a fault of ours, rightly."""
    told = (built / "log").read_text()
    assert "running sdist" in told
    assert [line for line in told.splitlines() if re.search("warn|deprecat", line, re.IGNORECASE)] == []


@pytest.mark.service
def test_the_wheel_holds_both_packages_whole_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.name == "aurea_orchestrator-0.1.0-py3-none-any.whl"
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == set().union({"pytest_aurea.py"}, *map(files_of, PACKAGES))
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


@pytest.mark.service
def test_the_source_distribution_can_run_its_own_tests(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {"LICENSE", "README.md", "setup.cfg", ".ci/run", "scripts/test", "requirements/test.txt"} <= names
    assert {"tests/conftest.py", "Dockerfile", "deploy/prometheus/prometheus.yml"} <= names
    assert set().union(*map(files_of, PACKAGES)) <= names
    assert [name for name in names if "__pycache__" in name] == []
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    assert set(tracked) <= names


# Scripts


SCRIPTS = sorted(file for file in (ROOT / "scripts").iterdir() if file.is_file())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse_and_are_executable(script: Path) -> None:
    """Plain shell, or Python where the first line says so."""
    if script.read_text().startswith("#!/usr/bin/env python3\n"):
        ast.parse(script.read_text())
    else:
        assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    assert os.access(script, os.X_OK) is not script.name.startswith("_")


# Imports

SNAPSHOT = """
import asyncio, gc, json, logging, multiprocessing, os, pkgutil, signal, sys, threading, warnings
import prometheus_client


def ambient():
    loggers = [logging.root, *(l for l in logging.root.manager.loggerDict.values() if isinstance(l, logging.Logger))]
    return {
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "children": len(multiprocessing.active_children()),
        "signals": {s.name: repr(signal.getsignal(s)) for s in signal.valid_signals() if isinstance(s, signal.Signals)},
        "wakeup": signal.getitimer(signal.ITIMER_REAL),
        "policy": type(asyncio.get_event_loop_policy()).__qualname__,
        "handlers": [repr(h) for logger in loggers for h in logger.handlers if type(h) is not logging.NullHandler],
        "levels": [logging.root.level, logging.root.manager.disable],
        "metrics": sorted(prometheus_client.REGISTRY._names_to_collectors),
        "hooks": [repr(sys.excepthook), repr(threading.excepthook), repr(sys.unraisablehook), repr(sys.displayhook)],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": sys.path[:],
        "collector": [gc.isenabled(), gc.get_threshold()],
        "recursion": sys.getrecursionlimit(),
    }


before = ambient()
names = []
for name in PACKAGES:
    package = __import__(name)
    names.append(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        # Programs of processes of their own; that of Dask's client loads Dask, which adds handlers to its loggers.
        if not module.name.endswith(("__main__", ".dask_client")):
            __import__(module.name)
            names.append(module.name)
after = ambient()
print(json.dumps({"changed": {k: [before[k], after[k]] for k in before if before[k] != after[k]},
                  "imported": names, "modules": sorted(sys.modules)}))
"""


@pytest.fixture(scope="module")
def importing() -> Callable[..., dict[str, dict[str, object] | list[str]]]:
    """Import every module of these packages in a fresh interpreter; tells what that changed, and what is loaded now."""

    def run(*packages: str, script: str = SNAPSHOT) -> dict[str, dict[str, object] | list[str]]:
        code = f"PACKAGES = {packages!r}\n{script}"
        # Without coverage, which would measure this process too, and loads sqlite3 to do so.
        plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env=plain,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        (line,) = done.stdout.splitlines()
        return json.loads(line)

    return run


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_changes_nothing_around_it(
    package: str, importing: Callable[..., dict[str, object]]
) -> None:
    """No thread, child, signal handler, loop policy, logging handler, or metric in the global registry."""
    seen = importing(package)
    assert seen["changed"] == {}
    assert package in seen["imported"]


def test_the_probe_sees_what_it_looks_for(tmp_path: Path, importing: Callable[..., dict[str, object]]) -> None:
    """A package that misbehaves in each of the ways above is found out."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/__init__.py").write_text(
        "import asyncio, logging, prometheus_client, signal, threading, time\n"
        "threading.Thread(target=time.sleep, args=(1,), daemon=True, name='bad').start()\n"
        "signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
        "asyncio.set_event_loop_policy(type('Bad', (asyncio.DefaultEventLoopPolicy,), {})())\n"
        "logging.basicConfig()\n"
        "prometheus_client.Counter('bad', 'Registered on import')\n"
    )
    seen = importing("bad", script=f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{SNAPSHOT}")
    assert set(seen["changed"]) == {"threads", "signals", "policy", "handlers", "metrics"}


def test_the_engine_loads_nothing_of_the_server(importing: Callable[..., dict[str, object]]) -> None:
    bare = SNAPSHOT.replace(
        "import prometheus_client\n", "class prometheus_client:\n    class REGISTRY: _names_to_collectors = ()\n"
    )
    loaded = {str(name).partition(".")[0] for name in importing("aurea_engine", script=bare)["modules"]}
    assert not loaded & {"aiohttp", "aiohttp_sse", "aurea_server", "cyclopts", "prometheus_client", "rich", "sqlite3"}
