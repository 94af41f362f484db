"""Accept, Accept-Encoding and Prefer: by hand, and against an oracle that follows the words of RFC 9110 one by one."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from aurea_server.http.job_download import FORMATS as JOB_FORMATS
from aurea_server.http.negotiation import choose, choose_coding, has_preference
from aurea_server.metrics.exposition import FORMATS as METRICS_FORMATS

PLAIN, OPEN = "text/plain; version=0.0.4; charset=utf-8", "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN_1 = "text/plain; version=1.0.0; charset=utf-8"
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,"
    "text/plain;version=0.0.4;q=0.3"
)


def form_of(*accept: str) -> str | None:
    chosen = choose(accept, list(JOB_FORMATS.values()))
    return None if chosen is None else list(JOB_FORMATS)[chosen.index]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ([], "json"),
        ([""], "json"),
        (["*/*"], "json"),
        (["*"], "json"),
        (["text/csv"], "csv"),
        (["TEXT/CSV"], "csv"),
        (["text/*"], "csv"),
        (["text/csv;q=0"], "json"),
        (["text/csv;q=0, */*"], "json"),
        (["application/json;q=0, */*"], "csv"),
        (["application/*;q=0, */*;q=0.1"], "csv"),
        (["application/json;q=0"], "csv"),
        (["*/*;q=0"], None),
        (["*/*;q=0, application/x-ndjson;q=0.001"], "ndjson"),
        (["application/*;q=0.2, application/json;q=0, text/csv;q=0.1"], "ndjson"),
        (["text/csv, */*"], "csv"),
        (["text/csv, application/json"], "csv"),
        (["application/json, text/csv"], "json"),
        (["application/x-ndjson;q=0.1, application/json"], "json"),
        (["application/x-ndjson; q=0.9", "application/json; q=0.8"], "ndjson"),
        (["application/json;q=.2, text/csv;q=0.19999"], "json"),
        (["application/json;q=0.0000, text/csv;q=0.00001"], "csv"),
        (["application/json;Q=0.1 , text/csv ; q = 0.2"], "csv"),
        (["text/csv;charset=UTF-8, application/json;q=0.5"], "csv"),
        (['text/csv;charset="utf-8";q=0.5, application/json;q=0.4'], "csv"),
        (["text/csv;charset=latin-1, application/json;q=0.5"], "json"),
        (['text/csv;header="a, application/x-ndjson"'], "csv"),
        (["image/png"], "json"),
        (["text/csv;q=2"], "csv"),
        (["text/csv;q=nan", "application/json;q=0.5"], "csv"),
        (['"' * 500 + ";;;,,,"], "json"),
        (['"open', "text/csv"], "csv"),
    ],
)
def test_the_form_that_is_liked_best(accept: list[str], form: str | None) -> None:
    assert form_of(*accept) == form


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        ([], "identity"),
        ([""], "identity"),
        (["gzip"], "gzip"),
        (["GZIP"], "gzip"),
        (["x-gzip"], "gzip"),
        (["deflate, gzip"], "gzip"),
        (["deflate, br, zstd"], "identity"),
        (["gzip;q=0"], "identity"),
        (["gzip;q=0.0, *"], "identity"),
        (["*"], "gzip"),
        (["*;q=0"], None),
        (["identity;q=0"], None),
        (["identity;q=0, gzip;q=0"], None),
        (["identity;q=0, gzip;q=0.001"], "gzip"),
        (["*;q=0, identity"], "identity"),
        (["*;q=0, gzip;q=0.5"], "gzip"),
        (["gzip;q=0.2, identity;q=0.8"], "identity"),
        (["gzip;q=0.5, identity;q=0.5"], "gzip"),
        (["gzip;q=0.2", "identity;q=0.1"], "gzip"),
        (["gzip;q=0.5, *;q=1"], "identity"),
        (["gzipped, notgzip"], "identity"),
        (["gzip;q=abc"], "gzip"),
    ],
)
def test_the_coding_that_is_liked_best(accept_encoding: list[str], coding: str | None) -> None:
    assert choose_coding(accept_encoding, ["gzip"]) == coding


# The oracle: section 12.5.1 and 12.5.3, with whole numbers of thousandths and lists of plain tuples.
WEIGHTS = st.integers(0, 1000)
TYPES = st.sampled_from(
    ["application/json", "text/csv", "application/x-ndjson", "application/*", "text/*", "*/*", "a/b"]
)


def oracle_weight(ranges: list[tuple[str, int]], offered: str) -> int | None:
    for pattern in (offered, offered.partition("/")[0] + "/*", "*/*"):
        found = [weight for name, weight in ranges if name == pattern]
        if found:
            return max(found)
    return None


@given(st.lists(st.tuples(TYPES, WEIGHTS), max_size=6))
def test_the_best_form_by_an_oracle(ranges: list[tuple[str, int]]) -> None:
    """What is sent has the greatest weight of all forms; what is refused is never sent."""
    weights = {name: oracle_weight(ranges, offer.type) for name, offer in JOB_FORMATS.items()}
    sent = form_of(", ".join(f"{name};q={weight / 1000:.3f}" for name, weight in ranges))
    liked = [weight for weight in weights.values() if weight]
    if liked:
        assert sent is not None
        assert weights[sent] == max(liked)
    elif None in weights.values():
        assert sent is not None
        assert weights[sent] is None
    else:
        assert sent is None


@given(
    st.lists(st.tuples(st.sampled_from(["gzip", "identity", "*", "br"]), WEIGHTS), max_size=4, unique_by=lambda x: x[0])
)
def test_the_best_coding_by_an_oracle(codings: list[tuple[str, int]]) -> None:
    given_ = dict(codings)
    sent = choose_coding([", ".join(f"{name};q={weight / 1000:.3f}" for name, weight in codings)], ["gzip"])
    gzip_weight = given_.get("gzip", given_.get("*", 0))
    identity = given_.get("identity", given_.get("*"))
    acceptable = {name for name, weight in (("gzip", gzip_weight), ("identity", identity)) if weight or weight is None}
    assert (sent in acceptable) if acceptable else sent is None
    if gzip_weight and identity:
        assert sent == ("gzip" if gzip_weight >= identity else "identity")


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_header_makes_it_fail(one: str, other: str) -> None:
    assert form_of(one, other) in (*JOB_FORMATS, None)
    assert choose_coding([one, other], ["gzip"]) in ("gzip", "identity", None)
    has_preference([one, other], "respond-async")


def test_a_quote_that_never_closes_is_read_once() -> None:
    """A scan that starts anew at every quote would take the square of the length: minutes for this one."""
    assert form_of('"' + '\\"' * 500_000) == "json"


SENT = [
    (None, PLAIN),
    ("*/*", PLAIN),
    (PROMETHEUS_2, OPEN),
    (PROMETHEUS_3, f"{OPEN}; escaping=allow-utf-8"),
    (PROTOBUF, PLAIN),
    ("text/plain", PLAIN),
    ("application/openmetrics-text", OPEN),
    ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.1", PLAIN),
    ("application/openmetrics-text;version=1.0.0;q=0, text/plain", PLAIN),
    ("application/openmetrics-text, text/plain;version=0.0.4;q=0", OPEN),
    ("text/plain;q=0, */*", OPEN),
    ("text/plain;q=0", OPEN),
    ("text/plain;version=1.0.0", PLAIN_1),
    ("text/plain;version=1.0.0;escaping=values", f"{PLAIN_1}; escaping=values"),
    ("text/plain;version=1.0.0;escaping=magic", PLAIN_1),
    ("text/plain;version=0.0.4;escaping=values", PLAIN),
    ("application/openmetrics-text;version=9.9.9", PLAIN),
    ("application/openmetrics-text;version=2.0.0,application/openmetrics-text;version=1.0.0;q=0.5", OPEN),
    ("application/openmetrics-text;version=9.9.9, text/plain;version=0.0.4;q=0.5", PLAIN),
    ("text/plain;version=7", PLAIN),
    ("text/plain; version=x", PLAIN),
    ("application/openmetrics-text; version=abc", PLAIN),
    ('application/openmetrics-text; version="1.0.0"', OPEN),
]


async def test_metrics_say_which_format_is_sent(client: Any) -> None:
    """Read with the reference parser of the format that the answer names."""
    for accept, sent in SENT:
        headers = {} if accept is None else {"Accept": accept}
        async with client.get("/metrics", headers=headers, skip_auto_headers=["Accept"]) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (200, sent), accept
            assert answer.headers["Vary"] == "Accept, Accept-Encoding"
            text = await answer.text()
        assert text.endswith("# EOF\n") == sent.startswith("application/openmetrics")
        parse = parse_openmetrics if sent.startswith("application/openmetrics") else parse_text
        assert "benchmark_runs" in {family.name for family in parse(text)}


@pytest.mark.parametrize(
    "headers", [{"Accept": "*/*;q=0"}, {"Accept-Encoding": "*;q=0"}, {"Accept-Encoding": "gzip;q=0, identity;q=0"}]
)
async def test_metrics_that_are_refused_are_406(client: Any, headers: dict[str, str]) -> None:
    async with client.get("/metrics", headers=headers) as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (406, "not_acceptable")
        assert answer.headers["Vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("coding", ["gzip", "gzip;q=0", "gzip;q=0.1, identity;q=0.2", "identity;q=0, gzip;q=0.1"])
async def test_metrics_are_coded_as_asked(client: Any, method: str, coding: str) -> None:
    packed = coding in ("gzip", "identity;q=0, gzip;q=0.1")
    options: dict[str, Any] = {"headers": {"Accept-Encoding": coding}, "auto_decompress": False}
    async with client.request(method, "/metrics", **options) as answer:
        assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
        content = await answer.read()
        assert int(answer.headers["Content-Length"]) > 1000
        if method == "GET":
            assert b"benchmark_runs_total" in (gzip.decompress(content) if packed else content)


async def test_some_metrics_may_be_asked_for_by_name(client: Any) -> None:
    async with client.get("/metrics?name[]=benchmark_runs_total&name[]=nothing") as answer:
        lines = [line for line in (await answer.text()).splitlines() if not line.startswith("#")]
    assert lines == ["benchmark_runs_total 0.0"]


@pytest.mark.service
async def test_jobs_vary_by_accept_in_every_answer(client: Any, post: Any) -> None:
    run_id = (await post(client, {"num_jobs": 2, "job_duration_ms": 0}))[1]["benchmark_id"]
    for path, accept, status, kind in (
        (run_id, "application/json;q=0.1, text/csv;q=0.2", 200, "text/csv"),
        (run_id, "application/json;q=0.2, text/csv;q=0.1", 200, "application/json"),
        (run_id, "*/*;q=0", 406, "application/problem+json"),
        ("benchmark-1", "text/csv", 404, "application/problem+json"),
    ):
        async with client.get(f"/benchmark/runs/{path}/jobs", headers={"Accept": accept}) as answer:
            assert (answer.status, answer.content_type, answer.headers["Vary"]) == (status, kind, "Accept")


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
    assert has_preference(prefer, "respond-async") is wanted


def test_offers_are_in_lower_case() -> None:
    for offer in (*METRICS_FORMATS, *JOB_FORMATS.values()):
        assert offer.type == offer.type.lower()
        assert all(value == value.lower() for value in offer.parameters.values())
