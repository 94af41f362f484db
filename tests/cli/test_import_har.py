"""``aurea import har``: a recording becomes a flow with its pauses, without credentials and without what is no HTTP."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import SpecError
from aurea_server.cli.har_file import parse_har
from aurea_server.cli.import_har import read_har


def entry(url: str, at: float = 0, took: float | None = 100, **more: Any) -> dict[str, Any]:
    """An entry as browsers write it, begun ``at`` seconds after the first; ``took`` is in ms."""
    request = {"method": "GET", "url": url, "httpVersion": "HTTP/2", "headers": [], **more.pop("request", {})}
    response = {"status": 200, "headers": [], **more.pop("response", {})}
    started = f"2026-11-30T10:00:{at:06.3f}Z"
    return {"startedDateTime": started, "time": took, "request": request, "response": response, **more}


def har(*entries: Any) -> bytes:
    return json.dumps({"log": {"version": "1.2", "creator": {}, "pages": [{"id": "1"}], "entries": entries}}).encode()


def steps_of(*entries: Any, hosts: set[str] = frozenset()) -> list[dict[str, Any]]:  # type: ignore[assignment]
    return read_har(har(*entries), set(hosts), None).steps


def headers(**values: str) -> dict[str, Any]:
    return {"headers": [{"name": name.replace("_", "-"), "value": value} for name, value in values.items()]}


def test_pauses_become_think_times() -> None:
    """From the end of what was asked before to the next request; what overlapped follows at once."""
    steps = steps_of(
        entry("http://h/a", 0, 500), entry("http://h/b", 0.2, 1000), entry("http://h/c", 3.7), entry("http://h/d", 3.8)
    )
    assert [(step["url"], step.get("think")) for step in steps] == [
        ("http://h/a", None),
        ("http://h/b", None),
        ("http://h/c", 2.5),
        ("http://h/d", None),
    ]


def test_entries_are_sorted_by_their_begin() -> None:
    """Browsers list a request when its reply has ended."""
    steps = steps_of(entry("http://h/second", 1, -1), entry("http://h/first", 0, None))
    assert [(step["url"], step.get("think")) for step in steps] == [("http://h/first", None), ("http://h/second", 1.0)]


@pytest.mark.parametrize("took", [10**400, 1e300, -1])
def test_time_that_is_none_is_unknown(took: float) -> None:
    """A number of any size is JSON; one that is no time takes none, and the next pause counts from the beginning."""
    assert [step.get("think") for step in steps_of(entry("http://h/a", 0, took), entry("http://h/b", 2))] == [None, 2]


def test_what_is_no_request_is_skipped() -> None:
    """With a count of each kind: WebSockets, data: URLs, blocked and cached requests, tunnels."""
    entries = [
        entry("http://h/"),
        entry("wss://h/"),
        entry("https://h/ws", _resourceType="websocket"),
        entry("https://h/ws", response={"status": 101}),
        entry("data:image/png;base64,AA"),
        entry("chrome-extension://x/y"),
        entry("http://h/blocked", response={"status": 0}),
        entry("http://h/cached", _fromCache="memory"),
        entry("http://h:443", request={"method": "CONNECT"}),
    ]
    imported = read_har(har(*entries), set(), None)
    assert [step["url"] for step in imported.steps] == ["http://h/"]
    told = "3 of WebSockets, 1 of data: URLs, 1 of other schemes, 1 that were blocked or never answered"
    told += ", 1 that came from the browser's cache, 1 that opened tunnels"
    assert imported.remarks == [f"left out of 9 entries: {told}"]


def test_one_host_or_several() -> None:
    """All hosts are taken and named; --host keeps those that are asked for."""
    entries = entry("http://a/1"), entry("https://b:8443/2"), entry("http://a/3")
    imported = read_har(har(*entries), set(), None)
    assert len(imported.steps) == 3
    assert imported.remarks == ["requests go to 2 hosts: a, b; --host NAME keeps one of them"]
    assert [step["url"] for step in steps_of(*entries, hosts={"a"})] == ["http://a/1", "http://a/3"]
    with pytest.raises(SpecError, match="hosts are: a, b"):
        steps_of(*entries, hosts={"c"})


def test_assets_can_be_left_out() -> None:
    """By the browser's own word where it has one, else by the type of the reply; what is too long says so."""
    picture = entry("http://h/a", response={"content": {"mimeType": "image/png"}})
    entries = [picture, entry("http://h/b", _resourceType="stylesheet"), entry("http://h/c", _resourceType="xhr")]
    imported = read_har(har(*entries), set(), None, assets=False)
    assert [step["url"] for step in imported.steps] == ["http://h/c"]
    assert imported.remarks == ["left out of 3 entries: 2 of assets"]
    with pytest.raises(SpecError, match=r"101 requests are more than the 100 steps.*--no-assets"):
        steps_of(*[picture] * 101)


def test_bodies_of_all_kinds(tmp_path: Path) -> None:
    """Text, base64 of a text, a form by its fields; what is no text goes into a file beside the specification."""
    text = {"mimeType": "application/json", "text": '{"a": "{{b}}"}'}
    coded = {"mimeType": "text/plain", "text": base64.b64encode("ä".encode()).decode(), "encoding": "base64"}
    fields = {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "a b", "value": "ü&"}]}
    binary = {"mimeType": "image/png", "text": base64.b64encode(b"\xff\x00").decode(), "encoding": "base64"}
    entries = [
        entry("http://h/", request={"method": "POST", "postData": data}) for data in (text, coded, fields, binary)
    ]
    one, two, three = steps_of(*entries[:3])
    assert (one["body"], one["headers"]) == ("""{"a": "{{'{{'}}b}}"}""", {"Content-Type": "application/json"})
    assert (two["body"], three["body"]) == ("ä", "a+b=%C3%BC%26")
    with pytest.raises(SpecError, match="give -o FILE"):
        steps_of(entries[3])
    imported = read_har(har(entries[3]), set(), tmp_path / "spec.json")
    path = tmp_path / "spec-body-0.bin"
    assert (imported.steps[0]["file"], imported.files) == (str(path), {path: b"\xff\x00"})


def test_bodies_of_no_type_hold_no_credentials() -> None:
    """A recording may leave out the type: what a body looks like then says where its fields are."""
    form = {"params": [{"name": "user", "value": "me"}, {"name": "password", "value": "swordfish"}]}
    text = {"text": '{"token": "swordfish"}'}
    steps = steps_of(*(entry("http://h/", request={"method": "POST", "postData": data}) for data in (form, text)))
    assert [step["body"] for step in steps] == ["user=me&password=", '{"token":""}']


def test_headers_of_connection_are_left_out() -> None:
    """Pseudo headers of HTTP/2, lengths, the host of the URL; two of one name are one."""
    pairs = [(":authority", "h"), ("Content-Length", "3"), ("Connection", "close"), ("Host", "h"), ("Upgrade", "h2c")]
    pairs += [("Accept", "a"), ("accept", "b")]
    given = {"headers": [{"name": name, "value": value} for name, value in pairs]}
    assert steps_of(entry("http://h/#x", request=given)) == [{"url": "http://h/", "headers": {"Accept": "a, b"}}]


def test_what_browsers_tolerate_is_spelt_out() -> None:
    """A percent sign by itself, and blanks around a value: a specification takes neither."""
    (step,) = steps_of(entry("http://h/100%?a=%2F&b=%zz", request=headers(a=" b ")))
    assert (step["url"], step["headers"]) == ("http://h/100%25?a=%2F&b=%25zz", {"a": "b"})


def test_sessions_begin_anew() -> None:
    """Where replies set cookies, each user of the run has his own; else the recorded ones are a credential."""
    sets = entry("http://h/login", 0, response=headers(Set_Cookie="sid=Pl4nted"))
    uses = entry("http://h/", 1, request=headers(cookie="sid=Pl4nted"))
    assert [step.get("cookies") for step in steps_of(sets, uses)] == [True, True]
    assert "Pl4nted" not in str(steps_of(sets, uses))
    assert "cookies" not in steps_of(uses)[0]


def test_what_failed_then_may_fail_now() -> None:
    """A reply with an error is as right as it was when it was recorded."""
    one, two = steps_of(entry("http://h/", response={"status": 404}), entry("http://h/", response={"status": 304}))
    assert (one["expect"], "expect" in two) == ({"status": ["2xx", "3xx", 404]}, False)


@pytest.mark.parametrize(
    ("broken", "path"),
    [
        ({"request": {"url": 1}}, "request.url"),
        ({"request": {"method": None}}, "request.method"),
        ({"request": {"headers": {}}}, "request.headers"),
        ({"request": {"headers": [1]}}, "request.headers[0]"),
        ({"request": {"headers": [{"name": "a"}]}}, "request.headers[0]"),
        ({"request": {"postData": 1}}, "request.postData"),
        ({"request": {"postData": {"params": 1}}}, "request.postData.params"),
        ({"request": {"postData": {"text": "%", "encoding": "base64"}}}, "request.postData.text"),
        ({"request": {"postData": {"mimeType": "multipart/form-data", "params": [{}]}}}, "request.postData"),
        ({"response": {"status": "x"}}, "response.status"),
        ({"startedDateTime": "yesterday"}, "startedDateTime"),
        ({"startedDateTime": None}, "startedDateTime"),
        ({"response": None}, "response"),
        ({"request": None}, "request"),
    ],
)
def test_malformed_is_named_by_its_entry(broken: dict[str, Any], path: str) -> None:
    whole = entry("http://h/")
    damaged = {
        **whole,
        **{name: {**whole[name], **value} if isinstance(value, dict) else value for name, value in broken.items()},
    }
    with pytest.raises(SpecError) as raised:
        parse_har(har(whole, damaged))
    assert [problem.path for problem in raised.value.problems] == [f"log.entries[1].{path}"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"{}", "log.entries"),
        (b'{"log": {"entries": 3}}', "log.entries"),
        (har(), "no request"),
        (har(entry("data:,x")), "no request"),
        (har(*[1] * 30), "and 10 more entries are malformed"),
        (b"{\0", "UTF-16"),
    ],
)
def test_what_is_no_har_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        read_har(content, set(), None)


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a file nor a list of any length is taken."""
    with pytest.raises(SpecError, match=r"at most 10,000 entries"):
        parse_har(har(*[0] * 10_001))
    monkeypatch.setattr("aurea_server.cli.har_file.MOST_BYTES", 10)
    with pytest.raises(SpecError, match="larger than"):
        parse_har(b" " * 11)


def test_a_flow_is_written_that_runs(aurea: Any, tmp_path: Path) -> None:
    """Names from the method and the path, each once; a byte order mark does no harm; credentials are listed."""
    secret = headers(authorization="Bearer Pl4nted", cookie="a=Pl4nted")
    entries = [entry(f"http://h/api/v1/cart?token=Pl4nted&n={n}", n, request=secret) for n in range(3)]
    (tmp_path / "a.har").write_bytes(b"\xef\xbb\xbf" + har(*entries))
    code, out, err = aurea("import", "har", tmp_path / "a.har", "--rate", "2/s")
    assert (code, "Pl4nted" in out + err) == (0, False)
    job = json.loads(out)["workload"]["job"]
    assert job["kind"] == "flow"
    assert [step["name"] for step in job["steps"]] == ["get_v1_cart", "get_v1_cart_2", "get_v1_cart_3"]
    assert [step.get("think") for step in job["steps"]] == [None, 0.9, 0.9]
    for needed in ("AUREA_SECRET_BEARER", "AUREA_SECRET_COOKIE", "the parameter token of the url"):
        assert needed in err


def test_a_file_that_is_not_there(aurea: Any) -> None:
    code, _, err = aurea("import", "har", "none.har")
    assert (code, err) == (2, "aurea: this cannot be done:\n  none.har: No such file or directory\n")
