"""``aurea run --server``: run on a server, follow it here, and show its result as if it had run here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import msgspec
from rich.console import Console

from aurea_engine import AureaError
from aurea_server.cli.course_charts import P99, P99_SO_FAR
from aurea_server.cli.live_charts import LiveCharts
from aurea_server.cli.local_run import OutputOptions
from aurea_server.cli.progress_line import describe_replication, list_figures
from aurea_server.cli.result_output import write_result
from aurea_server.cli.run_document import RunDocument
from aurea_server.cli.server_client import ServerClient
from aurea_server.cli.signals import handle_signals
from aurea_server.cli.tables import join_fitting, measure_width, show
from aurea_server.cli.terminal_room import fits_charts
from aurea_server.cli.token_figures import list_tokens_there


def run_on_server(server: str, data: object, output: OutputOptions) -> int:
    """``aurea run --server``: run on a server, follow it on stderr. Ctrl-C cancels it. Returns the exit code."""
    client, color = ServerClient(server), not output.no_color
    stop = RemoteStop(client)
    # The second signal ends the process: the line must be gone by then, and the cursor back.
    with ExitStack() as shown, handle_signals(stop.ask, shown.close):
        # Not waited for in one long request: a proxy would cut it, and a run without an id cannot be cancelled.
        accepted = client.ask("POST", "/benchmark/run", data, {"Prefer": "respond-async"})
        path = f"/benchmark/runs/{accepted['benchmark_id']}"
        stop.accept(path)
        _follow(client, path, shown, color=color)
        with client.open("GET", path) as response:
            encoded = bytes(response.read())
        formatted = msgspec.json.format(encoded, indent=2) + b"\n"
        # Written before it is read: what this version cannot understand is not lost.
        write_result(formatted, output.output, json=output.json, people=partial(_show, encoded, color=color))
        return RunDocument.parse(encoded).exit_code


def _show(document: bytes, *, color: bool) -> None:
    show(RunDocument.parse(document).render(charted=fits_charts(color=color)), color=color)


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


def _follow(client: ServerClient, path: str, shown: ExitStack, *, color: bool) -> None:
    """Show how the run goes until it has ended, where stderr is a terminal."""
    show_progress = _open_line(shown, color=color) if sys.stderr.isatty() else None
    for kind, data in client.events(f"{path}/events"):
        if kind == "progress" and show_progress is not None:
            show_progress(data)
    shown.close()


def _open_line(shown: ExitStack, *, color: bool) -> Callable[[Mapping[str, Any]], None]:
    """What shows a report of the server. The line is erased with ``shown``."""
    charts = LiveCharts.on(Console(stderr=True, no_color=None if color else True))
    if charts is None:
        shown.callback(_erase_line)
        return _write_line
    charts.open()
    shown.callback(charts.close)
    return partial(_draw_charts, charts)


def _draw_charts(charts: LiveCharts, data: Mapping[str, Any]) -> None:
    # Of a repeated run there are no points, and an older server knows none: then the p99 is that of all jobs so far.
    has_points = "point" in data and not data.get("replications")
    if not has_points or data["point"] is not None:
        p99 = data["point"]["p99"] if has_points else data["p99"]
        charts.course.add(data["elapsed"], data["counts"].get("completed", 0), p99)
    charts.draw(join_fitting(_list_figures(data), charts.columns), P99 if has_points else P99_SO_FAR)


# Written to stderr directly: rich's own progress bar redraws on a thread, and there is nothing else to show here.
def _write_line(data: Mapping[str, Any]) -> None:
    room = measure_width(sys.stderr) - 1
    sys.stderr.write("\r" + join_fitting(_list_figures(data), room).ljust(room))
    sys.stderr.flush()


def _erase_line() -> None:
    sys.stderr.write("\r" + " " * (measure_width(sys.stderr) - 1) + "\r")


def _list_figures(data: Mapping[str, Any]) -> list[str]:
    # An older server says nothing of replications.
    number, most = data.get("replication"), data.get("replications")
    more = [describe_replication(number, most)] if number and most else []
    return list_figures(data["throughput"], data["p99"], data["time_left"], more, list_tokens_there(data))
