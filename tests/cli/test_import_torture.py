"""Whatever is given to ``aurea import``: a specification that the codec takes, or an error with a remedy; nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aurea_engine import SpecError, default_catalog, spec_from_dict
from aurea_server.cli.credentials import take_credentials
from aurea_server.cli.curl_words import split_commands
from aurea_server.cli.import_curl import read_curl
from aurea_server.cli.import_har import read_har
from aurea_server.cli.import_openapi import read_openapi
from aurea_server.cli.imported_requests import Imported, ImportOptions, make_document

ROUNDS = 700

WORDS = [
    "curl", "-X", "POST", "-H", "'A: b'", "-d", "@x", "--json", "{}", "http://h/", "'http://h/?a=b&c=%zz'", "-u", "a:b",
    "$X", '"$Y z"', "$'\\x41'", "\\", "\n", ";", "&", "^", "'", '"', "-G", "--data-urlencode", "a=b c", "=x", "--next",
    "-k", "-L", "--max-redirs", "-1", "nan", "-m", "1e9", "inf", "--unix-socket", "/a", "https://[::1]:80/", "http://[",
    "-b", "c", "-A", "\u200b", "é", "-r", "0-", "{{", "--url-query", "--", "-F", "--frob", "http:", "?", "#x", "\ud800",
]  # fmt: skip

HAR_ENTRY = {
    "startedDateTime": "2026-11-30T10:00:00Z",
    "time": 5,
    "request": {
        "method": "POST",
        "url": "http://h/a?b=c",
        "headers": [{"name": "A", "value": "b"}],
        "postData": {"mimeType": "application/json", "text": '{"a":1}', "params": [{"name": "a", "value": "b"}]},
    },
    "response": {"status": 200, "headers": [], "content": {"mimeType": "text/html"}},
}
HAR = {"log": {"entries": [HAR_ENTRY, HAR_ENTRY]}}
OPENAPI = {
    "openapi": "3.1.0",
    "servers": [{"url": "http://{h}/", "variables": {"h": {"default": "x"}}}],
    "paths": {
        "/a/{b}": {
            "parameters": [{"name": "b", "in": "path", "required": True, "schema": {"type": "integer"}}],
            "get": {"operationId": "g", "parameters": [{"$ref": "#/components/parameters/q"}], "security": [{"k": []}]},
            "post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/s"}}}}},
        }
    },
    "components": {
        "parameters": {"q": {"name": "q", "in": "query", "required": True, "schema": {"enum": ["a"]}}},
        "schemas": {"s": {"allOf": [{"type": ["object"], "required": ["a"], "properties": {"a": {"type": "array"}}}]}},
        "securitySchemes": {"k": {"type": "apiKey", "in": "header", "name": "X-K"}},
    },
}
VALUES = [
    None, True, 1, -1, 1e308, "", "x", [], {}, [1], {"a": 1}, "http://[", "ws://h", "data:x", "https://h:99999/", "{{x}}",
    "http://h/ a\x00b", "0001-01-01T00:00:00Z", 10**30, "GET /", "\ud83d", "multipart/form-data", "base64",
]  # fmt: skip
NAMES = ["encoding", "_fromCache", "_resourceType", "$ref", "example", "required", "enum", "x"]


def paths(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in ``value``."""
    for name, member in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield (*before, name)
        yield from paths(member, (*before, name))


def mutate(document: Any, rng: random.Random) -> bytes:
    """``document`` with one to three members replaced, or under another name."""
    changed = json.loads(json.dumps(document))
    for _ in range(rng.randrange(1, 4)):
        *way, last = rng.choice(list(paths(changed)))
        at = changed
        for name in way:
            at = at[name]
        if isinstance(at, dict) and rng.random() < 0.2:
            del at[last]
            last = rng.choice(NAMES)
        at[last] = json.loads(json.dumps(rng.choice(VALUES)))
        if not list(paths(changed)):
            break
    return json.dumps(changed).encode()


def make_curl(rng: random.Random) -> Imported:
    words = " ".join(rng.choices(WORDS, k=rng.randrange(1, 10)))
    return read_curl(split_commands(f"curl http://h/ {words}" if rng.random() < 0.7 else words))


def make_har(rng: random.Random) -> Imported:
    return read_har(mutate(HAR, rng), set(), None)


def make_openapi(rng: random.Random) -> Imported:
    return read_openapi(mutate(OPENAPI, rng), rng.choice([set(), {"g"}, {"post_a_b"}]), "http://h")


@pytest.mark.parametrize("make", [make_curl, make_har, make_openapi])
def test_it_is_taken_or_refused(make: Callable[[random.Random], Imported]) -> None:
    rng, taken, refused = random.Random(17), 0, 0
    for _ in range(ROUNDS):
        try:
            document, _ = take_credentials(make_document(make(rng), ImportOptions()), by_target=True)
            spec_from_dict(document, default_catalog())
            taken += 1
        except SpecError:
            refused += 1
    assert min(taken, refused) > ROUNDS / 50
