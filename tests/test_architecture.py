"""What import-linter and ruff cannot say: what may be imported from outside, and how long things may grow."""

from __future__ import annotations

import ast
import configparser
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

named = pytest.mark.parametrize


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def imports(file: Path) -> Iterator[tuple[str, list[str], int]]:
    """Module, names taken from it, line. For ``import a.b`` there are no names."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, [], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, [alias.name for alias in node.names], node.lineno


@named("file", ENGINE, ids=name_of)
def test_engine_needs_numpy_and_msgspec_only(file: Path) -> None:
    """And uvloop where it is installed, a parser of HTTP in its targets, pytest in its plugin, and Dask in the process of
    its client and in what runs on its workers. Everything else is the standard library.
    """
    allowed = sys.stdlib_module_names | {"aurea_engine", "msgspec", "numpy", "uvloop"}
    if "targets" in file.parts:
        allowed = allowed | {"httptools"}
    if file.name == "pytest_plugin.py":
        allowed = allowed | {"pytest"}
    if file.name in ("dask_client.py", "dask_cluster.py", "dask_task.py"):
        allowed = allowed | {"distributed"}
    assert [(line, module) for module, _, line in imports(file) if module.partition(".")[0] not in allowed] == []


@named("file", SERVER + BESIDE, ids=name_of)
def test_only_public_engine_names_are_used(file: Path) -> None:
    """Only public names of the engine are used outside it."""
    private = []
    for module, names, line in imports(file):
        path = module.split(".")
        if path[0] != "aurea_engine":
            continue
        if any(part.startswith("_") for part in path):
            private.append((line, module))
        exported = getattr(importlib.import_module(module), "__all__", None)
        private += [
            (line, f"{module}.{name}")
            for name in names
            if (name.startswith("_") and name != "__version__") or (exported is not None and name not in exported)
        ]
    assert private == []


@named("file", ENGINE + SERVER, ids=name_of)
def test_no_module_imports_by_a_relative_name(file: Path) -> None:
    """An import says where in the straight line it points."""
    relative = [
        n.lineno for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.ImportFrom) and n.level > 0
    ]
    assert relative == []


@named("file", ENGINE + SERVER, ids=name_of)
def test_files_have_at_most_300_lines(file: Path) -> None:
    """No file is longer than 300 lines without a reason."""
    lines = len(file.read_text().splitlines())
    assert lines <= 300 or LONG_FILES.get(name_of(file)), f"{lines} lines: split it, or give the reason in LONG_FILES"


def test_reasons_for_long_files_are_needed() -> None:
    """Reasons for long files are still needed."""
    assert [name for name in LONG_FILES if len((ROOT / name).read_text().splitlines()) <= 300] == []


@named("file", ENGINE + SERVER, ids=name_of)
def test_no_function_is_longer_than_60_lines(file: Path) -> None:
    functions = (
        n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert [(f.name, f.lineno) for f in functions if f.end_lineno and f.end_lineno - f.lineno >= 60] == []


@named("file", [file for file in ENGINE + SERVER if file.name != "standard_streams.py"], ids=name_of)
def test_stdout_is_written_in_one_place(file: Path) -> None:
    """Python's own streams lose bytes where a pipe is full and non-blocking, or unbuffered: use `write_out`."""
    calls = [node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    writes = [ast.unparse(call) for call in calls if isinstance(call, ast.Attribute) and call.attr.startswith("write")]
    assert [call for call in writes if "stdout" in call] == []
    assert [call.lineno for call in calls if isinstance(call, ast.Name) and call.id == "print"] == []


@named("file", ENGINE + SERVER, ids=name_of)
def test_no_module_is_a_drawer_for_anything(file: Path) -> None:
    assert file.stem not in {"utils", "common", "core", "helpers", "managers", "misc"}


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


@named("name", ["engine", "server"])
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
