"""Literal credentials of plain data are replaced by names, whatever they stand in; everything else stays as it is."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from aurea_engine import default_catalog, spec_from_dict
from aurea_engine.targets.http.headers import CREDENTIALS
from aurea_server.cli.credentials import (
    describe_origin,
    is_credential,
    is_credential_name,
    split_userinfo,
    take_credentials,
)
from aurea_server.cli.target_line import find_path, print_targets


def take(job: dict[str, Any], **options: bool) -> tuple[dict[str, Any], dict[str, str]]:
    document, taken = take_credentials({"workload": {"job": job}}, **options)
    return document["workload"]["job"], {each.variable: each.value for each in taken}


BASIC, BEARER = {"basic": {"env": "AUREA_SECRET_BASIC"}}, {"bearer": {"env": "AUREA_SECRET_BEARER"}}
HTTP = {"kind": "http", "url": "http://h/"}
PAIR = base64.b64encode(b"me:pa:ss").decode()


@pytest.mark.parametrize(
    ("members", "left", "values"),
    [
        ({"url": "http://me:p%40s@h/"}, {"auth": BASIC}, {"BASIC": "me:p@s"}),
        (
            {"headers": {"Authorization": f"Basic {PAIR}"}},
            {"auth": BASIC},
            {"BASIC": "me:pa:ss"},
        ),
        (
            {"headers": {"authorization": "Basic ???"}},
            {"headers": {"authorization": {"env": "AUREA_SECRET_AUTHORIZATION"}}},
            {"AUTHORIZATION": "Basic ???"},
        ),
        ({"auth": {"bearer": "x"}}, {"auth": BEARER}, {"BEARER": "x"}),
        ({"auth": {"bearer": {"env": "T"}}}, {"auth": {"bearer": {"env": "T"}}}, {}),
        (
            {"headers": {"Authorization": "Bearer {{login.token}}"}},
            {"headers": {"Authorization": "Bearer {{login.token}}"}},
            {},
        ),
        ({"headers": {"Accept": "x"}}, {"headers": {"Accept": "x"}}, {}),
    ],
)
def test_each_place_is_searched(members: dict[str, Any], left: dict[str, Any], values: dict[str, str]) -> None:
    """User-info, headers, auth. A reference and a template are no literals."""
    job, taken = take(HTTP | members)
    assert job == HTTP | left
    assert taken == {f"AUREA_SECRET_{name}": value for name, value in values.items()}


def test_header_wins_over_other_credentials() -> None:
    """As with curl: a request sends one."""
    job, taken = take(
        HTTP | {"url": "http://a:b@h/", "headers": {"Authorization": "Bearer t"}, "auth": {"basic": "c:d"}}
    )
    assert job == HTTP | {"auth": BEARER}
    assert taken == {"AUREA_SECRET_BEARER": "t"}


def test_jobs_within_jobs_are_looked_at() -> None:
    """Mixes, wrappers and steps. The same value has one name, another value another. Kinds of others are let be."""
    keys = [{"kind": "http", "url": "http://h/", "headers": {"X-Api-Key": key}} for key in ("1", "2", "1")]
    steps = [{"name": "a", "url": "http://h/", "headers": {"X-Api-Key": "2"}}]
    theirs = {"kind": "theirs", "url": "http://a:b@h/", "headers": {"X-Api-Key": "3"}}
    jobs = [{"kind": "limited", "job": each, "timeout": 1} for each in keys] + [
        {"kind": "flow", "steps": steps},
        theirs,
    ]
    job, taken = take({"kind": "mix", "of": [{"weight": 1, "job": each} for each in jobs]})
    one, two = {"env": "AUREA_SECRET_X_API_KEY"}, {"env": "AUREA_SECRET_X_API_KEY_2"}
    found = [branch["job"]["job"]["headers"]["X-Api-Key"] for branch in job["of"][:3]]
    assert found == [one, two, one]
    assert job["of"][3]["job"]["steps"][0]["headers"]["X-Api-Key"] == two
    assert job["of"][4]["job"] == theirs
    assert taken == {"AUREA_SECRET_X_API_KEY": "1", "AUREA_SECRET_X_API_KEY_2": "2"}


def test_recorded_secrets_named_by_target() -> None:
    """Their values are of no use any more, so a header that changed within the recording is one variable."""
    steps = [{"url": f"http://{host}/", "headers": {"Cookie": value}} for host, value in ("a1", "a2", "b3")]
    job, taken = take({"kind": "flow", "steps": steps}, by_target=True)
    assert [step["headers"]["Cookie"]["env"] for step in job["steps"]] == [
        "AUREA_SECRET_COOKIE",
        "AUREA_SECRET_COOKIE",
        "AUREA_SECRET_COOKIE_2",
    ]
    assert len(taken) == 2


SECRET = [
    "authorization",
    "Proxy-Authorization",
    "Cookie",
    "x-api-key",
    "apiKey",
    "X-CSRF-Token",
    "access_token",
    "passWord",
]
PLAIN = ["accept", "sort-key", "cache_key", "author", "page", "tokens_used", "passage", "sidebar", ""]


@pytest.mark.parametrize("name", [*SECRET, "sid", "key"])
def test_names_of_credentials(name: str) -> None:
    assert is_credential_name(name)


@pytest.mark.parametrize("name", PLAIN)
def test_names_of_other_things(name: str) -> None:
    assert not is_credential_name(name)


def test_tokens_are_known_by_their_look() -> None:
    """A JSON Web Token, and the tokens of services that mark theirs, whatever the parameter is called."""
    assert is_credential("q", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln")
    assert is_credential("q", "ghp_" + "a" * 36)
    assert not is_credential("q", "hello world")
    assert not is_credential("token", "")


@pytest.mark.parametrize(
    ("url", "without", "origin", "path"),
    [
        ("http://a:b@h:1/p?q=x@y#f", "http://h:1/p?q=x@y#f", "http://h:1", "/p?q=x@y#f"),
        ("http://a:p@ss@h/", "http://h/", "http://h", "/"),
        ("http://h?q=a@b", "http://h?q=a@b", "http://h", "/?q=a@b"),
        ("unix:/run/a.sock:/p", "unix:/run/a.sock:/p", "unix:/run/a.sock", "/p"),
    ],
)
def test_userinfo_is_split_off_urls(url: str, without: str, origin: str, path: str) -> None:
    assert (split_userinfo(url)[0], describe_origin(without), find_path(without)) == (without, origin, path)


def test_targets_are_named_before_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Each request once, without its query, which may hold a token; a run without a target says nothing."""
    steps = [{"name": f"s{n}", "url": f"http://h/{n}?token=x"} for n in range(7)]
    for job, load in (
        ({"kind": "flow", "steps": steps}, {"duration": 2}),
        ({"kind": "sleep", "duration": 1}, {"jobs": 1}),
    ):
        document = {"workload": {"job": job, "arrivals": {"kind": "closed", "users": 1}, **load}}
        print_targets(spec_from_dict(document, default_catalog()), default_catalog())
    assert capsys.readouterr().err.splitlines() == [
        *(f"aurea: target GET http://h/{n}" for n in range(5)),
        "aurea: and 2 more",
        "aurea: 1 user for 2.00 s",
    ]


def test_refused_headers_are_credentials() -> None:
    """What a specification may not hold is taken out of commands and recordings before it becomes one."""
    assert all(is_credential_name(name) for name in CREDENTIALS)
