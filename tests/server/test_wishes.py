"""What clients would like: Accept and Prefer, with parameters and quoted texts."""

from __future__ import annotations

import pytest

from aurea_server.wishes import preferred, wants

FORMS = {"application/json": "json", "text/csv": "csv", "application/x-ndjson": "ndjson"}


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ([], "json"),
        ([""], "json"),
        (["*/*"], "json"),
        (["text/csv"], "csv"),
        (["TEXT/CSV"], "csv"),
        (["text/*"], "csv"),
        (["text/csv;q=0"], "json"),
        (["text/csv;q=0, */*"], "json"),
        (["text/csv, */*"], "csv"),
        (["application/x-ndjson;q=0.1, application/json"], "json"),
        (["application/x-ndjson; q=0.9", "application/json; q=0.8"], "ndjson"),
        (['text/csv;header="a, application/x-ndjson"'], "csv"),
        (["application/json, text/csv"], "json"),
        (["image/png"], "json"),
        (["text/csv;q=2"], "csv"),
        (['"' * 500 + ";;;,,,"], "json"),
    ],
)
def test_the_form_that_is_liked_best(accept: list[str], form: str) -> None:
    assert preferred(accept, FORMS) == form


@pytest.mark.parametrize(
    ("prefer", "wanted"),
    [
        (["respond-async"], True),
        (["Respond-Async; wait=10"], True),
        (["return=minimal, respond-async"], True),
        (["return=minimal", "respond-async"], True),
        (['foo="a, respond-async, b"'], False),
        (["respond-asynchronously"], False),
        ([], False),
    ],
)
def test_a_preference(prefer: list[str], wanted: bool) -> None:
    assert wants(prefer, "respond-async") is wanted
