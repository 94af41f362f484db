"""What import-linter and ruff cannot say: what may be imported from outside, and how long things may grow."""

from __future__ import annotations

import ast
import configparser
import functools
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
ENGINE = sorted((ROOT / "aurea_engine").rglob("*.py"))
SERVER = sorted((ROOT / "aurea_server").rglob("*.py"))
BESIDE = sorted(file for folder in ("examples", "benchmarks") for file in (ROOT / folder).rglob("*.py"))

LONG_FILES: dict[str, str] = {
    "aurea_engine/__init__.py": "the public names, a line for each",
    "aurea_engine/closed_sets.py": "a table of words, and the one place where to look for one",
}
"""Files of more than 300 lines, each with the reason why it is better left whole."""

# One test for all files. There are hundreds of them, and a test for each would cost more than what it looks at.


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@functools.cache
def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def imports(file: Path) -> Iterator[tuple[str, list[str], int]]:
    """Module, names taken from it, line. For ``import a.b`` there are no names."""
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, [], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, [alias.name for alias in node.names], node.lineno


def outside(file: Path) -> set[str]:
    """The packages that a file of the engine may import."""
    allowed = sys.stdlib_module_names | {"aurea_engine", "msgspec", "numpy", "uvloop"}
    if "targets" in file.parts:
        allowed = allowed | {"httptools"}
    if file.name == "pytest_plugin.py":
        allowed = allowed | {"pytest"}
    if file.name in ("dask_client.py", "dask_cluster.py", "dask_task.py"):
        allowed = allowed | {"distributed"}
    return set(allowed)


def test_engine_needs_numpy_and_msgspec_only() -> None:
    """And uvloop where it is installed, a parser of HTTP in its targets, pytest in its plugin, and Dask in the process of
    its client and in what runs on its workers. Everything else is the standard library.
    """
    found = [
        (name_of(file), line, module)
        for file in ENGINE
        for module, _, line in imports(file)
        if module.partition(".")[0] not in outside(file)
    ]
    assert found == []


def private_names(file: Path) -> Iterator[tuple[str, int, str]]:
    """(file, line, name) of what a file takes of the engine that is not public."""
    for module, names, line in imports(file):
        path = module.split(".")
        if path[0] != "aurea_engine":
            continue
        if any(part.startswith("_") for part in path):
            yield name_of(file), line, module
        exported = getattr(importlib.import_module(module), "__all__", None)
        for name in names:
            if (name.startswith("_") and name != "__version__") or (exported is not None and name not in exported):
                yield name_of(file), line, f"{module}.{name}"


def test_only_public_engine_names_are_used() -> None:
    """Only public names of the engine are used outside it."""
    assert [each for file in SERVER + BESIDE for each in private_names(file)] == []


def test_no_module_imports_by_a_relative_name() -> None:
    """An import says where in the straight line it points."""
    nodes = [(file, node) for file in ENGINE + SERVER for node in ast.walk(parse(file))]
    relative = [
        (name_of(file), node.lineno) for file, node in nodes if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    assert relative == []


def test_files_have_at_most_300_lines() -> None:
    """No file is longer than 300 lines without a reason."""
    lines = {name_of(file): len(file.read_text().splitlines()) for file in ENGINE + SERVER}
    long = {name: count for name, count in lines.items() if count > 300 and name not in LONG_FILES}
    assert long == {}, "split them, or give the reason in LONG_FILES"


def test_reasons_for_long_files_are_needed() -> None:
    """Reasons for long files are still needed."""
    assert [name for name in LONG_FILES if len((ROOT / name).read_text().splitlines()) <= 300] == []


def test_no_function_is_longer_than_60_lines() -> None:
    functions = [
        (name_of(file), node)
        for file in ENGINE + SERVER
        for node in ast.walk(parse(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(functions) > 1000
    assert [(n, f.name, f.lineno) for n, f in functions if f.end_lineno and f.end_lineno - f.lineno >= 60] == []


def test_stdout_is_written_in_one_place() -> None:
    """Python's own streams lose bytes where a pipe is full and non-blocking, or unbuffered: use `write_out`."""
    files = [file for file in ENGINE + SERVER if file.name != "standard_streams.py"]
    calls = [(name_of(f), node.func) for f in files for node in ast.walk(parse(f)) if isinstance(node, ast.Call)]
    writes = [(n, ast.unparse(c)) for n, c in calls if isinstance(c, ast.Attribute) and c.attr.startswith("write")]
    assert writes
    assert [(name, call) for name, call in writes if "stdout" in call] == []
    assert [(name, c.lineno) for name, c in calls if isinstance(c, ast.Name) and c.id == "print"] == []


def test_no_module_is_a_drawer_for_anything() -> None:
    drawers = {"utils", "common", "core", "helpers", "managers", "misc"}
    assert [name_of(file) for file in ENGINE + SERVER if file.stem in drawers] == []


@pytest.fixture(scope="module")
def rooms() -> ModuleType:
    """`scripts/rooms`, which is no module since its name has no ending."""
    loader = importlib.machinery.SourceFileLoader("rooms", str(ROOT / "scripts/rooms"))
    spec = importlib.util.spec_from_loader("rooms", loader)
    assert spec is not None
    module = sys.modules["rooms"] = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_rooms_and_floors_are_within_their_limits(rooms: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Rooms that are still to come count as if they were there, so that there is room for them."""
    code = rooms.main(ROOT)
    assert code == 0, capsys.readouterr().err


@pytest.mark.parametrize("name", ["engine", "server"])
def test_import_contracts_list_the_rooms_as_they_are(rooms: ModuleType, name: str) -> None:
    """Every room once, on a line above all that it imports: the contract is the picture that the script draws."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    contract = config[f"importlinter:contract:{name}"]
    assert contract.getboolean("exhaustive")
    lines = [line.split(" | ") for line in contract["layers"].strip().splitlines()]
    level = {room: -number for number, line in enumerate(lines) for room in line}
    arrows = rooms.Package(f"aurea_{name}", ROOT / f"aurea_{name}").arrows
    assert sorted(level) == sorted(arrows)
    assert [(room, other) for room, targets in arrows.items() for other in targets if level[room] <= level[other]] == []


def test_a_cycle_of_rooms_is_found_and_named(rooms: ModuleType) -> None:
    assert rooms.find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert rooms.find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_floors_are_the_longest_chains(rooms: ModuleType) -> None:
    assert rooms.find_floors({"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": set()}) == {"a": 3, "b": 2, "c": 1, "d": 1}


def test_too_many_rooms_or_floors_fail(rooms: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A package of three modules in a chain, under limits of its own."""
    for name, line in {"__init__": "", "a": "from p import b", "b": "import p.c", "c": "import os"}.items():
        (tmp_path / f"{name}.py").write_text(line + "\n")
    package = rooms.Package("p", tmp_path)
    assert package.arrows == {"a": {"b"}, "b": {"c"}, "c": set()}
    assert rooms.report(package, rooms.Limits(3, 3, {})) == []
    assert rooms.report(package, rooms.Limits(3, 3, {"later": {"a"}})) == [
        "p: 4 rooms, and at most 3 are allowed", "p: 4 floors, and at most 3 are allowed"
    ]  # fmt: skip
    assert "later (to come)" in capsys.readouterr().out
