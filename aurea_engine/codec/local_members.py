"""Members that refer to this machine: which of them a specification from elsewhere may have, and what becomes of them.

The rules are annotations (`aurea_engine.fields.local_files`); here they are obeyed. It happens before any constructor runs,
since a constructor is what would open the file.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aurea_engine.errors import Problem
from aurea_engine.fields.checked import resolve_hints, show_value
from aurea_engine.fields.local_files import DataFile, Local, NotFromElsewhere


def join_path(path: str, name: str) -> str:
    """The path of the member ``name`` of the object at ``path``."""
    return f"{path}.{name}" if path else name


def admit_members(
    members: Mapping[str, Any], hints: Mapping[str, Any], path: str, data_dir: Path | None, problems: list[Problem]
) -> dict[str, Any]:
    """The members of an object of a specification from elsewhere; what it may not have is appended to ``problems``."""
    return {
        name: _admit(value, hints.get(name), join_path(path, name), data_dir, problems)
        for name, value in members.items()
    }


def _admit(value: object, hint: Any, path: str, data_dir: Path | None, problems: list[Problem]) -> object:
    """The same, or the published file that it names."""
    for rule in typing.get_args(hint):
        if not isinstance(rule, NotFromElsewhere):
            continue
        # Only a text can be a name: what is wrong with any other value is said where it is converted.
        if rule.publishable and data_dir is not None and isinstance(value, str):
            try:
                return DataFile.within(value, data_dir)
            except ValueError as error:
                problems.append(Problem(path, str(error), show_value(value)))
        elif (refusal := rule.refuse(value)) is not None:
            problems.append(Problem(path, refusal))
    return value


def find_opened(cls: Any, members: Mapping[str, Any]) -> str | None:
    """The member that names a file which making a ``cls`` of ``members`` would open; None if there is none."""
    # A strategy need not be a dataclass; then it has no members.
    for name in [] if not dataclasses.is_dataclass(cls) else [each.name for each in dataclasses.fields(cls)]:
        rules = typing.get_args(resolve_hints(cls).get(name))
        if members.get(name) is not None and any(isinstance(rule, NotFromElsewhere) and rule.opens for rule in rules):
            return name
    return None


@functools.cache
def local_defaults(cls: Any) -> dict[str, Any]:
    """Members that only have a sense beside a file of this machine: where there is none, they are not written."""
    hints = resolve_hints(cls)
    return {
        field.name: field.default
        for field in dataclasses.fields(cls)
        if any(isinstance(rule, Local) and rule.local for rule in typing.get_args(hints.get(field.name)))
    }
