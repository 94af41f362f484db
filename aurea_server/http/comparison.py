"""``GET /benchmark/compare``: is a stored run slower than another, or was it chance?"""

from __future__ import annotations

import re

from aiohttp import web

from aurea_engine import Problem, encode_json
from aurea_engine.closed_sets import RUN_ID_PATTERN
from aurea_server.http.app_keys import COMPARER
from aurea_server.http.problems import HttpProblem
from aurea_server.http.report import html_report
from aurea_server.http.responses import json_bytes
from aurea_server.http.security import refuse_other_sites

_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?([eE]-[0-9]{1,2})?", re.ASCII)


async def compare_runs(request: web.Request) -> web.Response:
    """``GET /benchmark/compare?a=&b=&tolerance=&anyway=``"""
    a, b, tolerance, anyway = _read_query(request)
    return json_bytes(encode_json(await request.app[COMPARER].compare(a, b, tolerance, anyway=anyway)))


async def get_comparison_report(request: web.Request) -> web.Response:
    """``GET /benchmark/compare/report``, with the same query."""
    a, b, tolerance, anyway = _read_query(request)
    return html_report(await request.app[COMPARER].draw(a, b, tolerance, anyway=anyway))


def _read_query(request: web.Request) -> tuple[str, str, float, bool]:
    """Raises HttpProblem, with every problem."""
    # A page of another site cannot read the answer, but it could have a server compare all day.
    refuse_other_sites(request)
    problems: list[Problem] = []
    a, b = (_read_id(request, name, problems) for name in ("a", "b"))
    tolerance, anyway = _read_tolerance(request, problems), _read_anyway(request, problems)
    if problems:
        raise HttpProblem(400, "invalid_query", "; ".join(map(str, problems)), problems)
    return a, b, tolerance, anyway


def _read_id(request: web.Request, name: str, problems: list[Problem]) -> str:
    text = request.query.get(name, "")
    if re.fullmatch(RUN_ID_PATTERN, text) is None:
        problems.append(Problem(name, "must be the id of a run, such as benchmark-1796106963439", ascii(text)[:60]))
    return text


def _read_tolerance(request: web.Request, problems: list[Problem]) -> float:
    text = request.query.get("tolerance", "0.03")
    value = float(text) if _NUMBER.fullmatch(text) else -1.0
    if not 0 <= value <= 1:
        problems.append(Problem("tolerance", "must be a number from 0 to 1, such as 0.03 for 3 %", ascii(text)[:60]))
    return value


def _read_anyway(request: web.Request, problems: list[Problem]) -> bool:
    text = request.query.get("anyway", "false")
    if text not in ("true", "false"):
        problems.append(Problem("anyway", "must be true or false", ascii(text)[:60]))
    return text == "true"
