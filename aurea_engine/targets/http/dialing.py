"""Opening connections: a name is resolved once for a pool, each address is checked, and an address is dialled."""

# The name is looked up by the first connection that needs it, others wait for the same answer, and all later ones use it:
# a resolver's time would otherwise be part of what is measured, and its answers might change in mid-run. After an address
# could not be reached, or none was found, it is looked up again, once a second at most, since the target may have moved.
# TLS is told the name, and the socket the address.
#
# Of several addresses the one that answered last time is tried first, then the others in the resolver's order. Each gets an
# equal share of the time that is left, so that an address that drops packets leaves time for the others.

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Awaitable, Callable, Sequence

from aurea_engine.errors import TargetRefused
from aurea_engine.records.batch import NS
from aurea_engine.targets.addresses import SocketAddress, check_address, resolve
from aurea_engine.targets.http.connection import Connection
from aurea_engine.targets.http.connection_options import ConnectionOptions
from aurea_engine.targets.http.tls import make_tls_context
from aurea_engine.workload.access import Access

REFRESH = 1.0
"""Seconds at least between two looks at a name: a target that is down must not make a resolver suffer."""


Resolver = Callable[[str, int, Access], Awaitable[Sequence[SocketAddress]]]
"""(host, port, access) → the addresses that may be dialled: `aurea_engine.targets.addresses.resolve`."""


class Dialer:
    """Opens the connections of one pool. Raises `SpecError` for files of TLS that cannot be read."""

    def __init__(self, options: ConnectionOptions, access: Access, resolver: Resolver = resolve) -> None:
        self._origin, self._access, self._resolve = options.origin, access, resolver
        self._seconds = options.connect_timeout_ns / NS
        self._context = make_tls_context(options.tls) if options.origin.is_secure else None
        self._server_name = self._name_server(options)
        self._addresses: Sequence[SocketAddress] | None = None
        self._lookup: asyncio.Future[Sequence[SocketAddress]] | None = None
        self._looked_up = 0.0
        self._is_stale = False

    def _name_server(self, options: ConnectionOptions) -> str | None:
        if self._context is None:
            return None
        return options.tls.server_name or options.origin.host.removesuffix(".")

    async def dial(self, connection: Connection) -> None:
        """Open ``connection``. Raises what went wrong, as `name_failure` reads it; TimeoutError after the timeout for it."""
        try:
            async with asyncio.timeout(self._seconds):
                if self._origin.unix is not None:
                    await self._dial_socket(connection, self._origin.unix)
                else:
                    await self._dial_addresses(connection)
        except ConnectionError as error:
            # A connection that was made, and ends before TLS is agreed upon: loops call it reset, whoever closed it.
            if self._context is None or isinstance(error, ConnectionRefusedError):
                raise
            raise ssl.SSLError(f"the handshake was broken off: {error}") from error

    async def _dial_socket(self, connection: Connection, path: str) -> None:
        if not self._access.local:
            raise TargetRefused(f"{path}: a Unix socket may only be named by this machine's own user")
        await self._connect_socket(connection, path)

    async def _connect_socket(self, connection: Connection, path: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_unix_connection(
                lambda: connection, path, ssl=self._context, server_hostname=self._server_name
            )
        except BlockingIOError:  # the server's queue is full, which a Unix socket says at once (connect(2))
            raise ConnectionRefusedError from None

    async def _dial_addresses(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._seconds
        addresses = await self._look_up()
        for i, address in enumerate(addresses):
            left = len(addresses) - i
            try:
                async with asyncio.timeout((until - loop.time()) / left if left > 1 else None):
                    await self._dial_address(connection, address)
            except ssl.SSLError:
                raise  # it was reached
            except OSError:
                self._is_stale = True
                # Too late for its time, but open: its request may have been sent, and must not be sent to another address.
                if left == 1 or connection.transport is not None:
                    raise
            else:
                self._is_stale = False
                if i:
                    self._addresses = [address, *(other for other in addresses if other != address)]
                return

    async def _look_up(self) -> Sequence[SocketAddress]:
        now = asyncio.get_running_loop().time()
        is_fresh = now <= self._looked_up + REFRESH
        if self._addresses and (is_fresh or not self._is_stale):
            return self._addresses
        # That there is no such name is an answer, too, and as good for a while: jobs fail faster than resolvers like.
        if self._lookup is None or (self._lookup.done() and not is_fresh):
            self._looked_up = now
            self._lookup = asyncio.ensure_future(self._resolve(self._origin.host, self._origin.port, self._access))
        # Shielded: one connection that is given up must not take the answer from the others.
        self._addresses = await asyncio.shield(self._lookup)
        return self._addresses

    async def _dial_address(self, connection: Connection, address: SocketAddress) -> None:
        if len(address) == 1:  # the operator has allowed this socket under the name that was asked for
            await self._connect_socket(connection, address[0])
            return
        host, port = address[:2]
        if self._access.targets is not None:
            check_address(ipaddress.ip_address(host.partition("%")[0]), port, self._access)
        loop = asyncio.get_running_loop()
        await loop.create_connection(
            lambda: connection, host, port, ssl=self._context, server_hostname=self._server_name
        )

    async def close(self) -> None:
        """Stop looking up."""
        if self._lookup is not None:
            self._lookup.cancel()
            await asyncio.gather(self._lookup, return_exceptions=True)
