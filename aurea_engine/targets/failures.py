"""Why an exchange failed: each exception of sockets, resolvers and TLS as one of `FAILURE_CLASSES`."""

# A class says whose fault it was, and a page of figures is only as good as that. So what the client's own machine lacks is
# `local` and never the target's; and what no rule knows is `unreachable`, since then a connection was not made or not kept,
# and nobody can say more.

from __future__ import annotations

import errno
import socket
import ssl

from aurea_engine.errors import TargetRefused


class RequestFailed(Exception):
    """The request cannot be sent. ``failure``: its class, of `aurea_engine.closed_sets.FAILURE_CLASSES`."""

    def __init__(self, failure: str) -> None:
        super().__init__(failure)
        self.failure = failure


_LOCAL = frozenset(
    (
        errno.EMFILE,
        errno.ENFILE,
        errno.EADDRNOTAVAIL,
        errno.EADDRINUSE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EAGAIN,  # of connect: no free port, and of a Unix socket a full backlog
        errno.EACCES,  # the machine's own firewall, or the rights of a Unix socket
        errno.EPERM,
    )
)
_RESET = frozenset((errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ESHUTDOWN))
_REFUSED = frozenset((errno.ECONNREFUSED, errno.ENOENT))  # ENOENT: there is no such Unix socket


def name_failure(error: BaseException) -> str:
    """The class of what connecting, sending or receiving raised."""
    match error:
        case RequestFailed():
            return error.failure
        case TargetRefused():
            return "target_not_allowed"
        case socket.gaierror() | UnicodeError():
            return "local" if getattr(error, "errno", None) == socket.EAI_MEMORY else "dns"
        case ssl.SSLError():  # before OSError, which it is
            return "tls"
        case TimeoutError():
            return "connect_timeout"
        case MemoryError():
            return "local"
        case OSError():
            return _name_system_failure(error)
    return "unreachable"


def _name_system_failure(error: OSError) -> str:
    if error.errno in _REFUSED:
        return "refused"
    if error.errno in _RESET or isinstance(error, ConnectionError):
        return "reset"
    return "local" if error.errno in _LOCAL else "unreachable"


def name_loss(error: Exception | None) -> str:
    """The class of an exchange whose connection was lost. ``error``: as a protocol is told, None for an orderly end."""
    if error is None:
        return "closed_early"
    # The kernel gave up because nothing was acknowledged: a timeout, but not one of connecting.
    return "unreachable" if isinstance(error, TimeoutError) else name_failure(error)
