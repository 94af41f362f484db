"""Errors of the core in HTTP: each has a status and a code, and the page lists them all."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from aurea_server.history import Damaged, KeyReused, ReadFailed, StorageFull, StoreError
from aurea_server.http.problems import ERRORS, to_problem
from aurea_server.runs.errors import NotFound, QueueFull, RunError

ROOT = Path(__file__).parents[2]


def test_every_error_of_the_core_has_a_status() -> None:
    """An error without one would be a 500. `FollowerLagged` is an event of a stream that has begun, not a response."""
    named = {cls.__name__ for cls in RunError.__subclasses__()} - {"FollowerLagged"}
    assert named == {cls.__name__ for cls in ERRORS if issubclass(cls, RunError)}


def test_a_subclass_has_the_meaning_of_its_parent() -> None:
    """Unless it has a row of its own."""
    assert (to_problem(ReadFailed("x")).status, to_problem(ReadFailed("x")).code) == (503, "storage_failed")
    assert to_problem(StorageFull("x")).code == "storage_full"
    assert {cls for cls in StoreError.__subclasses__() if cls in ERRORS} == {StorageFull, Damaged}
    assert not issubclass(KeyReused, tuple(cls for cls in ERRORS if cls is not StoreError))


def test_texts_for_the_operator_stay_inside() -> None:
    """What the disk says may hold paths; what the core says is for clients."""
    assert "secret" not in to_problem(StorageFull("/secret/path")).error
    assert to_problem(NotFound()).error == "There is no such run."


@pytest.mark.parametrize(("error", "header"), [(QueueFull("x", 7), "7"), (StorageFull("x"), "10"), (NotFound(), None)])
def test_retry_after_is_what_the_error_says(error: RunError | StoreError, header: str | None) -> None:
    assert to_problem(error).headers.get("Retry-After") == header


def raised_codes() -> set[tuple[int, str]]:
    """(status, code) of every problem that http/ makes, but for those whose code is worked out."""
    found = {(meaning.status, meaning.code) for meaning in ERRORS.values()}
    for file in (ROOT / "aurea_server/http").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "HttpProblem":
                match node.args[:2]:
                    case [ast.Constant(int(status)), ast.Constant(str(code))]:
                        found.add((status, code))
    return found


def test_the_page_lists_every_problem_code() -> None:
    """With its status, in the table of docs/http-api.md."""
    page = (ROOT / "docs/http-api.md").read_text()
    rows = re.findall(r"^\| ((?:\d{3}(?:, )?)+) \| (.*) \|$", page, re.MULTILINE)
    listed = {
        (int(status), code)
        for statuses, text in rows
        for status in statuses.split(", ")
        for code in re.findall(r"`([a-z_]+)`", text)
    }
    assert raised_codes() - listed == set()
