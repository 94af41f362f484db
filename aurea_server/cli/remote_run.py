"""``aurea run --server``: run on a server, follow it here, and show its result as if it had run here."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from aurea_engine import AureaError
from aurea_server.cli.progress_line import describe_replication, list_figures
from aurea_server.cli.result_output import write_result
from aurea_server.cli.run_document import RunDocument
from aurea_server.cli.server_client import ServerClient
from aurea_server.cli.signals import handle_signals
from aurea_server.cli.tables import join_fitting, measure_width, show


def run_on_server(server: str, data: object, output: Path | None, *, json: bool) -> int:
    """``aurea run --server``: run on a server, follow it on stderr. Ctrl-C cancels it. Returns the exit code."""
    client = ServerClient(server)
    stop = RemoteStop(client)
    with handle_signals(stop.ask):
        # Not waited for in one long request: a proxy would cut it, and a run without an id cannot be cancelled.
        accepted = client.ask("POST", "/benchmark/run", data, {"Prefer": "respond-async"})
        path = f"/benchmark/runs/{accepted['benchmark_id']}"
        stop.accept(path)
        _follow(client, path)
        with client.open("GET", path) as response:
            encoded = bytes(response.read())
        formatted = msgspec.json.format(encoded, indent=2) + b"\n"
        # Written before it is read: what this version cannot understand is not lost.
        write_result(formatted, output, json=json, people=lambda: show(RunDocument.parse(encoded).render()))
        return RunDocument.parse(encoded).exit_code


class RemoteStop:
    """Cancels the run on the server at the first signal, once its id is known: before that there is nothing to cancel."""

    def __init__(self, client: ServerClient) -> None:
        self._client, self._path, self._asked = client, "", False

    def ask(self) -> None:
        self._asked = True
        self._cancel()

    def accept(self, path: str) -> None:
        self._path = path
        self._cancel()

    def _cancel(self) -> None:
        """On a connection of its own, since the other one follows the run. A run that has ended needs no cancelling."""
        if self._asked and self._path:
            with suppress(AureaError):
                self._client.ask("POST", f"{self._path}/cancel")


# Written to stderr directly: rich's own progress bar redraws on a thread, and there is nothing else to show here.
def _follow(client: ServerClient, path: str) -> None:
    shows = sys.stderr.isatty()
    for kind, data in client.events(f"{path}/events"):
        if kind == "progress" and shows:
            # An older server says nothing of replications.
            number, most = data.get("replication"), data.get("replications")
            more = [describe_replication(number, most)] if number and most else []
            parts = list_figures(data["throughput"], data["p99"], data["time_left"], more)
            room = measure_width(sys.stderr) - 1
            sys.stderr.write("\r" + join_fitting(parts, room).ljust(room))
            sys.stderr.flush()
    if shows:
        sys.stderr.write("\r" + " " * (measure_width(sys.stderr) - 1) + "\r")
