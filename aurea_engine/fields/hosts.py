"""Hosts as people and attackers write them → one form of each: an IP address, or a name in lower case.

Everything that decides whether a host may be reached must see what the operating system will see. `getaddrinfo` reads
``127.1``, ``0x7f000001`` and ``2130706433`` as 127.0.0.1, so they are read as that here too (the rules of ``inet_aton``).
A name that ends in a number but is no address is refused, as browsers do (WHATWG URL, "ends in a number"). Names become
ASCII (IDNA), which also turns full-width digits and ideographic full stops into plain ones, before any of that.

An IPv6 address may carry an IPv4 address, and packets to it reach that one. `unwrap` gives the address that counts.
"""

from __future__ import annotations

import ipaddress
import re
import socket

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

LOCALHOST = "localhost"
LOOPBACK: tuple[IPAddress, ...] = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))
"""What ``localhost`` is, without asking a resolver (RFC 6761, 6.3)."""

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)

# Prefixes whose last 32 bits are an IPv4 address: mapped (RFC 4291, 2.5.5.2), translated (RFC 2765), compatible
# (RFC 4291, 2.5.5.1), NAT64 (RFC 6052), and the NAT64 of local networks (RFC 8215).
_EMBEDDING = tuple(
    ipaddress.IPv6Network(text)
    for text in ("::ffff:0:0/96", "::ffff:0:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_TEREDO = ipaddress.IPv6Network("2001::/32")


def parse_host(text: str) -> IPAddress | str:
    """The host that ``text`` names, with or without brackets. Raises ValueError for what is neither address nor name.

    A zone (``%eth0``) is refused: it belongs to link-local addresses, which nothing may be sent to.
    """
    if text.startswith("[") and text.endswith("]"):
        return ipaddress.IPv6Address(_without_zone(text[1:-1]))
    if ":" in text:
        return ipaddress.IPv6Address(_without_zone(text))
    name = _to_ascii(text).removesuffix(".")
    labels = name.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        return _parse_ipv4(name)
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("is no host name")
    return name


def _without_zone(text: str) -> str:
    if "%" in text:
        raise ValueError("has a zone, and so is link-local")
    return text


def _to_ascii(text: str) -> str:
    if text.isascii():
        return text.lower()
    try:
        return text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise ValueError("is no host name") from None


def _parse_ipv4(text: str) -> ipaddress.IPv4Address:
    """As `inet_aton` reads it: one to four numbers, each decimal, octal or hexadecimal."""
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except OSError:
        raise ValueError("ends in a number, and is no IPv4 address") from None


def unwrap(address: IPAddress) -> IPAddress:
    """The address that packets to ``address`` reach in the end: the IPv4 one that it carries, or itself without a zone."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    plain = ipaddress.IPv6Address(int(address))
    # ``::`` and ``::1`` are addresses of their own, and no IPv4-compatible ones.
    if int(plain) > 1 and any(plain in network for network in _EMBEDDING):
        return ipaddress.IPv4Address(int(plain) & 0xFFFF_FFFF)
    if plain in _SIX_TO_FOUR:
        return ipaddress.IPv4Address(int(plain) >> 80 & 0xFFFF_FFFF)
    if plain in _TEREDO:  # the client's address, stored inverted (RFC 4380, 4)
        return ipaddress.IPv4Address(~int(plain) & 0xFFFF_FFFF)
    return plain


def join_host_port(host: IPAddress | str, port: int) -> str:
    """``host:port`` as people write it, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
