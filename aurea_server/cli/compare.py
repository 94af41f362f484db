"""``aurea compare A B``: is run B slower than run A, or was it chance?"""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from aurea_engine import Comparison, Problem, SpecError, compare, comparison_from_dict, comparison_to_dict, encode_json
from aurea_engine.closed_sets import ComparisonWord, ExitCode
from aurea_server.cli.comparison_report import render_comparison
from aurea_server.cli.history_access import find_server
from aurea_server.cli.server_client import ServerClient
from aurea_server.cli.signals import say_when_stopped
from aurea_server.cli.stored_results import is_stored_id, read_stored, refuse_server_of_files
from aurea_server.cli.tables import show
from aurea_server.stdio.output_files import check_output, write_output
from aurea_server.stdio.standard_streams import write_out

EXIT_CODES: dict[ComparisonWord, ExitCode] = {
    "same": ExitCode.MET,
    "better": ExitCode.MET,
    "worse": ExitCode.MISSED,
    "inconclusive": ExitCode.NOT_DECIDED,
}


def compare_command(  # noqa: PLR0913 - a command has as many options as it has
    a: Path,
    b: Path,
    /,
    *,
    tolerance: str = "3%",
    anyway: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    report: Annotated[Path | None, Parameter(show_default=False)] = None,
    server: str | None = None,
    no_color: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> int:
    """Compare run B with run A, figure by figure: same, better, worse, or inconclusive.

    Exit codes: 0 same or better; 2 bad input; 3 worse; 6 not decided: too few jobs, or the two cannot be compared.

    Parameters
    ----------
    a
        The run to compare with: a run file (.aurea), a result as JSON, or the id of a stored run; ``-`` for stdin.
    b
        The run that is judged.
    tolerance
        The change up to which a figure counts as the same, such as 1% or 0.01.
    anyway
        Judge also what cannot be compared: invalid runs, other clocks, other machines.
    json
        Print JSON, and nothing else, on stdout.
    report
        Also write a report of the comparison to this file: one HTML page.
    server
        Look for ids on this server, such as http://localhost:5000; else in the history of this machine.
    no_color
        Print without colours, as with NO_COLOR in the environment.
    """
    check_output(report, "--report", [a, b])
    refuse_server_of_files([a, b], server)
    with say_when_stopped("the comparison"):
        comparison = _compare(a, b, parse_tolerance(tolerance), anyway=anyway, server=server)
    if json:
        write_out(msgspec.json.format(encode_json(comparison_to_dict(comparison)), indent=2) + b"\n")
    else:
        show(render_comparison(comparison), color=not no_color)
    if report is not None:
        from aurea_engine.report.comparison_page import render_comparison as draw  # noqa: PLC0415 - only for a page

        write_output(report, [draw(comparison).encode()], "--report")
    return EXIT_CODES[comparison.word]


def parse_tolerance(text: str) -> float:
    """``3%`` and ``0.03`` → 0.03. Raises SpecError."""
    found = re.fullmatch(r"([0-9]{1,20}(?:\.[0-9]{1,20})?) ?(%?)", text, re.ASCII)
    value = None if found is None else float(found[1]) / (100 if found[2] else 1)
    if value is None or value > 1:
        # 3 is more likely 3 % than three hundred, and neither is guessed.
        problem = "must be a share from 0 to 100 %, such as 3% or 0.03"
        raise SpecError([Problem("--tolerance", problem, ascii(text)[:40])])
    return value


def _compare(a: Path, b: Path, tolerance: float, *, anyway: bool, server: str | None) -> Comparison:
    # A server compares what it has stored by itself: it has every job, of which a document shows the first 10,000.
    if is_stored_id(a) and is_stored_id(b) and (remote := find_server(server)) is not None:
        return _ask(remote, str(a), str(b), tolerance, anyway=anyway)
    if str(a) == str(b) == "-":
        raise SpecError("only one of the two results can come from stdin")
    ours, theirs = (read_stored(each, server).to_result() for each in (a, b))
    return compare(ours, theirs, tolerance, anyway=anyway)


def _ask(remote: ServerClient, a: str, b: str, tolerance: float, *, anyway: bool) -> Comparison:
    query = {"a": a, "b": b, "tolerance": repr(tolerance), "anyway": str(anyway).lower()}
    return comparison_from_dict(remote.ask("GET", f"/benchmark/compare?{urllib.parse.urlencode(query)}"))
