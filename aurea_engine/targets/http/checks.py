"""Checks of a reply's body, compiled once from ``expect``. Without any, nothing of a body is kept or looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from aurea_engine.targets.http.expectations import Expect
from aurea_engine.targets.http.pointers import ABSENT, compile_pointer

BodyCheck = Callable[[bytes], bool]


def compile_check(expect: Expect) -> BodyCheck | None:
    """Whether a body is as ``expect`` says; None if it says nothing of bodies."""
    checks: list[BodyCheck] = []
    if expect.contains is not None:
        checks.append(_contains(expect.contains.encode()))
    if expect.json is not None:
        checks.append(_compile_json_check(expect.json.items()))
    if len(checks) < 2:
        return checks[0] if checks else None
    first, second = checks
    return lambda body: first(body) and second(body)


NO_MEMORY = MemoryError.__name__
"""How a job fails whose reply was more than the memory left to look at. It is raised within a callback of the event loop,
which would swallow it, and the job would never end. A runner finds its run by this name, as that of any job.
"""


class Verdict:
    """How a whole reply is judged: ``codes`` are the statuses that are right, ``check`` looks at the body."""

    __slots__ = ("check", "codes")

    def __init__(self, codes: frozenset[int], check: BodyCheck | None = None) -> None:
        self.codes, self.check = codes, check

    def judge(self, status: int, body: bytes) -> str | None:
        """The class of the failure, None if there is none."""
        # The status first: the page of an error is not looked at for what a right one would hold.
        if status not in self.codes:
            return "status"
        if self.check is None:
            return None
        try:
            return None if self.check(body) else "check"
        except MemoryError:
            return NO_MEMORY


def _contains(wanted: bytes) -> BodyCheck:
    return lambda body: wanted in body


def _compile_json_check(expected: Any) -> BodyCheck:
    pairs = [(compile_pointer(pointer).find, value) for pointer, value in expected]
    decode = msgspec.json.Decoder().decode

    def check(body: bytes) -> bool:
        try:
            document = decode(body)
        # RecursionError: a body that is nothing but brackets. UnicodeError: texts that are no UTF-8.
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return False
        return all(equal_json(find(document), value) for find, value in pairs)

    return check


def equal_json(found: Any, expected: Any) -> bool:
    """Whether two values of JSON are the same. Numbers are compared as numbers: 1 is 1.0, and true is no 1."""
    if found is ABSENT:
        return False
    # In Python True equals 1.
    if isinstance(expected, bool) or isinstance(found, bool):
        return found is expected
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and found.keys() == expected.keys()
            and all(equal_json(found[name], value) for name, value in expected.items())
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(equal_json(*each) for each in zip(found, expected, strict=True))
        )
    return bool(found == expected)
