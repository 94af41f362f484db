"""What is drawn of a run or a search: reports as one HTML page each, and the columns that our own page draws."""

from __future__ import annotations

from aiohttp import web

from aurea_engine.report.stylesheet import POLICY
from aurea_server.http.app_keys import READER, REPORTER
from aurea_server.http.responses import json_bytes, tagged_bytes
from aurea_server.http.security import refuse_other_sites

CSP = f"sandbox; {POLICY}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Stricter than that of our own pages. With ``sandbox`` the page has no origin: whatever it held, it could not ask this
server for anything, nor read what its pages keep.
"""


async def get_report(request: web.Request) -> web.Response:
    """``GET /benchmark/runs/{run_id}/report``"""
    # A page of another site cannot read the answer, but it could have a server draw all day.
    refuse_other_sites(request)
    return html_report(await request.app[REPORTER].draw(request.match_info["run_id"]))


async def get_search_report(request: web.Request) -> web.Response:
    """``GET /benchmark/searches/{search_id}/report``"""
    refuse_other_sites(request)
    return html_report(await request.app[REPORTER].draw_search(request.match_info["search_id"]))


def html_report(page: str) -> web.Response:
    """A page that says what others wrote: it may do nothing at all."""
    return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": CSP})


async def get_series(request: web.Request) -> web.Response:
    """``GET /benchmark/runs/{run_id}/series``: so far while it is active; computed once from its records afterwards."""
    refuse_other_sites(request)
    run_id = request.match_info["run_id"]
    so_far = request.app[READER].get_series(run_id)
    if so_far is not None:
        return json_bytes(so_far)
    return tagged_bytes(request, await request.app[REPORTER].get_series(run_id))
