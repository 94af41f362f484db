"""``aurea run``: a benchmark in this process, watched on stderr, its result on stdout."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter, Token
from rich.console import Console

from aurea_engine import (
    Catalog,
    RunResult,
    RunSpec,
    SpecError,
    Stop,
    default_catalog,
    encode_json,
    inline_files,
    loop_factory,
    result_to_dict,
    run,
    spec_from_dict,
)
from aurea_server.cli.exit_codes import choose_exit_code
from aurea_server.cli.input_files import read_file
from aurea_server.cli.progress_line import LiveLine
from aurea_server.cli.report import render_report
from aurea_server.cli.result_output import write_result
from aurea_server.cli.signals import handle_signals
from aurea_server.cli.tables import show
from aurea_server.stdio.output_files import check_output

_PLAIN = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", re.ASCII)


def _parse_whole(_: object, tokens: Sequence[Token]) -> int:
    text = tokens[0].value
    if re.fullmatch(r"[+-]?[0-9]{1,40}", text, re.ASCII) is None:
        raise ValueError(f"{text!r} is no whole number: write it out, such as 10000 for 10k")
    return int(text)


@Parameter(name="*")
@dataclass(frozen=True)
class Asked:
    """What to run, where no file says it, and what to change of a file that does."""

    jobs: Annotated[int | None, Parameter(converter=_parse_whole)] = None
    "How many jobs to run, in place of a file: all at once, or at --rate."

    duration_ms: float | None = None
    "How long each of them sleeps; 100 if not given."

    rate: str | None = None
    "How many of them arrive, evenly, such as 500/s; of a file, the rate of its arrivals."

    duration: str | None = None
    "For how long jobs arrive, such as 2m; without a unit, seconds."

    warmup: str | None = None
    "What no statistic counts at the beginning, such as 10s, or auto."

    slots: int | None = None
    "How many jobs may be in service at once."

    seed: int | None = None
    "Seed of all random streams."

    label: str | None = None
    "A name for the result."

    virtual: Annotated[bool, Parameter(negative=())] = False
    "Simulate in virtual time."

    def spec(self, file: Path | None, catalog: Catalog) -> RunSpec:
        """The specification that all of it makes. Raises SpecError."""
        built = spec_from_dict(self._changed(self._data(file)), catalog)
        changes: dict[str, Any] = {"clock": "virtual"} if self.virtual else {}
        changes |= {name: value for name in ("seed", "label") if (value := getattr(self, name)) is not None}
        return replace(built, **changes)

    def data(self, file: Path | None) -> Any:
        """The same as plain data, for a server to judge: it may know other kinds. Raises SpecError."""
        data = inline_files(self._changed(self._data(file)))
        if not isinstance(data, dict):
            return data
        changes: dict[str, Any] = {"clock": "virtual"} if self.virtual else {}
        return (
            data | changes | {name: value for name in ("seed", "label") if (value := getattr(self, name)) is not None}
        )

    def _data(self, file: Path | None) -> Any:
        by_rate = self.rate is not None and self.duration is not None
        enough = self.jobs is not None or by_rate if file is None else self.jobs is None
        if not enough:
            raise SpecError("give either a specification file, or --jobs, or --rate and --duration")
        if file is None:
            return self._without_a_file()
        if self.duration_ms is not None:
            raise SpecError("--duration-ms goes with --jobs, not with a file")
        return extract_specification(read_file(file))

    def _without_a_file(self) -> dict[str, Any]:
        if self.rate is None:
            if self.duration is not None:
                raise SpecError("--duration needs a --rate: without it all jobs arrive at once")
            return {"num_jobs": self.jobs} | ({} if self.duration_ms is None else {"job_duration_ms": self.duration_ms})
        ms = Decimal(100) if self.duration_ms is None else Decimal(repr(self.duration_ms))
        job = {"kind": "sleep", "duration": ms / 1000}
        return {"workload": {"job": job, "arrivals": {"kind": "constant", "rate": None}, "jobs": self.jobs}}

    def _changed(self, data: Any) -> Any:
        """``data`` with what the other options say of it. Raises SpecError."""
        if not isinstance(data, dict):
            return data
        if self.slots is not None:
            data = {**data, "scheduler": {**_find_object(data, "scheduler"), "slots": self.slots}}
        if self.warmup is not None:
            data = {**data, "warmup": _parse_quantity(self.warmup)}
        if self.rate is not None or self.duration is not None:
            data = {**data, "workload": self._timed(data.get("workload"))}
        return data

    def _timed(self, workload: Any) -> Any:
        if not isinstance(workload, dict):
            raise SpecError("--rate and --duration go with a workload, not with num_jobs, which all arrive at once")
        if self.duration is not None:
            workload = {**workload, "duration": _parse_quantity(self.duration)}
        if self.rate is not None:
            arrivals = _find_object(workload, "arrivals")
            if "rate" not in arrivals:
                raise SpecError("--rate goes with arrivals that have a rate: constant, poisson, gamma")
            workload = {**workload, "arrivals": {**arrivals, "rate": _parse_quantity(self.rate)}}
        return workload


def _find_object(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _parse_quantity(text: str) -> object:
    """A number where it is one, else the text, which is read as in a file."""
    return Decimal(text) if _PLAIN.fullmatch(text) else text


def extract_specification(data: Any) -> Any:
    """``data`` itself, or what was run where it is a result: with its seed, so that the run can be repeated."""
    if isinstance(data, dict) and "benchmark_id" in data and isinstance(data.get("spec"), dict):
        return data["spec"]
    return data


def run_command(
    spec: Path | None = None,
    /,
    *,
    asked: Asked = Asked(),
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
    check_output(output)
    if server is not None:
        from aurea_server.cli.remote_run import run_on_server  # noqa: PLC0415 - what only a remote run needs is loaded by it

        return run_on_server(server, asked.data(spec), output, json=json)
    catalog = default_catalog().with_entry_points()
    asked_for, stop, watcher = asked.spec(spec, catalog), Stop(), Console(stderr=True)
    line = LiveLine(watcher) if watcher.is_terminal else None
    with handle_signals(stop.now, lambda: None if line is None else line.__exit__()):
        result = _run(asked_for, stop, line)
        encoded = msgspec.json.format(encode_json(result_to_dict(result, catalog)), indent=2) + b"\n"
        write_result(encoded, output, json=json, people=lambda: show(render_report(result)))
        return choose_exit_code(result.status, result.verdict, [judged.outcome for judged in result.objectives])


def _run(spec: RunSpec, stop: Stop, line: LiveLine | None) -> RunResult:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        if line is None:
            return runner.run(run(spec, stop=stop))
        with line:
            return runner.run(run(spec, [line], stop=stop))
