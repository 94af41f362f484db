"""HTTP in, HTTP out: each handler decodes, calls, encodes."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from aurea_engine import Problem, SpecError, parse_json
from aurea_server.history import IdempotencyKey, KeyReused
from aurea_server.http.app_keys import KINDS, OPENAPI, REGISTRY, RUNS
from aurea_server.http.links import link
from aurea_server.http.negotiation import Choice, Offer, choose, choose_coding, has_preference
from aurea_server.http.problems import HttpProblem
from aurea_server.http.security import VARY, body
from aurea_server.metrics import exposition
from aurea_server.runner.kinds import Kinds
from aurea_server.runner.messages import Reason
from aurea_server.runner.pool import Busy
from aurea_server.runner.submissions import Submission, fitting, judge_built_in
from aurea_server.runner.supervisor import RunnerFailed
from aurea_server.runs import views
from aurea_server.runs.active_run import ActiveRun, RunAnswer, now_ms
from aurea_server.runs.manager import RunManager
from aurea_server.runs.reader import stored_answer
from aurea_server.settings.limits import Limits

T = TypeVar("T")
SHORT_BODY = 8 * 1024
"""Bytes of a body that is judged at once, which takes about a millisecond; longer ones go into a thread."""

SERVICE = "aurea-orchestrator"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def json_bytes(encoded: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Strict JSON that is encoded already."""
    return web.Response(body=encoded, status=status, content_type="application/json", headers=headers)


def json_response(value: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """``value`` as strict JSON."""
    return json_bytes(msgspec.json.encode(value), status, headers)


async def health(_: web.Request) -> web.Response:
    """``GET /health``"""
    return json_response({"status": "healthy", "service": SERVICE})


async def live(_: web.Request) -> web.Response:
    """``GET /health/live``: the event loop turns; load, queue and disk have no say."""
    return json_response({"status": "live"})


async def ready(request: web.Request) -> web.Response:
    """``GET /health/ready``: 503 while draining, or while no run could be stored."""
    runs = request.app[RUNS]
    if runs.closing:
        raise HttpProblem(
            503, "stopping", "The server is stopping and takes no new runs.", headers={"Retry-After": "5"}
        )
    if runs.history.trouble is not None:
        raise runs.history.trouble
    return json_response({"status": "ready"})


async def off_the_loop(content: bytes, work: Callable[[], T]) -> T:
    """``work``, which goes through a body, in a thread where that takes longer than the event loop may be held."""
    return work() if len(content) <= SHORT_BODY else await asyncio.to_thread(work)


async def judged(request: web.Request, content: bytes) -> Submission:
    """What the body asks to run, as plain data. Other people's strategies are judged in a process of their own.

    Raises SpecError, or HttpProblem where they raise, end their process or do not answer.
    """
    runs, kinds = request.app[RUNS], request.app[KINDS]
    built_in = functools.partial(_judged_here, content, kinds, runs.limits)
    submission = await off_the_loop(content, built_in)
    if submission is not None:
        return submission
    try:
        return fitting(await runs.workshop.judge(content, runs.limits.jobs))
    except Busy:
        text = "Too many specifications with kinds of installed packages are being judged; try again later."
        raise HttpProblem(429, "queue_full", text, headers={"Retry-After": "5"}) from None
    except RunnerFailed as failed:
        raise_if_impossible(failed.reason)
        raise _failed(failed.reason) from None


def parse_body(content: bytes) -> Any:
    """JSON as it is sent: UTF-8 without a byte order mark (RFC 8259, 8.1), which files may have. Raises SpecError."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"must be UTF-8: {error.reason} at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise SpecError("must be UTF-8 without a byte order mark")
    return parse_json(text)


def _judged_here(content: bytes, kinds: Kinds, limits: Limits) -> Submission | None:
    """The submission of a body with built-in kinds only; None where others are to be asked. Raises SpecError."""
    document = parse_body(content)
    return None if kinds.foreign(document) else fitting(judge_built_in(document, kinds.built_in, limits))


def _failed(reason: Reason) -> HttpProblem:
    if reason.code == "server_stopped":
        return HttpProblem(
            503, "stopping", "The server is stopping and takes no new runs.", headers={"Retry-After": "5"}
        )
    return HttpProblem(422, "strategy_failed", f"A strategy of an installed package failed: {reason.detail}")


def _key(request: web.Request, content: bytes) -> tuple[str, str] | None:
    """(Idempotency-Key, digest of what it stands for)."""
    keys = request.headers.getall("Idempotency-Key", [])
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise HttpProblem(
            400, "invalid_idempotency_key", "An Idempotency-Key is 1 to 255 visible ASCII characters, once."
        )
    return keys[0], hashlib.sha256(content).hexdigest()


def _asynchronous(request: web.Request) -> bool:
    return has_preference(request.headers.getall("Prefer", []), "respond-async")


async def run_benchmark(request: web.Request) -> web.Response:
    """``POST /benchmark/run``"""
    runs = request.app[RUNS]
    content = await body(request)
    submission = await judged(request, content)
    key = _key(request, content)
    if key is not None and (known := await runs.history.ask(runs.history.ledger.key, key[0], now_ms())):
        return await _again(request, known, key[1])
    stays = key is not None or _asynchronous(request)
    try:
        accepted = await runs.submit(submission, key, stays=stays)
    except KeyReused as reused:
        assert key is not None
        return await _again(request, reused.taken, key[1])
    if _asynchronous(request):
        return _accepted(
            request, accepted.id, msgspec.json.encode(views.view_active(accepted, runs.position(accepted)))
        )
    return _answer(await _wait(runs, accepted, stays=stays))


async def _wait(runs: RunManager, accepted: ActiveRun, *, stays: bool) -> RunAnswer:
    """The end of a run. A client that leaves ends it, unless its Idempotency-Key says that it may come back."""
    try:
        return await asyncio.shield(accepted.ended)
    except asyncio.CancelledError:
        if not stays:
            runs.stop(accepted, "interrupted" if runs.closing else "cancelled")
        raise


def _answer(outcome: RunAnswer) -> web.Response:
    if outcome.trouble is not None:
        raise outcome.trouble
    raise_if_impossible(outcome.reason)
    return json_bytes(outcome.answer)


def raise_if_impossible(reason: Reason | None) -> None:
    """Raises SpecError where a specification turned out to be one that cannot be run."""
    if reason is not None and reason.code == "invalid_spec":
        raise SpecError([Problem(*each) for each in reason.problems] or reason.detail)


def _accepted(request: web.Request, run_id: str, document: bytes) -> web.Response:
    headers = {"Location": link(request, f"/benchmark/runs/{run_id}"), "Preference-Applied": "respond-async"}
    return json_bytes(document, 202, headers)


async def _again(request: web.Request, known: IdempotencyKey, digest: str) -> web.Response:
    """The answer to a request that was made before."""
    runs = request.app[RUNS]
    if known.digest != digest:
        text = "This Idempotency-Key was used with another body."
        raise HttpProblem(422, "idempotency_key_reused", text)
    location = {"Location": link(request, f"/benchmark/runs/{known.run_id}")}
    live_run = runs.live.get(known.run_id)
    if live_run is not None and not live_run.ended.done():
        text = "The run of this Idempotency-Key has not ended."
        raise HttpProblem(409, "run_in_progress", text, headers={**location, "Retry-After": "1"})
    document = await stored_answer(runs, known.run_id)
    if _asynchronous(request):
        return _accepted(request, known.run_id, document)
    raise_if_impossible(msgspec.json.decode(document, type=_Ended).reason)
    return json_bytes(document, 200, location)


class _Ended(msgspec.Struct):
    reason: Reason | None = None


def negotiated(request: web.Request, offers: Sequence[Offer], *more: str) -> Choice:
    """Which of ``offers`` the client likes best. ``more``: further headers that the answer depends on.

    Raises HttpProblem, with 406, where the client refuses all of them.
    """
    request[VARY] = ", ".join(["Accept", *more])  # on every answer from here on, errors too: a cache must not mix them
    chosen = choose(request.headers.getall("Accept", []), offers)
    if chosen is None:
        types = ", ".join(dict.fromkeys(offer.type for offer in offers))
        raise HttpProblem(406, "not_acceptable", f"The Accept header refuses all that is served here: {types}.")
    return chosen


async def metrics(request: web.Request) -> web.Response:
    """``GET /metrics``"""
    chosen = negotiated(request, exposition.FORMATS, "Accept-Encoding")
    coding = choose_coding(request.headers.getall("Accept-Encoding", []), ["gzip"])
    if coding is None:
        raise HttpProblem(
            406, "not_acceptable", "The Accept-Encoding header refuses all that is served here: gzip, identity."
        )
    form = exposition.FORMATS[chosen.index]
    escaping = exposition.escaping_of(form, chosen.range)
    content = exposition.render(request.app[REGISTRY], form, escaping, request.query.getall("name[]", []))
    headers = {"Content-Type": exposition.content_type(form, escaping)}
    if coding == "gzip":
        content, headers["Content-Encoding"] = exposition.compressed(content), "gzip"
    return web.Response(body=content, headers=headers)


async def openapi(request: web.Request) -> web.Response:
    """``GET /openapi.json``"""
    return json_bytes(request.app[OPENAPI], headers={"Cache-Control": "no-cache"})
