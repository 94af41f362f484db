"""One error tree; every class is also the built-in one that a caller would expect."""

from __future__ import annotations

import inspect
import re

import pytest

from aurea_engine import (
    AureaError,
    DamagedParts,
    DamagedRunFile,
    NeedsRecords,
    NotSimulable,
    Problem,
    SpecError,
    StrategyError,
    errors,
)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (SpecError, ValueError),
        (NotSimulable, ValueError),
        (StrategyError, RuntimeError),
        (NeedsRecords, LookupError),
        (DamagedParts, ValueError),
        (DamagedRunFile, ValueError),
    ],
)
def test_errors_are_also_built_in_ones(error: type[Exception], builtin: type[Exception]) -> None:
    """So that either may be caught."""
    assert issubclass(error, AureaError)
    assert issubclass(error, builtin)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Every class that the module defines is drawn at its top."""
    drawn = set(re.findall(r"([A-Z]\w+)(?: \(\w+\))?  ", inspect.getdoc(errors) or "")) | {"AureaError"}
    made = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert made == drawn


def test_spec_error_has_sentence_per_problem() -> None:
    """Path, problem, value."""
    error = SpecError([Problem("a.b", "must be > 0", "-1"), Problem("", "is wrong")])
    assert str(error) == "a.b: must be > 0, got -1; is wrong"
    assert len(error.problems) == 2
    assert (Problem("", "one sentence"),) == SpecError("one sentence").problems


@pytest.mark.parametrize(("path", "seen"), [("b", "a.b"), ("", "a"), ("[0].c", "a[0].c")])
def test_a_problem_can_be_seen_from_further_out(path: str, seen: str) -> None:
    """Members are joined by points, items by brackets."""
    assert seen == Problem(path, "x").within("a").path
