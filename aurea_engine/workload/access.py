"""What the jobs of a run may reach: targets, secrets, files, and how much of a target. Pure data, without any I/O.

A run on the command line is its user's own: it may aim anywhere and read what the user can read, which is `Access()`. A run
that came to a server over HTTP is anybody's: it reaches what the operator allowed, and nothing else. The server makes an
`Access` once, sends it with each order to the process that runs the jobs (`Access.to_plain`), and there every address is
checked against it again when it is dialled (`aurea_engine.targets.addresses`).

Values of secrets are never in it, but those that the user of this very process `given` by hand: names of environment
variables and paths of files are, and they are read where the run opens (`aurea_engine.targets.secrets`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from aurea_engine.fields.hosts import LOCALHOST, LOOPBACK, IPAddress, IPNetwork, join_host_port, parse_host, unwrap


@dataclass(frozen=True)
class AllowedTarget:
    """One entry of the list of allowed targets; make it with `parse_allowed_target`.

    ``host``: the name or address that the entry is for, None for a network. ``networks``: the addresses that it allows; of
    a name, those that it had when the server started. ``port``: None is any. An entry for a network also allows names
    which resolve into it; one for a host allows no other name, so that for other names nothing need be looked up.
    ``unix``: the path of a Unix socket that is dialled for the name, which then has no address: so a specification can aim
    at a socket without naming one.
    """

    host: str | None
    port: int | None
    networks: tuple[IPNetwork, ...] = ()
    unix: str | None = None

    @property
    def is_name(self) -> bool:
        """Whether its addresses come from a resolver."""
        return self.host is not None and self.unix is None and isinstance(parse_host(self.host), str)

    def could_match(self, host: IPAddress | str, port: int) -> bool:
        """Whether a target may fall under this entry, as far as that is known before anything is resolved."""
        if self.port not in (None, port):
            return False
        if host == LOCALHOST and self.host != LOCALHOST:
            return any(self.allows(address, port) for address in LOOPBACK)
        if isinstance(host, str):
            return self.host is None or self.host == host
        return self.allows(host, port)

    def allows(self, address: IPAddress, port: int) -> bool:
        """Whether it allows an address, in whatever form that is written."""
        counts = unwrap(address)
        return self.port in (None, port) and any(
            counts.version == network.version and counts in network for network in self.networks
        )

    def __str__(self) -> str:
        where = self.host if self.host is not None else str(self.networks[0])
        text = where if self.port is None else join_host_port(where, self.port)
        return text if self.unix is None else f"{text}=unix:{self.unix}"


def parse_allowed_target(text: str) -> AllowedTarget:
    """``host:port``, ``network``, ``network:port`` or ``name:port=unix:/path``. Raises ValueError.

    IPv6 stands in brackets before a port: ``[fd00::/8]:80``. A bare address is a network of one.
    """
    text, is_socket, path = text.partition("=unix:")
    if is_socket:
        return _for_socket(parse_allowed_target(text), path)
    host, port = _split_port(text)
    bare = host.removeprefix("[").removesuffix("]")
    if "/" in bare:
        return AllowedTarget(None, port, (_parse_network(bare),))
    parsed = parse_host(host)
    if isinstance(parsed, str):
        if port is None:
            raise ValueError("a name needs a port: host:port")
        return AllowedTarget(parsed, port)
    address = unwrap(parsed)
    network = ipaddress.ip_network(address)
    return AllowedTarget(None if port is None else str(address), port, (network,))


def _for_socket(target: AllowedTarget, path: str) -> AllowedTarget:
    if not (target.is_name and path.startswith("/") and "\0" not in path):
        raise ValueError("a Unix socket is allowed as name:port=unix:/path")
    return replace(target, unix=path)


def _split_port(text: str) -> tuple[str, int | None]:
    """(host or network, port)."""
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("has no closing bracket before the port")
        return host + bracket, parse_port(rest[1:]) if rest else None
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, parse_port(port)
    return text, None  # no colon, or an IPv6 address or network without a port


def parse_port(text: str) -> int:
    """1 to 65535, in plain digits. Raises ValueError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise ValueError("a port is a number from 1 to 65535")
    return int(text)


def _parse_network(text: str) -> IPNetwork:
    network = ipaddress.ip_network(text)
    # Addresses are unwrapped before they are compared, so a network of mapped ones has to be, too.
    mapped = ipaddress.IPv6Network("::ffff:0:0/96")
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(mapped):
        return ipaddress.IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - 96))
    return network


@dataclass(frozen=True)
class PublishedSecret:
    """A secret that clients may use by its name, for one target. ``reference``: a variable's name, or a file's path."""

    source: Literal["env", "file"]
    reference: str
    host: str
    port: int

    def is_for(self, host: str, port: int) -> bool:
        """Whether it may be sent to this target: the very host and port, as the operator named them."""
        try:
            return str(parse_host(host)) == self.host and port == self.port
        except ValueError:
            return False


@dataclass(frozen=True)
class Access:
    """``targets``: what may be reached; None is anything. ``listeners``: (address, port) that never may, the server's own.

    ``secrets``: name → what the operator published. ``data_dir``: the folder of the files that a specification may name.
    ``local``: a specification may itself name files, environment variables and Unix sockets. ``most_connections`` at once
    and ``most_rate`` (requests per second) of a run, None for no ceiling. ``given``: values for ``{"env": NAME}`` that the
    user gave by hand; they stay on this machine.
    """

    targets: tuple[AllowedTarget, ...] | None = None
    listeners: tuple[tuple[str, int], ...] = ()
    secrets: Mapping[str, PublishedSecret] = field(default_factory=dict)
    data_dir: Path | None = None
    local: bool = True
    most_connections: int | None = None
    most_rate: float | None = None
    given: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def to_plain(self) -> dict[str, Any]:
        """As msgpack's own types, for the pipe to another process. Without what was ``given``."""
        return {
            "targets": None if self.targets is None else [_target_to_plain(target) for target in self.targets],
            "listeners": [list(listener) for listener in self.listeners],
            "secrets": {
                name: [secret.source, secret.reference, secret.host, secret.port]
                for name, secret in self.secrets.items()
            },
            "data_dir": None if self.data_dir is None else str(self.data_dir),
            "local": self.local,
            "most_connections": self.most_connections,
            "most_rate": self.most_rate,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Access:
        """The inverse of `to_plain`. The sender is our own server: nothing is checked."""
        targets = plain["targets"]
        return cls(
            targets=None if targets is None else tuple(_target_from_plain(target) for target in targets),
            listeners=tuple((address, port) for address, port in plain["listeners"]),
            secrets={name: PublishedSecret(*members) for name, members in plain["secrets"].items()},
            data_dir=None if plain["data_dir"] is None else Path(plain["data_dir"]),
            local=plain["local"],
            most_connections=plain["most_connections"],
            most_rate=plain["most_rate"],
        )


LOCAL_USER = Access()
"""Who runs a specification of their own: anywhere, with whatever the user may read."""


def _target_to_plain(target: AllowedTarget) -> list[Any]:
    return [target.host, target.port, [str(network) for network in target.networks], target.unix]


def _target_from_plain(plain: list[Any]) -> AllowedTarget:
    host, port, networks, unix = plain
    return AllowedTarget(host, port, tuple(ipaddress.ip_network(network) for network in networks), unix)


@dataclass(frozen=True)
class Reach:
    """What the jobs of one kind reach for, as far as their specification says it: see `Job.reach`.

    ``targets``: (host, port) as written, each once. ``secrets``: (name, host, port): which published secret goes where.
    ``connections``: the most that the specification asks for at one of them, None if it says none. ``requests``: a
    job sends at least.
    """

    targets: tuple[tuple[str, int], ...] = ()
    secrets: tuple[tuple[str, str, int], ...] = ()
    connections: int | None = None
    requests: int = 1
