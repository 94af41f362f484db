"""``aurea capacity --server``: search on a server, follow it here, and show its answer as if it had been found here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from aurea_engine import AureaError
from aurea_engine.codec.capacity_reading import capacity_from_dict, search_progress_from_dict
from aurea_engine.results.capacity import CapacityAnswer
from aurea_server.cli.number_format import make_printable
from aurea_server.cli.remote_run import RemoteStop
from aurea_server.cli.server_client import ServerClient
from aurea_server.cli.signals import handle_signals
from aurea_server.cli.trial_lines import TrialLines


class SearchFailed(AureaError):
    """The search came to no answer on the server; the text says why."""


def search_on_server(
    server: str, document: Mapping[str, Any], console: Console, write: Callable[[CapacityAnswer], int]
) -> int:
    """Search on a server, with each trial a line on ``console``. Ctrl-C cancels it there; ``write`` then gets what is known.

    ``document``: a specification and the members of the search. Returns what ``write`` does.
    """
    client = ServerClient(server)
    stop = RemoteStop(client)
    with handle_signals(stop.ask):
        accepted = client.ask("POST", "/benchmark/searches", document)
        path = f"/benchmark/searches/{accepted['search_id']}"
        stop.accept(path)
        _follow(client, path, TrialLines(console))
        search = client.ask("GET", path)
        return write(read_answer(search))


def _follow(client: ServerClient, path: str, lines: TrialLines) -> None:
    latest = None
    # A trial comes just before the bracket that it moved.
    for kind, data in client.events(f"{path}/events"):
        if kind == "trial":
            latest = data
        elif kind == "bracket":
            lines.show(search_progress_from_dict({**data, "latest": latest}))


def read_answer(search: Mapping[str, Any]) -> CapacityAnswer:
    """The answer of a search that has ended. Raises `SearchFailed` where it came to none."""
    if search["answer"] is None:
        reason = str((search["reason"] or {}).get("detail", "no reason was given"))
        raise SearchFailed(f"the search is {search['status'].replace('_', ' ')}: {make_printable(reason)}")
    return capacity_from_dict(search["answer"])
