"""docs/architecture.md is true: what it names exists, and its list of rooms is the one that import-linter checks."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()
ROOMS = [path for path in ROOT.glob("aurea_*/*") if path.suffix == ".py" or (path / "__init__.py").exists()]
NO_ROOMS = {"__init__.py", "__main__.py"}
"""Files of a package that are no room of it."""


def source() -> str:
    """All code of both packages."""
    return "\n".join(path.read_text() for path in ROOT.glob("aurea_*/**/*.py"))


def test_files_on_the_page_exist() -> None:
    named = re.findall(r"`((?:aurea_engine|aurea_server|docs|tests)/[\w./]*)`", PAGE)
    missing = [path for path in named if not (ROOT / path).exists()]
    assert named
    assert missing == []


def test_files_in_the_picture_exist() -> None:
    """They stand at the ends of its lines, without the package's name."""
    picture = re.findall(r"(?s)```text\n(.*?)```", PAGE)[0]
    named = re.findall(r" (\w+\.py|\w+/[\w/.]*)$", picture, re.MULTILINE)
    assert len(named) >= 8
    assert [path for path in named if not (ROOT / "aurea_engine" / path).exists()] == []


def test_classes_on_the_page_are_defined() -> None:
    code = source()
    named = set(re.findall(r"`([A-Z]\w+)`", PAGE))
    assert "Driver" in named
    assert [name for name in named if not re.search(rf"^(class {name}\b|{name}\b.*=)", code, re.MULTILINE)] == ["Host"]


def test_functions_on_the_page_are_defined() -> None:
    code = source()
    for name in ("execute", "run", "simulate", "summarize"):
        assert f"`{name}`" in PAGE
        assert re.search(rf"^(async )?def {name}\(", code, re.MULTILINE)


@pytest.mark.parametrize("room", [path for path in ROOMS if path.name not in NO_ROOMS], ids=lambda path: path.name)
def test_every_room_is_on_the_page(room: Path) -> None:
    name = room.relative_to(ROOT).as_posix()
    assert f"`{name}`" in PAGE or f"`{name}/`" in PAGE


@pytest.mark.parametrize(("package", "top"), [("engine", "report"), ("server", "cli")])
def test_rooms_on_page_are_those_checked(package: str, top: str) -> None:
    """The list of rooms is the one that is checked."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    layers = settings[f"importlinter:contract:{package}"]["layers"].split("\n")
    checked = [re.findall(r"\w+", line) for line in layers if line]
    shown = next(block for block in re.findall(r"(?s)```text\n(.*?)```", PAGE) if block.startswith(top))
    assert [line.split() for line in shown.splitlines()] == checked
