"""``aurea run``: a benchmark in this process, watched on stderr, with its result on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from aurea_engine import Access, Problem, SpecError, default_catalog
from aurea_server.cli.local_run import OutputOptions, Place, run_here
from aurea_server.cli.result_output import asks_for_run_file
from aurea_server.cli.run_options import RunOptions
from aurea_server.cli.shard_options import ShardOptions
from aurea_server.stdio.output_files import check_output


def run_command(
    spec: Path | None = None,
    /,
    *,
    options: RunOptions = RunOptions(),
    shards: ShardOptions = ShardOptions(),
    output: OutputOptions = OutputOptions(),
    floor: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    server: str | None = None,
) -> int:
    """Run a benchmark here, and print its result.

    Exit codes: 0 done, and objectives met; 1 failed; 2 bad input; 3 an objective missed; 6 not decided: an objective
    inconclusive, or the run invalid. Ctrl-C, SIGTERM and SIGHUP end the run with what it has: that is written, then aurea
    ends by that signal. A second one ends it at once.

    Parameters
    ----------
    spec
        A specification, JSON or TOML; or a result (JSON, .aurea, the id of a stored run), whose run is then repeated; ``-``
        is stdin.
    floor
        Afterwards also measure what this client can do at all, against a server that answers at once; for jobs of kind http.
    server
        Run it on this server instead, such as http://localhost:5000 or https://example.org/prefix. Ctrl-C cancels it there.
    """
    # Before the run: an hour's work must not be lost to a misspelt folder.
    check_output(output.output)
    check_output(output.report, "--report")
    if server is not None:
        _refuse_what_is_for_here(shards, output, floor=floor)
        from aurea_server.cli.remote_run import run_on_server  # noqa: PLC0415 - what only a remote run needs is loaded by it

        data = options.make_data(spec, server, shards)
        return run_on_server(server, data, output)
    catalog = default_catalog().with_entry_points()
    specification, given, written = options.make_spec(spec, catalog)
    place = Place(shards.choose_for(specification, written), shards.dask.choose(specification))
    measure = None
    if floor:
        from aurea_server.cli.floor import make_measurer  # noqa: PLC0415 - what only a floor needs is loaded by it

        measure = make_measurer(specification, catalog)
    access = Access(given=given)
    return run_here(specification, catalog, output, access=access, floor=measure, place=place)


def _refuse_what_is_for_here(shards: ShardOptions, output: OutputOptions, *, floor: bool) -> None:
    """Raises SpecError where an option says something that a server does not do for its clients."""
    here = {
        "--floor": floor,
        "--report": output.report,
        "--otlp": output.otlp.otlp,
        "--processes": shards.processes,
        "--on-loss": shards.on_loss,
        "--dask": shards.dask.dask,
    }
    text = "goes with a run on this machine: leave out --server"
    if problems := [Problem(name, text) for name, given in here.items() if given not in (None, False)]:
        raise SpecError(problems)
    if asks_for_run_file(output.output):
        remedy = "a server keeps the whole run, and gives commands its id: write a .json file here"
        raise SpecError([Problem("--output", remedy, ascii(str(output.output)))])
