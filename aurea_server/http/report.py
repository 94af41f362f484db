"""``GET /benchmark/runs/{run_id}/report``: a stored run as one HTML page."""

from __future__ import annotations

from aiohttp import web

from aurea_engine.report.stylesheet import POLICY
from aurea_server.http.app_keys import REPORTER
from aurea_server.http.security import refuse_other_sites

CSP = f"sandbox; {POLICY}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Stricter than that of our own pages. With ``sandbox`` the page has no origin: whatever it held, it could not ask this
server for anything, nor read what its pages keep.
"""


async def get_report(request: web.Request) -> web.Response:
    """``GET /benchmark/runs/{run_id}/report``"""
    # A page of another site cannot read the answer, but it could have a server draw all day.
    refuse_other_sites(request)
    page = await request.app[REPORTER].draw(request.match_info["run_id"])
    return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": CSP})
