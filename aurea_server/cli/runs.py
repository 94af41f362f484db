"""``aurea runs``: the history of runs, on this machine or on a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import cyclopts
import msgspec
from cyclopts import Parameter

from aurea_engine import Problem, SpecError
from aurea_engine.closed_sets import ExitCode, ExportFormat
from aurea_engine.records import column_file
from aurea_server.cli.history_access import (
    HistoryError,
    find_server,
    open_ledger,
    quote_id,
    read_row,
    read_run_document,
)
from aurea_server.cli.number_format import format_number, format_seconds, make_printable
from aurea_server.cli.result_output import asks_for_run_file
from aurea_server.cli.run_document import RunDocument, format_when
from aurea_server.cli.stored_results import read_history
from aurea_server.cli.tables import Column, Table, show
from aurea_server.cli.terminal_room import fits_charts
from aurea_server.runs import exports, views
from aurea_server.stdio.output_files import check_output, write_output
from aurea_server.stdio.standard_streams import write_out

MOST_LISTED = 10**9
SECONDS = len("2026-11-22 10:00:00")

Data = Annotated[Path | None, Parameter(help="Folder of the history. [env: AUREA_DATA]")]
Server = Annotated[
    str | None, Parameter(help="Ask this server instead, such as http://localhost:5000. [env: AUREA_SERVER]")
]
Json = Annotated[bool, Parameter(help="Print JSON.", negative=())]

runs = cyclopts.App(name="runs", help="The history of runs: list, show, export, delete.")


@runs.command(name="list")
def list_runs(*, limit: int = 20, data: Data = None, server: Server = None, json: Json = False) -> int:
    """List runs, newest first."""
    if limit < 1:
        raise SpecError([Problem("--limit", "must be at least 1", str(limit))])
    remote = find_server(server)
    if remote is not None:
        # A server gives a page of at most 100; here there is no limit but the reader's.
        listed = remote.ask("GET", f"/benchmark/runs?limit={min(limit, 100)}")["runs"]
    else:
        with open_ledger(data) as ledger:
            listed = [views.view_in_list(row) for row in ledger.page(min(limit, MOST_LISTED))[0]]
    if json:
        write_out(msgspec.json.format(msgspec.json.encode(listed), indent=2) + b"\n")
        return ExitCode.MET
    names = (
        Column("run"),
        Column("status"),
        Column("started (UTC)"),
        Column("ended (UTC)"),
        Column("label", prose=True),
    )
    figures = (Column(head, right=True) for head in ("jobs", "rate", "mean", "cost"))
    table = Table(*names, *figures, two_lines=True)
    for row in listed:
        cost = row["total_cost"]
        table.add_row(
            row["benchmark_id"],
            row["status"],
            *(format_when(row[name])[:SECONDS] for name in ("start_time", "end_time")),
            make_printable(row["label"] or ""),
            format_number(row["completed_jobs"]),
            format_number(row["throughput"], "/s"),
            format_seconds(row["mean_latency"]),
            "–" if cost is None else f"{cost:.6g} {row.get('currency') or ''}".rstrip(),
        )
    show(table)
    return ExitCode.MET


@runs.command(name="show")
def show_run(run_id: str, /, *, data: Data = None, server: Server = None, json: Json = False) -> int:
    """Show a run's result."""
    document = read_run_document(run_id, data, server)
    if json:
        write_out(msgspec.json.format(document, indent=2) + b"\n")
    else:
        show(RunDocument.parse(document).render(charted=fits_charts()))
    return ExitCode.MET


@runs.command(name="export")
def export_run(
    run_id: str,
    /,
    *,
    form: Annotated[ExportFormat, Parameter(name="--format", help="All of it, or its jobs.")] = "json",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="A file instead of stdout.")] = None,
    data: Data = None,
    server: Server = None,
) -> int:
    """Write a run's result as JSON, or its jobs as CSV or NDJSON; to a file that ends in .aurea the whole run."""
    check_output(output)
    pieces = _export_whole(run_id, data, server) if asks_for_run_file(output) else _export(run_id, form, data, server)
    write_output(Path("-") if output is None else output, pieces)
    return ExitCode.MET


def _export_whole(run_id: str, data: Path | None, server: str | None) -> Iterator[bytes]:
    if find_server(server) is not None:
        raise SpecError(
            [Problem("--output", "a server keeps the whole run, and gives commands its id: write a .json file")]
        )
    yield read_history(run_id, None, data).checked().to_file().to_bytes()


def _export(run_id: str, form: str, data: Path | None, server: str | None) -> Iterator[bytes]:
    remote = find_server(server)
    if form == "json":
        # Whole, since it is bounded: a document holds at most 10,000 jobs. CSV and NDJSON hold all, and come piece by piece.
        yield msgspec.json.format(read_run_document(run_id, data, server), indent=2) + b"\n"
    elif remote is not None:
        with remote.open("GET", f"/benchmark/runs/{quote_id(run_id)}/jobs?format={form}") as response:
            while piece := response.read(65536):
                yield piece
    else:
        with open_ledger(data) as ledger:
            row = read_row(ledger, run_id)
            # A run without records is an empty export and no error, as it is over HTTP.
            file = ledger.open_records(run_id) if row.records_bytes else None
            if file is not None:
                with file:
                    yield from exports.encode_all_jobs(column_file.Reader(file), form)


@runs.command(name="delete")
def delete_runs(*run_ids: str, data: Data = None, server: Server = None) -> int:
    """Delete runs that have ended."""
    remote = find_server(server)
    if remote is not None:
        # One by one: the server has no request for several, and the first that it refuses ends the command.
        for run_id in run_ids:
            remote.ask("DELETE", f"/benchmark/runs/{quote_id(run_id)}")
        return ExitCode.MET
    with open_ledger(data) as ledger:
        gone = ledger.remove(run_ids)
    # What could be deleted has been; the rest is named together.
    missing = [run_id for run_id in run_ids if run_id not in gone]
    if missing:
        raise HistoryError(f"there is no such run that has ended: {', '.join(map(ascii, missing))}")
    return ExitCode.MET
