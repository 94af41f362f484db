"""A run in this process, for people: watched on stderr, stopped by a signal, with its result on stdout and in a file."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from aurea_engine import (
    Access,
    Catalog,
    Observer,
    RunFile,
    RunResult,
    RunSpec,
    Stop,
    encode_json,
    loop_factory,
    result_to_dict,
    run,
)
from aurea_engine.closed_sets import ExitCode
from aurea_engine.shards.dask_address import ClusterAddress
from aurea_engine.shards.dask_runner import repeat_on_dask
from aurea_engine.shards.dask_shard import ON_EACH_WORKER, run_on_dask
from aurea_engine.shards.process_runner import run_as
from aurea_engine.shards.split import Sharding
from aurea_engine.workload.access import LOCAL_USER
from aurea_server.cli.exit_codes import choose_exit_code
from aurea_server.cli.otlp_options import OtlpOptions
from aurea_server.cli.progress_line import LiveLine
from aurea_server.cli.report import render_report
from aurea_server.cli.report_page import write_report
from aurea_server.cli.result_output import asks_for_run_file, write_result
from aurea_server.cli.signals import handle_signals
from aurea_server.cli.tables import show
from aurea_server.cli.target_line import print_targets
from aurea_server.cli.terminal_room import fits_charts, goes_to_terminal

if TYPE_CHECKING:
    from aurea_server.cli.floor import MeasureFloor
    from aurea_server.cli.otlp_push import RunPush
    from aurea_server.cli.otlp_settings import OtlpSettings


Running = Coroutine[Any, Any, RunResult]
Begin = Callable[[RunSpec, list[Observer], Stop, Access], Running]


@dataclass(frozen=True)
class Place:
    """Where a run is executed. ``sharding``: None is in this process alone; ``cluster``: None is on this machine."""

    sharding: Sharding | None = None
    cluster: ClusterAddress | None = None

    def choose_begin(self, catalog: Catalog) -> Begin:
        """What begins a run there."""
        if self.cluster is not None:
            return partial(_begin_on_dask, self.cluster, self.sharding or ON_EACH_WORKER, catalog)
        return _begin_here if self.sharding is None else partial(_begin_sharded, self.sharding, catalog)


HERE = Place()


@Parameter(name="*")
@dataclass(frozen=True)
class ResultOptions:
    """Where a result goes."""

    json: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    "Print the result as JSON, and nothing else, on stdout."

    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
    "Also write that JSON to a file, a device or a pipe, - for stdout; or to run.aurea the whole run, all of its jobs too."

    report: Annotated[Path | None, Parameter(show_default=False)] = None
    "Also write a report to this file: one HTML page with charts."

    no_color: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    "Print without colours, and without charts of the run, as with NO_COLOR in the environment."


@Parameter(name="*")
@dataclass(frozen=True)
class OutputOptions(ResultOptions):
    """Where the result of a run goes, and its metrics meanwhile."""

    otlp: OtlpOptions = OtlpOptions()


def run_here(
    spec: RunSpec,
    catalog: Catalog,
    output: OutputOptions,
    *,
    access: Access = LOCAL_USER,
    floor: MeasureFloor | None = None,
    place: Place = HERE,
) -> ExitCode:
    """Run ``spec``, write its result, and return the exit code. ``floor``: what measures the client's floor afterwards;
    ``place``: where it runs, and how often.

    The first signal stops the run, and not the command: what the run has come to is still written, then aurea ends by that
    signal.
    """
    pushed = output.otlp.choose()
    print_targets(spec, catalog)
    stop, watcher = Stop(), Console(stderr=True, no_color=output.no_color or None)
    # In a pipe or a log a line that redraws itself is noise.
    line = LiveLine(watcher) if goes_to_terminal(watcher) else None
    with (
        handle_signals(stop.now, lambda: None if line is None else line.__exit__()),
        _open_push(pushed, spec, catalog, partial(_say, watcher, line), stop) as push,
    ):
        begin = place.choose_begin(catalog)
        result = _run(begin, spec, access, stop, [each for each in (line, push) if each is not None])
        if push is not None:
            result = push.finish(result)
        if floor is not None and stop.status is None:
            result = floor(result, stop)
        encoded = msgspec.json.format(encode_json(result_to_dict(result, catalog)), indent=2) + b"\n"
        whole = RunFile.of(result, catalog).to_bytes() if asks_for_run_file(output.output) else None
        write_result(encoded, output.output, json=output.json, people=_shower(result, output, line), whole=whole)
        write_report(result, catalog, output.report)
        return choose_exit_code(result.status, result.verdict, [judged.outcome for judged in result.objectives])


def _shower(result: RunResult, output: OutputOptions, line: LiveLine | None) -> Callable[[], None]:
    color = not output.no_color

    def show_report() -> None:
        if line is not None:
            line.settle()
        show(render_report(result, charted=fits_charts(color=color)), color=color)

    return show_report


def _run(begin: Begin, spec: RunSpec, access: Access, stop: Stop, observers: list[Observer]) -> RunResult:
    with asyncio.Runner(loop_factory=loop_factory()) as runner, ExitStack() as shown:
        for line in observers:
            if isinstance(line, LiveLine):
                shown.enter_context(line)
        # What is loaded stays. Collections during the run need not look at it: with a thousand streams open, one that does
        # holds up every job for tens of milliseconds.
        gc.collect()
        gc.freeze()
        return runner.run(begin(spec, observers, stop, access))


def _open_push(
    settings: OtlpSettings | None, spec: RunSpec, catalog: Catalog, say: Callable[[str], None], stop: Stop
) -> AbstractContextManager[RunPush | None]:
    if settings is None:
        return nullcontext()
    from aurea_server.cli.otlp_push import open_push  # noqa: PLC0415 - what only a push needs is loaded by it

    return open_push(settings, spec, catalog, say, stop)


def _say(watcher: Console, line: LiveLine | None, text: str) -> None:
    # By the console of the progress line, which makes room above the line.
    console = watcher if line is None else line.console
    console.print(Text(f"aurea: {text}"), soft_wrap=True)


def _begin_here(spec: RunSpec, observers: list[Observer], stop: Stop, access: Access) -> Running:
    return run(spec, observers, stop=stop, access=access)


def _begin_sharded(
    sharding: Sharding, catalog: Catalog, spec: RunSpec, observers: list[Observer], stop: Stop, access: Access
) -> Running:
    return run_as(sharding, spec, observers, stop=stop, catalog=catalog, access=access)


def _begin_on_dask(
    cluster: ClusterAddress,
    sharding: Sharding,
    catalog: Catalog,
    spec: RunSpec,
    observers: list[Observer],
    stop: Stop,
    access: Access,
) -> Running:
    begin = run_on_dask if sharding.repetition is None else repeat_on_dask
    return begin(spec, cluster, sharding, observers, stop=stop, catalog=catalog, access=access)
