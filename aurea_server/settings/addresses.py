"""Where a server may listen, whether others than this machine can reach it there, and under which path."""

from __future__ import annotations

import ipaddress
import re
import socket

# No segment may be . or .., which clients and proxies resolve before they send the path.
_BASE_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*", re.ASCII)


def parse_address(text: str) -> str:
    """What may be looked up as a host; names need not be ASCII. An empty one is every address."""
    text.encode("idna")
    if not text.isprintable() or " " in text or "/" in text:
        raise ValueError
    return text


def is_loopback(host: str) -> bool:
    """Whether to listen on ``host`` is to listen on this machine alone: an address of it, or the name localhost.

    Any other name is what a resolver says, today: ``127.example.com`` and ``127.0.0.1.nip.io`` are anybody's. Addresses are
    read as the resolver reads them, so ``0x7f.1`` and ``127.1`` are loopback, and ``0`` is every address.
    """
    if host.lower().removesuffix(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            address = ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return False
    # ::ffff:127.0.0.1 is 127.0.0.1, and ipaddress does not count it as loopback in every version.
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def parse_base_path(text: str) -> str:
    """What stands before every path: nothing, or ``/bench``. Only characters that everybody writes in the same way."""
    path = text.removesuffix("/")
    if _BASE_PATH.fullmatch(path) is None:
        raise ValueError
    return path
