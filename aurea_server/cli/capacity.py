"""``aurea capacity``: the most that a system carries while its objectives hold, and what that costs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from aurea_engine import Access, Catalog, SpecError, Stop, capacity, default_catalog, loop_factory
from aurea_engine.codec.capacity import capacity_to_dict
from aurea_engine.codec.results import encode_json
from aurea_engine.results.capacity import CapacityAnswer
from aurea_engine.shards.process_runner import open_runner
from aurea_engine.shards.split import Sharding, refuse_repetition
from aurea_engine.studies.capacity_chart import capacity_svg
from aurea_engine.studies.search_plan import SearchLimits
from aurea_server.cli.capacity_options import Search, SearchOptions
from aurea_server.cli.capacity_report import render_capacity
from aurea_server.cli.credentials import take_credentials
from aurea_server.cli.exit_codes import choose_search_exit_code
from aurea_server.cli.local_run import ResultOptions
from aurea_server.cli.result_output import write_result
from aurea_server.cli.run_options import extract_specification
from aurea_server.cli.signals import handle_signals
from aurea_server.cli.stored_results import read_document
from aurea_server.cli.tables import show
from aurea_server.cli.target_line import print_targets
from aurea_server.cli.trial_lines import TrialLines
from aurea_server.stdio.output_files import check_output, write_output


def capacity_command(
    spec: Path,
    /,
    *,
    options: SearchOptions = SearchOptions(),
    output: ResultOptions = ResultOptions(),
    svg: Annotated[Path | None, Parameter(show_default=False)] = None,
    server: str | None = None,
) -> int:
    """Search the largest rate, or the fewest slots, at which the objectives hold, and price it.

    Jobs that can be simulated are searched in virtual time. Exit codes: 0 found, or verified; 1 failed; 2 bad input;
    3 the objectives hold nowhere, or not at the required rate; 6 not decided, or the generator was the limit. Ctrl-C ends
    the search with what is known.

    Parameters
    ----------
    spec
        A specification with objectives, JSON or TOML; or a result (JSON, .aurea, the id of a stored run), which
        has one; ``-`` is stdin.
    svg
        Write the frontier of time against money, and the cost at other rates, to an SVG file.
    server
        Search on this server instead, such as http://localhost:5000. Ctrl-C cancels the search there.
    """
    check_output(output.output)
    check_output(svg, "--svg")
    check_output(output.report, "--report")
    catalog = default_catalog().with_entry_points()
    search = options.read_search()
    if server is not None:
        from aurea_server.cli.remote_search import search_on_server  # noqa: PLC0415 - only a remote search needs it

        document = options.make_document(extract_specification(read_document(spec, server)), search, catalog)
        console = Console(stderr=True, no_color=output.no_color or None)
        return search_on_server(server, document, console, partial(_finish, output=output, svg=svg))
    data, written = Sharding.take_from(extract_specification(read_document(spec)))
    refuse_repetition(written)
    cleaned, taken = take_credentials(options.apply(data))
    specification = options.make_spec(cleaned, catalog)
    costs = options.read_models(catalog)
    processes = options.count_processes(specification, written)
    access = Access(given={each.variable: each.value for each in taken})
    print_targets(specification, catalog)
    stop, console = Stop(), Console(stderr=True, no_color=output.no_color or None)
    begin = partial(
        capacity,
        specification,
        search.variable,
        search.low,
        search.high,
        require=search.require,
        costs=costs,
        confirm=options.confirm == "real",
        on_progress=TrialLines(console).show,
        stop=stop,
        limits=SearchLimits(options.trials, jobs_of_trial=options.trial_jobs),
    )
    with handle_signals(stop.now), asyncio.Runner(loop_factory=loop_factory()) as runner, _named_by_flags(search):
        return _finish(runner.run(_run(begin, processes, catalog, access)), output=output, svg=svg)


async def _run(
    begin: Callable[..., Awaitable[CapacityAnswer]], processes: int, catalog: Catalog, access: Access
) -> CapacityAnswer:
    """The search, with its trials in so many processes."""
    async with open_runner(processes, catalog=catalog, access=access) as runner:
        return await begin(runner=runner)


@contextmanager
def _named_by_flags(search: Search) -> Iterator[None]:
    """Errors name the flags of the command line, and not the parameters of the engine's function."""
    names = {"low": f"--{search.variable}", "high": f"--{search.variable}", "require": "--require"}
    try:
        yield
    except SpecError as error:
        raise SpecError([each._replace(path=names.get(each.path, each.path)) for each in error.problems]) from None


def _finish(answer: CapacityAnswer, *, output: ResultOptions, svg: Path | None) -> int:
    """Write the answer. Returns the exit code that belongs to it."""
    _write(answer, output, svg)
    verified = answer.verification is not None and answer.verification.passed
    return choose_search_exit_code(answer.status, is_verified=verified)


def _write(answer: CapacityAnswer, output: ResultOptions, svg: Path | None) -> None:
    encoded = msgspec.json.format(encode_json(capacity_to_dict(answer)), indent=2) + b"\n"
    write_result(
        encoded,
        output.output,
        json=output.json,
        people=lambda: show(render_capacity(answer), color=not output.no_color),
    )
    if output.report is not None:
        from aurea_engine.report.capacity_page import render_capacity as draw  # noqa: PLC0415 - only for a page

        write_output(output.report, [draw(answer).encode()], "--report")
    if svg is not None:
        write_output(svg, [capacity_svg(answer).encode()], "--svg")
