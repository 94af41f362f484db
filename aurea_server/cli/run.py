"""``aurea run``: a benchmark in this process, watched on stderr, with its result on stdout."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from aurea_engine import (
    RunResult,
    RunSpec,
    Stop,
    default_catalog,
    encode_json,
    loop_factory,
    result_to_dict,
    run,
)
from aurea_server.cli.exit_codes import choose_exit_code
from aurea_server.cli.progress_line import LiveLine
from aurea_server.cli.report import render_report
from aurea_server.cli.result_output import write_result
from aurea_server.cli.run_options import RunOptions
from aurea_server.cli.signals import handle_signals
from aurea_server.cli.tables import show
from aurea_server.stdio.output_files import check_output


def run_command(
    spec: Path | None = None,
    /,
    *,
    options: RunOptions = RunOptions(),
    json: Annotated[bool, Parameter(negative=())] = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    server: str | None = None,
) -> int:
    """Run a benchmark here, and print its result.

    Exit codes: 0 done, and objectives met; 1 failed; 2 bad input; 3 an objective missed; 6 not decided: an objective
    inconclusive, or the run invalid. Ctrl-C, SIGTERM and SIGHUP end the run with what it has: that is written, then aurea
    ends by that signal. A second one ends it at once.

    Parameters
    ----------
    spec
        A specification, JSON or TOML, or a result, whose run is then repeated; ``-`` reads JSON from stdin.
    json
        Print the result as JSON, and nothing else, on stdout.
    output
        Also write that JSON to a file, a device or a pipe; ``-`` is stdout.
    server
        Run it on this server instead, such as http://localhost:5000 or https://example.org/prefix. Ctrl-C cancels it there.
    """
    # Before the run: an hour's work must not be lost to a misspelt folder.
    check_output(output)
    if server is not None:
        from aurea_server.cli.remote_run import run_on_server  # noqa: PLC0415 - what only a remote run needs is loaded by it

        return run_on_server(server, options.make_data(spec), output, json=json)
    catalog = default_catalog().with_entry_points()
    specification, stop, watcher = options.make_spec(spec, catalog), Stop(), Console(stderr=True)
    # In a pipe or a log a line that redraws itself is noise.
    line = LiveLine(watcher) if watcher.is_terminal else None
    with handle_signals(stop.now, lambda: None if line is None else line.__exit__()):
        # The first signal stops the run, and not the command: what the run has come to is still written.
        result = _run(specification, stop, line)
        encoded = msgspec.json.format(encode_json(result_to_dict(result, catalog)), indent=2) + b"\n"
        write_result(encoded, output, json=json, people=lambda: show(render_report(result)))
        return choose_exit_code(result.status, result.verdict, [judged.outcome for judged in result.objectives])


def _run(spec: RunSpec, stop: Stop, line: LiveLine | None) -> RunResult:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        if line is None:
            return runner.run(run(spec, stop=stop))
        with line:
            return runner.run(run(spec, [line], stop=stop))
