"""Where requests go, by the URL that was given."""

from __future__ import annotations

import pytest

from aurea_engine.targets.chat.endpoints import PATHS, Endpoint, find_endpoint


@pytest.mark.parametrize("end", ["", "/", "//"])
@pytest.mark.parametrize(
    "server", ["http://h", "https://h:8000", "HTTP://[::1]:1", "http://v1", "http://h.v1", "http://completions"]
)
@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("", "/v1"),
        ("/v1", "/v1"),
        ("/v1/chat/completions", "/v1"),
        ("/v1/completions", "/v1"),
        ("/api", "/api/v1"),
        ("/api/v1", "/api/v1"),
        ("/v12", "/v12/v1"),
        ("/chat/completions", ""),
        ("/v1beta/openai/chat/completions", "/v1beta/openai"),
        ("/v1beta/openai/completions", "/v1beta/openai"),
    ],
)
@pytest.mark.parametrize("endpoint", PATHS)
def test_the_version_is_added_where_no_endpoint_is_named(
    server: str, path: str, base: str, end: str, endpoint: Endpoint
) -> None:
    assert find_endpoint(server + path + end, endpoint) == server + base + PATHS[endpoint]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("unix:/run/m.sock", "unix:/run/m.sock:/v1/completions"),
        ("unix:/run/v1", "unix:/run/v1:/v1/completions"),
        ("unix:/run/m.sock:/v1", "unix:/run/m.sock:/v1/completions"),
        ("unix:/run/m.sock:/a/completions", "unix:/run/m.sock:/a/completions"),
    ],
)
def test_sockets_have_endpoints_too(url: str, found: str) -> None:
    assert find_endpoint(url, "completions") == found
