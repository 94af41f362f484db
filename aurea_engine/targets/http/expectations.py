"""What a reply must be like for its job to have completed: the member ``expect``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Checked, Invalid, non_empty
from aurea_engine.targets.http.member_rules import ExpectedJsonRule
from aurea_engine.targets.http.replies import MOST_KEPT_BYTES


class _StatusRule:
    """A code, or a class of codes."""

    words = "statuses"
    schema: ClassVar[Mapping[str, Any]] = {
        "anyOf": [{"type": "integer", "minimum": 200, "maximum": 599}, {"enum": ["2xx", "3xx", "4xx", "5xx"]}]
    }

    def coerce(self, value: object) -> int | str:
        if isinstance(value, str) and re.fullmatch("[2-5]xx", value):
            return value
        # 1xx are no replies: they come before one.
        if isinstance(value, int) and not isinstance(value, bool) and 200 <= value <= 599:
            return value
        raise Invalid('must be a code from 200 to 599, or a class such as "2xx"')


Status = Annotated[int | str, _StatusRule()]
Statuses = Annotated[tuple[Status, ...], non_empty("must hold at least one code or class")]


@dataclass(frozen=True)
class Expect(Checked):
    """What a reply must be like. ``contains``: a text in the body, in UTF-8. ``json``: JSON pointer → value. ``max_bytes``
    of the body. A job whose reply is otherwise has failed.
    """

    status: Statuses = ("2xx", "3xx")
    contains: Annotated[str, Meta(max_length=65_536)] | None = None
    json: Annotated[Mapping[str, Any] | None, ExpectedJsonRule()] = field(default=None, hash=False)
    max_bytes: Annotated[int, Meta(ge=0, le=2**53)] | None = None

    def check(self) -> list[Problem]:
        # An expectation that nothing can fail is a mistake, and it would go unnoticed.
        if self.contains == "":
            return [Problem("contains", "must not be empty: every body contains the empty text")]
        if self.looks_at_body and self.max_bytes is not None and self.max_bytes > MOST_KEPT_BYTES:
            problem = (
                f"must be at most {MOST_KEPT_BYTES:,} beside contains and json: a body that is looked at is kept whole"
            )
            return [Problem("max_bytes", problem, str(self.max_bytes))]
        return []

    @property
    def looks_at_body(self) -> bool:
        """Whether the body has to be kept."""
        return self.contains is not None or self.json is not None

    @property
    def codes(self) -> frozenset[int]:
        """Every status that is right."""
        classes = {int(each[0]) for each in self.status if isinstance(each, str)}
        listed = {each for each in self.status if isinstance(each, int)}
        return frozenset(listed | {code for code in range(200, 600) if code // 100 in classes})
