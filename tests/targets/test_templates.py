"""Templates: what placeholders stand for, how each place escapes it, and what is refused before a run."""

from __future__ import annotations

import json
import uuid
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import Data, SpecError
from aurea_engine.targets.failures import RequestFailed
from aurea_engine.targets.http.data import read_rows
from aurea_engine.targets.http.draws import Draws
from aurea_engine.targets.http.escaping import Place
from aurea_engine.targets.http.templates import (
    JobContext,
    Names,
    RowFields,
    Template,
    compile_json,
    compile_template,
)
from aurea_engine.workload.streams import Streams

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def names(*fields: str, variables: tuple[str, ...] = ()) -> Names:
    return Names(RowFields(fields), variables)


def render(template: Template, *row: str, index: int = 0, **variables: object) -> str:
    context = JobContext(lambda number: f"uuid-{number}")
    context.begin(index, row, {name.replace("__", "."): value for name, value in variables.items()})
    return template.render(context)


def row_of(value: object, fields: Names) -> tuple[str, ...]:
    """The row with the field ``x``, as it is read for the templates that were compiled with ``fields``."""
    return read_rows(Data(rows=({"x": value},)), fields.row)[0]


def test_each_name_stands_for_its_value() -> None:
    """Index, UUID, field and variable, with and without spaces."""
    template = compile_template(
        "{{index}} {{ uuid }} {{row.b}} {{login.token}}", "text", names("a", "b", variables=("login.token",))
    )
    # Only fields that are used have a place in the row.
    assert render(template, "B", index=7, login__token="T") == "7 uuid-7 B T"


def test_text_without_placeholder_is_literal() -> None:
    """Single and closing braces mean nothing."""
    text = 'plain {} }} {"a":{"b":1}} 100% %s'
    template = compile_template(text, "text", names())
    assert template.is_literal
    assert render(template) == text


def test_meant_braces_can_be_written() -> None:
    assert render(compile_template("a {{'{{'}}index}} b", "text", names())) == "a {{index}} b"


@given(texts)
def test_json_values_come_back_as_they_were(value: str) -> None:
    """The standard library's parser is the oracle."""
    fields = names("x")
    template = compile_json({"a": ["<{{row.x}}>", 'quo"te {{row.x}}'], "{{row.x}}": None}, fields)
    assert json.loads(render(template, *row_of(value, fields))) == {"a": [f"<{value}>", f'quo"te {value}'], value: None}


@given(texts)
def test_url_values_come_back_as_they_were(value: str) -> None:
    """In a path and in a query, as the standard library reads them: no value ends a segment or a parameter."""
    fields = names("x")
    templates = compile_template("/a/{{row.x}}/b", "path", fields), compile_template("x={{row.x}}&y=1", "query", fields)
    path, query = (render(template, *row_of(value, fields)) for template in templates)
    assert path.isascii()
    assert path.count("/") == 3
    assert unquote(urlsplit(f"http://h{path}").path) == f"/a/{value}/b"
    assert parse_qs(query, keep_blank_values=True) == {"x": [value], "y": ["1"]}


@given(texts)
def test_form_values_come_back_as_they_were(value: str) -> None:
    fields = names("x")
    template = compile_template("x={{row.x}}", "form", fields)
    form = render(template, *row_of(value, fields))
    assert parse_qs(form, keep_blank_values=True) == {"x": [value]}


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\0b", "\x7f", "a\r\nHost: evil"])
def test_a_value_cannot_end_a_header(value: str) -> None:
    """The job fails before anything is sent, and it is no failure of the target."""
    template = compile_template("x {{row.x}}", "header", names("x"))
    with pytest.raises(RequestFailed) as failed:
        render(template, value)
    assert failed.value.failure == "local"
    assert render(template, "a\tb é") == "x a\tb é"


def test_unfit_extracted_header_is_extract() -> None:
    """The target sent what no header can hold: the client is not to blame."""
    template = compile_template("{{a.b}}", "header", names(variables=("a.b",)))
    with pytest.raises(RequestFailed) as failed:
        render(template, a__b="x\r\nHost: evil")
    assert failed.value.failure == "extract"


def test_a_placeholder_stays_within_its_text() -> None:
    """Whole or not, a number in quotation marks is a text; with |json it is the value."""
    fields = names("n")
    assert json.loads(render(compile_json({"n": "{{row.n}}"}, fields), "5")) == {"n": "5"}
    assert json.loads(render(compile_json({"n": "{{index|json}}"}, fields), index=5)) == {"n": 5}
    assert json.loads(render(compile_json(["{{ a.b | json }}"], names(variables=("a.b",))), a__b=[1, None])) == [
        [1, None]
    ]


def test_variables_keep_their_types() -> None:
    """As text each has one form, as JSON its own."""
    known = names(variables=("a.b",))
    values = {True: "true", 5: "5", 1.5: "1.5", "x": "x"}
    assert {value: render(compile_template("{{a.b}}", "text", known), a__b=value) for value in values} == values
    assert render(compile_template("{{a.b|json}}", "text", known), a__b='say "x"') == '"say \\"x\\""'


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("{{idnex}}", "text", 'did you mean "index"?'),
        ("{{row.naem}}", "text", 'did you mean "row.name"?'),
        ("{{lgoin.token}}", "text", 'did you mean "login.token"?'),
        ("{{qqqqqqqq}}", "text", "known are index, uuid"),
        ("{{index", "text", "without }}"),
        ("{{a b}}", "text", "must be {{NAME}}"),
        ("{{index|upper}}", "text", "must be {{NAME}}"),
        ("{{index|json}}", "header", "for bodies only"),
        ("{{}}", "text", "must be {{NAME}}"),
    ],
)
def test_a_placeholder_that_names_nothing(text: str, place: Place, problem: str) -> None:
    """Is refused with the nearest name that there is."""
    with pytest.raises(SpecError) as refused:
        compile_template(text, place, names("name", variables=("login.token",)))
    assert problem in str(refused.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SpecError) as refused:
        compile_json({"a": "{{x}} {{y}}", "b": ["{{z}}", "a {{index|json}}"]}, names())
    assert [problem.path for problem in refused.value.problems] == ["a", "a", "b[0]", "b[1]"]


def test_without_data_a_row_is_no_name() -> None:
    with pytest.raises(SpecError, match="there is no data"):
        compile_template("{{row.x}}", "text", names())


def test_uuids_go_by_seed_and_number() -> None:
    """Version 4 in form, all different, and the same again in another process of the run."""
    draws, again, other = Draws(Streams(1)), Draws(Streams(1)), Draws(Streams(2))
    made = [draws.uuid(number) for number in range(2000)]
    assert made == [again.uuid(number) for number in range(2000)]
    assert len({*made, *(other.uuid(number) for number in range(2000))}) == 4000
    assert {(uuid.UUID(each).version, str(uuid.UUID(each)) == each) for each in made} == {(4, True)}


def test_random_rows_are_drawn_evenly() -> None:
    """Chi-squared of 60,000 draws from 6 rows, 5 degrees of freedom: above 25.7 once in ten thousand (seeded)."""
    draws = Draws(Streams(7))
    counts = [0] * 6
    for number in range(60_000):
        counts[draws.row(number, 6)] += 1
    assert sum((count - 10_000) ** 2 / 10_000 for count in counts) < 25.7


@given(texts, st.sampled_from(["text", "json", "path", "query", "form"]))
def test_variables_are_escaped_like_rows(value: str, place: Place) -> None:
    """What a step extracted may be as hostile as what a file holds."""
    fields = names("x", variables=("a.b",))
    by_row, by_variable = (compile_template(text, place, fields) for text in ("{{row.x}}", "{{a.b}}"))
    assert render(by_row, *row_of(value, fields)) == render(by_variable, a__b=value)
