"""Where each setting's value comes from: command line, then environment, then configuration file, then default.

What a source of higher rank sets is used, and the same setting of a lower rank is not even looked at.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aurea_engine.fields.text_files import read_text
from aurea_server.settings.settings import OPTIONS, Settings, SettingsError, flag_name, variable_name

Origin = Literal["command line", "environment", "configuration file", "default"]


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
