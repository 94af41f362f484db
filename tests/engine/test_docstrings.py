"""Examples in docstrings work as they stand."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import pytest

import aurea_engine

PRIVATE = ("aurea_engine.costs",)  # somebody else's, with tests of its own


def documented() -> Iterator[tuple[str, str]]:
    """(name, docstring) of every module, class and function of the engine that has an example in it."""
    for module_info in pkgutil.walk_packages(aurea_engine.__path__, "aurea_engine."):
        if module_info.name.startswith(PRIVATE):
            continue
        module = importlib.import_module(module_info.name)
        yield from found(module_info.name, ast.parse(inspect.getsource(module)))
    yield from found("aurea_engine", ast.parse(inspect.getsource(aurea_engine)))


def found(name: str, tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and "::\n" in text + "\n":
                yield f"{name}.{getattr(node, 'name', '')}".rstrip("."), text


def code_of(text: str) -> str:
    """What follows the double colon, as far as it is indented as its first line is."""
    lines = re.split(r"::\s*\n", text, maxsplit=1)[1].strip("\n").splitlines()
    indented = lines[0].startswith(" ")
    block = list(takewhile(lambda line: not line or line.startswith(" ") or not indented, lines))
    return textwrap.dedent("\n".join(block))


def python(text: str) -> str | None:
    """The longest beginning of the block, by paragraphs, that is Python."""
    paragraphs = code_of(text).split("\n\n")
    for n in range(len(paragraphs), 0, -1):
        code = "\n\n".join(paragraphs[:n])
        try:
            tree = ast.parse(code)
        except SyntaxError:
            continue
        if any(isinstance(node, ast.Call | ast.ClassDef | ast.Import | ast.ImportFrom) for node in tree.body) or any(
            isinstance(node, ast.Assign) for node in tree.body
        ):
            return code
    return None


EXAMPLES = [(name, code) for name, text in documented() if (code := python(text))]


@pytest.mark.parametrize(("name", "code"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_an_example_runs(name: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In a namespace that has the public names, and whatever a reader would bring along."""
    if "await " in code:
        code = "async def main():\n" + textwrap.indent(code, "    ")
    given: dict[str, Any] = {each: getattr(aurea_engine, each) for each in aurea_engine.__all__}
    exec(compile(code, f"<example of {name}>", "exec"), given)


def test_there_are_examples() -> None:
    """Of the package, and of writing a job."""
    assert {"aurea_engine", "aurea_engine.workload.jobs.Job"} <= {name for name, _ in EXAMPLES}
