"""The members of an `http` job: what is accepted, and what is refused with which remedy."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import time
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurea_engine import (
    Auth,
    Data,
    Expect,
    Http,
    RunSpec,
    SecretReference,
    SpecError,
    TlsOptions,
    Workload,
    simulate,
    spec_from_dict,
    spec_to_dict,
)
from aurea_engine.errors import LITERAL_CREDENTIAL, LOCAL_REFERENCE, NotSimulable
from aurea_engine.targets.http.urls import split_url
from aurea_engine.workload.access import Reach

URL = "http://127.0.0.1:8080/"


def problems_of(**members: Any) -> dict[str, str]:
    """Path → problem."""
    with pytest.raises(SpecError) as refused:
        Http(**{"url": URL, **members})
    return {problem.path: problem.problem for problem in refused.value.problems}


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://example.com", ("http", "example.com", 80, None, "/")),
        ("HTTP://EXAMPLE.com:8080/A?b=c", ("http", "example.com", 8080, None, "/A?b=c")),
        ("https://example.com?x", ("https", "example.com", 443, None, "/?x")),
        ("https://[::1]:8443/", ("https", "::1", 8443, None, "/")),
        ("http://[2001:DB8::0]/", ("http", "2001:db8::", 80, None, "/")),
        ("http://bücher.example/ü?ö=%20", ("http", "xn--bcher-kva.example", 80, None, "/%C3%BC?%C3%B6=%20")),
        ('http://h/a|b"c', ("http", "h", 80, None, "/a%7Cb%22c")),
        ("http://h:80/{{a b#}}?x={{ c }}", ("http", "h", 80, None, "/{{a b#}}?x={{ c }}")),
        ("unix:/run/app.sock", ("http", "localhost", 80, "/run/app.sock", "/")),
        ("unix:/run/app.sock:/a:b?c", ("http", "localhost", 80, "/run/app.sock", "/a:b?c")),
    ],
)
def test_urls_are_split_in_parts(url: str, parts: tuple[object, ...]) -> None:
    """Names in ASCII, defaults filled in, other letters percent-encoded, placeholders as written."""
    assert tuple(split_url(url)) == parts


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "must begin with http://"),
        ("example.com", 'did you mean "http://example.com"?'),
        ("localhost:8080/x", 'did you mean "http://localhost:8080/x"?'),
        ("http:/example.com", 'did you mean "http://example.com"?'),
        ("ftp://example.com/", "must begin with http://"),
        ("http://", "must name a host"),
        ("http:///path", "must name a host"),
        ("http://:80/", "must name a host"),
        ("http://h:0/", "must have a port from 1 to 65535"),
        ("http://h:65536/", "must have a port from 1 to 65535"),
        ("http://h:x/", "must have a port from 1 to 65535"),
        ("http://h:80:80/", "one port at most"),
        ("http://h:\u0661/", "must have a port from 1 to 65535"),
        ("http://::1/", "IPv6 address within [ and ]"),
        ("http://[::1/", "must have an IPv6 address"),
        ("http://[fe80::1%eth0]/", "must have an IPv6 address, without a zone"),
        ("http://2130706433/", "four decimal numbers: 127.0.0.1"),
        ("http://0x7f.1/", "four decimal numbers: 127.0.0.1"),
        ("http://127.0.0.256/", "must name a host"),
        ("http://a b/", "must name a host"),
        ("http://a_b!/", "must name a host"),
        ("http://-a/", "must name a host"),
        ("http://ex\u3002ample..com/", "must name a host"),
        ("http://h/a b", "a space is %20"),
        ("http://h/a\nb", "no control character"),
        ("http://h/#top", "must have no fragment"),
        ("http://h/100%", "a percent sign that is meant is %25"),
        ("http://{{row.host}}/", "no template in scheme, host or port"),
        ("http://h:{{row.port}}/", "no template in scheme, host or port"),
        ("unix:app.sock:/", "must be unix:/path.sock:/request/path"),
        ("unix:/app.sock:path", "must have a request path that begins with /"),
        (f"unix:/{'a' * 120}", "at most 107 bytes"),
    ],
)
def test_a_wrong_url_is_refused(url: str, problem: str) -> None:
    """With what would be right."""
    assert problem in problems_of(url=url)["url"]


@pytest.mark.parametrize(
    "url",
    [
        "http://user:swordfish@h/",
        "swordfish@h",
        "user:swordfish@h:80/x",
        "ftp://a:swordfish@h/",
        "http:/user:swordfish@h/",
        "https:user:swordfish@h",
        "http://user:sword/swordfish@h/",
        "http://user:sword#swordfish@h/",
        "http://user:sword?swordfish@h/ x",
    ],
)
def test_no_error_shows_user_info(url: str) -> None:
    """Nor does one about something else in the same URL."""
    with pytest.raises(SpecError) as refused:
        Http(url)
    assert "swordfish" not in str(refused.value)


@pytest.mark.parametrize(
    "headers", ["Authorization: swordfish", {"Authorization: Bearer swordfish": ""}, ["Authorization: swordfish"]]
)
def test_no_error_shows_misplaced_headers(headers: Any) -> None:
    """Such as a header that stands whole where its name should."""
    with pytest.raises(SpecError) as refused:
        Http("http://h/", headers=headers)
    assert "swordfish" not in str(refused.value)


def test_problems_of_headers_can_be_sent() -> None:
    """Half of a surrogate pair is in no UTF-8, and so in no answer."""
    with pytest.raises(SpecError) as refused:
        Http("http://h/", headers={"X": {"\ud800": "a"}})
    assert str(refused.value).encode()


@pytest.mark.parametrize(
    ("headers", "path", "problem"),
    [
        ({"a b": "x"}, "headers", "names of letters"),
        ({"": "x"}, "headers", "names of letters"),
        ({"a:": "x"}, "headers", "names of letters"),
        ({"ü": "x"}, "headers", "names of letters"),
        ({"X": "a\r\nHost: evil"}, "headers.X", "no line end"),
        ({"X": "a\nb"}, "headers.X", "no line end"),
        ({"X": "a\0b"}, "headers.X", "no line end"),
        ({"X": " a"}, "headers.X", "must not begin or end with a space"),
        ({"X": "a" * 20_000}, "headers.X", "at most 16,384 bytes"),
        ({"X": 5}, "headers.X", "must be a text"),
        ({"Content-Length": "5"}, "headers.Content-Length", "worked out from the body"),
        ({"transfer-encoding": "chunked"}, "headers.transfer-encoding", "sent with its length"),
        ({"Expect": "100-continue"}, "headers.Expect", "expect_continue"),
        ({"Connection": "close"}, "headers.Connection", "reuse false"),
        ({"Host": "a", "host": "b"}, "headers.host", "must be given once"),
        ({"Host": "a b"}, "headers.Host", "must be a host"),
        ({"Host": "{{index}}"}, "headers.Host", "no template"),
        ({"X": {"env": "A", "file": "B"}}, "headers.X", 'must be {"secret": NAME}'),
        ({"X": {"secret": "A", "other": 1}}, "headers.X.other", "is not a member"),
        ([], "headers", "must be an object"),
    ],
)
def test_a_wrong_header_is_refused(headers: object, path: str, problem: str) -> None:
    """What would end a line, change the framing, or be ambiguous."""
    assert problem in problems_of(headers=headers)[path]


@pytest.mark.parametrize("name", ["Authorization", "proxy-authorization", "Cookie", "X-API-Key"])
def test_a_credential_as_text_is_refused(name: str) -> None:
    """Without showing it; a reference is what is asked for."""
    with pytest.raises(SpecError) as refused:
        Http(URL, headers={name: "swordfish"})
    assert [problem.problem for problem in refused.value.problems] == [LITERAL_CREDENTIAL]
    assert "swordfish" not in str(refused.value)
    Http(URL, headers={name: {"env": "KEY"}})


@pytest.mark.parametrize(
    ("name", "value", "is_taken"),
    [
        ("Authorization", "Bearer {{uuid}}", True),
        ("authorization", "{{uuid}}{{index}}", True),
        ("x-api-key", "{{ uuid }}", True),
        ("Cookie", "id={{uuid}}; theme={{index}}", True),
        ("authorization", "Bearer swordfish{{index}}", False),
        ("authorization", "swordfish7 {{index}}", False),
        ("x-api-key", "{{index}}swordfish", False),
        ("Cookie", "id=swordfish; n={{index}}", False),
        ("Cookie", "id=swordfish{{index}}", False),
        ("Cookie", "{{index}}", False),
    ],
)
def test_a_credential_may_be_filled_in_later(name: str, value: str, is_taken: bool) -> None:
    """From placeholders alone: any other text may be the secret."""
    if is_taken:
        Http(URL, headers={name: value})
    else:
        with pytest.raises(SpecError, match="holds a credential as it is") as refused:
            Http(URL, headers={name: value})
        assert "swordfish" not in str(refused.value)


def test_all_problems_are_told_at_once() -> None:
    found = problems_of(
        url="h",
        method="get",
        headers={"a b": "x"},
        body=5,
        timeout=0,
        connections=0,
        expect={"status": [1]},
        name="=1",
    )
    assert {"url", "method", "headers", "body", "timeout", "connections", "expect", "name"} <= found.keys()


@pytest.mark.parametrize(
    ("members", "path", "problem"),
    [
        ({"body": "a", "json": {}, "file": "x"}, "json", "cannot stand beside body"),
        ({"expect_continue": True}, "expect_continue", "needs a body"),
        ({"cookies": True}, "cookies", "goes with redirects"),
        ({"idle": 1, "reuse": False}, "idle", "goes with reuse true"),
        ({"method": "HEAD", "expect": Expect(contains="a")}, "expect", "a reply to HEAD has none"),
        ({"auth": Auth(SecretReference("a")), "headers": {"Authorization": "{{uuid}}"}}, "auth", "cannot stand beside"),
        ({"cookies": True, "redirects": 1, "headers": {"Cookie": "a={{uuid}}"}}, "cookies", "cannot stand beside"),
        ({"tls": TlsOptions(verify=False)}, "tls", "goes with https:// URLs"),
        ({"url": "http://h/\ud800"}, "url", "must be Unicode"),
        ({"url": 5}, "url", "must be a text"),
        ({"headers": {"\ud800": "a"}}, "headers", "must have names of letters"),
        ({"headers": {f"h{i}": "a" for i in range(101)}}, "headers", "must be at most 100 headers"),
        ({"json": {"a": "\ud800"}}, "json", "must be Unicode"),
        ({"json": {5: "a"}}, "json", "texts as the names"),
        ({"json": functools.reduce(lambda inner, _: [inner], range(40), 1)}, "json", "nested at most 32 deep"),
        ({"method": "connect"}, "method", "CONNECT"),
        ({"method": "CONNECT"}, "method", "tunnels are not spoken"),
        ({"method": "GET /"}, "method", "must be a method in capitals"),
        ({"redirects": 21}, "redirects", "<= 20"),
        ({"connections": 10_001}, "connections", "<= 10,000"),
        ({"json": {"a": float("inf")}}, "json", "no NaN and no infinity"),
        ({"json": object()}, "json", "must be a value of JSON"),
        ({"form": {"a": 1}}, "form.a", "must be a text"),
        ({"body": "{{row.x}}"}, "body", "there is no data"),
    ],
)
def test_members_that_do_not_fit(members: dict[str, object], path: str, problem: str) -> None:
    found = problems_of(**members)
    assert any(where == path and problem in text for where, text in found.items()), found


def test_nested_members_are_records_of_json() -> None:
    """Read by the codec, with the path of what is wrong."""
    with pytest.raises(SpecError) as refused:
        read(
            tls={"verification": False},
            auth={"bearer": {"secret": "a"}, "basic": {"secret": "b"}},
            expect={"json": {"a": 1}},
            data={"pick": "any"},
        )
    paths = [problem.path.removeprefix("workload.job.") for problem in refused.value.problems]
    assert set(paths) == {"tls.verification", "auth", "expect.json", "data.pick"}


def read(*, local: bool = True, **members: Any) -> RunSpec:
    job = {"kind": "http", "url": URL, **members}
    return spec_from_dict({"workload": {"job": job, "jobs": 1}}, local=local)


FULL: dict[str, Any] = {
    "url": "https://h/{{row.a}}?q={{index}}",
    "method": "POST",
    "headers": {"X": "{{uuid}}", "Cookie": {"secret": "jar"}},
    "json": {"a": [1, 1.5, None, "{{row.a|json}}"], "b": {}},
    "expect": {"status": [200, "4xx"], "contains": "ok", "json": {"/a": [1.0]}, "max_bytes": 1000},
    "timeout": 5.0,
    "connect_timeout": 1.0,
    "connections": 3,
    "reuse": True,
    "idle": 2.0,
    "warm": False,
    "tls": {"verify": False, "server_name": "x"},
    "redirects": 2,
    "auth": {"basic": {"secret": "login"}},
    "expect_continue": True,
    "decompress": True,
    "name": "orders",
    "data": {"rows": [{"a": 1}, {"a": "x"}], "pick": "random"},
}


def test_specification_comes_back_as_it_was() -> None:
    """From JSON to the value and back, and the value is equal and hashable."""
    spec = read(**FULL)
    written = spec_to_dict(spec)
    again = spec_from_dict(json.loads(json.dumps(written)))
    assert spec_to_dict(again) == written
    assert again.workload.job == spec.workload.job
    assert hash(again.workload.job) == hash(spec.workload.job)
    job = written["workload"]["job"]
    assert {name: job[name] for name in FULL if name not in ("tls", "auth")} == {
        name: value for name, value in FULL.items() if name not in ("tls", "auth")
    }


@pytest.mark.parametrize(
    "members",
    [
        {"file": "/etc/passwd", "method": "POST"},
        {"data": {"file": "/etc/passwd.csv"}},
        {"tls": {"ca": "/a"}},
        {"tls": {"cert": "/a", "key": "/b"}},
        {"auth": {"bearer": {"env": "HOME"}}},
        {"auth": {"basic": {"file": "/a"}}},
        {"headers": {"x": {"env": "HOME"}}},
        {"headers": {"x": {"file": "/a"}}},
        {"url": "unix:/run/docker.sock:/"},
        {"url": "UNIX:/run/docker.sock:/"},
    ],
)
def test_elsewhere_names_nothing_local(members: dict[str, object]) -> None:
    """A specification that came over HTTP: each is a local reference."""
    with pytest.raises(SpecError) as refused:
        read(local=False, **members)
    assert LOCAL_REFERENCE in [problem.problem for problem in refused.value.problems]


def test_reach_says_what_is_asked_for() -> None:
    """Before anything is resolved; a socket is no host."""
    job = read(**FULL).workload.job.leaves()[0]
    assert job.reach() == Reach((("h", 443),), (("login", "h", 443), ("jar", "h", 443)), 3)
    assert Http("unix:/a.sock").reach() == Reach()


def test_virtual_time_is_refused() -> None:
    """With the remedy."""
    with pytest.raises(NotSimulable, match='sends requests, which takes real time: set clock to "real"'):
        simulate(RunSpec(Workload(Http(URL), jobs=1)))


MEGA = 1_000_000
HOSTILE = {
    "openings": "{{" * (MEGA // 2),
    "an opening before spaces": "{{" + " " * MEGA,
    "openings and spaces": "{{ " * (MEGA // 3),
    "unknown names": "{{x}}" * (MEGA // 5),
    "many unknown names": "".join(f"{{{{row.n{i}}}}}" for i in range(MEGA // 12)),
    "bars": "{{|" * (MEGA // 3),
    "spaces before json": ("{{a|" + " " * 250 + "json}} ") * (MEGA // 260),
    "known names": "{{index}}" * (MEGA // 9),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("member", ["body", "json", "form", "url", "headers"])
def test_no_text_takes_long_to_compile(kind: str, member: str) -> None:
    """A megabyte from anybody: seconds of CPU would stop a server that checks it. Here a tenth of one is usual."""
    text = HOSTILE[kind][: 8000 if member in ("url", "headers") else MEGA]
    value: Any = {"url": f"http://h/{text}", "json": [text], "form": {"a": text}, "headers": {"X": text}}.get(
        member, text
    )
    data = Data(rows=tuple({f"n{i}x": 1 for i in range(3000)} for _ in range(2)))
    before = time.process_time()
    with contextlib.suppress(SpecError):
        Http(**{"url": URL, "data": data, member: value})
    assert time.process_time() - before < 5


MEMBERS = [each.name for each in fields(Http) if each.init]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["{{", "{{index}}", "/a", URL]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10) | st.sampled_from(["/a", "env"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(MEMBERS), json_values, max_size=4), st.booleans())
@settings(max_examples=200)
def test_any_document_is_taken_or_refused(members: dict[str, Any], local: bool) -> None:
    """Whatever stands in it: a value that can be written and read again, or problems with paths; never another exception."""
    document = {"kind": "http", "url": URL, **members}
    try:
        spec = spec_from_dict({"workload": {"job": document, "jobs": 1}}, local=local)
    except SpecError as error:
        paths = [problem.path for problem in error.problems]
    else:
        assert spec_from_dict(json.loads(json.dumps(spec_to_dict(spec)))) == spec
        paths = []
    assert all(path.startswith("workload.job") for path in paths)


@given(st.text(max_size=60) | st.builds("http://{}".format, st.text(max_size=40)))
def test_any_url_is_taken_or_refused(text: str) -> None:
    """What is taken names a host in ASCII, and a target that ends no line."""
    try:
        url = split_url(text)
    except SpecError:
        return
    assert url.host.isascii()
    assert 0 < url.port < 65536
    assert url.target.startswith("/")
    if "{{" not in url.target:
        assert re.fullmatch(r"[\x21-\x7e]+", url.target)
