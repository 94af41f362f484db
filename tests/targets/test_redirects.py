"""Redirects: where one leads, which method follows, and what never crosses to another origin."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import RunSpec, Workload, run
from aurea_engine.targets.http.connection_options import ConnectionOptions
from aurea_engine.targets.http.cookies import CookieJar
from aurea_engine.targets.http.job import Http
from aurea_engine.targets.http.origin import Origin
from aurea_engine.targets.http.pools import Pools, divide_ceiling
from aurea_engine.targets.http.redirects import next_method, resolve_location
from aurea_engine.targets.http.requests import compile_request
from aurea_engine.targets.http.templates import JobContext
from aurea_engine.targets.http.tls import TlsOptions
from aurea_engine.targets.http.urls import split_url
from aurea_engine.workload.access import Access
from tests.targets.recording_server import recording_server, reply


@pytest.mark.parametrize(
    ("status", "method", "next_one"),
    [
        (301, "POST", ("GET", False)),
        (302, "POST", ("GET", False)),
        (301, "PUT", ("PUT", True)),
        (302, "HEAD", ("HEAD", True)),
        (303, "POST", ("GET", False)),
        (303, "PUT", ("GET", False)),
        (303, "HEAD", ("HEAD", True)),
        (307, "POST", ("POST", True)),
        (308, "POST", ("POST", True)),
        (308, "DELETE", ("DELETE", True)),
    ],
)
def test_the_method_follows_the_status(status: int, method: str, next_one: tuple[str, bool]) -> None:
    assert next_method(status, method) == next_one


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/c", "http://h:8080/c"),
        ("c?d=e", "http://h:8080/a/c?d=e"),
        ("../c", "http://h:8080/c"),
        ("?x=1", "http://h:8080/a/b?x=1"),
        ("//other/c", "http://other/c"),
        ("https://other:8443/c#top", "https://other:8443/c"),
        (" /c ", "http://h:8080/c"),
        ("/a b{{row.x y}}", "http://h:8080/a%20b%7B%7Brow.x%20y%7D%7D"),
        ("/gr\xc3\xbcn", "http://h:8080/gr%C3%BCn"),
        ("/gr\xfcn", "http://h:8080/gr%C3%BCn"),
        ("/\\evil.com", "http://h:8080/%5Cevil.com"),
        ("/100%", "http://h:8080/100%"),
        ("ftp://other/", None),
        ("javascript:alert(1)", None),
        ("unix:/run/docker.sock:/", None),
        ("http://user:pw@other/", None),
        ("", "http://h:8080/a/b?q"),
        ("http://[::1", None),
        ("http://{{row.x}}/", None),
        ("/" + "a" * 9000, None),
    ],
)
def test_location_leads_somewhere_or_nowhere(location: str, url: str | None) -> None:
    """It comes from the target: braces are no placeholders, and no socket of this machine is reached."""
    found = resolve_location(split_url("http://h:8080/a/b?q"), location)
    expected = None if url is None else split_url(url.replace("100%", "100%25"))
    if expected is not None and url is not None and "100%" in url:
        expected = expected._replace(target="/100%")
    assert found == expected


def test_a_redirect_of_a_socket_stays_on_it() -> None:
    """Unless it names another host."""
    url = split_url("unix:/a.sock:/x")
    here, there = resolve_location(url, "/y"), resolve_location(url, "http://other/y")
    assert here is not None
    assert there is not None
    assert (here.unix, here.target) == ("/a.sock", "/y")
    assert (there.unix, there.host) == (None, "other")


def follow(*, same_origin: bool, keeps_body: bool) -> str:
    """The request that follows one with every kind of secret."""
    http = Http(
        "http://h/a",
        method="POST",
        headers={
            "X-Plain": "p",
            "X-Key": {"env": "K"},
            "Cookie": "c={{uuid}}",
            "Host": "virtual",
            "Content-Language": "de",
        },
        body="BODY",
    )
    request = compile_request(http, http.names(), {"x-key": "swordfish"})
    after = request.redirected("GET", "/b", "other:81", keeps_body=keeps_body, same_origin=same_origin)
    context = JobContext(lambda _: "uuid")
    encoded = after.encode(context)
    assert isinstance(encoded, bytes)
    return encoded.decode()


def test_secrets_stay_with_their_origin() -> None:
    """At another one not even the host that was set by hand is sent."""
    assert "swordfish" in follow(same_origin=True, keeps_body=False)
    assert "c=uuid" in follow(same_origin=True, keeps_body=False)
    there = follow(same_origin=False, keeps_body=True)
    assert "swordfish" not in there
    assert "c=uuid" not in there
    assert "\r\nHost: other:81\r\n" in there
    assert "\r\nX-Plain: p\r\n" in there
    assert "virtual" not in there


def test_dropped_body_takes_headers_along() -> None:
    """Its type, its length and its language."""
    without = follow(same_origin=True, keeps_body=False)
    assert "Content-" not in without
    assert without.endswith("\r\n\r\n")
    kept = follow(same_origin=True, keeps_body=True)
    assert kept.endswith("Content-Length: 4\r\n\r\nBODY")
    assert "Content-Language: de" in kept


@pytest.mark.parametrize("most", [1, 3, 4, 8, 63, 64, 100, 1000, 10_000])
def test_ceiling_holds_for_pools_together(most: int) -> None:
    """The pool of the URL and those of every origin that redirects may lead to."""
    main, elsewhere, origins = divide_ceiling(Access(most_connections=most), follows=True)
    assert main.most_connections is not None
    assert elsewhere.most_connections is not None
    assert main.most_connections >= 1
    assert main.most_connections + origins * elsewhere.most_connections <= most
    assert origins <= 64
    assert divide_ceiling(Access(most_connections=most), follows=False)[0].most_connections == most


def test_no_target_makes_pools_grow() -> None:
    """One that invents a host for each job: after so many its redirects fail."""
    pools = Pools(Access(), lambda: 0, follows=True)
    options = ConnectionOptions(Origin("http", "h", 80))
    made = [pools.get_elsewhere(replace(options, origin=Origin("http", f"h{i}", 80))) for i in range(1000)]
    assert sum(pool is not None for pool in made) == 64
    assert pools.get_elsewhere(replace(options, origin=Origin("http", "h0", 80))) is made[0]


@given(
    st.text(max_size=60)
    | st.builds("{}{}".format, st.sampled_from(["//", "http://", "https:", "/", "?"]), st.text(max_size=40))
)
def test_any_location_leads_to_sound_request(location: str) -> None:
    """Whatever a target sends, nothing is raised, and nothing that it says ends a line or reaches a socket."""
    found = resolve_location(split_url("http://h/a"), location)
    if found is not None:
        assert found.host.isascii()
        assert re.fullmatch(r"/[\x21-\x7e]*", found.target)
        assert found.unix is None


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=40), max_size=4))
def test_any_cookie_goes_back_in_its_line(cookies: list[str]) -> None:
    """The bytes of each as they came."""
    jar, url = CookieJar(), split_url("http://h/a")
    for cookie in cookies:
        jar.store(url, f"n={cookie}")
        jar.store(url, cookie)
        for name in ("Max-Age", "Expires", "Domain", "Path"):
            jar.store(url, f"m=1; {name}={cookie}")
    http = Http("http://h/a")
    encoded = compile_request(http, http.names()).encode(JobContext(), jar.header(url))
    assert isinstance(encoded, bytes)
    head, _, rest = encoded.partition(b"\r\n\r\n")
    assert rest == b""
    assert len(head.split(b"\r\n")) <= 5
    assert (b"Cookie: " in head) is (jar.header(url) != "")
    assert jar.header(url).encode("latin-1") in head


async def test_pools_elsewhere_take_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that is made in mid-run has fewer descriptors than the specification asked for, and is made all the same."""
    pools = Pools(Access(), lambda: 0, follows=True)
    monkeypatch.setattr("aurea_engine.targets.http.pools.raise_descriptor_limit", lambda: 45)
    monkeypatch.setattr("aurea_engine.targets.http.file_descriptors.raise_descriptor_limit", lambda: 45)
    assert pools.get_elsewhere(ConnectionOptions(Origin("http", "other", 80), limit=200)) is not None
    await pools.close()


async def test_lost_files_of_tls_fail_the_job(tmp_path: Path) -> None:
    """They were there when the run began, so it is no failure of the target, and the job has an end all the same."""
    gone = str(tmp_path / "gone.pem")
    async with recording_server(lambda _: reply("", 302, "Location: https://127.0.0.1:9/")) as server:
        job = Http(server.url(), redirects=1, tls=TlsOptions(ca=gone))
        result = await run(RunSpec(Workload(job, jobs=2, drain=20), seed=1))
    assert result.failures == {"local": 2}
