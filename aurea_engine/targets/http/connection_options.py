"""How connections to one origin are made and kept. Jobs with equal options share one pool of connections."""

from __future__ import annotations

from dataclasses import dataclass, field

from aurea_engine.records.batch import NS
from aurea_engine.targets.http.origin import Origin
from aurea_engine.targets.http.tls import TlsOptions

MOST_CONNECTIONS = 10_000
"""The most connections of a pool, and the limit of one that names none; descriptors and the operator may allow fewer."""


@dataclass(frozen=True)
class ConnectionOptions:
    """``limit``: connections at once; None is as many as jobs are in service. ``reuse``: keep a connection for the next job.

    ``idle_ns``: a kept connection that was idle for longer is not used again. ``warm``: connections are opened before the
    window. ``connect_timeout_ns``: for name, connection and TLS together; it is a part of the job's own timeout.
    """

    origin: Origin
    limit: int | None = None
    reuse: bool = True
    idle_ns: int | None = None
    warm: bool = True
    connect_timeout_ns: int = 10 * NS
    tls: TlsOptions = field(default_factory=TlsOptions)
