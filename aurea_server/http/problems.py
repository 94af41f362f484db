"""Errors on the wire: ``application/problem+json`` (RFC 9457), with one stable ``code`` each and the seed's ``error``.

This is the one place that knows what an error means in HTTP. The core raises errors of its own trees (`runs.errors`,
`history.errors`, `SpecError`), which know no status codes; `ERRORS` maps them. What only a protocol can get wrong (a header,
a method, a media type) is raised by the code of this folder, as `HttpProblem`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from aurea_engine import LOCAL_REFERENCE, Problem, SpecError
from aurea_engine.errors import LITERAL_CREDENTIAL, TARGET_NOT_ALLOWED
from aurea_server.context import request_id
from aurea_server.history import Damaged, StorageFull, StoreError
from aurea_server.runs import errors
from aurea_server.settings.limits import CLUSTER_REFERENCE

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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


class Meaning(NamedTuple):
    """What an error of the core is in HTTP. ``sentence``: for clients, where the error's own text is for the operator."""

    status: int
    code: str
    sentence: str | None = None
    retry_after: int | None = None


ERRORS: Mapping[type[Exception], Meaning] = {
    errors.Stopping: Meaning(503, "stopping"),
    errors.QueueFull: Meaning(429, "queue_full"),
    errors.NotFound: Meaning(404, "run_not_found"),
    errors.NoSuchSearch: Meaning(404, "search_not_found"),
    errors.NotEnded: Meaning(409, "run_in_progress"),
    errors.AlreadyEnded: Meaning(409, "run_ended"),
    errors.SearchNotEnded: Meaning(409, "search_in_progress"),
    errors.SearchEnded: Meaning(409, "search_ended"),
    errors.PartOfSearch: Meaning(409, "part_of_search"),
    errors.NoResult: Meaning(409, "no_result"),
    errors.StrategyFailed: Meaning(422, "strategy_failed"),
    errors.NotPriceable: Meaning(422, "cannot_be_priced"),
    errors.ComparisonFailed: Meaning(503, "comparison_failed"),
    errors.ReportFailed: Meaning(503, "report_failed"),
    errors.TooManyReaders: Meaning(503, "too_many_readers"),
    errors.TooManyFollowers: Meaning(503, "too_many_followers"),
    # What the disk says is for the operator's log: it may hold paths. 503, since what is well can still be read.
    StorageFull: Meaning(503, "storage_full", "The disk has no room for another run.", 10),
    Damaged: Meaning(503, "storage_failed", "What is stored of this run is damaged; see the server's log.", 10),
    StoreError: Meaning(503, "storage_failed", "The history cannot be used.", 10),
}
"""Error of the core → its meaning. A subclass without a row of its own has that of its nearest ancestor."""

# Says nothing of what happened: an exception's text may hold paths, tokens or other clients' data.
INTERNAL = HttpProblem(500, "internal", "The server failed; see its log.")


def to_problem(error: errors.RunError | StoreError) -> HttpProblem:
    """An error of the core as HTTP has it."""
    # The method resolution order begins with the class itself, so the nearest row of the table is found first.
    meaning = next(ERRORS[cls] for cls in type(error).__mro__ if cls in ERRORS)
    retry_after = getattr(error, "retry_after", None) or meaning.retry_after
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return HttpProblem(meaning.status, meaning.code, meaning.sentence or str(error), headers=headers)


PROBLEM_CODES = {
    TARGET_NOT_ALLOWED: "target_not_allowed",
    LOCAL_REFERENCE: "local_reference",
    CLUSTER_REFERENCE: "local_reference",
    LITERAL_CREDENTIAL: "literal_credential",
}
"""Problem that a client cannot mend in the document alone → its code. The first that occurs is the code of the whole."""


def spec_problem(error: SpecError) -> HttpProblem:
    """400 with every problem of a body at once; 403 where it aims at what is not allowed."""
    # The first problem makes the sentence, so that it is useful to a client that shows nothing else.
    first, more = error.problems[0], len(error.problems) - 1
    text = f"{first} (and {more} more)" if more else str(first)
    codes = {PROBLEM_CODES[problem.problem] for problem in error.problems if problem.problem in PROBLEM_CODES}
    code = next((code for code in PROBLEM_CODES.values() if code in codes), "invalid_spec")
    return HttpProblem(403 if code == "target_not_allowed" else 400, code, text, error.problems)


# Codes are an interface: clients compare them. Sentences may change.
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 417: "expectation_failed"}


def aiohttp_problem(error: web.HTTPException) -> HttpProblem:
    """What aiohttp itself refuses."""
    code = _HTTP_CODES.get(error.status, "http_error")
    headers = {name: value for name, value in error.headers.items() if name == "Allow"}
    return HttpProblem(error.status, code, error.reason, headers=headers, close=error.status == 413)


def reason_phrase(status: int) -> str:
    """As RFC 9110 has it. Before Python 3.13 the standard library has older words for some."""
    return REASON_PHRASES.get(status) or HTTPStatus(status).phrase


REASON_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def encode_problem(problem: HttpProblem) -> bytes:
    """The document. ``detail`` and ``error`` are the same sentence; ``problems`` lists all that is wrong with a body."""
    body: dict[str, object] = {
        "type": f"urn:aurea:problem:{problem.code}",
        "title": reason_phrase(problem.status),
        "status": problem.status,
        "detail": problem.error,
        "code": problem.code,
        "request_id": request_id.get(),
        "error": problem.error,
    }
    if problem.problems:
        body["problems"] = [_describe_problem(each) for each in problem.problems]
    return json.dumps(body).encode()


def _describe_problem(problem: Problem) -> dict[str, str]:
    described = {"path": problem.path, "problem": problem.problem, "got": problem.got}
    code = PROBLEM_CODES.get(problem.problem)
    return described if code is None else {**described, "code": code}


def make_response(problem: HttpProblem) -> web.Response:
    """The response with the document."""
    response = web.Response(
        status=problem.status,
        body=encode_problem(problem),
        content_type="application/problem+json",
        headers=problem.headers,
    )
    if problem.close:
        response.force_close()
    return response


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error leaves as a problem document; an unexpected one as a 500 that reveals no internals."""
    try:
        return await handler(request)
    except HttpProblem as problem:
        return make_response(problem)
    except SpecError as error:
        return make_response(spec_problem(error))
    except errors.RunError as error:
        return make_response(to_problem(error))
    except StoreError as error:
        log.error("storage: %s", error)  # noqa: TRY400 - a sentence for the operator says it all
        return make_response(to_problem(error))
    except web.HTTPException as error:
        # aiohttp's redirects are exceptions too.
        if error.status < 400:
            raise
        return make_response(aiohttp_problem(error))
    except ConnectionError as error:
        # Where the client is still there, the connection that failed was one of ours: a defect, not a client that left.
        if not _has_client_left(request):
            log.exception("unexpected error")
            return make_response(INTERNAL)
        log.debug("a client left before its answer: %s", type(error).__name__)
        raise  # there is nobody to answer
    except Exception:
        log.exception("unexpected error")
        return make_response(INTERNAL)


def _has_client_left(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
