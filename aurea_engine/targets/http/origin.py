"""Where requests go: a scheme, a host and a port, or a Unix socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Origin:
    """``host``: a name in ASCII, or an address without brackets. ``unix``: the path of a socket, dialled in its place.

    Credentials and client certificates never cross from one origin to another, and a connection belongs to one.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    unix: str | None = None

    @property
    def is_secure(self) -> bool:
        """Whether connections speak TLS."""
        return self.scheme == "https"

    def __str__(self) -> str:
        if self.unix is not None:
            return f"unix:{self.unix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"
