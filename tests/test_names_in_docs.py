"""Names of code in the documentation exist: a page that names what was renamed sends its reader nowhere."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import aurea_engine
import aurea_engine.costs
import aurea_engine.testing

DOCS = Path(__file__).parent.parent / "docs"
MODULES = (aurea_engine, aurea_engine.costs, aurea_engine.testing)
CLASSES = {name: value for module in MODULES for name, value in vars(module).items() if isinstance(value, type)}
DOTTED = re.compile(r"`([A-Z]\w+)\.(\w+)(?:\([^`]*\))?`")
"""A member of a class: `CostModel.monotone`."""


ABOUT_CODE = ("cost.md", "extending.md", "numbers.md", "spec.md", "vocabulary.md")
"""Pages whose names are ours; those on operations name other programs' settings too."""


def names_of(value: type) -> set[str]:
    """Members, and fields that only instances have."""
    return set(dir(value)) | {name for base in value.__mro__ for name in vars(base).get("__annotations__", {})}


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_members_in_docs_exist(page: Path) -> None:
    """Of every class that is public."""
    wrong = [
        f"{name}.{member}"
        for name, member in DOTTED.findall(page.read_text())
        if name in CLASSES and member not in names_of(CLASSES[name])
    ]
    assert not wrong


def words_of_code() -> set[str]:
    """Every name that the packages define or use, and the words of the wire format."""
    root = DOCS.parent
    text = "\n".join(
        path.read_text()
        for folder in ("aurea_engine", "aurea_server", "tests")
        for path in (root / folder).rglob("*.py")
    )
    return set(re.findall(r"[A-Za-z_]\w*", text))


def test_lower_case_names_in_docs_are_in_the_code() -> None:
    """Names with an underscore, in code, wire format or the page's own examples."""
    known = words_of_code()
    pages = {name: (DOCS / name).read_text() for name in ABOUT_CODE}
    wrong = set()
    for name, text in pages.items():
        prose = re.sub(r"(?s)```.*?```", "", text)
        examples = set(re.findall(r"[A-Za-z_]\w*", "".join(re.findall(r"(?s)```.*?```", text))))
        for word in re.findall(r"`(?!benchmark_)([a-z]+(?:_[a-z0-9]+)+)(?:\(\))?`", prose):
            if word not in known | examples:
                wrong.add(f"{name}: {word}")
    assert not wrong, sorted(wrong)


def test_modules_in_docs_can_be_imported() -> None:
    """`aurea_engine.testing`, for instance."""
    found = {
        path
        for page in DOCS.glob("*.md")
        for path in re.findall(r"`(aurea_(?:engine|server)(?:\.[a-z_]+)+)`", page.read_text())
    }
    for path in found:
        module, _, name = path.rpartition(".")
        known = {each.name for each in pkgutil.iter_modules(importlib.import_module(module).__path__)}
        assert name in known or hasattr(importlib.import_module(module), name), path
