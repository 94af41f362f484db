"""The HTTP target against servers that the world uses: nginx, gunicorn, uvicorn; over TCP, TLS and a Unix socket."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.targets.real_servers import LARGE, Nginx, run_gunicorn, run_nginx, run_uvicorn

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def nginx(require: Callable[..., str], tmp_path_factory: pytest.TempPathFactory, authority: Any) -> Iterator[Nginx]:
    with run_nginx(require("nginx"), tmp_path_factory.mktemp("nginx"), authority.ca, authority.server) as server:
        yield server


@pytest.fixture(autouse=True)
def _own_log(request: pytest.FixtureRequest) -> None:
    """Each test reads the part of nginx's log that it made."""
    if "nginx" in request.fixturenames:
        request.getfixturevalue("nginx").take_log(0)


def test_nginx_replies_are_counted(nginx: Nginx, ask: Callable[..., Any]) -> None:
    """Jobs, statuses, bytes of replies and of requests, and connections: all as in nginx's log."""
    result = ask(nginx.url("/small"), jobs=200, connections=4)
    log = nginx.take_log(200)
    assert result.counts.completed == 200
    assert result.statuses == {"200": 200}
    assert measured(result, "bytes_received") == [seen.sent for seen in log]
    assert sum(measured(result, "bytes_sent")) == sum(seen.read for seen in log)
    assert len({seen.connection for seen in log}) <= 4


def measured(result: Any, name: str) -> list[int]:
    return [int(value) for value in result.jobs.measure(name)]


def test_requests_a_connection_are_limited(nginx: Nginx, ask: Callable[..., Any]) -> None:
    """Nginx closes each connection after seven requests and says so: no request is lost by it."""
    result = ask(nginx.url("/seven"), jobs=100, connections=4)
    log = nginx.take_log(100)
    assert result.counts.completed == 100
    assert max(seen.number_on_it for seen in log) == 7
    assert 100 / 7 <= len({seen.connection for seen in log}) <= 100 / 7 + 4


def test_no_connection_is_kept(nginx: Nginx, ask: Callable[..., Any]) -> None:
    result = ask(nginx.url("/no-keep-alive"), jobs=20)
    assert result.counts.completed == 20
    assert len({seen.connection for seen in nginx.take_log(20)}) == 20


def test_reuse_can_be_switched_off(nginx: Nginx, ask: Callable[..., Any]) -> None:
    result = ask(nginx.url("/small"), jobs=20, reuse=False)
    assert result.counts.completed == 20
    assert {seen.number_on_it for seen in nginx.take_log(20)} == {1}


def test_idle_connections_are_replaced(nginx: Nginx, ask: Callable[..., Any]) -> None:
    """Nginx closes what was idle for 50 ms. The client notices, and dials again."""
    result = ask(nginx.url("/idle"), jobs=4, arrivals={"kind": "constant", "rate": 2})
    assert result.counts.completed == 4
    assert len({seen.connection for seen in nginx.take_log(4)}) == 4


def test_own_idle_limit_replaces_them(nginx: Nginx, ask: Callable[..., Any]) -> None:
    result = ask(nginx.url("/small"), jobs=4, arrivals={"kind": "constant", "rate": 2}, idle=0.05)
    assert result.counts.completed == 4
    assert len({seen.connection for seen in nginx.take_log(4)}) == 4


def test_gzip_is_undone_on_request(nginx: Nginx, ask: Callable[..., Any]) -> None:
    """Nginx compresses on the fly and sends chunks. The bytes that are counted are those of the wire."""
    expect = {"contains": "again and again"}
    result = ask(nginx.url("/gzip/text"), jobs=5, decompress=True, expect=expect)
    assert result.counts.completed == 5
    received = measured(result, "bytes_received")
    assert received == [seen.sent for seen in nginx.take_log(5)]
    assert max(received) < 1000
    plain = ask(nginx.url("/gzip/text"), jobs=5, expect=expect)
    assert plain.counts.completed == 5
    assert min(measured(plain, "bytes_received")) > 32_000


def test_large_files_are_streamed(nginx: Nginx, ask: Callable[..., Any]) -> None:
    result = ask(nginx.url("/large"), jobs=6, connections=3)
    assert result.counts.completed == 6
    assert measured(result, "bytes_received") == [seen.sent for seen in nginx.take_log(6)]
    assert min(measured(result, "bytes_received")) > LARGE


def test_file_may_be_larger_than_allowed(nginx: Nginx, ask: Callable[..., Any]) -> None:
    """What is left of it is not read: the connection is closed, and the next job has another one."""
    result = ask(nginx.url("/large"), jobs=3, expect={"max_bytes": 100_000})
    assert result.failures == {"too_large": 3}
    assert max(measured(result, "bytes_received")) < LARGE


@pytest.mark.parametrize(("size", "status"), [(10_000, 201), (20_000, 413), (3_000_000, 413)])
def test_bodies_are_refused_by_size(nginx: Nginx, ask: Callable[..., Any], size: int, status: int) -> None:
    """Nginx replies to a body that it will not have before it is sent whole, and then closes or reads it to its end."""
    result = ask(nginx.url("/upload"), jobs=20, method="POST", body="x" * size, users=2)
    assert result.statuses == {str(status): 20}
    assert result.failures == ({"status": 20} if status == 413 else {})


def test_rate_limits_fail_jobs(nginx: Nginx, ask: Callable[..., Any]) -> None:
    """One at once and a burst of two; nginx refuses the rest, and a refused job is a failed one."""
    result = ask(nginx.url("/limited"), jobs=10)
    assert result.statuses == {"200": 3, "429": 7}
    assert result.failures == {"status": 7}
    assert (result.counts.completed, result.counts.failed) == (3, 7)


@pytest.mark.parametrize(
    ("path", "status", "failure"),
    [("/missing", 404, "status"), ("/fail", 503, "status"), ("/nothing", 204, None), ("/redirect", 302, None)],
)
def test_statuses_decide_jobs(
    nginx: Nginx, ask: Callable[..., Any], path: str, status: int, failure: str | None
) -> None:
    result = ask(nginx.url(path), jobs=10)
    assert result.statuses == {str(status): 10}
    assert result.failures == ({failure: 10} if failure else {})


def test_connection_dropped_for_reply(nginx: Nginx, ask: Callable[..., Any]) -> None:
    result = ask(nginx.url("/drop"), jobs=10)
    assert result.failures == {"closed_early": 10}
    assert measured(result, "bytes_received") == [0] * 10


def test_head_has_no_body(nginx: Nginx, ask: Callable[..., Any]) -> None:
    result = ask(nginx.url("/large"), jobs=20, method="HEAD", connections=2)
    log = nginx.take_log(20)
    assert result.counts.completed == 20
    assert measured(result, "bytes_received") == [seen.sent for seen in log]
    assert len({seen.connection for seen in log}) <= 2


@pytest.mark.parametrize(("path", "hops", "status", "failure"), [
    ("/redirect", 1, 200, None),
    ("/twice", 2, 200, None),
    ("/twice", 1, 302, "redirects"),
    ("/loop", 5, 302, "redirects"),
])  # fmt: skip
def test_redirects_are_followed(
    nginx: Nginx, ask: Callable[..., Any], path: str, hops: int, status: int, failure: str | None
) -> None:
    """A job is all of its hops: one record, the last status, the bytes of all."""
    result = ask(nginx.url(path), jobs=5, users=1, redirects=hops)
    log = nginx.take_log(5 * (hops + 1))
    assert result.statuses == {str(status): 5}
    assert result.failures == ({failure: 5} if failure else {})
    assert sum(measured(result, "bytes_received")) == sum(seen.sent for seen in log)
    assert len(log) == 5 * (hops + 1)


def test_unix_sockets_are_targets(nginx: Nginx, ask: Callable[..., Any]) -> None:
    result = ask(f"unix:{nginx.unix}:/small", jobs=50, connections=2)
    assert result.counts.completed == 50
    assert sum(measured(result, "bytes_received")) == sum(seen.sent for seen in nginx.take_log(50))


# ------------------------------------------------------------------------------------------------------------ TLS


def test_private_authority_is_trusted(nginx: Nginx, ask: Callable[..., Any], authority: Any) -> None:
    """The bytes of HTTP are counted, not those of TLS, as nginx counts them."""
    result = ask(nginx.tls_url("/small"), jobs=100, connections=2, tls={"ca": authority.ca})
    log = nginx.take_log(100)
    assert result.counts.completed == 100
    assert measured(result, "bytes_received") == [seen.sent for seen in log]
    assert len({seen.connection for seen in log}) <= 2


@pytest.mark.parametrize("tls", [{}, {"server_name": "another.example"}, {"trusts": "another"}])
def test_wrong_certificates_fail(
    nginx: Nginx, ask: Callable[..., Any], authority: Any, tls: dict[str, str], tmp_path: Path
) -> None:
    """An unknown authority, a name that is not the certificate's, and an authority that did not sign it."""
    import trustme

    ca = authority.ca
    if "trusts" in tls:
        ca = str(tmp_path / "another.pem")
        trustme.CA().cert_pem.write_to_path(ca)
    members = {"ca": ca, **{name: value for name, value in tls.items() if name != "trusts"}} if tls else {}
    result = ask(nginx.tls_url("/small"), jobs=5, tls=members)
    assert result.failures == {"tls": 5}
    assert nginx.take_log(0) == []


def test_verification_can_be_left_out(nginx: Nginx, ask: Callable[..., Any]) -> None:
    result = ask(nginx.tls_url("/small"), jobs=5, tls={"verify": False})
    assert result.counts.completed == 5


def test_expired_certificates_fail(
    require: Callable[..., str], ask: Callable[..., Any], authority: Any, tmp_path: Path
) -> None:
    now = dt.datetime.now(dt.UTC)
    pem = tmp_path / "expired.pem"
    expired = authority.authority.issue_cert(
        "localhost", not_before=now - dt.timedelta(days=9), not_after=now - dt.timedelta(days=2)
    )
    expired.private_key_and_cert_chain_pem.write_to_path(str(pem))
    with run_nginx(require("nginx"), tmp_path, authority.ca, str(pem)) as server:
        result = ask(server.tls_url("/small"), jobs=5, tls={"ca": authority.ca})
    assert result.failures == {"tls": 5}


def test_plain_server_is_no_tls_server(nginx: Nginx, ask: Callable[..., Any]) -> None:
    result = ask(f"https://localhost:{nginx.port}/small", jobs=3, tls={"verify": False})
    assert result.failures == {"tls": 3}


def test_client_certificates_are_shown(nginx: Nginx, ask: Callable[..., Any], authority: Any) -> None:
    """Nginx looks at the certificate of a client, and says whose it is."""
    tls = {"ca": authority.ca, "cert": authority.client, "key": authority.client}
    assert ask(nginx.tls_url("/certified"), jobs=5, tls=tls).statuses == {"200": 5}
    assert ask(nginx.tls_url("/certified"), jobs=5, tls={"ca": authority.ca}).statuses == {"403": 5}


def test_missing_client_certificates_fail(ask: Callable[..., Any], authority: Any, tmp_path: Path) -> None:
    """Gunicorn ends the handshake where no certificate is shown; in TLS 1.3 a client learns of it only when it reads."""
    with run_gunicorn(tmp_path, authority.ca, authority.server) as (port, _):
        url = f"https://localhost:{port}/hello"
        tls = {"ca": authority.ca, "cert": authority.client, "key": authority.client}
        assert ask(url, jobs=5, tls=tls).statuses == {"200": 5}
        assert ask(url, jobs=5, tls={"ca": authority.ca}).failures == {"tls": 5}


# ---------------------------------------------------------------------------------------- application servers


@pytest.fixture(scope="module", params=[run_gunicorn, run_uvicorn])
def application(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    with request.param(tmp_path_factory.mktemp("application")) as server:
        yield server


@pytest.mark.parametrize("over", ["port", "socket"])
def test_applications_are_served(application: tuple[int, Path], ask: Callable[..., Any], over: str) -> None:
    port, unix = application
    base = f"http://127.0.0.1:{port}" if over == "port" else f"unix:{unix}:"
    hello = ask(base + "/hello", jobs=50, connections=4, expect={"json": {"/hello": "world"}})
    assert (hello.counts.completed, hello.statuses) == (50, {"200": 50})
    chunks = ask(base + "/chunks", jobs=20, expect={"contains": "part 49"})
    assert chunks.counts.completed == 20
    echo = ask(base + "/echo", jobs=20, method="POST", json={"number": "{{index}}"}, expect={"contains": "number"})
    assert echo.counts.completed == 20
    failing = ask(base + "/fail", jobs=5)
    assert (failing.failures, failing.statuses) == ({"status": 5}, {"500": 5})
    unfulfilled = ask(base + "/hello", jobs=5, expect={"json": {"/hello": "moon"}})
    assert (unfulfilled.failures, unfulfilled.statuses) == ({"check": 5}, {"200": 5})
