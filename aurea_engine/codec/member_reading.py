"""The members of JSON objects, read one by one: what is wrong with them is collected, never raised at the first."""

from __future__ import annotations

import contextlib
import functools
import re
import typing
from collections.abc import Hashable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

from aurea_engine.codec.parsing import RESULT_DEPTH
from aurea_engine.errors import Problem
from aurea_engine.fields.checked import MOST_PROBLEMS, convert, show_value

Made = TypeVar("Made")

MOST_DEPTH = RESULT_DEPTH
"""How deep objects of no fixed form may nest; the parser allows no more in a whole document."""

# Of bounded length: Python takes quadratic time to read a long number, and a fraction of "1e999999999" has no end.
_RATIO = re.compile(r"-?[0-9]{1,400}(?:\.[0-9]{1,400}|/0*[1-9][0-9]{0,399})?", re.ASCII)


# A series has two thousand points of one class, and reading its annotations takes longer than reading a point.
@functools.cache
def _list_hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


class Members:
    """The members of one JSON object at ``path``. A problem with one is added to ``problems``, and None stands for it."""

    def __init__(self, data: object, path: str, problems: list[Problem]) -> None:
        self.path, self.problems = path, problems
        self.data: Mapping[str, Any] = {}
        if isinstance(data, Mapping):
            self.data = data
        else:
            problems.append(Problem(path, "must be an object", show_value(data)))

    def path_of(self, name: str) -> str:
        """Where the member is, from the document's root."""
        return f"{self.path}.{name}" if self.path else name

    def report(self, name: str, problem: str) -> None:
        """Say what is wrong with the member ``name``."""
        got = show_value(self.data[name]) if name in self.data else ""
        self.problems.append(Problem(self.path_of(name), problem, got))

    def read(self, name: str, hint: Any, missing: Any = None) -> Any:
        """The member as ``hint`` wants it, which may be any annotation of a field; ``missing`` where there is none."""
        # A member that is null is not missing: whether it may be null is the annotation's affair.
        if name not in self.data:
            return missing
        return convert(self.data[name], hint, self.path_of(name), self.problems)

    def require(self, name: str, hint: Any) -> Any:
        """The same for a member that must be there."""
        if name not in self.data:
            self.report(name, "is required")
        return self.read(name, hint)

    def read_object(self, name: str) -> Members:
        """A member that is an object; one without members where it is missing or null."""
        found = self.data.get(name)
        return Members({} if found is None else found, self.path_of(name), self.problems)

    def read_objects(self, name: str) -> Iterator[Members]:
        """The items of a member that is a list of objects."""
        found = self.data.get(name)
        if found is not None and not isinstance(found, (list, tuple)):
            self.report(name, "must be a list")
            return
        # Lazily: a list of a million faults costs a hundred looks.
        for i, item in enumerate(found or ()):
            if len(self.problems) >= MOST_PROBLEMS:
                return  # more would not help
            yield Members(item, f"{self.path_of(name)}[{i}]", self.problems)

    def fill(self, cls: type[Made], **missing: Any) -> Made:
        """A dataclass or named tuple of these members, each as its annotation says; ``missing`` where one may be absent."""
        values = {
            name: self.read(name, hint, missing[name]) if name in missing else self.require(name, hint)
            for name, hint in _list_hints(typing.cast(Hashable, cls)).items()
        }
        return cls(**values)

    def read_ratio(self, name: str) -> Fraction | None:
        """An exact number, as text: a decimal or a ratio."""
        found = self.data.get(name)
        if found is None:
            return None
        if not isinstance(found, str) or not _RATIO.fullmatch(found):
            self.report(name, 'must be an exact number as text, such as "0.25" or "1/3"')
            return None
        return Fraction(found)

    def read_instant(self, name: str) -> datetime | None:
        """An instant in the long form of ISO 8601, with its time zone."""
        found = self.require(name, str)
        if found is None:
            return None
        with contextlib.suppress(ValueError):
            instant = datetime.fromisoformat(found)
            if instant.tzinfo is not None:
                return instant
        self.report(name, "must be an instant with a time zone, such as 2026-11-22T10:00:00.000Z")
        return None

    def read_plain(self, name: str) -> dict[str, Any]:
        """An object of no fixed form, with floats in place of decimals: as it was before it became JSON."""
        return {str(key): self._make_plain(value, name, 1) for key, value in self.read_object(name).data.items()}

    def _make_plain(self, value: object, name: str, depth: int) -> Any:
        if depth > MOST_DEPTH:
            self.report(name, f"must not be nested deeper than {MOST_DEPTH}")
            return None
        if isinstance(value, Mapping):
            return {str(key): self._make_plain(item, name, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._make_plain(item, name, depth + 1) for item in value]
        # The parser makes decimals, so that no digit is lost; here they were floats before they were written.
        return float(value) if isinstance(value, Decimal) else value
