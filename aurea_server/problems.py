"""Errors on the wire: `application/problem+json` (RFC 9457), with one stable ``code`` each and the seed's ``error``."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus

from aiohttp import web

from aurea_engine import Problem, SpecError

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(
        self, status: int, code: str, error: str, problems: Iterable[Problem] = (), headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(error)
        self.status, self.code, self.error = status, code, error
        self.problems = tuple(problems)
        self.headers = headers or {}


def problem_response(refused: Refused) -> web.Response:
    """The answer. ``detail`` and ``error`` are the same sentence; ``problems`` lists all that is wrong with a body."""
    title = HTTPStatus(refused.status).phrase
    body: dict[str, object] = {
        "type": f"urn:aurea:problem:{refused.code}",
        "title": title,
        "status": refused.status,
        "detail": refused.error,
        "code": refused.code,
        "error": refused.error,
    }
    if refused.problems:
        body["problems"] = [{"path": path, "problem": text, "got": got} for path, text, got in refused.problems]
    return web.Response(
        status=refused.status,
        text=json.dumps(body),
        content_type="application/problem+json",
        headers=refused.headers,
    )


def bad_body(error: SpecError) -> Refused:
    """400 with every problem."""
    first, more = error.problems[0], len(error.problems) - 1
    text = f"{first} (and {more} more)" if more else str(first)
    return Refused(400, "invalid_spec", text, error.problems)


_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error leaves as a problem document; what nobody expected as a 500 that tells nothing of the inside."""
    try:
        return await handler(request)
    except Refused as refused:
        return problem_response(refused)
    except SpecError as error:
        return problem_response(bad_body(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code = _HTTP_CODES.get(error.status, "http_error")
        headers = {name: value for name, value in error.headers.items() if name == "Allow"}
        return problem_response(Refused(error.status, code, error.reason, headers=headers))
    except Exception:
        log.exception("unexpected error in %s %s", request.method, request.rel_url.path[:200].encode("ascii", "replace"))
        return problem_response(Refused(500, "internal", "The server failed; its log says why."))
