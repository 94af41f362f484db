"""The ``aurea`` command: which commands there are. Each is loaded when it is called, so ``--help`` is quick.

Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

import cyclopts

from aurea_engine import AureaError, SpecError, engine_version
from aurea_engine.closed_sets import ExitCode
from aurea_server.stdio import standard_streams

app = cyclopts.App(
    name="aurea",
    help="Run jobs, such as HTTP requests, for real or in virtual time; report throughput, response times and cost.",
    version=engine_version,
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # it would exit with 130, as if nothing had come by a signal
)
app.register_install_completion_command()
app.command("aurea_server.cli.run:run_command", name="run", help="Run a benchmark here, and print its result.")
app.command(
    "aurea_server.cli.http:http_command",
    name="http",
    help="Send requests to a URL, and report response times, failures and cost.",
)
app.command(
    "aurea_server.cli.chat:chat_command",
    name="chat",
    help="Ask a language model, and report time to first token, time per output token, tokens and cost.",
)
app.command(
    "aurea_server.cli.null_target:null_target_command",
    name="null-target",
    help="Start an HTTP server that answers at once, to measure how fast a client can be.",
)
app.command(
    "aurea_server.cli.import_command:imports",
    name="import",
    help="Make a specification from a curl command, a HAR file or an OpenAPI document.",
)
app.command(
    "aurea_server.cli.selftest:selftest", name="selftest", help="Check known answers here, and measure this machine."
)
app.command(
    "aurea_server.cli.compare:compare_command", name="compare", help="Is run B slower than run A, or was it chance?"
)
app.command("aurea_server.cli.prices:prices", name="prices", help="Price sheets: list, show, check.")
app.command("aurea_server.cli.reprice:reprice_command", name="reprice", help="Price a stored result again.")
app.command(
    "aurea_server.cli.what_if:what_if_command",
    name="what-if",
    help="Replay a stored run under another load, on other slots, at other prices.",
)
app.command(
    "aurea_server.cli.report_page:report_command",
    name="report",
    help="Make a page of a stored result, with charts, to read and to hand on.",
)
app.command(
    "aurea_server.cli.capacity:capacity_command",
    name="capacity",
    help="Search the most that a system carries while its objectives hold, and price it.",
)
app.command(
    "aurea_server.cli.cost_curve:cost_curve_command",
    name="cost-curve",
    help="Show the cost under each model at a range of rates.",
)
app.command("aurea_server.cli.runs:runs", name="runs", help="The history of runs: list, show, export, delete.")
app.command(
    "aurea_server.cli.searches:searches",
    name="searches",
    help="The capacity searches of a server: list, show, cancel, delete.",
)
app.command("aurea_server.cli.serve:serve_command", name="serve", help="Serve benchmarks over HTTP, until a signal.")
app.command(
    "aurea_server.cli.serve:config_command", name="config", help="Print the settings, and where each came from."
)


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point: returns the exit code, 128 + its number where a signal ended the command.

    What cannot be done, read or written is reported in one line.
    """
    arguments = sys.argv[1:] if argv is None else argv
    with standard_streams.replace_streams():
        return _run_command(arguments)


def _run_command(arguments: Sequence[str]) -> int:
    try:
        _check_settings(arguments)
        # cyclopts would exit by itself; what is raised here has to become a line and a code of ours.
        code = app(_name_stdin(arguments), exit_on_error=False, print_error=True)
        sys.stdout.flush()
    except cyclopts.CycloptsError:
        return ExitCode.BAD_INPUT
    except (AureaError, OSError) as error:
        return _report_error(error)
    except KeyboardInterrupt as interrupt:
        # A signal that arrives while an error is on its way out must not hide the error.
        if isinstance(interrupt.__context__, AureaError | OSError):
            _report_error(interrupt.__context__)
        return 128 + getattr(interrupt, "number", signal.SIGINT)
    return code if isinstance(code, int) else 0


def _check_settings(arguments: Sequence[str]) -> None:
    """Refuse a wrong setting in the environment or the configuration file, whatever the command. Raises SettingsError.

    A setting that a flag overrides is not looked at. Help and version work in any case: the reader may be about to fix it.
    """
    if not arguments or not {"--help", "-h", "--version"}.isdisjoint(arguments):
        return
    from aurea_server.settings.settings import OPTIONS, flag_name  # noqa: PLC0415 - so help is quick
    from aurea_server.settings.sources import check_ambient  # noqa: PLC0415 - so help is quick

    flags = {argument.partition("=")[0].replace("_", "-") for argument in arguments}
    check_ambient({name for name in OPTIONS if flag_name(name) in flags}, os.environ)
    if (url := os.environ.get("AUREA_SERVER")) and "--server" not in flags:
        from aurea_server.cli.server_client import parse_server_url  # noqa: PLC0415

        parse_server_url(url, "AUREA_SERVER")


def _report_error(error: Exception) -> int:
    """Report an error on stderr; returns the exit code that belongs to it."""
    if isinstance(error, SpecError):
        _write_error("\n".join(["this cannot be done:", *(f"  {problem}" for problem in error.problems)]))
        return ExitCode.BAD_INPUT
    if not isinstance(error, BrokenPipeError):  # a reader that has left knows why
        _write_error(
            _describe_os_error(error)
            if isinstance(error, OSError) and not isinstance(error, AureaError)
            else str(error)
        )
    # Settings and the history have exit codes of their own, which scripts tell apart.
    code: int = getattr(error, "exit_code", ExitCode.FAILED)
    return code


def _describe_os_error(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"it cannot be written: {what}" if error.filename is None else f"{error.filename}: {what}"


def _write_error(text: str) -> None:
    sys.stderr.write(f"aurea: {text}\n")
    sys.stderr.flush()


def _name_stdin(arguments: Sequence[str]) -> list[str]:
    """A lone ``-`` for a file is stdin. cyclopts takes it for an option, but not ``./-``, which is the same path."""
    # The value of --label is the one place where a lone dash is a text.
    before = ("", *arguments)
    return ["./-" if each == "-" and last != "--label" else each for last, each in zip(before, arguments, strict=False)]
