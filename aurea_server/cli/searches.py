"""``aurea searches``: the capacity searches of a server."""

from __future__ import annotations

import urllib.parse
from typing import Annotated, Any

import cyclopts
import msgspec
from cyclopts import Parameter

from aurea_engine import Problem, SpecError
from aurea_engine.closed_sets import ExitCode
from aurea_server.cli.capacity_report import render_capacity
from aurea_server.cli.history_access import find_server
from aurea_server.cli.number_format import format_number, make_printable
from aurea_server.cli.remote_search import read_answer
from aurea_server.cli.run_document import format_when
from aurea_server.cli.server_client import ServerClient
from aurea_server.cli.tables import Column, Table, show
from aurea_server.stdio.standard_streams import write_out

SECONDS = len("2026-11-22 10:00:00")
DEFAULT = "http://127.0.0.1:5000"

Server = Annotated[str | None, Parameter(help=f"The server; {DEFAULT} if not given. [env: AUREA_SERVER]")]
Json = Annotated[bool, Parameter(help="Print JSON.", negative=())]

searches = cyclopts.App(name="searches", help="The capacity searches of a server: list, show, cancel, delete.")


def _connect(server: str | None) -> ServerClient:
    return find_server(server) or ServerClient(DEFAULT)


def _path(search_id: str) -> str:
    # An id was typed by hand: a slash in it would name another resource.
    return f"/benchmark/searches/{urllib.parse.quote(search_id, safe='')}"


@searches.command(name="list")
def list_searches(*, limit: int = 20, server: Server = None, json: Json = False) -> int:
    """List searches, newest first."""
    if not 1 <= limit <= 100:
        raise SpecError([Problem("--limit", "must be from 1 to 100", str(limit))])
    listed = _connect(server).ask("GET", f"/benchmark/searches?limit={limit}")["searches"]
    if json:
        _print_json(listed)
        return ExitCode.MET
    heads = ("search", "status", "started (UTC)", "answer")
    table = Table(*(Column(head) for head in heads), Column("value", right=True), Column("label", prose=True))
    for search in listed:
        answer = search["answer"] or {}
        unit = "/s" if search["search"].get("variable") == "rate" else " slots"
        table.add_row(
            search["search_id"],
            search["status"],
            format_when(search["start_time"])[:SECONDS],
            (answer.get("status") or "").replace("_", " "),
            "–" if answer.get("value") is None else format_number(answer["value"], unit),
            make_printable(search["label"] or ""),
        )
    show(table)
    return ExitCode.MET


@searches.command(name="show")
def show_search(search_id: str, /, *, server: Server = None, json: Json = False) -> int:
    """Show a search: its answer, or how far it is."""
    search = _connect(server).ask("GET", _path(search_id))
    if json:
        _print_json(search)
    elif search["answer"] is None and search["end_time"] is None:
        progress = search["progress"] or {"trials": 0, "bracket": {"low": None, "high": None}}
        low, high = (format_number(progress["bracket"][end]) for end in ("low", "high"))
        write_out(f"{search['status']}: {progress['trials']} trials, bracket {low} to {high}\n".encode())
    else:
        show(render_capacity(read_answer(search)))
    return ExitCode.MET


@searches.command(name="cancel")
def cancel_search(search_id: str, /, *, server: Server = None) -> int:
    """End a search with what it knows."""
    _connect(server).ask("POST", f"{_path(search_id)}/cancel")
    return ExitCode.MET


@searches.command(name="delete")
def delete_searches(*search_ids: str, server: Server = None) -> int:
    """Delete searches that have ended, and their trials."""
    client = _connect(server)
    for search_id in search_ids:
        client.ask("DELETE", _path(search_id))
    return ExitCode.MET


def _print_json(value: Any) -> None:
    write_out(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
