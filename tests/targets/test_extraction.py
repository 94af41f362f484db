"""Values that are taken out of replies: what is found, what is missing, and that no text can hold up a run."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aurea_engine import SpecError
from aurea_engine.targets.http.extraction import MOST_NESTED, MOST_TEXT, MOST_VALUE, Extract, Extraction, ExtractRule
from aurea_engine.targets.http.linear_regex import MOST_STEPS, LinearRegex

HEADERS = [("location", "/orders/7"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-empty", "")]


def take(body: bytes = b"", **where: str) -> object:
    """What a reply gives for the one variable; None where it gives nothing."""
    found: dict[str, object] = {}
    extraction = Extraction({"v": Extract(**where)}, "step")
    return found["step.v"] if extraction.take(HEADERS, body, found) else None


@pytest.mark.parametrize(
    ("pointer", "value"),
    [("/id", 7), ("/user/name", "Ann"), ("/tags/1", "b"), ("/on", True), ("/user", {"name": "Ann"}), ("/a~1b", 1)],
)
def test_a_pointer_finds_a_value(pointer: str, value: object) -> None:
    """Of any type, as JSON has it."""
    assert take(b'{"id": 7, "user": {"name": "Ann"}, "tags": ["a", "b"], "on": true, "a/b": 1}', json=pointer) == value


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"id": null}', "/id"),
        (b"{}", "/id"),
        (b"[1]", "/1"),
        (b"not json", ""),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, "/0"),
        (b'"%s"' % (b"x" * (MOST_VALUE + 1)), ""),
        (b"[%s[]]" % (b"[]," * (MOST_NESTED // 3)), ""),
        (b"", ""),
    ],
)
def test_what_is_missing_is_missing(body: bytes, pointer: str) -> None:
    """Nothing there, null, no JSON, or more than is kept."""
    assert take(body, json=pointer) is None


def test_long_values_are_taken_up_to_a_bound() -> None:
    """A text of 16,384 characters, and a list of 4,096 as JSON."""
    assert take(b'"%s"' % (b"x" * MOST_VALUE), json="") == "x" * MOST_VALUE
    assert take(b"[%s[]]" % (b"[]," * ((MOST_NESTED - 4) // 3)), json="") is not None


def test_a_header_is_found_in_any_case() -> None:
    """The first of several; one that is empty is there."""
    assert take(header="LOCATION") == "/orders/7"
    assert take(header="Set-Cookie") == "a=1"
    assert take(header="X-Empty") == ""
    assert take(header="X-None") is None


@pytest.mark.parametrize(
    ("regex", "body", "value"),
    [
        (r'name="csrf" value="([^"]+)"', b'<input name="csrf" value="abc">', "abc"),
        (r"id=\d+", b"a id=12 b", "id=12"),
        (r"(?i)TOKEN:\s*(\S+)", b"token:  xyz\n", "xyz"),
        (r"(?s)<a>(.*?)</a>", b"<a>1\n2</a><a>3</a>", "1\n2"),
        (r"price: (?:EUR|USD) (\d+(?:\.\d{2})?)", b"price: USD 12.50", "12.50"),
        ("caf(é)", "café".encode(), "é"),
        (r"^(\w+)$", b"word", "word"),
        (r"(a)|b", b"b", None),
        (r"x(y*)", b"x", ""),
    ],
)
def test_a_regex_finds_its_group(regex: str, body: bytes, value: str | None) -> None:
    """Or the whole match where it has none; a group that did not take part is missing."""
    assert take(body, regex=regex) == value


def test_regex_sees_the_beginning_of_a_body() -> None:
    """64 KiB of it."""
    assert take(b" " * (MOST_TEXT - 2) + b"id", regex="id") == "id"
    assert take(b" " * (MOST_TEXT - 1) + b"id", regex="id") is None


ATOMS = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", r"\d", "1", r"\w", "ab", "^", "$", r"\n"])


def _quantify(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    quantifiers = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{,2}", "*?", "+?", "??", "{1,}?"])
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda ways: f"(?:{'|'.join(ways)})"),
        st.tuples(inner, quantifiers).map(lambda each: f"(?:{each[0]}){each[1]}"),
    )


EXPRESSIONS = st.recursive(ATOMS, _quantify, max_leaves=8)


@settings(max_examples=400)
@given(
    parts=st.lists(EXPRESSIONS, min_size=1, max_size=3), group=st.integers(-1, 2), text=st.text("abc1 \n", max_size=12)
)
def test_it_finds_what_pythons_engine_finds(parts: list[str], group: int, text: str) -> None:
    """The oracle is `re`: the same match, and the same group, of every expression that is taken."""
    expression = "".join(f"({part})" if i == group else f"(?:{part})" for i, part in enumerate(parts))
    try:
        linear = LinearRegex(expression)
    except SpecError:
        assume(False)
    found = re.search(expression, text)
    assert linear.find(text) == (None if found is None else found[1] if 0 <= group < len(parts) else found[0])


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (r"(?:a|a)*b", "a" * MOST_TEXT),
        (r"(?:a+)+b", "a" * MOST_TEXT),
        (r"(?:(?:a+)+)+b", "a" * MOST_TEXT),
        (r"(\d+) items", "1" * MOST_TEXT),
        (r".*.*.*x", "a" * MOST_TEXT),
        (r"(?:.{1,50}){1,4}x", "a" * MOST_TEXT),
        (r"a[^b]*b[^c]*c[^d]*d", "abc" * (MOST_TEXT // 3)),
        (f"a(?:{'|' * 900})b", "a" * MOST_TEXT),  # ways without a character, at each one
    ],
)
def test_no_text_holds_up_a_run(expression: str, text: str) -> None:
    """`re` would take from seconds to centuries for these. Bounded by steps, so by CPU time on any machine."""
    linear = LinearRegex(expression)
    began = time.process_time()
    assert linear.find(text) is None
    # A step takes half a microsecond; a loaded machine is given ten times that.
    assert time.process_time() - began < MOST_STEPS * 5e-6


def test_many_expressions_hold_up_no_run() -> None:
    """A hundred of one step, each of which would use all that one may."""
    extraction = Extraction({f"v{i}": Extract(regex=f"(?:a|a)*b{i}") for i in range(100)}, "step")
    began = time.process_time()
    assert not extraction.take([], b"a" * MOST_TEXT, {})
    assert time.process_time() - began < 2 * MOST_STEPS * 5e-6


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        (r"(a)\1", "no reference"),
        (r"a(?=b)", "no look-around"),
        (r"(?<=a)b", "no look-around"),
        (r"(?P<x>a)", "no named group"),
        (r"\ba", r"no \\b"),
        ("(a)(b)", "one group at most"),
        ("(a*)*", "can be empty"),
        ("(?:^)*", "can be empty"),
        ("a**", "one quantifier"),
        ("*a", "nothing before"),
        ("(a", "without its"),
        ("a)", "without its"),
        ("[z-a]", "no regular expression"),
        ("[[a]", "classes such as"),
        ("[a", "classes such as"),
        ("a{201}", "at most 200 times"),
        ("(?:(?:a{100}){100})", "must be shorter"),
        ("(?:" * 60 + "a" + ")" * 60, "nested"),
        ("a++", "one quantifier"),
        ("", "1 to 1,024"),
        ("x" * 1025, "1 to 1,024"),
    ],
)
def test_unsupported_expressions_are_refused(expression: str, says: str) -> None:
    """When the specification is made, with the reason."""
    with pytest.raises(SpecError, match=says):
        Extract(regex=expression)


@pytest.mark.parametrize(
    ("given", "path", "says"),
    [
        ({"v": {}}, "v", "must be {"),
        ({"v": {"json": "/a", "header": "b"}}, "v", "must be {"),
        ({"v": {"xpath": "/a"}}, "v", "one of json, header, regex"),
        ({"v": "a"}, "v", "one of json"),
        ({"v": {"json": "a"}}, "v.json", "JSON pointer"),
        ({"v": {"header": "a b"}}, "v.header", "name of a header"),
        ({"v": {"regex": "("}}, "v.regex", "without its"),
        ({"1v": {"json": ""}}, "", "letters, digits"),
        ({"a b": {"json": ""}}, "", "letters, digits"),
    ],
)
def test_wrong_extractions_are_refused(given: Any, path: str, says: str) -> None:
    """Each with the path of its member."""
    with pytest.raises(SpecError, match=re.escape(says) if "{" in says else says) as refused:
        ExtractRule().coerce(given)
    assert [problem.path for problem in refused.value.problems] == [path]
