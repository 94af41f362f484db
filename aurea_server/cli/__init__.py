"""The ``aurea`` command: which commands there are. Each is loaded when it is called, so ``--help`` is quick.

Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import cyclopts

from aurea_engine import AureaError, SpecError, engine_version
from aurea_server import standard
from aurea_server.cli.interrupts import INTERRUPTED

FAILED, BAD_INPUT = 1, 2

app = cyclopts.App(
    name="aurea",
    help="Run synthetic jobs, for real or in virtual time; report throughput, latency and cost.",
    version=engine_version,
    result_action="return_value",
)
app.register_install_completion_command()
app.command("aurea_server.cli.run:run_command", name="run", help="Run a benchmark here, and print what came of it.")
app.command(
    "aurea_server.cli.selftest:selftest", name="selftest", help="Check known answers here, and measure this machine."
)
app.command("aurea_server.cli.costs:prices", name="prices", help="Price sheets: list, show, check.")
app.command("aurea_server.cli.costs:reprice_command", name="reprice", help="Price a stored result again.")
app.command(
    "aurea_server.cli.curves:cost_curve_command",
    name="cost-curve",
    help="What cost models come to at a range of rates.",
)
app.command("aurea_server.cli.runs:runs", name="runs", help="The history of runs: list, show, export, delete.")
app.command("aurea_server.cli.serve:serve_command", name="serve", help="Serve benchmarks over HTTP, until a signal.")
app.command(
    "aurea_server.cli.serve:config_command", name="config", help="Print the settings, and where each came from."
)


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point: returns the exit code. What cannot be done, read or written is told in a line."""
    try:
        code = app(_stdin_named(sys.argv[1:] if argv is None else argv), exit_on_error=False, print_error=True)
        sys.stdout.flush()
    except cyclopts.CycloptsError:
        return BAD_INPUT
    except SpecError as error:
        _complain("\n".join(["this cannot be done:", *(f"  {problem}" for problem in error.problems)]))
        return BAD_INPUT
    except AureaError as error:
        _complain(str(error))
        return FAILED
    except BrokenPipeError:
        standard.forget(standard.OUT)
        return FAILED
    except OSError as error:
        standard.forget(standard.OUT)
        _complain(_told(error))
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _told(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"it cannot be written: {what}" if error.filename is None else f"{error.filename}: {what}"


def _complain(text: str) -> None:
    try:
        sys.stderr.write(f"aurea: {text}\n")
        sys.stderr.flush()
    except OSError:
        standard.forget(standard.ERR)


def _stdin_named(arguments: Sequence[str]) -> list[str]:
    """A lone ``-`` for a file is stdin. cyclopts takes it for an option, but not ``./-``, which is the same path."""
    before = ("", *arguments)
    return ["./-" if each == "-" and last != "--label" else each for last, each in zip(before, arguments, strict=False)]
