"""``aurea report``: a stored result as a page to read and to hand on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from aurea_engine import Catalog, RunResult, SpecError, default_catalog
from aurea_server.cli.stored_results import read_stored, refuse_server_of_files
from aurea_server.stdio.output_files import check_output, write_output
from aurea_server.stdio.standard_streams import write_out


def report_command(
    result: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    markdown: Annotated[bool, Parameter(negative=())] = False,
    server: str | None = None,
) -> int:
    """Make a report of a stored result: one HTML file with charts and figures, which needs no network and no script.

    Parameters
    ----------
    result
        A result: JSON or a run file (.aurea), from ``aurea run``; the id of a stored run; ``-`` for stdin. Of a run of more
        than 10,000 jobs only a run file or an id has them all, and only then the report has the charts that need them.
    output
        Write it to this file, such as report.html; without it, to stdout.
    markdown
        Markdown instead, in a few lines, for a pull request.
    server
        Look for the id on this server, such as http://localhost:5000; else in the history of this machine.
    """
    check_output(output, read=[result])
    refuse_server_of_files([result], server)
    if output is None and not markdown and sys.stdout.isatty():
        raise SpecError("--output: name a file for the page, such as -o report.html, or use --markdown")
    found, catalog = read_stored(result, server), default_catalog().with_entry_points()
    encoded = _render(found.to_result(catalog), catalog, markdown=markdown)
    if output is None:
        write_out(encoded)
    else:
        write_output(output, [encoded])
    return 0


def write_report(result: RunResult, catalog: Catalog, file: Path | None) -> None:
    """The page of ``result`` to ``file``, if one is named. Raises SpecError where it cannot be written."""
    if file is not None:
        write_output(file, [_render(result, catalog, markdown=False)], "--report")


def _render(result: RunResult, catalog: Catalog, *, markdown: bool) -> bytes:
    # Loaded only where a page is made: a run without one starts without it.
    from aurea_engine.report.markdown import render_markdown  # noqa: PLC0415
    from aurea_engine.report.page import render_html  # noqa: PLC0415

    return (render_markdown(result) if markdown else render_html(result, catalog)).encode()
