"""The settings of a server.

`Settings` is the one table of them: the flags of ``aurea serve``, the ``AUREA_`` variables, the members of the
configuration file and the rows of ``aurea config`` are all made from its fields. A value is a text that a parser of this
room reads; `sources` finds the text.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from aurea_engine import AureaError, SpecError
from aurea_engine.fields.text_files import read_text
from aurea_engine.shards.dask_address import ClusterAddress
from aurea_engine.shards.dask_link import check_extra
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
    max_search_seconds: float = _option(
        _LIMITS.search_seconds,
        number_parser(0.1, 86400 * 7, float),
        "seconds",
        "Seconds that a capacity search may last.",
    )
    max_search_jobs: int = _option(
        _LIMITS.search_jobs, number_parser(1, 10**12), "1 to 10^12", "Jobs of all trials of a capacity search together."
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
    native_histograms: bool = _option(
        False, parse_bool, "yes or no", "Also export native histograms, to a Prometheus that scrapes protobuf."
    )
    dask: str = _option("", str, "an address", "Dask scheduler on whose workers runs with processes are executed.")
    dask_ca: str = _option("", str, "a path", "File of the authority that the cluster's certificates are from.")
    dask_cert: str = _option("", str, "a path", "File of the certificate that is shown to the cluster.")
    dask_key: str = _option("", str, "a path", "File of the key of that certificate.")
    dask_insecure: bool = _option(False, parse_bool, "yes or no", "Allow tcp:// to a cluster beyond this machine.")
    drain: float = _option(10.0, number_parser(0, 600, float), "seconds", "Seconds that runs may go on after SIGTERM.")

    @property
    def folder(self) -> Path:
        """Where the history lies. Raises `LedgerUnusable` if nothing says it, and the user has no home."""
        return Path(self.data) if self.data else default_data_folder()

    @property
    def limits(self) -> Limits:
        of_runs = (self.max_jobs, self.max_seconds, self.max_queued, self.memory, self.max_followers)
        limits = Limits(*of_runs, self.max_processes)
        return replace(limits, search_seconds=self.max_search_seconds, search_jobs=self.max_search_jobs)

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
    def cluster(self) -> ClusterAddress | None:
        """The Dask cluster of runs in several processes; None is this machine. Raises `SettingsError`."""
        files = {"dask_ca": self.dask_ca, "dask_cert": self.dask_cert, "dask_key": self.dask_key}
        if not self.dask:
            if lone := [name for name, file in files.items() if file]:
                raise SettingsError(f"{lone[0]}: goes with dask: name the cluster too")
            return None
        cluster = ClusterAddress(
            self.dask, self.dask_ca, self.dask_cert, self.dask_key, self.dask_insecure, self.max_processes
        )
        if problems := cluster.find_problems():
            raise SettingsError("; ".join(map(str, problems)))
        return cluster

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
        if (cluster := self.cluster) is not None:
            check_extra()
            warnings += cluster.list_warnings()
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
