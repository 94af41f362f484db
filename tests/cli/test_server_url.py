"""``--server``: a prefix is kept, what is no plain URL is refused, and the token goes nowhere else."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from aurea_server.cli.server_client import parse_server_url

TOKEN = "correct-horse-battery"
RESULT = {"benchmark_id": "benchmark-1", "status": "completed", "verdict": "valid", "num_jobs": 1, "completed_jobs": 1}


class Proxy(BaseHTTPRequestHandler):
    """Takes what is below a prefix for an Aurea; notes everything that comes."""

    came: ClassVar[list[tuple[str, str, str | None]]]
    redirects: ClassVar[dict[str, tuple[int, str]]]

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        self.came.append((self.command, self.path, self.headers.get("Authorization")))
        if self.path in self.redirects:
            status, location = self.redirects[self.path]
            self._say(status, b"", Location=location)
        elif self.path.endswith("/events"):
            self._say(200, b"")
        elif self.path.endswith("/runs?limit=20"):
            self._say(200, json.dumps({"runs": []}).encode())
        elif self.command == "DELETE":
            self._say(204, b"")
        else:
            self._say(202 if self.command == "POST" else 200, json.dumps(RESULT).encode())

    do_POST = do_DELETE = do_GET  # noqa: N815 - names of the library

    def _say(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[Proxy], str]]:
    monkeypatch.setenv("AUREA_TOKEN", TOKEN)
    monkeypatch.delenv("AUREA_SERVER", raising=False)

    class Noting(Proxy):
        came: ClassVar = []
        redirects: ClassVar = {}

    with ThreadingHTTPServer(("127.0.0.1", 0), Noting) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Noting, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


COMMANDS = [
    ("run", "--jobs", "1"),
    ("runs", "list"),
    ("runs", "show", "benchmark-1"),
    ("runs", "export", "benchmark-1"),
    ("runs", "export", "benchmark-1", "--format", "csv"),
    ("runs", "delete", "benchmark-1"),
]


@pytest.mark.parametrize("end", ["", "/", "//"])
@pytest.mark.parametrize("prefix", ["/bench", "/a/b.c/~d", "/with%20space", "/ü", ""])
def test_every_request_keeps_the_prefix(
    aurea: Callable[..., Any], proxy: tuple[type[Proxy], str], prefix: str, end: str
) -> None:
    noting, url = proxy
    for command in COMMANDS:
        assert aurea(*command, "--server", url + prefix + end)[0] == 0, command
    begin = f"{prefix.replace('ü', '%C3%BC')}/benchmark/run"
    assert len(noting.came) == 3 + 5
    assert [path for _, path, _ in noting.came if not path.startswith(begin)] == []
    assert {token for *_, token in noting.came} == {f"Bearer {TOKEN}"}


def test_the_variable_may_have_a_prefix_too(
    aurea: Callable[..., Any], proxy: tuple[type[Proxy], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noting, url = proxy
    monkeypatch.setenv("AUREA_SERVER", f"{url}/bench/")
    assert aurea("runs", "list")[0] == 0
    assert [path for _, path, _ in noting.came] == ["/bench/benchmark/runs?limit=20"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://host/?a=b", "query"),
        ("http://host/x?", "query"),
        ("http://host/x#y", "fragment"),
        ("http://host#", "fragment"),
        ("http://user@host", "name or password"),
        ("http://:secret@host/x", "name or password"),
        ("http://user:secret@host", "name or password"),
        ("ftp://host", "must be a URL"),
        ("file:///etc/passwd", "must be a URL"),
        ("http://", "must be a URL"),
        ("http://:5000", "must be a URL"),
        ("http://host:port", "must be a URL"),
        ("http://host:99999", "must be a URL"),
        ("http://[::1", "must be a URL"),
        ("http://ho st/", "must be a URL"),
        ("http://host/a\nb", "must be a URL"),
        ("", "must be a URL"),
    ],
)
def test_what_is_no_plain_url_is_refused(aurea: Callable[..., Any], url: str, why: str) -> None:
    for command in (("run", "--jobs", "1"), ("runs", "list")):
        code, out, err = aurea(*command, "--server", url)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("aurea: --server: must be a URL")
        assert why in err


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("localhost:5000", "http://localhost:5000"),
        ("localhost:5000/x/", "http://localhost:5000/x"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("http://[::1]:5000/", "http://[::1]:5000"),
    ],
)
def test_what_is_kept_of_a_url(given: str, kept: str) -> None:
    assert parse_server_url(given, "--server") == kept


def test_a_redirect_below_the_prefix_is_followed(aurea: Callable[..., Any], proxy: tuple[type[Proxy], str]) -> None:
    """Whether its reference is absolute or relative."""
    noting, url = proxy
    there = "/bench/moved/runs?limit=20"
    for location in (there, url + there, "../moved/runs?limit=20"):
        noting.redirects = {"/bench/benchmark/runs?limit=20": (307, location)}
        noting.came.clear()
        assert aurea("runs", "list", "--server", f"{url}/bench")[0] == 0
        assert [path for _, path, _ in noting.came] == ["/bench/benchmark/runs?limit=20", there]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_token_follows_no_redirect_elsewhere(
    aurea: Callable[..., Any], proxy: tuple[type[Proxy], str], status: int
) -> None:
    """To another host, another scheme, or out of the prefix."""
    noting, url = proxy
    other = url.replace("127.0.0.1", "localhost")
    elsewhere = [
        f"{other}/bench/x",
        f"{url}/else",
        f"{url}/benchmark",
        f"{url}/bench/../else",
        f"{url}/bench/%2e%2e/else",
        f"https://{url[7:]}/bench/x",
        "//example.org/bench/",
        "/",
    ]
    for location in elsewhere:
        noting.redirects = {"/bench/benchmark/runs?limit=20": (status, location)}
        noting.came.clear()
        code, out, err = aurea("runs", "list", "--server", f"{url}/bench")
        assert (code, out, err.count("\n"), "redirects" in err) == (1, "", 1, True), location
        assert len(noting.came) == 1, location


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_run_is_not_turned_into_a_get(aurea: Callable[..., Any], proxy: tuple[type[Proxy], str], status: int) -> None:
    noting, url = proxy
    noting.redirects = {"/bench/benchmark/run": (status, f"{url}/bench/benchmark/run/")}
    code, _, err = aurea("run", "--jobs", "1", "--server", f"{url}/bench")
    assert (code, "redirects a POST" in err, len(noting.came)) == (1, True, 1)
