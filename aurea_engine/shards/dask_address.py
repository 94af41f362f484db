"""Where a Dask cluster is, and how both sides show who they are: the address, the certificates, and a first contact.

Whoever reaches a Dask scheduler can execute code on every machine of its cluster, and a scheduler can execute code in its
clients. So the two must know one another: by certificates of one authority (``tls://``), or because only this machine can
reach the address at all (``tcp://`` on loopback).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from aurea_engine.errors import ClusterRefused, Problem, SpecError
from aurea_engine.fields.hosts import LOCALHOST, parse_host
from aurea_engine.shards.split import MOST_PROCESSES

CONNECT_PATIENCE = 10.0
"""Seconds for each step of a first contact."""

_ADDRESS = "must be tls://HOST:PORT or tcp://HOST:PORT, the address that the scheduler prints when it starts"
_INSECURE = (
    "is neither encrypted nor authenticated, and whoever reaches it can execute code on every machine of the cluster: "
    "use tls://, or say --dask-insecure"
)


@dataclass(frozen=True)
class ClusterAddress:
    """A Dask scheduler: ``tls://host:port`` or ``tcp://host:port``.

    ``ca``, ``cert`` and ``key`` are files in PEM, for ``tls`` only: the authority that both sides trust, and what shows
    the scheduler who we are. ``insecure``: ``tcp`` is allowed off loopback. ``most``: shards of a run that says no number
    itself.
    """

    address: str
    ca: str = ""
    cert: str = ""
    key: str = ""
    insecure: bool = False
    most: int = MOST_PROCESSES

    def find_problems(self) -> list[Problem]:
        """Everything that is wrong with it, without looking at the network."""
        parts = _split(self.address)
        if parts is None:
            return [Problem("dask", _ADDRESS, ascii(self.address[:100]))]
        files = {"dask_ca": self.ca, "dask_cert": self.cert, "dask_key": self.key}
        if parts.scheme == "tcp":
            found = [Problem(name, "goes with a tls:// address: leave it out") for name, file in files.items() if file]
            return [*found, Problem("dask", _INSECURE, self.address)] if self._is_open and not self.insecure else found
        found = [Problem(name, "is needed with a tls:// address: a file in PEM") for name in files if not files[name]]
        return found + [
            Problem(name, "must be a file that can be read", ascii(file[:200]))
            for name, file in files.items()
            if file and not _can_be_read(file)
        ]

    def check(self) -> ClusterAddress:
        """The same. Raises SpecError with all problems."""
        if problems := self.find_problems():
            raise SpecError(problems)
        return self

    def list_warnings(self) -> list[str]:
        """What its user must be told at each start."""
        if not (self._is_open and self.insecure):
            return []
        return [f"whoever reaches {self.address} can execute code on all of its machines: use tls:// (--dask-insecure)"]

    @property
    def _is_open(self) -> bool:
        """Whether others can reach it, and nothing tells them from us."""
        parts = _split(self.address)
        return parts is not None and parts.scheme == "tcp" and not _is_loopback(parts.hostname or "")

    @property
    def host_and_port(self) -> tuple[str, int]:
        parts = urlsplit(self.address)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @property
    def is_encrypted(self) -> bool:
        return self.address.startswith("tls:")

    def to_plain(self) -> dict[str, Any]:
        """As msgpack's own types."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ClusterAddress:
        """The inverse of `to_plain`. The sender is our own process: nothing is checked."""
        return cls(**plain)


def _split(address: str) -> SplitResult | None:
    """The parts of an address, None if it is none."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(address)
        rest = (parts.username, parts.password, parts.path.strip("/"), parts.query, parts.fragment)
        if parts.scheme in ("tcp", "tls") and parts.hostname and parts.port and not any(rest):
            parse_host(parts.hostname)
            return parts
    return None


def _is_loopback(host: str) -> bool:
    parsed = parse_host(host)
    return parsed == LOCALHOST if isinstance(parsed, str) else parsed.is_loopback


def _can_be_read(file: str) -> bool:
    try:
        with Path(file).open("rb") as opened:
            return bool(opened.read(1))
    except (OSError, ValueError):
        return False


# Dask's own client tries again and again for as long as it may, and then says that it timed out, whatever the cause was. So
# we knock first, with nothing but a socket, and say what happened.


def make_first_contact(cluster: ClusterAddress) -> None:
    """Connect once, as Dask would, and hang up: it blocks for thrice `CONNECT_PATIENCE` at most. Raises `ClusterRefused`."""
    where = cluster.address
    context = make_context(cluster) if cluster.is_encrypted else None
    try:
        connection = socket.create_connection(cluster.host_and_port, CONNECT_PATIENCE)
    except OSError as error:
        why = "nothing answers" if isinstance(error, TimeoutError) else f"{error.strerror or error}".lower()
        raise ClusterRefused(f"{where} cannot be reached: {why}. Start the scheduler, or correct the address") from None
    with contextlib.ExitStack() as opened:
        opened.enter_context(connection)
        try:
            if context is not None:
                connection = opened.enter_context(context.wrap_socket(connection))
            # A scheduler speaks first. With TLS 1.3, that it refused our certificate is only heard now.
            greeting = connection.recv(1)
        except ssl.SSLCertVerificationError as error:
            raise ClusterRefused(_explain_their_certificate(error, cluster)) from None
        except OSError as error:
            raise ClusterRefused(_explain_silence(error, cluster)) from None
    if not greeting:
        raise ClusterRefused(f"{where} closed the connection: {_ask(cluster)}")


def make_context(cluster: ClusterAddress) -> ssl.SSLContext:
    """What Dask connects with: both sides show a certificate of ``ca``, and no name is compared. Raises `ClusterRefused`."""
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=cluster.ca)
    except OSError:
        raise ClusterRefused(f"{cluster.ca} holds no certificate of an authority in PEM") from None
    context.check_hostname = False
    try:
        context.load_cert_chain(cluster.cert, cluster.key)
    except OSError:
        raise ClusterRefused(f"{cluster.cert} and {cluster.key} are no certificate and its key in PEM") from None
    return context


def _explain_their_certificate(error: ssl.SSLCertVerificationError, cluster: ClusterAddress) -> str:
    theirs = f"the certificate of the scheduler at {cluster.address}"
    # From <openssl/x509_vfy.h>; Python has no names for them.
    if error.verify_code == 10:  # X509_V_ERR_CERT_HAS_EXPIRED
        return f"{theirs} has expired: give it a new one"
    if error.verify_code in (18, 19, 20, 21):  # the chain ends in an authority that is not ours
        return f"{theirs} is not from the authority in {cluster.ca}: give the file that the cluster uses"
    return f"{theirs} is refused: {error.verify_message}"


def _explain_silence(error: OSError, cluster: ClusterAddress) -> str:
    reason = f"{getattr(error, 'reason', '')}"
    if "EXPIRED" in reason:
        return f"the scheduler at {cluster.address} refuses our certificate {cluster.cert}: it has expired"
    if "UNKNOWN_CA" in reason or "BAD_CERTIFICATE" in reason or "DECRYPT_ERROR" in reason:
        return (
            f"the scheduler at {cluster.address} refuses our certificate {cluster.cert}: it is from another authority"
        )
    if isinstance(error, TimeoutError):
        return f"{cluster.address} says nothing: {_ask(cluster)}"
    return f"{cluster.address} closed the connection: {_ask(cluster)}"


def _ask(cluster: ClusterAddress) -> str:
    return f"is it a Dask scheduler, and one that speaks {cluster.address.partition(':')[0]}?"
