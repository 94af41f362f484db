"""Which address a target has, and whether a run may send to it: asked each time before a connection is opened.

A name is not what is reached: whoever owns it can let it point anywhere, and elsewhere a second later (DNS rebinding). So a
name is resolved here, each of its addresses is checked, and the caller dials one of the addresses that are returned, never
the name. Redirects come the same way. For a host that no entry of `Access.targets` could match, nothing is resolved at all.

Some addresses are never reached, whatever is allowed, unless the run is its user's own (`Access.targets` None): link-local
ones, where clouds keep their machines' credentials; the other well-known addresses of such services; multicast, broadcast
and unspecified ones; and the server's own listener, which would let a caller in as loopback does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from aurea_engine.errors import TargetRefused
from aurea_engine.fields.hosts import LOCALHOST, LOOPBACK, IPAddress, join_host_port, parse_host, unwrap
from aurea_engine.workload.access import Access, AllowedTarget

SocketAddress = tuple[Any, ...]
"""(address, port), for IPv6 with flow and scope, as `socket.connect` takes it; or of a Unix socket (path,)."""

NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",  # "this network": Linux delivers 0.0.0.0 to the machine itself
            "169.254.0.0/16",  # link-local: AWS, Azure, Google and most others keep credentials at 169.254.169.254
            "224.0.0.0/4",
            "255.255.255.255/32",
            "100.100.100.200/32",  # the metadata of Alibaba Cloud
            "168.63.129.16/32",  # the host agent of Azure
            "::/128",
            "fe80::/10",
            "fd00:ec2::254/128",  # the metadata of AWS
            "fd20:ce::254/128",  # the metadata of Google Cloud
            "ff00::/8",
        ),
    )
)
"""Networks that no entry can allow."""

LOOKUP_LIMIT = 64
"""Addresses of one name that are looked at."""


def check_target(host: str, port: int, access: Access) -> IPAddress | str:
    """The host in its one form, if a run may ask for it. Nothing is resolved. Raises `TargetRefused`."""
    try:
        parsed = parse_host(host)
    except ValueError as error:
        raise TargetRefused(f"{host[:60]!a} {error}") from None
    if not isinstance(parsed, str):
        check_address(parsed, port, access)
    elif access.targets is not None and not any(entry.could_match(parsed, port) for entry in access.targets):
        raise TargetRefused(f"{join_host_port(parsed, port)} is none of the allowed targets")
    return parsed


def check_address(address: IPAddress, port: int, access: Access) -> None:
    """Raises `TargetRefused` unless a run may send to ``address``, in whatever form it is written."""
    if access.targets is None:
        return
    counts = unwrap(address)
    where = join_host_port(address, port)
    # Both are looked at: 2002:a9fe:a9fe:: is 169.254.169.254, and a link-local address stays one in any form.
    for each in {counts, address}:
        if any(each.version == network.version and each in network for network in NEVER):
            raise TargetRefused(f"{where} is an address that is never allowed")
    if any(port == own and _is_same_machine(counts, listener) for listener, own in access.listeners):
        raise TargetRefused(f"{where} is this server itself")
    if not any(entry.allows(counts, port) for entry in access.targets):
        raise TargetRefused(f"{where} is none of the allowed targets")


def _is_same_machine(address: IPAddress, listener: str) -> bool:
    """Whether a connection to ``address`` would reach what listens at ``listener``."""
    own = unwrap(ipaddress.ip_address(listener.partition("%")[0]))
    if not own.is_unspecified:
        return address == own
    return address.is_loopback or is_own_address(address)


def is_own_address(address: IPAddress) -> bool:
    """Whether this machine has it: only then can a socket be bound to it. Nothing is sent."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((str(address), 0))
        return True
    return False


async def resolve(host: str, port: int, access: Access) -> list[SocketAddress]:
    """The addresses of a target that may be dialled, in the resolver's order; the caller dials these and not the name.

    Raises `TargetRefused` where none may be, and OSError (`socket.gaierror`) where there is none.
    """
    if access.targets is None:  # the user's own run: as the system reads it, zones of link-local addresses included
        return await _look_up(host.removeprefix("[").removesuffix("]"), port)
    parsed = check_target(host, port, access)
    if not isinstance(parsed, str):
        return [_socket_address(parsed, port)]
    sockets = [(entry.unix,) for entry in access.targets if entry.unix is not None and entry.could_match(parsed, port)]
    if sockets:  # the operator's own word for what the name is: nothing is resolved
        return sockets[:1]
    return _keep_allowed(parsed, port, await _look_up(parsed, port), access)


async def _look_up(name: str, port: int) -> list[SocketAddress]:
    if name.lower().removesuffix(".") == LOCALHOST:
        return [_socket_address(address, port) for address in LOOPBACK]
    infos = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [info[4] for info in infos[:LOOKUP_LIMIT]]


def _keep_allowed(name: str, port: int, found: Iterable[SocketAddress], access: Access) -> list[SocketAddress]:
    allowed: list[SocketAddress] = []
    for address in dict.fromkeys(found):
        with contextlib.suppress(TargetRefused):
            check_address(_read_address(address), port, access)
            allowed.append(address)
    if not allowed:
        raise TargetRefused(f"{join_host_port(name, port)} has no address that is allowed")
    return allowed


def _read_address(address: SocketAddress) -> IPAddress:
    return ipaddress.ip_address(address[0].partition("%")[0])


def _socket_address(address: IPAddress, port: int) -> SocketAddress:
    return (str(address), port) if address.version == 4 else (str(address), port, 0, 0)


async def resolve_entries(targets: Iterable[AllowedTarget]) -> tuple[AllowedTarget, ...]:
    """The entries, each name with the addresses that it has now: those it allows from here on, and no others.

    Raises OSError for a name that has none.
    """
    return tuple([await _resolve_entry(target) for target in targets])


async def _resolve_entry(target: AllowedTarget) -> AllowedTarget:
    if not target.is_name:
        return target
    assert target.host is not None
    assert target.port is not None
    try:
        addresses = [_read_address(found) for found in await _look_up(target.host, target.port)]
    except OSError as error:
        raise OSError(f"{target.host} has no address now: {error.strerror or error}") from None
    networks = [ipaddress.ip_network(unwrap(address)) for address in addresses]
    return replace(target, networks=tuple(dict.fromkeys(networks)))
