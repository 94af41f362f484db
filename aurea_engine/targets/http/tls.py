"""TLS: which certificates are trusted and shown, and the context that connections share."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Annotated

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, Name
from aurea_engine.fields.hosts import parse_host
from aurea_engine.fields.local_files import LOCAL_ONLY, FileName


@dataclass(frozen=True)
class TlsOptions(Checked):
    """How a connection is secured. ``verify``: whether the server's certificate is checked, against the system's authorities
    or those in ``ca``. ``cert`` and ``key``: the client's certificate, sent to the origin of the URL only. ``server_name``:
    the name that is asked for (SNI) and checked, if it is not the host's.
    """

    verify: bool = True
    ca: Annotated[FileName | None, LOCAL_ONLY] = None
    cert: Annotated[FileName | None, LOCAL_ONLY] = None
    key: Annotated[FileName | None, LOCAL_ONLY] = None
    server_name: Name | None = None

    def check(self) -> list[Problem]:
        problems = []
        if self.key is not None and self.cert is None:
            problems.append(Problem("cert", "is required beside key"))
        if self.ca is not None and not self.verify:
            problems.append(Problem("ca", "goes with verify true: without verification nothing is compared with it"))
        if self.server_name is not None and not is_host_name(self.server_name):
            problems.append(Problem("server_name", "must be a host name, such as app.example", self.server_name))
        return problems


def is_host_name(text: str) -> bool:
    """Whether TLS can ask for it: with anything else the handshake would fail within the event loop."""
    try:
        parse_host(text)
    except ValueError:
        return False
    return True


def make_tls_context(tls: TlsOptions) -> ssl.SSLContext:
    """The context of all connections of a pool. Reads the named files; raises `SpecError` that names the member of each."""
    # One of its own, and not `ssl.create_default_context`: that would trust the system's authorities beside the named ones.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    problems: list[Problem] = []
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls.ca is not None:
        problems += _load_authorities(context, tls.ca)
    else:
        context.load_default_certs()
    if tls.cert is not None:
        problems += _load_certificate(context, tls.cert, tls.key)
    if problems:
        raise SpecError(problems)
    return context


def _load_authorities(context: ssl.SSLContext, ca: str) -> list[Problem]:
    try:
        context.load_verify_locations(cafile=ca)
    except (OSError, ValueError) as error:
        return [Problem("tls.ca", f"cannot be read as certificates: {_explain(error)}", ca)]
    return []


def _load_certificate(context: ssl.SSLContext, cert: str, key: str | None) -> list[Problem]:
    try:
        # With an empty password OpenSSL refuses an encrypted key, where it would otherwise ask at the terminal.
        context.load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:
        member = "tls.cert" if key is None else "tls.cert, tls.key"
        return [Problem(member, f"cannot be read as a certificate and its key: {_explain(error)}", cert)]
    return []


def _explain(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "it is no PEM file"
    return getattr(error, "strerror", None) or str(error)
