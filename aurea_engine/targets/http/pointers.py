"""JSON pointers (RFC 6901): ``/items/0/name`` is the name of the first item; the empty pointer is the whole document."""

from __future__ import annotations

import re
from typing import Any, Final

from aurea_engine.errors import SpecError

ABSENT: Final = object()
"""What `find` gives where the document has nothing."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
MOST_POINTER = 1024


class Pointer:
    """A compiled pointer."""

    __slots__ = ("_steps",)

    def __init__(self, steps: tuple[tuple[str, int | None], ...]) -> None:
        self._steps = steps

    def find(self, document: Any) -> Any:
        """The value in ``document``, or `ABSENT`."""
        for name, index in self._steps:
            # The document decides whether a step is a member's name or a position: "0" may be either.
            if document.__class__ is dict:
                document = document.get(name, ABSENT)
            elif document.__class__ is list and index is not None and index < len(document):
                document = document[index]
            else:
                return ABSENT
        return document


def compile_pointer(text: object) -> Pointer:
    """``text`` as a pointer. Raises `SpecError`."""
    if not isinstance(text, str) or len(text) > MOST_POINTER or (text and not text.startswith("/")):
        raise SpecError(
            "must be a JSON pointer, such as /items/0/name: it begins with /, and the empty pointer is the whole document"
        )
    if re.search(r"~(?![01])", text):
        raise SpecError("must be a JSON pointer, in which ~ is written ~0, and / within a name ~1")
    steps = []
    for raw in text.split("/")[1:]:
        # In this order: "~01" is "~1" and no slash (RFC 6901, section 4).
        name = raw.replace("~1", "/").replace("~0", "~")
        steps.append((name, int(name) if _INDEX.fullmatch(name) else None))
    return Pointer(tuple(steps))
