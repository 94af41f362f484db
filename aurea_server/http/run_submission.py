"""``POST /benchmark/run``: validate, accept, and answer with the result, or at once with 202; ``/check`` only validates.

**Idempotency-Key**: a client that does not know whether its request arrived repeats it with the same key, and gets the run
that the first one started. The key is written in the same transaction as the run, so there is never a key without a run.
"""

from __future__ import annotations

import hashlib
import re

import msgspec
from aiohttp import web

from aurea_engine import SpecError
from aurea_engine.processes.messages import Reason
from aurea_server.history import IdempotencyKey, KeyReused
from aurea_server.http.app_keys import LIFECYCLE, READER, VALIDATOR
from aurea_server.http.links import link
from aurea_server.http.negotiation import has_preference
from aurea_server.http.problems import HttpProblem, encode_problem, spec_problem
from aurea_server.http.responses import json_bytes, json_response
from aurea_server.http.security import read_body
from aurea_server.runs.finish import raise_spec_error

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


async def run_benchmark(request: web.Request) -> web.Response:
    """``POST /benchmark/run``"""
    lifecycle = request.app[LIFECYCLE]
    content = await read_body(request)
    # Before the key: a specification that is wrong is never stored, so its key stands for nothing.
    submission = await request.app[VALIDATOR].validate(content)
    key = read_key(request, content)
    # A client that can come back for the run (by its key, or by the Location of a 202) may leave without ending it.
    detached = key is not None or is_asynchronous(request)
    try:
        run = await lifecycle.submit(submission, key, detached=detached)
    except KeyReused as reused:
        assert key is not None
        return await _answer_again(request, reused.taken, key[1])
    if is_asynchronous(request):
        return _accepted(request, run.id, request.app[READER].view(run))
    return json_bytes(await lifecycle.wait(run, detached=detached))


async def check_specification(request: web.Request) -> web.Response:
    """``POST /benchmark/check``: as `run_benchmark` would check it, so that a form can say what is wrong before a start."""
    content = await read_body(request)
    try:
        submission = await request.app[VALIDATOR].validate(content)
    except SpecError as error:
        # The check itself has succeeded, so this is an answer and not a refusal.
        return json_response({"spec": None, "problem": msgspec.Raw(encode_problem(spec_problem(error)))})
    return json_response({"spec": submission.document, "problem": None})


def read_key(request: web.Request, content: bytes) -> tuple[str, str] | None:
    """(Idempotency-Key, digest of the body that it stands for)."""
    keys = request.headers.getall("Idempotency-Key", [])
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        text = "Idempotency-Key must be 1 to 255 visible ASCII characters, and be sent once."
        raise HttpProblem(400, "invalid_idempotency_key", text)
    # The bytes are compared, not the values: two spellings of one specification are two bodies.
    return keys[0], hashlib.sha256(content).hexdigest()


def is_asynchronous(request: web.Request) -> bool:
    """Whether the client prefers an answer at once."""
    return has_preference(request.headers.getall("Prefer", []), "respond-async")


def _accepted(request: web.Request, run_id: str, document: bytes) -> web.Response:
    headers = {"Location": link(request, f"/benchmark/runs/{run_id}"), "Preference-Applied": "respond-async"}
    return json_bytes(document, 202, headers)


async def _answer_again(request: web.Request, known: IdempotencyKey, digest: str) -> web.Response:
    """The answer to a request that was made before."""
    reader = request.app[READER]
    if known.digest != digest:
        raise HttpProblem(422, "idempotency_key_reused", "This Idempotency-Key was used with another body.")
    location = {"Location": link(request, f"/benchmark/runs/{known.run_id}")}
    if reader.is_active(known.run_id):
        text = "The run of this Idempotency-Key has not ended."
        raise HttpProblem(409, "run_in_progress", text, headers={**location, "Retry-After": "1"})
    document = await reader.get_ended(known.run_id)
    if is_asynchronous(request):
        return _accepted(request, known.run_id, document)
    raise_spec_error(msgspec.json.decode(document, type=_EndedRun).reason)
    return json_bytes(document, 200, location)


class _EndedRun(msgspec.Struct):
    reason: Reason | None = None
