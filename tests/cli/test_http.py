"""``aurea http``: familiar flags become a specification, requests are what they say, and no credential is left anywhere."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import Observer, PoolState, Progress, SpecError, run_sync, spec_from_dict
from aurea_server.cli.http_options import RequestOptions
from aurea_server.cli.load_options import LoadOptions
from aurea_server.cli.objective_option import parse_objective
from aurea_server.cli.progress_line import list_replies
from aurea_server.cli.report_requests import explain_failures
from tests.targets.recording_server import Received, RecordingServer, reply

PLANTED = "Pl4nted"


def describe(request: Received, own: set[str]) -> tuple[object, ...]:
    """All that was sent, but for the headers that each client adds by itself."""
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in request.lines)}
    return request.method, request.target, {n: v for n, v in headers.items() if n not in own}, request.body


RAN = (0, 6)
"""Exit codes of a run without objectives: on a busy machine it may be invalid, and have done all its jobs."""

FAST = ("--jobs", "3", "--rate", "1000")


# --- Options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "members"),
    [
        ({}, {"method": "GET"}),
        ({"method": "PUT"}, {"method": "PUT"}),
        ({"head": True}, {"method": "HEAD"}),
        ({"data_json": '{"n": 1}'}, {"method": "POST", "json": {"n": 1}}),
        ({"form": ["a=b=c", "d="]}, {"method": "POST", "form": {"a": "b=c", "d": ""}}),
        ({"data": ["@body.bin"], "method": "PUT", "header": ["Content-Type: x/y"]}, {"file": "body.bin"}),
        (
            {"insecure": True, "cacert": None, "cert": "c", "key": "k"},
            {"tls": {"verify": False, "cert": "c", "key": "k"}},
        ),
        ({"location": True}, {"redirects": 10}),
        ({"location": True, "redirects": 2}, {"redirects": 2}),
        ({"timeout": "250ms", "connect_timeout": "1"}, {"timeout": "250ms", "connect_timeout": 1}),
        (
            {"no_reuse": True, "connections": 4, "compressed": True},
            {"reuse": False, "connections": 4, "decompress": True},
        ),
        ({"expect_status": "200,4XX", "expect_contains": "ok"}, {"expect": {"status": [200, "4xx"], "contains": "ok"}}),
        ({"user_agent": "me", "cookie": "a=b"}, {"headers": {"User-Agent": "me", "Cookie": "a=b"}}),
    ],
)
def test_flags_become_members(options: dict[str, Any], members: dict[str, Any]) -> None:
    job = RequestOptions(**options).make_job("h/x")
    assert job["url"] == "http://h/x"
    assert {name: job.get(name) for name in members} == members


def test_body_has_type_that_curl_gives_it() -> None:
    """A form, unless a header says otherwise; several -d are joined."""
    job = RequestOptions(data=["a=1", "b=2"]).make_job("http://h/")
    assert (job["method"], job["body"]) == ("POST", "a=1&b=2")
    assert job["headers"] == {"Content-Type": "application/x-www-form-urlencoded"}
    typed = RequestOptions(data=["x"], header=["content-type: text/plain"]).make_job("http://h/")
    assert typed["headers"] == {"content-type": "text/plain"}


def test_raw_body_may_begin_with_an_at_sign() -> None:
    """As with curl: only --data reads files, and a file is sent by itself."""
    assert RequestOptions(data_raw="@x").make_job("http://h/")["body"] == "@x"
    with pytest.raises(SpecError, match="must be one @FILE or texts"):
        RequestOptions(data=["a", "@x"]).make_job("http://h/")
    with pytest.raises(SpecError, match="--data-raw: cannot stand beside --data"):
        RequestOptions(data=["a"], data_raw="b").make_job("http://h/")


def test_fifty_a_second_for_ten_seconds() -> None:
    """Unless something else is asked for; -c, -n and -z are what other programs call users, jobs and duration."""
    assert LoadOptions().add_to({})["workload"] == {
        "job": {},
        "arrivals": {"kind": "constant", "rate": 50},
        "duration": "10s",
    }
    assert LoadOptions(jobs=5).add_to({})["workload"].get("duration") is None
    assert LoadOptions(users=20).add_to({})["workload"]["arrivals"] == {"kind": "closed", "users": 20}
    assert LoadOptions(poisson=True, rate="9/m").add_to({})["workload"]["arrivals"] == {
        "kind": "poisson",
        "rate": "9/m",
    }


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("p99<=250ms", {"metric": "response_time", "quantile": 0.99, "at_most": "250ms"}),
        ("p99.9 service_time < 1", {"metric": "service_time", "quantile": 0.999, "at_most": 1}),
        ("mean response time <= 0.5 s", {"metric": "response_time", "at_most": "0.5s"}),
        ("failure_ratio ≤ 0.01", {"metric": "failure_ratio", "at_most": 0.01}),
        ("throughput >= 400/s", {"metric": "throughput", "at_least": "400/s"}),
        ("p95 first_byte <= 20ms", {"metric": "first_byte", "quantile": 0.95, "at_most": "20ms"}),
        (
            "p90 group:get cart:response_time <= 1s",
            {"metric": "group:get cart:response_time", "quantile": 0.9, "at_most": "1s"},
        ),
    ],
)
def test_objectives_are_sentences(text: str, objective: dict[str, Any]) -> None:
    parsed = parse_objective(text)
    assert {name: float(value) if not isinstance(value, str) else value for name, value in parsed.items()} == objective


@pytest.mark.parametrize("text", ["", "p99", "<= 1", "p99 = 1", "p99 <= ", "p999 <= 1", "p99 <= 1 <= 2"])
def test_what_is_no_objective(text: str) -> None:
    with pytest.raises(SpecError, match="--objective"):
        parse_objective(text)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "URL: is missing"),
        (("ftp://h/",), "URL: must begin with http://"),
        (("http://h/", "http://i/"), "URL: must be one"),
        (("http://h/", "--json", '{"a": 1}'), "a body of JSON is --data-json"),
        (("http://h/", "-d", "10s"), "--duration (or -z)"),
        (("http://h/", "-t", "4"), "--timeout"),
        (("http://h/", "-m", "POST"), "-X POST"),
        (("http://h/", "-q", "50"), "--rate 50"),
        (("http://h/", "--rate", "5", "--users", "5"), "--users: cannot stand beside --rate"),
        (("http://h/", "--rate", "fast"), "--rate:"),
        (("http://h/", "-n", "10k"), "is no whole number"),
        (("http://h/", "-X", "G T"), "--method:"),
        (("http://h/", "-H", "nonsense"), "--header: must be NAME: VALUE"),
        (("http://h/", "-H", "Content-Length: 3"), "--header Content-Length:"),
        (("http://h/", "-d", "a", "--form", "b=c"), "--form: cannot stand beside --data"),
        (("http://h/", "-d", "@no-such-file"), "--data: must be a text, or @ and the name of a file"),
        (("http://h/", "--data-json", "{"), "--data-json: must be JSON"),
        (("http://h/", "--expect-status", "ok"), "--expect-status"),
        (("http://h/", "--timeout", "0"), "--timeout:"),
        (("http://h/", "-k"), "--insecure:"),
        (("http://h/", "--connections", "0"), "--connections:"),
        (("http://h/", "--objective", "p99"), "--objective:"),
        (("http://h/", "--save", "/nowhere/x"), "--save /nowhere/x: there is no folder"),
    ],
)
def test_errors_name_the_flag_and_the_remedy(aurea: Any, arguments: tuple[str, ...], told: str) -> None:
    code, out, err = aurea("http", *arguments)
    assert (code, out) == (2, "")
    assert told in err


def test_all_wrong_options_are_told_at_once(aurea: Any) -> None:
    """Body, headers, settings and load are judged apart, so one error hides no other."""
    wrong = ("-H", "nonsense", "--form", "a", "-m", "POST", "--rate", "5", "--users", "5")
    code, out, err = aurea("http", "http://h/", *wrong)
    assert (code, out) == (2, "")
    assert [line.split(":")[0].strip() for line in err.splitlines()[1:]] == ["--form", "--header", "-m", "--users"]


# --- Requests --------------------------------------------------------------------------------------------------------


def test_requests_come_as_they_were_asked(aurea: Any, target: RecordingServer) -> None:
    """The target is named before it starts; the result has a line of statuses, and the measures of bytes."""
    code, out, err = aurea("http", target.url("/x?q=1"), *FAST, "-H", "X-A: b", "--data-json", '{"n": "{{index}}"}')
    assert code in RAN
    assert f"aurea: target POST {target.url('/x')}\n" in err
    assert "statuses" in out
    assert "response time" in out
    assert {(request.method, request.target) for request in target.received} == {("POST", "/x?q=1")}
    assert sorted(request.body for request in target.received) == [b'{"n":"0"}', b'{"n":"1"}', b'{"n":"2"}']
    sent = {(request.header("x-a"), request.header("content-type")) for request in target.received}
    assert sent == {("b", "application/json")}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    "flags",
    [
        ("-H", "X-A: b"),
        ("-X", "DELETE"),
        ("-d", "a=1", "-d", "b=ü"),
        ("-d", "a", "-H", "Content-Type: text/plain"),
        ("-u", "me:pa:ss"),
        ("-A", "me", "-b", "a=b; c=d"),
        ("-I",),
        ("-X", "PUT", "--data-raw", '{"a": 1}', "-H", "Content-Type: application/json"),
    ],
)
def test_the_same_request_as_curl(aurea: Any, target: RecordingServer, flags: tuple[str, ...]) -> None:
    """Oracle: curl itself, with the same flags. What either adds by itself (user agent, accept) is left out."""
    subprocess.run(["curl", "-sS", *flags, target.url("/p?q=1")], check=True, capture_output=True)
    code, _, _ = aurea("http", target.url("/p?q=1"), "--jobs", "1", "--json", *flags)
    assert code in RAN
    ours, theirs = target.received[1], target.received[0]
    own = {"accept", "connection"} | (set() if "-A" in flags else {"user-agent"})
    assert describe(ours, own) == describe(theirs, own)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    "flags",
    [
        "",
        "-d a=1 --data-urlencode 'q=a b&c' -H 'X-B;'",
        '--json \'{"a": "{{b}}"}\' -X PATCH',
        "-G -d x=1 -r 0-9 -e http://r/",
        "-A me --compressed -H 'Accept: */*'",
    ],
)
def test_imported_command_sends_as_curl_does(aurea: Any, target: RecordingServer, tmp_path: Path, flags: str) -> None:
    """Oracle: the command itself, run by bash; then what `aurea import curl` made of it."""
    command = f"curl -sS {flags} '{target.url('/p')}'"
    subprocess.run(["bash", "-c", command], check=True, capture_output=True)
    assert aurea("import", "curl", command, "-o", tmp_path / "spec.json")[0] == 0
    assert aurea("run", tmp_path / "spec.json", "--duration", "1s")[0] in RAN
    theirs, ours = target.received[0], target.received[1]
    own = {"accept", "connection", "user-agent", "accept-encoding"}
    assert describe(ours, own) == describe(theirs, own)


def test_a_saved_specification_runs_again(aurea: Any, target: RecordingServer, tmp_path: Path) -> None:
    """With the same seed: the very same jobs at the very same instants."""
    saved = tmp_path / "spec.json"
    code, first, _ = aurea(
        "http", target.url(), "--jobs", "20", "--rate", "1000", "--poisson", "--save", saved, "--json"
    )
    again, second, _ = aurea("run", saved, "--json")
    assert {code, again} <= set(RAN)
    one, two = json.loads(first), json.loads(second)
    assert one["spec"] == two["spec"]
    assert [job["intended"] for job in one["jobs"]] == [job["intended"] for job in two["jobs"]]


CREDENTIALS = [
    (("-H", f"Authorization: Bearer {PLANTED}"), "authorization", f"Bearer {PLANTED}", "AUREA_SECRET_BEARER"),
    (("-H", f"authorization: Odd {PLANTED}"), "authorization", f"Odd {PLANTED}", "AUREA_SECRET_AUTHORIZATION"),
    (("-H", f"X-Api-Key: {PLANTED}"), "x-api-key", PLANTED, "AUREA_SECRET_X_API_KEY"),
    (("-b", f"s={PLANTED}"), "cookie", f"s={PLANTED}", "AUREA_SECRET_COOKIE"),
    (
        ("-u", f"me:{PLANTED}"),
        "authorization",
        f"Basic {base64.b64encode(f'me:{PLANTED}'.encode()).decode()}",
        "AUREA_SECRET_BASIC",
    ),
]


@pytest.mark.parametrize("credential", CREDENTIALS, ids=lambda each: each[3])
def test_credentials_are_sent_and_not_kept(
    aurea: Any, target: RecordingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, credential: Any
) -> None:
    """A name stands in the result, the saved file and all that is printed; with the value supplied it runs again."""
    flags, header, value, variable = credential
    saved, stored = tmp_path / "spec.json", tmp_path / "result.json"
    code, out, err = aurea("http", target.url(), *FAST, *flags, "--save", saved, "-o", stored)
    assert code in RAN
    assert target.received[0].header(header) == value
    everything = out + err + saved.read_text() + stored.read_text()
    assert PLANTED not in everything
    assert base64.b64encode(f"me:{PLANTED}".encode()).decode() not in everything
    assert variable in err
    code, _, err = aurea("run", saved)
    assert code == 2
    assert variable in err
    monkeypatch.setenv(variable, value.partition(" ")[2] if variable == "AUREA_SECRET_BEARER" else value)
    if variable == "AUREA_SECRET_BASIC":
        monkeypatch.setenv(variable, f"me:{PLANTED}")
    count = len(target.received)
    code, out, err = aurea("run", saved, "--json")
    assert code in RAN
    assert (target.received[count].header(header), PLANTED in out + err) == (value, False)


def test_credential_of_file_is_in_no_result(aurea: Any, target: RecordingServer, tmp_path: Path) -> None:
    """`aurea run FILE` replaces it by a name, too."""
    url = target.url().replace("//", f"//me:{PLANTED}@")
    job = {"kind": "mix", "of": [{"weight": 1, "job": {"kind": "http", "url": url}}]}
    (tmp_path / "spec.json").write_text(json.dumps({"workload": {"job": job, "jobs": 1}}))
    code, out, err = aurea("run", tmp_path / "spec.json", "--json")
    assert code in RAN
    assert PLANTED not in out + err
    assert (target.received[0].header("authorization") or "").startswith("Basic ")


def test_failures_are_told_by_class(aurea: Any, target: RecordingServer) -> None:
    target.answer = lambda _: reply(b"", 503)
    code, out, _ = aurea("http", target.url(), *FAST, "--objective", "failure_ratio <= 0.01")
    assert code in (3, 6)
    assert "503: 3" in out
    assert "3 status" in out
    code, out, _ = aurea("http", "http://127.0.0.1:9/", *FAST, "--json")
    assert json.loads(out)["failures"] == {"refused": 3}


@pytest.mark.parametrize(
    ("command", "url", "said"),
    [
        ("http", "http://127.0.0.1:9/", "3 refused: nothing listened at 127.0.0.1:9\n"),
        ("chat", "http://127.0.0.1:9", "3 refused: nothing listened at 127.0.0.1:9\n"),
        ("http", "unix:/nowhere.sock:/", "3 refused\n"),
    ],
)
def test_a_target_that_is_not_there_is_named(aurea: Any, command: str, url: str, said: str) -> None:
    more = ("--model", "m", "--prompt", "a") if command == "chat" else ()
    _, out, _ = aurea(command, url, *more, *FAST)
    assert said in out


def test_a_host_without_an_address_is_named() -> None:
    result = run_sync(spec_from_dict({"workload": {"job": {"kind": "http", "url": "http://127.0.0.1:9/"}, "jobs": 2}}))
    told = {name: explain_failures(replace(result, failures={name: 2})) for name in ("dns", "refused", "tls")}
    assert told == {
        "dns": ": no address was found for 127.0.0.1",
        "refused": ": nothing listened at 127.0.0.1:9",
        "tls": "",
    }
    assert explain_failures(replace(result, failures={"dns": 1, "refused": 1})) == ""


def test_a_target_that_answered_listened(aurea: Any, target: RecordingServer, tmp_path: Path) -> None:
    """Of a mix, and where a redirect led elsewhere, it is not known who was not there."""
    dead = [{"kind": "http", "url": url} for url in ("http://127.0.0.1:9/", "http://127.0.0.2:9/", "unix:/none:/")]
    mixes = [{"kind": "mix", "of": [{"weight": 1, "job": job} for job in (dead[0], other)]} for other in dead[1:]]
    target.answer = lambda _: reply(b"", 302, "Location: http://127.0.0.1:9/")
    moved = {"kind": "http", "url": target.url(), "redirects": 1}
    for job in (*mixes, moved):
        (tmp_path / "spec.json").write_text(json.dumps({"workload": {"job": job, "jobs": 2}}))
        _, out, _ = aurea("run", tmp_path / "spec.json")
        assert "2 refused\n" in out


def test_nothing_of_target_moves_the_cursor(aurea: Any, target: RecordingServer) -> None:
    """Status text, headers and body of a hostile reply never reach the terminal as they are."""
    target.answer = lambda _: (
        b"HTTP/1.1 418 \x1b[31mred\x07\r\nX-\x1b[2J: \x1b]0;title\x07\r\nContent-Length: 3\r\n\r\n\x1b[m"
    )
    _, out, err = aurea("http", target.url(), *FAST)
    assert not [char for char in out + err if ord(char) < 32 and char != "\n"]


def test_no_color_is_obeyed(aurea: Any, target: RecordingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in aurea("http", target.url(), *FAST)[1]
    # Bold is no colour, and NO_COLOR leaves it too.
    assert "\x1b[3" not in aurea("http", target.url(), *FAST, "--no-color")[1]


@pytest.mark.service
@pytest.mark.parametrize("module", ["aurea_server.cli.run", "aurea_server.cli.http", "aurea_server.cli.import_command"])
def test_connections_are_loaded_when_used(module: str) -> None:
    """Parser, pools and connections cost a fifth of the engine's own start; most commands send nothing."""
    code = f"import sys, {module}; print(*[name for name in sys.modules if 'httptools' in name or 'targets.http.' in name])"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    late = {"httptools", "aurea_engine.targets.http.pool", "aurea_engine.targets.http.connection"}
    assert late.isdisjoint(asked.stdout.split())


def test_line_tells_replies_and_connections() -> None:
    """While it runs: statuses and failures, the most frequent first, and how the connections stand."""
    told: list[list[str]] = []

    class Listener(Observer):
        def on_progress(self, progress: Progress) -> None:
            told.append(list_replies(replace(progress, pool=PoolState(open=12, busy=5, waiting=3))))

    job = {"kind": "http", "url": "http://127.0.0.1:9/"}
    run_sync(spec_from_dict({"workload": {"job": job, "jobs": 2}}), [Listener()])
    assert told[-1] == ["2 refused", "5 of 12 connections", "3 wait"]
