"""``aurea serve`` and ``aurea config``: their flags are the table of settings."""

from __future__ import annotations

import dataclasses
import inspect
import json as json_text
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import Parameter

from aurea_engine.closed_sets import ExitCode, ServeExitCode
from aurea_server.history import LedgerUnusable
from aurea_server.settings.parsers import parse_bool
from aurea_server.settings.settings import OPTIONS, Settings, SettingsError, variable_name
from aurea_server.settings.sources import resolve
from aurea_server.stdio import standard_streams


def _flag(name: str, option: dataclasses.Field[Any]) -> inspect.Parameter:
    """A setting as an option of the command line, which is None if it is not given."""
    # Texts, but for switches: the setting's own reader judges them, and so a flag, a variable and a file are judged alike.
    kind: Any = (
        bool if option.metadata["read"] is parse_bool else list[str] if isinstance(option.default, tuple) else str
    )
    default = "none" if option.default in ("", ()) else "no" if option.default is False else option.default
    about = f"{option.metadata['about']} [default: {default}] [env: {variable_name(name)}]"
    annotation = Annotated[kind | None, Parameter(help=about, negative=(), show_default=False)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


FLAGS = [_flag(name, option) for name, option in OPTIONS.items() if option.metadata["flag"]]
"""Every setting but the token, which must not be seen in a list of processes."""


def _with_flags(*more: inspect.Parameter) -> Callable[[Callable[..., int]], Callable[..., int]]:
    def give(command: Callable[..., int]) -> Callable[..., int]:
        # cyclopts makes options of a function's parameters; with the table as its signature there is one list of settings.
        command.__signature__ = inspect.Signature([*FLAGS, *more])  # type: ignore[attr-defined]
        return command

    return give


# With a bound on the time: a service's stderr may be a pipe that nobody reads.
def _write_error(text: str) -> None:
    standard_streams.write_briefly(standard_streams.ERR, f"aurea: {text}\n")


@_with_flags()
def serve_command(**given: Any) -> int:
    """Serve POST /benchmark/run, GET /metrics, GET /health and the runs, until SIGTERM, SIGINT or SIGHUP.

    Values come from the command line, else from AUREA_ variables, else from the configuration file ($AUREA_CONFIG, or
    ~/.config/aurea/config.toml), else they are the defaults. The token is read from --token-file or AUREA_TOKEN.

    Runs of clients may send requests nowhere unless --allow-target says where, and use no file or secret of this machine
    but those of --data-dir and --secret.

    Exit codes: 0 clean; 2 usage or unsafe settings; 3 cannot listen; 4 history unusable or in use; 5 history of a newer
    Aurea; 70 internal; 129, 130 or 143 forced by a second signal.
    """
    from aurea_server.http.host_header import allowed_hosts  # noqa: PLC0415 - what only serving needs is loaded by it

    try:
        settings = resolve(given).settings
        warnings = settings.check()
        allowed_hosts(settings.host, settings.allowed_host)
    except ValueError as error:
        _write_error(str(error))
        return ServeExitCode.UNSAFE
    from aurea_server.http.serving import run_server  # noqa: PLC0415
    from aurea_server.logs import configure_logging  # noqa: PLC0415
    from aurea_server.runner.kinds import Kinds  # noqa: PLC0415

    configure_logging(settings.log_format, settings.log_level)
    for warning in warnings:
        _write_error(f"warning: {warning}")
    return run_server(settings, Kinds.installed())


_JSON = Annotated[bool, Parameter(help="Print JSON.", negative=())]


@_with_flags(inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_JSON))
def config_command(*, json: bool = False, **given: Any) -> int:
    """Print the settings in force, and where each came from."""
    try:
        resolved = resolve(given)
    except SettingsError as error:
        _write_error(str(error))
        return ExitCode.BAD_INPUT
    rows: dict[str, dict[str, Any]] = {}
    for name in OPTIONS:
        value = getattr(resolved.settings, name)
        # A secret is not shown, also not to the one who set it: output is pasted into tickets.
        if name == "token":
            value = "(set)" if value else ""
        if name == "data" and not value:
            value = _folder(resolved.settings)
        rows[name] = {"value": value, "origin": resolved.origins[name], "variable": variable_name(name)}
    if json:
        standard_streams.write_out(json_text.dumps(rows, indent=2).encode() + b"\n")
    else:
        _print_table(rows)
    return 0


def _folder(settings: Settings) -> str:
    try:
        return str(settings.folder)
    except LedgerUnusable:
        return ""


def _print_table(rows: dict[str, dict[str, Any]]) -> None:
    from aurea_server.cli.tables import Column, Table, show  # noqa: PLC0415 - only if it is shown

    table = Table(*map(Column, ("setting", "value", "from", "environment variable")))
    for name, row in rows.items():
        value = ", ".join(row["value"]) if isinstance(row["value"], tuple) else str(row["value"])
        table.add_row(name, value, row["origin"], row["variable"])
    show(table)
