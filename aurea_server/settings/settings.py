"""The settings, and where each value came from: command line, then environment, then configuration file, then default.

`Settings` is the one table of them: the flags of ``aurea serve``, the ``AUREA_`` variables, the members of the
configuration file and the rows of ``aurea config`` are all made from its fields. A value is a text that a parser of this
file reads; what a source of higher rank sets is used, and the same setting of a lower rank is not even looked at.
"""

from __future__ import annotations

import importlib.util
import os
import re
import tomllib
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from aurea_engine import AureaError, SpecError
from aurea_engine.fields.text_files import read_text
from aurea_engine.workload.access import Access
from aurea_server.history import Retention, default_data_folder
from aurea_server.settings.addresses import is_loopback, parse_address, parse_base_path
from aurea_server.settings.limits import Limits
from aurea_server.settings.parsers import (
    MIB,
    choice_parser,
    number_parser,
    parse_bool,
    parse_names,
    parse_size,
    size_parser,
)
from aurea_server.settings.targets import Ceilings, make_access, parse_secrets, parse_targets, warn_of_secrets

Origin = Literal["command line", "environment", "configuration file", "default"]
# Each default stands once, in the value that it becomes a part of.
_LIMITS, _RETENTION, _CEILINGS = Limits(), Retention(), Ceilings()


LEVELS = ("debug", "info", "warning", "error")
"""Levels of the log, the most detailed first."""


class SettingsError(AureaError, ValueError):
    """A setting is wrong, or the settings together are unsafe. The text is one line."""

    exit_code = 2


def _option(default: Any, read: Callable[[str], Any], what: str, about: str, *, flag: bool = True) -> Any:
    return field(default=default, metadata={"read": read, "what": what, "about": about, "flag": flag})


@dataclass(frozen=True)
class Settings:
    """Where and how to serve. `aurea config` prints this table."""

    host: str = _option(
        "127.0.0.1", parse_address, "an address", "Address to listen on; other than loopback needs a token."
    )
    port: int = _option(5000, number_parser(0, 65535), "0 to 65535", "Port to listen on; 0 takes a free one.")
    base_path: str = _option("", parse_base_path, "a path such as /bench", "Path under which a proxy shows the server.")
    token_file: str = _option("", str, "a path", "File with the token that callers must show.")
    token: str = _option("", str, "a text", "The token itself; never on the command line.", flag=False)
    allowed_host: tuple[str, ...] = _option(
        (), parse_names, "names", "Another name by which clients may call the server."
    )
    insecure_no_auth: bool = _option(False, parse_bool, "yes or no", "Listen beyond loopback without a token.")
    data: str = _option("", str, "a path", "Folder of the history; $XDG_DATA_HOME/aurea by default.")
    log_format: str = _option("text", choice_parser("text", "json"), "text or json", "Log lines as text or json.")
    log_level: str = _option("info", choice_parser(*LEVELS), "a level", f"Least level to log: {', '.join(LEVELS)}.")
    loop: str = _option(
        "auto",
        choice_parser("auto", "asyncio", "uvloop"),
        "auto, asyncio or uvloop",
        "Event loop: auto, asyncio or uvloop.",
    )
    max_connections: int = _option(512, number_parser(8, 100_000), "8 to 100000", "Connections of clients at once.")
    max_body: int = _option(MIB, size_parser(1024, 16 * MIB), "a size from 1KiB to 16MiB", "Size of a request's body.")
    max_jobs: int = _option(_LIMITS.jobs, number_parser(1, 10**9), "1 to 10^9", "Jobs that a run may have.")
    max_seconds: float = _option(
        _LIMITS.seconds, number_parser(0.1, 86400 * 7, float), "seconds", "Seconds that a run may last."
    )
    max_queued: int = _option(_LIMITS.queued, number_parser(0, 10_000), "0 to 10000", "Runs that may wait.")
    max_processes: int = _option(_LIMITS.processes, number_parser(1, 256), "1 to 256", "Processes of one run.")
    max_followers: int = _option(_LIMITS.followers, number_parser(0, 10_000), "0 to 10000", "Followers of live events.")
    memory: int = _option(
        _LIMITS.memory, parse_size, "a size such as 2GiB", "Address space of a runner process; 0 is no limit."
    )
    keep_runs: int = _option(_RETENTION.runs, number_parser(1, 10**9), "1 to 10^9", "Runs that are kept.")
    keep_size: int = _option(_RETENTION.bytes, parse_size, "a size such as 1GiB", "Size of the history.")
    keep_days: float = _option(_RETENTION.days, number_parser(0.01, 36500, float), "days", "Days that runs are kept.")
    min_free: int = _option(
        _RETENTION.floor, parse_size, "a size such as 64MiB", "Free disk space below which runs are refused."
    )
    allow_target: tuple[str, ...] = _option(
        (),
        parse_targets,
        "host:port, network, network:port or name:port=unix:/path, and no link-local address",
        "What runs of clients may send to: host:port, network, network:port or name:port=unix:/path. Nothing by default.",
    )
    secret: tuple[str, ...] = _option(
        (),
        parse_secrets,
        "NAME=env:VARIABLE@host:port or NAME=file:PATH@host:port",
        "A secret that runs of clients may send to one target: NAME=env:VARIABLE@host:port or NAME=file:PATH@host:port.",
    )
    data_dir: str = _option("", str, "a path", "Folder of files that specifications of clients may name.")
    max_target_connections: int = _option(
        _CEILINGS.connections, number_parser(1, 100_000), "1 to 100000", "Connections of a run to targets at once."
    )
    max_target_rate: float = _option(
        _CEILINGS.rate, number_parser(0.001, 1e9, float), "0.001 to 10^9", "Requests per second that a run may send."
    )
    drain: float = _option(10.0, number_parser(0, 600, float), "seconds", "Seconds that runs may go on after SIGTERM.")

    @property
    def folder(self) -> Path:
        """Where the history lies. Raises `LedgerUnusable` if nothing says it, and the user has no home."""
        return Path(self.data) if self.data else default_data_folder()

    @property
    def limits(self) -> Limits:
        of_runs = (self.max_jobs, self.max_seconds, self.max_queued, self.memory, self.max_followers)
        return Limits(*of_runs, self.max_processes)

    @property
    def retention(self) -> Retention:
        return Retention(self.keep_runs, self.keep_size, self.keep_days, self.min_free)

    @property
    def access(self) -> Access:
        """What runs of clients may reach; names are not resolved yet. Raises `SettingsError`."""
        ceilings = Ceilings(self.max_target_connections, self.max_target_rate)
        try:
            return make_access(self.allow_target, self.secret, self.data_dir, ceilings)
        except ValueError as error:
            raise SettingsError(str(error)) from None

    @property
    def caller_token(self) -> bytes | None:
        """The token, from its file or the environment. Raises `SettingsError`."""
        text = self.token
        if self.token_file:
            try:
                text = read_text(self.token_file)
            except (OSError, SpecError) as error:
                raise SettingsError(f"token_file: {self.token_file} cannot be read: {error}") from None
            # One line break, as editors end the last line. Any other blank is a mistake that would make every request
            # fail.
            text = text.removesuffix("\n").removesuffix("\r")
        where = f"token_file: {self.token_file}" if self.token_file else "token: AUREA_TOKEN"
        if self.token_file and not text:
            raise SettingsError(f"{where} is empty")
        if text != text.strip():
            raise SettingsError(
                f"{where} has blanks or line breaks around the token, or holds nothing else: remove them"
            )
        # Sixteen characters at random cannot be guessed over a network. Text that is no ASCII, or has spaces, cannot be sent
        # in a header as it is.
        if text and (len(text) < 16 or not text.isascii() or not text.isprintable() or " " in text):
            raise SettingsError("the token must be at least 16 printable ASCII characters without spaces")
        return text.encode() or None

    def check(self) -> list[str]:
        """Warnings. Raises `SettingsError` if serving with these settings would be unsafe, or impossible."""
        if self.loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
            raise SettingsError("loop: uvloop is not installed; with auto the server takes what there is")
        warnings = warn_of_secrets(self.access)
        # Without a token everybody who reaches the port can start runs, so only loopback may be open.
        if self.caller_token is not None or is_loopback(self.host):
            return warnings
        if not self.insecure_no_auth:
            raise SettingsError(
                f"refusing to listen on {self.host or 'every address'} without a token: set AUREA_TOKEN_FILE or "
                "--token-file, or say --insecure-no-auth"
            )
        return [
            *warnings,
            f"anyone who reaches {self.host} can start runs here: there is no token (--insecure-no-auth)",
        ]


OPTIONS = {each.name: each for each in fields(Settings)}


def variable_name(name: str) -> str:
    """The environment variable of a setting."""
    return f"AUREA_{name.upper()}"


VARIABLES = frozenset({"AUREA_CONFIG", *map(variable_name, OPTIONS)})
"""Environment variables that settings come from."""


def flag_name(name: str) -> str:
    """The option of a setting on the command line."""
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True)
class Resolved:
    """``origins``: setting → where its value came from."""

    settings: Settings
    origins: Mapping[str, Origin]


def config_path(environ: Mapping[str, str]) -> tuple[Path | None, bool]:
    """(the configuration file, None for a user without a home; whether it was named, and so must exist)."""
    if asked := environ.get("AUREA_CONFIG"):
        return Path(asked), True
    home = environ.get("XDG_CONFIG_HOME", "")
    try:
        return (Path(home) if home.startswith("/") else Path("~/.config").expanduser()) / "aurea" / "config.toml", False
    except RuntimeError:
        return None, False


def resolve(given: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> Resolved:
    """Settings from ``given`` (the command line; None is not given), environment, file, defaults. Raises SettingsError."""
    from_file = _from_file(*config_path(environ))
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for name in OPTIONS:
        # Only the value that is used is checked: a mistake in a file does not matter where the command line overrides
        # it.
        if given.get(name) is not None:
            values[name], origins[name] = _read(name, given[name], f"after {flag_name(name)}"), "command line"
        else:
            values[name], origins[name] = _ambient(name, environ, from_file)
    return Resolved(Settings(**values), origins)


def check_ambient(given: Container[str], environ: Mapping[str, str] = os.environ) -> None:
    """Check environment and configuration file, but for the settings that are ``given``. Raises SettingsError."""
    from_file = _from_file(*config_path(environ))
    for name in OPTIONS:
        if name not in given:
            _ambient(name, environ, from_file)


def _ambient(name: str, environ: Mapping[str, str], from_file: Mapping[str, Any]) -> tuple[Any, Origin]:
    if variable_name(name) in environ:
        return _from_environment(name, environ[variable_name(name)]), "environment"
    if name in from_file:
        return _read(name, from_file[name], "in the configuration file"), "configuration file"
    return OPTIONS[name].default, "default"


def _read(name: str, value: object, where: str) -> Any:
    metadata = OPTIONS[name].metadata
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    try:
        return metadata["read"](text)
    # The text may hold anything, and the message reaches a terminal: !a escapes it, and the bound keeps it short.
    except (ValueError, KeyError, OverflowError):
        raise SettingsError(f"{name}: {text[:60]!a} {where} must be {metadata['what']}") from None


_SERVICE_LINK = re.compile(r"(?:tcp|udp|sctp)://\S+:\d+")


def _from_environment(name: str, value: str) -> Any:
    """Kubernetes and Docker set variables of a form of their own for services: see "Accessing the Service" in the
    former's pages.
    """
    try:
        return _read(name, value, f"in {variable_name(name)}")
    except SettingsError as error:
        # AUREA_PORT=tcp://10.0.0.1:5000 is what a cluster sets for a service named aurea. The remedy is not obvious, so
        # the message has it.
        if not _SERVICE_LINK.fullmatch(value):
            raise
        raise SettingsError(
            f"{error}; Kubernetes and Docker set {variable_name(name)} like this where a service is named aurea: "
            f"set enableServiceLinks: false in the pod, set {variable_name(name)} yourself, or give {flag_name(name)}"
        ) from None


def _from_file(path: Path | None, asked: bool) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        content = tomllib.loads(read_text(path))
    # NotADirectoryError: the home of a service's user may be /dev/null.
    except (FileNotFoundError, NotADirectoryError):
        if asked:
            raise SettingsError(f"AUREA_CONFIG: there is no {path}") from None
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from None
    unknown = sorted(content.keys() - OPTIONS.keys())
    if unknown:
        raise SettingsError(f"{path}: there is no setting {unknown[0]!a}")
    if "token" in content:
        raise SettingsError(f"{path}: the token belongs into a file of its own (token_file) or the environment")
    return content
