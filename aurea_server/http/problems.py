"""Errors on the wire: `application/problem+json` (RFC 9457), with one stable ``code`` each and the seed's ``error``."""

from __future__ import annotations

import contextvars
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus

from aiohttp import web

from aurea_engine import LOCAL_REFERENCE, Problem, SpecError
from aurea_server.history import Damaged, StorageFull, StoreError

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
"""Of the request that is being answered; it is in the answer, in problems and in the log."""


class HttpProblem(Exception):
    """A request that is answered with an error. ``close``: the connection is of no more use."""

    def __init__(
        self,
        status: int,
        code: str,
        error: str,
        problems: Iterable[Problem] = (),
        headers: dict[str, str] | None = None,
        *,
        close: bool = False,
    ) -> None:
        super().__init__(error)
        self.status, self.code, self.error, self.close = status, code, error, close
        self.problems = tuple(problems)
        self.headers = headers or {}


INTERNAL = HttpProblem(500, "internal", "The server failed; its log says why.")


def reason_phrase(status: int) -> str:
    """As RFC 9110 has it. Before Python 3.13 the standard library has older words for some."""
    return REASON_PHRASES.get(status) or HTTPStatus(status).phrase


REASON_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def encode_problem(refused: HttpProblem) -> bytes:
    """The document. ``detail`` and ``error`` are the same sentence; ``problems`` lists all that is wrong with a body."""
    body: dict[str, object] = {
        "type": f"urn:aurea:problem:{refused.code}",
        "title": reason_phrase(refused.status),
        "status": refused.status,
        "detail": refused.error,
        "code": refused.code,
        "request_id": request_id.get(),
        "error": refused.error,
    }
    if refused.problems:
        body["problems"] = [_describe_problem(problem) for problem in refused.problems]
    return json.dumps(body).encode()


def _describe_problem(problem: Problem) -> dict[str, str]:
    told = {"path": problem.path, "problem": problem.problem, "got": problem.got}
    return {**told, "code": "local_reference"} if problem.problem == LOCAL_REFERENCE else told


def make_response(refused: HttpProblem) -> web.Response:
    """The answer."""
    response = web.Response(
        status=refused.status,
        body=encode_problem(refused),
        content_type="application/problem+json",
        headers=refused.headers,
    )
    if refused.close:
        response.force_close()
    return response


def spec_problem(error: SpecError) -> HttpProblem:
    """400 with every problem."""
    first, more = error.problems[0], len(error.problems) - 1
    text = f"{first} (and {more} more)" if more else str(first)
    local = any(problem.problem == LOCAL_REFERENCE for problem in error.problems)
    return HttpProblem(400, "local_reference" if local else "invalid_spec", text, error.problems)


def storage_problem(error: StoreError) -> HttpProblem:
    """503: what is well in the history can still be read."""
    code, sentence = "storage_failed", "The history cannot be used."
    if isinstance(error, StorageFull):
        code, sentence = "storage_full", "There is no room for another run."
    elif isinstance(error, Damaged):
        sentence = "What is stored of this run is damaged; the log says how."
    return HttpProblem(503, code, sentence, headers={"Retry-After": "10"})


_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 417: "expectation_failed"}


def aiohttp_problem(error: web.HTTPException) -> HttpProblem:
    """What aiohttp itself refuses."""
    code = _HTTP_CODES.get(error.status, "http_error")
    headers = {name: value for name, value in error.headers.items() if name == "Allow"}
    return HttpProblem(error.status, code, error.reason, headers=headers, close=error.status == 413)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error leaves as a problem document; what nobody expected as a 500 that tells nothing of the inside."""
    try:
        return await handler(request)
    except HttpProblem as refused:
        return make_response(refused)
    except SpecError as error:
        return make_response(spec_problem(error))
    except StoreError as error:
        log.error("storage: %s", error)  # noqa: TRY400 - a sentence for the operator says it all
        return make_response(storage_problem(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return make_response(aiohttp_problem(error))
    except ConnectionError as error:
        if not _client_left(request):
            log.exception("unexpected error")
            return make_response(INTERNAL)
        log.debug("a client left before its answer: %s", type(error).__name__)
        raise  # there is nobody to answer, and it is no fault of ours
    except Exception:
        log.exception("unexpected error")
        return make_response(INTERNAL)


def _client_left(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
