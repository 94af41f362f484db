"""What handlers answer with, and the values that they read from a request's query and headers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from aiohttp import ETag, web
from aiohttp.helpers import ETAG_ANY

from aurea_engine import Problem
from aurea_server.http.negotiation import Choice, Offer, choose
from aurea_server.http.problems import HttpProblem
from aurea_server.http.security import VARY


def json_bytes(encoded: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A response of strict JSON that is encoded already."""
    return web.Response(body=encoded, status=status, content_type="application/json", headers=headers)


def tagged_bytes(request: web.Request, encoded: bytes) -> web.Response:
    """`json_bytes` of what will not change, with an ``ETag``; 304 without it where the client says that it has it."""
    tag = ETag(hashlib.blake2b(encoded, digest_size=12).hexdigest())
    # Kept by the client alone, which must ask each time: a run can be deleted.
    headers = {"ETag": f'"{tag.value}"', "Cache-Control": "private, no-cache"}
    known = request.if_none_match or ()
    # Weak tags count too (RFC 9110, 13.1.2): a proxy that compresses makes them of ours.
    if any(each.value in (tag.value, ETAG_ANY) for each in known):
        return web.Response(status=304, headers=headers)
    return json_bytes(encoded, headers=headers)


def json_response(value: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """``value`` as strict JSON."""
    return json_bytes(msgspec.json.encode(value), status, headers)


def negotiate(request: web.Request, offers: Sequence[Offer], *more: str) -> Choice:
    """Which of ``offers`` the client likes best. ``more``: further headers that the answer depends on.

    Raises HttpProblem, with 406, where the client refuses all of them.
    """
    request[VARY] = ", ".join(["Accept", *more])  # on every answer from here on, errors too: a cache must not mix them
    chosen = choose(request.headers.getall("Accept", []), offers)
    if chosen is None:
        types = ", ".join(dict.fromkeys(offer.type for offer in offers))
        raise HttpProblem(406, "not_acceptable", f"The Accept header refuses all that is served here: {types}.")
    return chosen


def read_number(request: web.Request, name: str, default: int, most: int, least: int = 1) -> int:
    """A whole number of the query. Raises HttpProblem, with 400, for anything else."""
    text = request.query.get(name)
    if text is None:
        return default
    # The length is bounded before int() reads it: Python refuses to read numbers of thousands of digits with ValueError.
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and least <= int(text) <= most):
        raise query_problem(name, f"must be a whole number from {least} to {most}", text)
    return int(text)


def query_problem(name: str, problem: str, got: str) -> HttpProblem:
    """400: a member of the query is wrong."""
    # ascii() and the bound keep what a client sent from reaching a terminal or a log as it is.
    found = Problem(name, problem, ascii(got)[:60])
    return HttpProblem(400, "invalid_query", str(found), [found])
