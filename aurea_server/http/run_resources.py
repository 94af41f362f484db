"""The runs as resources: list, one, its jobs, its events; cancel, delete, price again."""

from __future__ import annotations

import asyncio
import functools
import logging
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
import numpy as np
from aiohttp import web
from aiohttp_sse import EventSourceResponse

from aurea_engine import DamagedParts, JobBatch, Problem, SpecError, cost_from_dict, encode_json
from aurea_engine.records import column_file
from aurea_server.history import STATES
from aurea_server.http.app_keys import KINDS, RUNS
from aurea_server.http.handlers import (
    json_bytes,
    json_response,
    negotiated,
    off_the_loop,
    parse_body,
    raise_if_impossible,
)
from aurea_server.http.links import link
from aurea_server.http.negotiation import Offer
from aurea_server.http.problems import HttpProblem
from aurea_server.http.security import body
from aurea_server.runner.kinds import Kinds
from aurea_server.runner.pool import Busy
from aurea_server.runner.supervisor import RunnerFailed
from aurea_server.runs import views
from aurea_server.runs.events import Event, Lagged, TooManyFollowers
from aurea_server.runs.manager import RunManager
from aurea_server.runs.reader import Export, export_of, not_found, reading, records_of, row_of, stored_answer

log = logging.getLogger(__name__)

MOST_LISTED = 100
MOST_ROWS = 10_000
UTF8 = {"charset": "utf-8"}
FORMS = {
    "json": Offer("application/json", UTF8),
    "csv": Offer("text/csv", UTF8),
    "ndjson": Offer("application/x-ndjson", UTF8),
}
NO_RECORDS = column_file.StoredRecords("", datetime.fromtimestamp(0, UTC), JobBatch.empty(), np.empty(0))
STALLED = 15.0
"""Seconds after which a follower that takes nothing is let go."""


def _number(request: web.Request, name: str, default: int, most: int, least: int = 1) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and least <= int(text) <= most):
        problem = Problem(name, f"must be a whole number from {least} to {most}", ascii(text)[:60])
        raise HttpProblem(400, "invalid_query", str(problem), [problem])
    return int(text)


async def list_runs(request: web.Request) -> web.Response:
    """``GET /benchmark/runs``: newest first."""
    runs = request.app[RUNS]
    limit = _number(request, "limit", 20, MOST_LISTED)
    before = _number(request, "cursor", 2**62, 2**62)
    status = request.query.get("status")
    if status is not None and status not in STATES:
        problem = Problem("status", f"must be one of {', '.join(STATES)}", ascii(status)[:60])
        raise HttpProblem(400, "invalid_query", str(problem), [problem])
    rows, after = await runs.history.ask(runs.history.ledger.page, limit, before, status)
    headers = {}
    if after is not None:
        query = {"limit": str(limit), "cursor": str(after), **({"status": status} if status else {})}
        headers["Link"] = f'<{link(request, "/benchmark/runs")}?{urlencode(query)}>; rel="next"'
    listed = [views.view_in_list(row) for row in rows]
    return json_response({"runs": listed, "next": None if after is None else str(after)}, headers=headers)


async def get_run(request: web.Request) -> web.Response:
    """``GET /benchmark/runs/{run_id}``"""
    runs, run_id = request.app[RUNS], request.match_info["run_id"]
    live = runs.live.get(run_id)
    if live is not None and not live.ended.done():
        return json_response(views.view_active(live, runs.position(live)))
    return json_bytes(await stored_answer(runs, run_id))


async def get_jobs(request: web.Request) -> web.StreamResponse:
    """``GET /benchmark/runs/{run_id}/jobs``: a page of JSON, or all of it as CSV or NDJSON."""
    runs, run_id = request.app[RUNS], request.match_info["run_id"]
    form = _form(request)
    first = _number(request, "cursor", 0, 2**62, 0)
    limit = _number(request, "limit", 1000, MOST_ROWS)
    if run_id in runs.live:
        raise HttpProblem(409, "run_in_progress", "The run has not ended: its jobs can be had when it has.")
    if form != "json":
        return await _stream(request, await export_of(runs, run_id, form), form)
    async with reading(runs):
        records = await records_of(runs, run_id)
        rows = [] if records is None else await asyncio.to_thread(views.job_rows, records, first, limit)
        total = 0 if records is None else len(records.jobs)
    after = first + limit if first + limit < total else None
    headers = {}
    if after is not None:
        where = link(request, f"/benchmark/runs/{run_id}/jobs")
        headers["Link"] = f'<{where}?limit={limit}&cursor={after}>; rel="next"'
    page = {"jobs": rows, "total": total, "next": None if after is None else str(after)}
    return json_bytes(encode_json(page), headers=headers)


def _form(request: web.Request) -> str:
    asked = request.query.get("format")
    if not asked:
        return list(FORMS)[negotiated(request, list(FORMS.values())).index]
    if asked not in FORMS:
        problem = Problem("format", "must be json, csv or ndjson", ascii(asked)[:60])
        raise HttpProblem(400, "invalid_query", str(problem), [problem])
    return asked


async def _stream(request: web.Request, export: Export | None, form: str) -> web.StreamResponse:
    """``export`` as the answer. A client that leaves is no error, and the connection breaks off where the records do."""
    name = request.match_info["run_id"]
    response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}.{form}"'})
    response.content_type, response.charset = FORMS[form].type, "utf-8"
    try:
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        if export is None:
            await response.write(views.encode_jobs(NO_RECORDS, 0, form))
        else:
            async with aclosing(export.pieces()) as pieces:
                async for piece in pieces:
                    await response.write(piece)
        await response.write_eof()
    except DamagedParts as error:
        log.error("the export of %s breaks off: %s", name, error)  # noqa: TRY400 - a sentence for the operator says it all
        if request.transport is not None:
            request.transport.abort()  # a clean end would say that these are all jobs
    finally:
        if export is not None:
            export.close()
    return response


async def cancel_run(request: web.Request) -> web.Response:
    """``POST …/cancel``: asked again, it changes nothing."""
    runs, run_id = request.app[RUNS], request.match_info["run_id"]
    live = runs.live.get(run_id)
    if live is None or live.ended.done():
        row = await row_of(runs, run_id)
        raise HttpProblem(409, "run_ended", f"The run has ended already: {row.state}.")
    runs.stop(live, "cancelled")
    return json_response(views.view_active(live, runs.position(live)), 202)


async def delete_run(request: web.Request) -> web.Response:
    """``DELETE …``: a run that has ended, and all that is kept of it."""
    runs, run_id = request.app[RUNS], request.match_info["run_id"]
    if run_id in runs.live:
        raise HttpProblem(409, "run_in_progress", "The run has not ended: cancel it first.")
    row = await row_of(runs, run_id)
    if not await runs.delete(row.id):
        raise not_found()
    return web.Response(status=204)


async def reprice_run(request: web.Request) -> web.Response:
    """``POST …/reprice``: what the stored run costs under another model."""
    runs, run_id = request.app[RUNS], request.match_info["run_id"]
    content, kinds = await body(request), request.app[KINDS]
    await off_the_loop(content, functools.partial(_check_cost, content, kinds))
    if run_id in runs.live:
        raise HttpProblem(409, "run_in_progress", "The run has not ended: it can be priced again when it has.")
    row = await row_of(runs, run_id)
    if row.head is None:
        raise HttpProblem(409, "no_result", "The run came to no result that could be priced.")
    usage = msgspec.json.decode(row.head, type=_Head).usage
    try:
        priced = await runs.workshop.price(content, usage, functools.partial(_content_of, runs, run_id))
    except Busy:
        text = "Others are being priced already; try again later."
        raise HttpProblem(429, "queue_full", text, headers={"Retry-After": "5"}) from None
    except RunnerFailed as failed:
        raise_if_impossible(failed.reason)
        raise HttpProblem(422, "cannot_be_priced", failed.reason.detail) from None
    return json_response({"benchmark_id": run_id, **priced})


def _check_cost(content: bytes, kinds: Kinds) -> None:
    """What is wrong with a body that names a cost model is said at once. Raises SpecError."""
    data = parse_body(content)
    if not isinstance(data, dict) or set(data) != {"cost"}:
        raise SpecError([Problem("", 'must be an object with one member, "cost"')])
    if not kinds.foreign(data):
        cost_from_dict(data["cost"], kinds.built_in)


async def _content_of(runs: RunManager, run_id: str) -> bytes:
    return await runs.history.ask(runs.history.ledger.records, run_id) or b""


class _Head(msgspec.Struct):
    usage: dict[str, Any]


async def get_events(request: web.Request) -> web.StreamResponse:
    """``GET …/events``: server-sent events, from the one after ``Last-Event-ID``."""
    runs, run_id = request.app[RUNS], request.match_info["run_id"]
    events = runs.log_of(run_id)
    ended = [] if events is not None else [await _end_of(runs, run_id)]
    text = request.headers.get("Last-Event-ID", "0")
    after = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
    if runs.followers.count >= runs.followers.most:
        raise HttpProblem(503, "too_many_followers", "Too many follow events already.", headers={"Retry-After": "5"})
    if request.method == "HEAD":
        return web.Response(content_type="text/event-stream")
    if request.transport is None:
        raise ConnectionResetError  # the follower is gone
    response = EventSourceResponse(send_timeout=STALLED)
    await response.prepare(request)
    try:
        async with response:
            for event in ended:
                await _send(response, event)
            if events is not None:
                async with aclosing(
                    events.follow(after)
                ) as following:  # its place is free as soon as the follower is gone
                    async for event in following:
                        await _send(response, event)
    except Lagged:
        await response.send("{}", event="lagged")
    except (ConnectionError, TimeoutError, TooManyFollowers):
        pass  # the follower is gone, or was let go
    return response


async def _send(response: EventSourceResponse, event: Event) -> None:
    await response.send(event.data, id=str(event.number), event=event.kind, retry=2000 if event.number == 1 else None)


async def _end_of(runs: RunManager, run_id: str) -> Event:
    """All that is left to tell of a run that ended long ago."""
    row = await row_of(runs, run_id)
    listed = views.view_in_list(row)
    reason = None if row.reason is None else msgspec.json.decode(row.reason)["code"]
    summary = {name: listed[name] for name in ("status", "verdict", "throughput")}
    return Event(1, "end", msgspec.json.encode({**summary, "reason": reason}).decode())
