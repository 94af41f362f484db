"""The ``aurea`` command. Results go to stdout, everything else to stderr.

Exit codes of ``aurea run``: 0 done and objectives met, 1 failed, 2 bad input, 3 an objective missed.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.console import Console

from aurea_engine import (
    AureaError,
    Catalog,
    Observer,
    RunResult,
    RunSpec,
    SpecError,
    Stop,
    default_catalog,
    engine_version,
    parse_json,
    parse_toml,
    result_to_dict,
    run,
    spec_from_dict,
)

FAILED, BAD_INPUT, MISSED = 1, 2, 3

app = cyclopts.App(
    name="aurea",
    help="Run synthetic jobs, for real or in virtual time; report throughput, latency and cost.",
    version=engine_version,
    result_action="return_value",
)
app.register_install_completion_command()


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point: returns the exit code."""
    try:
        code = app(argv if argv is None else list(argv), exit_on_error=False, print_error=True)
    except cyclopts.CycloptsError:
        return BAD_INPUT
    except SpecError as error:
        _complain(error)
        return BAD_INPUT
    except AureaError as error:
        print(f"aurea: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        return FAILED
    return code if isinstance(code, int) else 0


def _complain(error: SpecError) -> None:
    print("aurea: this cannot be run:", file=sys.stderr)
    for problem in error.problems:
        print(f"  {problem}", file=sys.stderr)


def _read_spec(path: Path) -> Any:
    try:
        text = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None
    return parse_toml(text) if path.suffix == ".toml" else parse_json(text)


def _spec(file: Path | None, jobs: int | None, duration_ms: float | None, slots: int | None, catalog: Catalog) -> RunSpec:
    if (file is None) == (jobs is None):
        raise SpecError("give either a specification file or --jobs")
    if file is not None:
        if duration_ms is not None:
            raise SpecError("--duration-ms goes with --jobs, not with a file")
        data = _read_spec(file)
    else:
        data = {"num_jobs": jobs, **({} if duration_ms is None else {"job_duration_ms": duration_ms})}
    if slots is not None and isinstance(data, dict):
        scheduler = data.get("scheduler")
        data = {**data, "scheduler": {**(scheduler if isinstance(scheduler, dict) else {}), "slots": slots}}
    return spec_from_dict(data, catalog)


@app.command(name="run")
def run_command(
    spec: Path | None = None,
    /,
    *,
    jobs: Annotated[int | None, Parameter(help="How many sleeping jobs to run, all at once.")] = None,
    duration_ms: Annotated[float | None, Parameter(help="How long each of them sleeps; 100 if not given.")] = None,
    slots: Annotated[int | None, Parameter(help="How many jobs may be in service at once.")] = None,
    seed: Annotated[int | None, Parameter(help="Seed of all random streams.")] = None,
    label: Annotated[str | None, Parameter(help="A name for the result.")] = None,
    virtual: Annotated[bool, Parameter(help="Simulate in virtual time.", negative=())] = False,
    json: Annotated[bool, Parameter(help="Print the result as JSON, and nothing else, on stdout.", negative=())] = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="Also write the JSON to a file.")] = None,
) -> int:
    """Run a benchmark here, and print what came of it.

    Parameters
    ----------
    spec
        A specification, JSON or TOML; ``-`` reads JSON from stdin.
    """
    catalog = default_catalog().with_entry_points()
    asked = _spec(spec, jobs, duration_ms, slots, catalog)
    changes: dict[str, Any] = {"clock": "virtual"} if virtual else {}
    changes |= {} if seed is None else {"seed": seed}
    changes |= {} if label is None else {"label": label}
    result = _execute(replace(asked, **changes))
    if json or output is not None:
        encoded = msgspec.json.format(msgspec.json.encode(result_to_dict(result, catalog)), indent=2)
        if output is not None:
            output.write_bytes(encoded + b"\n")
    if json:
        sys.stdout.buffer.write(encoded + b"\n")
        sys.stdout.flush()
    else:
        from aurea_server.terminal import report

        Console().print(report(result))
    if result.status not in ("completed", "aborted"):
        return FAILED
    return MISSED if any(judged.outcome != "met" for judged in result.objectives) else 0


def _execute(spec: RunSpec) -> RunResult:
    from aurea_server.terminal import LiveLine

    console = Console(stderr=True)
    if not console.is_terminal:
        return _with_loop(spec, [])
    with LiveLine(console) as line:
        return _with_loop(spec, [line])


def _with_loop(spec: RunSpec, observers: list[Observer]) -> RunResult:
    """Run on the fastest loop there is; the first Ctrl-C ends the run with what it has, the second ends the program."""
    from aurea_server.serving import loop_factory

    async def interruptible() -> RunResult:
        stop, loop = Stop(), asyncio.get_running_loop()

        def interrupted() -> None:
            stop.now("cancelled")
            loop.remove_signal_handler(signal.SIGINT)

        loop.add_signal_handler(signal.SIGINT, interrupted)
        return await run(spec, observers, stop=stop)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(interruptible())


app.command("aurea_server.cli_selftest:selftest", name="selftest", help="Check known answers here, and measure this machine.")


@app.command(name="serve")
def serve_command(
    *,
    host: Annotated[str, Parameter(env_var="AUREA_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(env_var="AUREA_PORT", help="Port to listen on; 0 takes a free one.")] = 5000,
) -> int:
    """Serve POST /benchmark/run, GET /metrics and GET /health."""
    from aurea_server.serving import Settings, run_server

    return run_server(Settings(host, port), default_catalog().with_entry_points())
