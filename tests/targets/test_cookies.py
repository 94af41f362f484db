"""Cookies of one job: which are taken, and to which requests they go."""

from __future__ import annotations

from http.client import HTTPMessage
from http.cookiejar import CookieJar as OracleJar
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.request import Request

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurea_engine.targets.http.cookies import MOST_COOKIES, CookieJar
from aurea_engine.targets.http.urls import split_url


def sent(url: str, *cookies: str, of: str = "http://www.example.com/a/b") -> str:
    """What goes to ``url`` after a reply of ``of`` has set ``cookies``."""
    jar = CookieJar()
    for cookie in cookies:
        jar.store(split_url(of), cookie)
    return jar.header(split_url(url))


@pytest.mark.parametrize(
    ("cookie", "url", "header"),
    [
        ("a=1", "http://www.example.com/a/c", "a=1"),
        ("a=1", "http://www.example.com/a/b/c?x=/d", "a=1"),
        ("a=1", "http://www.example.com/b", ""),
        ("a=1; Path=/", "http://www.example.com/b", "a=1"),
        ("a=1; Path=/b", "http://www.example.com/bc", ""),
        ("a=1; Path=x", "http://www.example.com/a/", "a=1"),
        ("a=1", "http://example.com/a/", ""),
        ("a=1", "http://x.www.example.com/a/", ""),
        ("a=1; Domain=example.com; path=/", "http://other.example.com/", "a=1"),
        ("a=1; domain=.Example.com; path=/", "http://example.com/", "a=1"),
        ("a=1; Domain=example.com; path=/", "http://notexample.com/", ""),
        ("a=1; Domain=com; path=/", "http://www.example.com/", ""),
        ("a=1; Domain=other.com; path=/", "http://other.com/", ""),
        ("a=1; Secure; Path=/", "http://www.example.com/", ""),
        ("a=1; Max-Age=3600; Path=/", "http://www.example.com/", "a=1"),
        ("a=1; Max-Age=\xb2; Path=/", "http://www.example.com/", "a=1"),
        ("a=1; Max-Age=-00; Path=/", "http://www.example.com/", ""),
        ("a=1; Max-Age=0; Path=/", "http://www.example.com/", ""),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/", "http://www.example.com/", ""),
        ("a=1; Expires=Thu, 01-Jan-1970 00:00:00 GMT; Path=/", "http://www.example.com/", ""),
        ("a=1; Expires=never; Path=/", "http://www.example.com/", "a=1"),
        ("a=1=2; Path=/", "http://www.example.com/", "a=1=2"),
        ("a=; Path=/", "http://www.example.com/", "a="),
        ("a", "http://www.example.com/a/", ""),
        ("=1", "http://www.example.com/a/", ""),
        ("a=1\x01", "http://www.example.com/a/", ""),
        (f"a={'x' * 5000}", "http://www.example.com/a/", ""),
    ],
)
def test_a_cookie_goes_where_its_rules_say(cookie: str, url: str, header: str) -> None:
    """Host, domain, path, and its end (RFC 6265, sections 5.1 to 5.4)."""
    assert sent(url, cookie) == header


def test_secure_cookies_need_https() -> None:
    """To be set, and to be sent."""
    https = "https://www.example.com/"
    assert sent(https, "a=1; Secure", of=https) == "a=1"
    assert sent("http://www.example.com/", "a=1; Secure", of=https) == ""
    assert sent(https, "a=1; Secure; Path=/") == ""


def test_no_domain_of_an_address() -> None:
    """127.0.0.1 is no subdomain of 0.0.1."""
    assert sent("http://127.0.0.1/", "a=1; Domain=0.0.1", of="http://127.0.0.1/") == ""
    assert sent("http://127.0.0.1/", "a=1; Domain=127.0.0.1", of="http://127.0.0.1/") == "a=1"


def test_later_ones_replace_earlier_ones() -> None:
    url = "http://www.example.com/a/"
    assert sent(url, "a=1", "a=2", "b=3") == "a=2; b=3"
    assert sent(url, "a=1", "b=2", "a=; Max-Age=-1") == "b=2"
    assert sent("http://www.example.com/a/b", "a=1; Path=/", "b=2; Path=/a") == "b=2; a=1", "longer paths first"


def test_a_target_cannot_make_jars_grow() -> None:
    cookies = [f"c{i}=1" for i in range(1000)]
    assert len(sent("http://www.example.com/a/", *cookies).split("; ")) == MOST_COOKIES


class _Reply:
    """As much of a reply as the oracle wants."""

    def __init__(self, cookies: list[str]) -> None:
        self._headers = HTTPMessage()
        for cookie in cookies:
            self._headers["Set-Cookie"] = cookie

    def info(self) -> Any:
        return self._headers


setters = st.sampled_from(["b.example.com", "a.www.example.com", "a.b.example.com", "127.0.0.1"])
hosts = st.sampled_from(["example.com", "www.example.com", "a.www.example.com", "b.example.com", "127.0.0.1"])
paths = st.sampled_from(["/", "/a", "/a/", "/a/b", "/ab", "/a/b/c"])
cookies = st.builds(
    lambda name, value, *rest: "; ".join([f"{name}={value}", *(each for each in rest if each)]),
    st.sampled_from("abc"),
    st.sampled_from(["1", "2", "x=y"]),
    st.sampled_from(["", "Path=/", "Path=/a", "Path=/a/b"]),
    st.sampled_from(["", "Domain=example.com", "Domain=.www.example.com", "Domain=example.net", "Max-Age=0"]),
)


@given(setters, paths, st.lists(cookies, max_size=5), hosts, paths)
@settings(max_examples=400)
def test_the_standard_library_agrees(host: str, path: str, given_: list[str], to: str, asked: str) -> None:
    """`http.cookiejar` is the oracle of where cookies go. No `Domain` here is the host itself: RFC 6265 takes such a cookie
    and one without a domain for the same, and the library for two.
    """
    policy = DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain)
    oracle, jar = OracleJar(policy), CookieJar()
    for cookie in given_:
        jar.store(split_url(f"http://{host}{path}"), cookie)
        oracle.extract_cookies(_Reply([cookie]), Request(f"http://{host}{path}"))  # type: ignore[arg-type]
    request = Request(f"http://{to}{asked}")
    oracle.add_cookie_header(request)
    ours = jar.header(split_url(f"http://{to}{asked}"))
    assert sorted(ours.split("; ")) == sorted((request.get_header("Cookie") or "").split("; "))


def test_long_paths_are_no_way_to_memory() -> None:
    """What a jar keeps of a cookie is bounded, and not its value alone: a run has thousands of jars."""
    jar, url = CookieJar(), split_url("http://app.example/")
    for i in range(50):
        jar.store(url, f"c{i}=1; Path=/{'x' * 60_000}")
    assert not jar._cookies
