"""Checks of replies: statuses, texts, and values at JSON pointers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import SpecError
from aurea_engine.targets.http.checks import Verdict, compile_check, equal_json
from aurea_engine.targets.http.expectations import Expect
from aurea_engine.targets.http.pointers import ABSENT, compile_pointer

# The examples of RFC 6901, section 5.
DOCUMENT = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8}
POINTERS = {
    "": DOCUMENT,
    "/foo": ["bar", "baz"],
    "/foo/0": "bar",
    "/": 0,
    "/a~1b": 1,
    "/c%d": 2,
    "/e^f": 3,
    "/g|h": 4,
    "/i\\j": 5,
    '/k"l': 6,
    "/ ": 7,
    "/m~0n": 8,
}


@pytest.mark.parametrize("pointer", POINTERS)
def test_pointers_find_what_standard_says(pointer: str) -> None:
    assert compile_pointer(pointer).find(DOCUMENT) == POINTERS[pointer]


@pytest.mark.parametrize(
    "pointer", ["/foo/2", "/foo/-", "/foo/00", "/foo/01", "/foo/x", "/none", "/foo/0/x", "/a/b", "/~01"]
)
def test_a_pointer_to_nothing_is_absent(pointer: str) -> None:
    assert compile_pointer(pointer).find(DOCUMENT) is ABSENT


@pytest.mark.parametrize("text", ["foo", "/a~2", "/~", 5, "/" + "a" * 2000])
def test_what_is_no_pointer_is_refused(text: object) -> None:
    with pytest.raises(SpecError, match="must be a JSON pointer"):
        compile_pointer(text)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(json_values, json_values)
def test_values_are_equal_if_their_texts_are(a: object, b: object) -> None:
    """The oracle: the same value written the same way, with every number as a float."""

    def canonical(value: object) -> str:
        return json.dumps(json.loads(json.dumps(value), parse_int=float), sort_keys=True).replace("-0.0", "0.0")

    assert equal_json(a, b) == (canonical(a) == canonical(b))
    assert equal_json(json.loads(json.dumps(a)), a)


@pytest.mark.parametrize(
    ("found", "expected", "equal"),
    [(1, 1.0, True), (True, 1, False), (0, False, False), (None, None, True), ("1", 1, False), ([1.0], [1], True)],
)
def test_numbers_are_compared_as_numbers(found: object, expected: object, equal: bool) -> None:
    """And true is no 1."""
    assert equal_json(found, expected) is equal


def judge(body: bytes, code: int = 200, /, **expect: object) -> str | None:
    made = Expect(**expect)  # type: ignore[arg-type]
    return Verdict(made.codes, compile_check(made)).judge(code, body)


def test_a_failed_check_is_of_its_class() -> None:
    """The status comes first: an error's page is not looked at for what a right one would hold."""
    assert judge(b"") is None
    assert judge(b"", 404) == "status"
    assert judge(b"", 301) is None
    assert judge(b"", 404, status=["2xx", 404]) is None
    assert judge(b"", 200, status=[404]) == "status"
    assert judge("grün".encode(), contains="rü") is None
    assert judge(b"red", contains="green") == "check"
    assert judge(b"red", 500, contains="green") == "status"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b'{"a": 2}', b'{"a": "1"}', b"\xff", b"[" * 100_000, b'{"a": NaN}']
)
def test_a_body_without_the_value_fails(body: bytes) -> None:
    """Whatever it is in place of JSON."""
    assert judge(body, json={"/a": 1}) == "check"


def test_several_checks_must_all_hold() -> None:
    body = b'{"a": 1, "b": {"c": [true]}}'
    assert judge(body, json={"/a": 1.0, "/b": {"c": [True]}}, contains="true") is None
    assert judge(body, json={"/a": 1, "/b/c/0": 1}, contains="true") == "check"
    assert judge(body, json={"/a": 1}, contains="false") == "check"


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"status": []}, "status: must hold at least one"),
        ({"status": ["1xx"]}, "status[0]: must be a code from 200 to 599"),
        ({"status": [199, True]}, "status[0]: must be a code from 200 to 599"),
        ({"contains": ""}, "contains: must not be empty"),
        ({"json": {}}, "json: must be an object of JSON pointers"),
        ({"json": {"a": 1}}, "json: must be a JSON pointer"),
        ({"json": {"/a": float("nan")}}, "json: must be JSON"),
        ({"contains": "a", "max_bytes": 2**21}, "max_bytes: must be at most 1,048,576 beside contains and json"),
        ({"max_bytes": -1}, "max_bytes: must be a whole number >= 0"),
    ],
)
def test_expectations_are_checked(members: dict[str, object], problem: str) -> None:
    with pytest.raises(SpecError) as refused:
        Expect(**members)  # type: ignore[arg-type]
    assert problem in str(refused.value)


def test_check_without_memory_fails_its_job() -> None:
    """What a callback of the event loop raises is swallowed by it, and the job would have no end."""

    def check(body: bytes) -> bool:
        raise MemoryError

    assert Verdict(frozenset((200,)), check).judge(200, b"") == "MemoryError"
