"""The runs as resources: list, read, cancel, delete, price again."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from aurea_engine.closed_sets import JOBS_SHOWN, STATES
from aurea_server.history import is_search_id
from aurea_server.http.app_keys import LIFECYCLE, READER, REPRICER
from aurea_server.http.links import link
from aurea_server.http.responses import json_bytes, json_response, query_problem, read_number, tagged_bytes
from aurea_server.http.security import read_body

MAX_RUNS_LISTED = 100
MOST_LABEL = 256
"""Characters of a label, and so of a text that is looked for in labels."""

NO_CURSOR = 2**62
"""Above every number of a run: a list without a cursor begins with the newest."""


async def list_runs(request: web.Request) -> web.Response:
    """``GET /benchmark/runs``: newest first."""
    limit = read_number(request, "limit", 20, MAX_RUNS_LISTED)
    before = read_number(request, "cursor", NO_CURSOR, NO_CURSOR)
    status = request.query.get("status")
    if status is not None and status not in STATES:
        raise query_problem("status", f"must be one of {', '.join(STATES)}", status)
    search_id = request.query.get("search")
    if search_id is not None and search_id != "none" and not is_search_id(search_id):
        raise query_problem("search", "must be the id of a search, or none", search_id)
    label = request.query.get("label") or None
    if label is not None and len(label) > MOST_LABEL:
        raise query_problem("label", f"must have at most {MOST_LABEL} characters", label)
    # Pages go by the number of a run, not by an offset: runs that arrive meanwhile move nothing.
    listed, after = await request.app[READER].list(limit, before, status, search_id, label)
    headers = {}
    if after is not None:
        filters = {"status": status, "search": search_id, "label": label}
        query = {"limit": str(limit), "cursor": str(after), **{name: value for name, value in filters.items() if value}}
        headers["Link"] = f'<{link(request, "/benchmark/runs")}?{urlencode(query)}>; rel="next"'
    return json_response({"runs": listed, "next": None if after is None else str(after)}, headers=headers)


async def get_run(request: web.Request) -> web.Response:
    """``GET /benchmark/runs/{run_id}``: of a run that has ended also with an ``ETag``, so that who has it need not get it
    again.
    """
    run_id, reader = request.match_info["run_id"], request.app[READER]
    jobs = read_number(request, "jobs", JOBS_SHOWN, JOBS_SHOWN, least=0)
    # Asked before the run is read: one that ends in between is sent without a tag, which only costs a repetition.
    ended = not reader.is_active(run_id)
    content = await reader.get(run_id, jobs)
    return tagged_bytes(request, content) if ended else json_bytes(content)


async def cancel_run(request: web.Request) -> web.Response:
    """``POST …/cancel``: asked again, it changes nothing."""
    # 202: the run ends within seconds, and its answer says how.
    run = await request.app[LIFECYCLE].cancel(request.match_info["run_id"])
    return json_bytes(request.app[READER].view(run), 202)


async def delete_run(request: web.Request) -> web.Response:
    """``DELETE …``: a run that has ended, and all that is kept of it."""
    await request.app[LIFECYCLE].delete(request.match_info["run_id"])
    return web.Response(status=204)


async def reprice_run(request: web.Request) -> web.Response:
    """``POST …/reprice``: what the stored run costs under another model."""
    run_id = request.match_info["run_id"]
    priced = await request.app[REPRICER].reprice(run_id, await read_body(request))
    return json_response({"benchmark_id": run_id, **priced})
