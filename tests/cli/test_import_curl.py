"""``aurea import curl``: shells' quoting as shells do it, flags as curl takes them, and no credential in what is written."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import SpecError
from aurea_server.cli.curl_words import split_commands
from aurea_server.cli.import_curl import read_curl


def steps_of(text: str) -> list[dict[str, Any]]:
    return read_curl(split_commands(text)).steps


def step_of(text: str) -> dict[str, Any]:
    (step,) = steps_of(text)
    return step


def problems_of(text: str) -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as raised:
        steps_of(text)
    return [(problem.path, problem.problem) for problem in raised.value.problems]


# --- Quoting ---------------------------------------------------------------------------------------------------------

LETTERS = "abc $`\"'\\!{}[]()&|;<>*?#~=%^\t\néß漢\u200b😀-@:/"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_quotes_and_we_read_it() -> None:
    """Five hundred random texts, quoted by bash itself in its own way ($'…' for control characters), come back whole."""
    rng = random.Random(11)
    texts = ["".join(rng.choices(LETTERS, k=rng.randrange(1, 12))) for _ in range(500)]
    asked = subprocess.run(
        ["bash", "-c", 'printf "%q\\0" "$@"', "bash", *texts],
        capture_output=True,
        check=True,
        env={"LC_ALL": "C.UTF-8"},
    )
    quoted = asked.stdout.decode().split("\0")[:-1]
    assert [split_commands(f"curl {each}") for each in quoted] == [[["curl", text]] for text in texts]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    "line",
    [
        r"""curl 'a b'"c d"e\ f''""",
        r"""curl "a\"b\\c\d\$e\`f" '' "" """,
        "curl a\\\nb \\\n  'c\nd' \"e\\\nf\" # a remark\n",
        r"""curl $'a\tb\x41\u00e9\'\\\101\n' $"x" $ "a$" a#b""",
        "curl 'x' \\\r\n -H 'y: z'",
    ],
)
def test_words_are_those_of_bash(line: str) -> None:
    """Quotes within words, escapes, empty words, joined lines, remarks; browsers on Windows end lines with CR LF."""
    program = 'curl() { printf "%s\\0" "$@"; }\n' + line.replace("\r\n", "\n").replace('$"x"', '"x"')
    asked = subprocess.run(["bash", "-c", program], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    words = asked.stdout.decode().split("\0")[:-1]
    assert split_commands(line.replace('$"x"', '"x"')) == [["curl", *words]]


def test_windows_quotes_and_we_read_it() -> None:
    """Random words, joined by Python's own code for Windows and hidden from cmd.exe by carets, come back whole."""
    rng = random.Random(5)
    for _ in range(500):
        words = ["".join(rng.choices("ab \"'\\^&|<>()%!{}=,;", k=rng.randrange(1, 12))) for _ in range(3)]
        joined = "".join(f"^{char}" if char in '"^&|<>()%!' else char for char in subprocess.list2cmdline(words))
        assert split_commands(f'curl ^"http://h/^" ^\n  {joined} ^\r\n  -k') == [["curl", "http://h/", *words, "-k"]]


def test_the_windows_form_of_browsers() -> None:
    """As Chromium copies a POST of JSON in two lines: each command ends with " &" where several are copied."""
    text = (
        'curl ^"https://h/x?a=1^&b=2^" ^\n  -X ^"PUT^" ^\n  -H ^"accept: */*^" ^\n'
        '  --data-raw ^"^{^\\^"a^\\^":^\\^"b c^\\^",^\n\n^\\^"p^\\^":50^%^}^" ^&\ncurl ^"http://i/^" ^\n  --compressed'
    )
    one, two = split_commands(text.replace("^&\n", "&\n"))
    assert one == [
        "curl",
        "https://h/x?a=1&b=2",
        "-X",
        "PUT",
        "-H",
        "accept: */*",
        "--data-raw",
        '{"a":"b c",\n"p":50%}',
    ]
    assert two == ["curl", "http://i/", "--compressed"]


@pytest.mark.parametrize("text", ["curl 'a", 'curl "a', "curl $'a", "curl $(id)", "curl `id`", "curl \0"])
def test_what_no_shell_passes_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        split_commands(text)


# --- Flags -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "members"),
    [
        ("", {}),
        ("-X DELETE", {"method": "DELETE"}),
        ("-XPUT", {"method": "PUT"}),
        ("-I", {"method": "HEAD"}),
        ("-k", {"tls": {"verify": False}}),
        ("-sSk", {"tls": {"verify": False}}),
        ("-L", {"redirects": 10}),
        ("-L --max-redirs 3", {"redirects": 3}),
        ("-m 2.5 --connect-timeout 1", {"timeout": 2.5, "connect_timeout": 1}),
        ("--cacert ca.pem --cert c.pem --key k.pem", {"tls": {"ca": "ca.pem", "cert": "c.pem", "key": "k.pem"}}),
        ("--compressed", {"decompress": True}),
        ("-A me -e http://r/", {"headers": {"User-Agent": "me", "Referer": "http://r/"}}),
        ("-r 0-9", {"headers": {"Range": "bytes=0-9"}}),
        ("-H 'A: 1' -H 'a: 2' -H 'B;'", {"headers": {"A": "1, 2", "B": ""}}),
        ("-H 'Host: h' -H 'Content-Length: 3' -H 'Connection: close'", {}),
        ("-H 'Host: other'", {"headers": {"Host": "other"}}),
        ("-o /dev/null -w '%{http_code}' --retry 3 -v -i -f -#", {}),
        ("--url-query a=1", {"url": "http://h/?a=1"}),
    ],
)
def test_flags_become_members(flags: str, members: dict[str, Any]) -> None:
    assert step_of(f"curl http://h {flags}") == {"url": "http://h/"} | members


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json", "Accept": "application/json"}


@pytest.mark.parametrize(
    ("flags", "headers", "body"),
    [
        ("-d a=1 -d b=2", FORM, "a=1&b=2"),
        ("--data-raw @x", FORM, "@x"),
        ("--data-urlencode 'q=a b&c' --data-urlencode '=x y' --data-urlencode 'z&'", FORM, "q=a+b%26c&x+y&z%26"),
        ("""--json '{"a": 1}' --json '{}'""", JSON, '{"a": 1}{}'),
        ("""--json '{"a": 1}' -H 'accept: */*'""", {"accept": "*/*", "Content-Type": "application/json"}, '{"a": 1}'),
        ("-d x -H 'Content-Type: text/plain'", {"Content-Type": "text/plain"}, "x"),
        ("-d x -H 'Content-Type:'", None, "x"),
        ("-d '{{row.a}}'", FORM, "{{'{{'}}row.a}}"),
    ],
)
def test_data_becomes_a_body(flags: str, headers: dict[str, str] | None, body: str) -> None:
    """As curl sends it, byte by byte. Two braces of a body are no template."""
    expected = {"url": "http://h/", "method": "POST", "body": body} | ({"headers": headers} if headers else {})
    assert step_of(f"curl http://h/ {flags}") == expected


def test_data_from_files(tmp_path: Path) -> None:
    """-d leaves the ends of lines out; --data-binary sends the file as it is, so it stays a file."""
    (tmp_path / "body").write_bytes(b"a\r\nb\n")
    name = tmp_path / "body"
    assert step_of(f"curl http://h -d @{name} -d c")["body"] == "ab&c"
    assert step_of(f"curl http://h --data-urlencode x@{name}")["body"] == "x=a%0D%0Ab%0A"
    assert step_of(f"curl http://h --data-binary @{name}")["file"] == str(name)
    assert "body" not in step_of(f"curl http://h --data-binary @{name}")
    (tmp_path / "binary").write_bytes(b"\xff")
    assert problems_of(f"curl http://h -d @{tmp_path}/none -d @{tmp_path}/binary")[1][0] == "--data"


def test_get_puts_data_into_the_url() -> None:
    assert step_of("curl -G -d a=1 --data-urlencode 'q=ä' 'http://h/x?z=0'") == {"url": "http://h/x?z=0&a=1&q=%C3%A4"}


def test_urls_and_commands_become_steps() -> None:
    """Several URLs have the flags of their command; --next begins anew."""
    steps = steps_of(
        "curl -X PUT http://a/1 http://a/2 --next http://b/3\ncurl c/4; curl http://d/5 & curl --url http://e"
    )
    assert [(step["url"], step.get("method")) for step in steps] == [
        ("http://a/1", "PUT"),
        ("http://a/2", "PUT"),
        ("http://b/3", None),
        ("http://c/4", None),
        ("http://d/5", None),
        ("http://e/", None),
    ]


def test_a_unix_socket_is_a_url() -> None:
    assert step_of("curl --unix-socket /run/d.sock http://localhost/v1?a=b")["url"] == "unix:/run/d.sock:/v1?a=b"
    assert problems_of("curl --unix-socket /run/d.sock https://h/")[0][0] == "--unix-socket"


def test_all_problems_come_at_once() -> None:
    """Each is named as it was written, with the remedy."""
    found = dict(problems_of("curl -F a=b --frob -Z9 -x p --resolve h:1:2 -m z -H nope 'http://h/[1-3]' ftp://x -X"))
    named = {"--form", "--frob", "-Z", "-9", "--proxy", "--resolve", "--max-time", "-H", "url", "-X"}
    assert set(found) == named
    assert "--data-binary @FILE" in found["--form"]
    assert "-H 'Host: …'" in found["--resolve"]
    assert found["--frob"] == "is not a flag of curl that is known here: leave it out"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("wget http://h", "must be a curl command"),
        ("curl -s", "there is no URL in the command"),
        ("curl 'http://h/$X' \"http://h/$Y\"", "holds the shell variable $Y"),
        ("curl http://h --cert a:secret", "must not be written down"),
        ("", "there is no curl command"),
    ],
)
def test_what_cannot_be_done_is_said(text: str, told: str) -> None:
    assert told in str(problems_of(text))
    assert "secret" not in str(problems_of(text))


# --- Credentials -----------------------------------------------------------------------------------------------------


def test_a_variable_of_a_credential_is_named() -> None:
    """Documentation writes "Bearer $TOKEN": the specification then reads that very variable."""
    assert step_of('curl http://h -H "Authorization: Bearer $MY_TOKEN"')["auth"] == {"bearer": {"env": "MY_TOKEN"}}
    assert step_of('curl http://h -H "X-Api-Key: ${MY_KEY}"')["headers"] == {"X-Api-Key": {"env": "MY_KEY"}}
    assert step_of('curl http://h -u "$PAIR"')["auth"] == {"basic": {"env": "PAIR"}}


PLANTED = "Pl4nted"


@pytest.mark.parametrize(
    ("flags", "variable"),
    [
        (f"-H 'Authorization: Bearer {PLANTED}'", "AUREA_SECRET_BEARER"),
        (f"-H 'authorization: Digest {PLANTED}'", "AUREA_SECRET_AUTHORIZATION"),
        (f"-H 'Proxy-Authorization: {PLANTED}'", "AUREA_SECRET_PROXY_AUTHORIZATION"),
        (f"-H 'Cookie: a={PLANTED}'", "AUREA_SECRET_COOKIE"),
        (f"-b 'a={PLANTED}'", "AUREA_SECRET_COOKIE"),
        (f"-H 'X-Api-Key: {PLANTED}'", "AUREA_SECRET_X_API_KEY"),
        (f"-H 'X-CSRF-Token: {PLANTED}'", "AUREA_SECRET_X_CSRF_TOKEN"),
        (f"-u me:{PLANTED}", "AUREA_SECRET_BASIC"),
        (f"--oauth2-bearer {PLANTED}", "AUREA_SECRET_BEARER"),
        (f"http://me:{PLANTED}@h/", "AUREA_SECRET_BASIC"),
        (f"'http://h/?access_token={PLANTED}&a=b'", "access_token"),
        (f"-d 'user=me&password={PLANTED}'", "password in the body"),
        (f"""--json '{{"login": {{"passWord": "{PLANTED}"}}}}'""", "passWord in the body"),
    ],
)
def test_credentials_are_left_out(aurea: Any, flags: str, variable: str) -> None:
    """Neither the specification nor what is said of it holds the value; what has to be supplied is listed."""
    command = f"curl {'' if 'http' in flags else 'http://h/'} {flags}"
    code, out, err = aurea("import", "curl", command)
    assert (code, PLANTED in out, PLANTED in err) == (0, False, False)
    assert variable in err
    assert json.loads(out)["workload"]["duration"] == "10s"


@pytest.mark.parametrize("url", [f"https://me:{PLANTED}@other/page", f"https://other/page?session={PLANTED}"])
def test_the_page_before_keeps_no_credentials(aurea: Any, url: str) -> None:
    """A browser sends the whole URL of the page that it comes from, with whatever that holds."""
    code, out, err = aurea("import", "curl", f"curl http://h/ -e '{url}'")
    assert (code, PLANTED in err) == (0, False)
    assert json.loads(out)["workload"]["job"]["headers"] == {"Referer": "https://other/page"}


def test_the_file_that_is_written_runs(aurea: Any, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    code, out, err = aurea("import", "curl", "curl http://127.0.0.1:9/", "-o", spec, "--users", 3, "--duration", "5s")
    assert (code, out) == (0, "")
    assert f"aurea run {spec}" in err
    workload = json.loads(spec.read_text())["workload"]
    assert workload["arrivals"] == {"kind": "closed", "users": 3}
    assert workload["job"] == {"kind": "http", "url": "http://127.0.0.1:9/"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give the curl command in quotes"),
        (("curl http://h", "--rate", "1", "--users", "2"), "exclude each other"),
        (("curl http://h", "-o", "/nowhere/x"), "no folder"),
        (("curl http://h", "--rate", "ten"), "rate"),
    ],
)
def test_options_that_cannot_be_obeyed(aurea: Any, arguments: tuple[str, ...], told: str) -> None:
    code, out, err = aurea("import", "curl", *arguments)
    assert (code, out) == (2, "")
    assert told in err
