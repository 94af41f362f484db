"""What clients' runs may reach: allowed targets, published secrets and files, and the ceilings of one run.

Each is a text from the operator. What is wrong with one is said at the start, in one line: a server that only fails at the
first request fails in the night. Secrets are read once at the start to see that they can be, and forgotten.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from aurea_engine import SpecError
from aurea_engine.fields.hosts import parse_host
from aurea_engine.targets.addresses import NEVER
from aurea_engine.targets.secrets import read_published
from aurea_engine.workload.access import Access, AllowedTarget, PublishedSecret, parse_allowed_target
from aurea_server.settings.parsers import parse_names

_SECRET = re.compile(r"([A-Za-z0-9._-]{1,64})=(env:[A-Za-z_][A-Za-z0-9_]{0,255}|file:[^\0]{1,4096})@([^@]+)")


def parse_targets(text: str) -> tuple[str, ...]:
    """Entries of `parse_allowed_target`, separated by commas. Raises ValueError."""
    entries = parse_names(text)
    for entry in entries:
        _refuse_never(parse_allowed_target(entry))
    return entries


def _refuse_never(target: AllowedTarget) -> None:
    """Raises ValueError for an entry that would allow nothing: all of it is never allowed."""
    for network in target.networks:
        if any(network.version == never.version and network.subnet_of(never) for never in NEVER):  # type: ignore[arg-type]
            raise ValueError("is never allowed")


def parse_secrets(text: str) -> tuple[str, ...]:
    """``NAME=env:VARIABLE@host:port`` or ``NAME=file:PATH@host:port``, separated by commas. Raises ValueError."""
    entries = parse_names(text)
    names = [_parse_secret(entry)[0] for entry in entries]
    if len(set(names)) < len(names):
        raise ValueError("a name stands twice")
    return entries


def _parse_secret(entry: str) -> tuple[str, PublishedSecret]:
    found = _SECRET.fullmatch(entry)
    if found is None:
        raise ValueError("is no secret")
    name, place, where = found.groups()
    target = parse_allowed_target(where)
    # Exactly one host and port: a secret that may go to a network goes to whoever answers there.
    if target.host is None or target.port is None:
        raise ValueError("a secret is for one host and port")
    source, _, reference = place.partition(":")
    return name, PublishedSecret("env" if source == "env" else "file", reference, target.host, target.port)


@dataclass(frozen=True)
class Ceilings:
    """Of one run: ``connections`` to targets at once, and ``rate`` requests per second."""

    connections: int = 1000
    rate: float = 10_000.0


def make_access(targets: tuple[str, ...], secrets: tuple[str, ...], data_dir: str, ceilings: Ceilings) -> Access:
    """What runs that come over HTTP may reach; names are not resolved yet. Raises ValueError with the whole sentence."""
    published = dict(map(_parse_secret, secrets))
    for name, secret in published.items():
        _check_secret(name, secret)
    return Access(
        targets=tuple(map(parse_allowed_target, targets)),
        secrets=published,
        data_dir=_check_folder(data_dir) if data_dir else None,
        local=False,
        most_connections=ceilings.connections,
        most_rate=ceilings.rate,
    )


def _check_secret(name: str, secret: PublishedSecret) -> None:
    try:
        read_published(name, secret)
    except SpecError as error:
        what = f"variable {secret.reference}" if secret.source == "env" else f"file {secret.reference}"
        raise ValueError(f"secret: {name}: the {what}: {error.problems[0].problem}") from None


def _check_folder(text: str) -> Path:
    folder = Path(text).absolute()
    try:
        os.listdir(folder)  # noqa: PTH208 - only whether it can be
    except OSError as error:
        raise ValueError(f"data_dir: {text} cannot be read: {error.strerror}") from None
    return folder


def warn_of_secrets(access: Access) -> list[str]:
    """A sentence for each published secret that no run can use, since its target is not allowed."""
    assert access.targets is not None
    return [
        f"the secret {name} is for {secret.host}:{secret.port}, which no --allow-target allows"
        for name, secret in access.secrets.items()
        if not any(entry.could_match(parse_host(secret.host), secret.port) for entry in access.targets)
    ]


def hidden_variables(access: Access, own: frozenset[str]) -> frozenset[str]:
    """Variables that the processes of runs do not get: the server's ``own`` settings, but for those that hold a secret."""
    # The token in any case, even if somebody publishes the variable that it stands in.
    return own - secret_variables(access) | {"AUREA_TOKEN", "AUREA_TOKEN_FILE"}


def secret_variables(access: Access) -> frozenset[str]:
    """Variables in which published secrets stand."""
    return frozenset(secret.reference for secret in access.secrets.values() if secret.source == "env")
