"""The hostile server: plays the cases of `cases.py` on raw sockets, and keeps a log of what reached it.

    python -m tests.targets.hostile.server [CERTIFICATE]

It prints its ports as JSON, one for plain connections and, with a certificate, one for TLS, and serves until its standard
input ends. ``GET /log`` on either gives the log since the last one: a list of `Seen`, one for each request in the order of
arrival. ``GET /sleep/SECONDS`` is answered after that time.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import socket
import ssl
import struct
import sys
import time
from dataclasses import asdict, dataclass

import uvloop

from tests.targets.hostile.cases import case_at
from tests.targets.hostile.parts import Exchange

READ = 262_144
# Long enough that no client of a test ends later, and short enough that a client which never closes is noticed.
PATIENCE = 60.0


@dataclass
class Seen:
    """One request as it arrived: on which connection, how much of it, and whether it was what the case asks."""

    path: str
    connection: int
    received: int
    right: bool
    note: str = ""


class Gone(Exception):
    """The client closed, or reset, its side."""


class PlainWire:
    """One connection. Each send is a segment of its own: TCP_NODELAY is set, and nothing here collects."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.loop = asyncio.get_running_loop()

    async def open(self) -> None:
        pass

    async def receive(self) -> bytes:
        try:
            data = await asyncio.wait_for(self.loop.sock_recv(self.sock, READ), PATIENCE)
        except OSError as error:
            raise Gone from error
        if not data:
            raise Gone
        return data

    async def send(self, data: bytes) -> None:
        try:
            await asyncio.wait_for(self.loop.sock_sendall(self.sock, data), PATIENCE)
        except OSError as error:
            raise Gone from error

    async def finish(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Gone from error

    def reset(self) -> None:
        """Closed with a linger of zero, a socket sends RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class TlsWire(PlainWire):
    """The same over TLS, whose records are made here, so that the end of TLS is not that of the connection."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, *, is_polite: bool) -> None:
        super().__init__(sock)
        self.is_polite = is_polite
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    async def open(self) -> None:
        await self._do(self.tls.do_handshake)

    async def receive(self) -> bytes:
        data: bytes = await self._do(lambda: self.tls.read(READ))
        if not data:
            raise Gone
        return data

    async def send(self, data: bytes) -> None:
        await self._do(lambda: self.tls.write(data))

    async def _do(self, what: object) -> bytes:
        while True:
            try:
                result = what()  # type: ignore[operator]
            except ssl.SSLWantReadError:
                await self._flush()
                self.incoming.write(await super().receive())
            except ssl.SSLError as error:
                raise Gone from error
            else:
                await self._flush()
                return result  # type: ignore[no-any-return]

    async def _flush(self) -> None:
        if self.outgoing.pending:
            await super().send(self.outgoing.read())

    async def finish(self) -> None:
        """Every other connection ends without close_notify, as with servers that merely close.

        RFC 9112, 9.8: what then has no length may be cut off. Python's event loops do not tell of the difference.
        """
        if self.is_polite:
            with contextlib.suppress(ssl.SSLError):  # it waits for the client's, which is not read
                self.tls.unwrap()
            await self._flush()
        await super().finish()


class Visit:
    """One connection, from the first request on it to its end."""

    def __init__(self, wire: PlainWire, number: int, log: list[Seen]) -> None:
        self.wire = wire
        self.number = number
        self.log = log
        self.buffer = b""

    async def serve(self) -> None:
        try:
            await self.wire.open()
            while await self.exchange():
                pass
        except (Gone, TimeoutError):
            pass
        finally:
            self.wire.sock.close()

    async def exchange(self) -> bool:
        """One request and what the case does with it; whether another may follow."""
        head = await self.head()
        _, path, _ = head.split(b" ", 2)
        if path == b"/log":
            await self.tell()
            return True
        if path.startswith(b"/sleep/"):
            await sleep_until(time.perf_counter() + float(path.split(b"/")[2]))
            await self.wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return True
        case = case_at(path.decode())
        seen = Seen(path.decode(), self.number, len(head), right=False)
        self.log.append(seen)
        return await self.play(case, head, seen)

    async def play(self, case: Exchange, head: bytes, seen: Seen) -> bool:
        length = length_of(head)
        seen.note = fault_of(head, case)
        seen.right = not seen.note and (length == 0 or ("head",) == case.steps[0])
        for step in case.steps:
            match step:
                case ("whole",):
                    body = await self.take(length)
                    seen.received += len(body)
                    seen.right = not seen.note and body == case.asked.body
                case ("send", bytes() as data):
                    await self.wire.send(data)
                case ("pause", float() as seconds):
                    await asyncio.sleep(seconds)
                case ("finish",):
                    await self.wire.finish()
                    await self.drain()
                    return False
                case ("reset",):
                    self.wire.reset()
                    return False
                case ("hang",):
                    await self.drain()
                    return False
        return True

    async def head(self) -> bytes:
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            self.buffer += await self.wire.receive()
        head, self.buffer = self.buffer[: end + 4], self.buffer[end + 4 :]
        return head

    async def take(self, length: int) -> bytes:
        parts = [self.buffer]
        have = len(self.buffer)
        while have < length:
            parts.append(await self.wire.receive())
            have += len(parts[-1])
        body = b"".join(parts)
        self.buffer = body[length:]
        return body[:length]

    async def drain(self) -> None:
        """Read until the client closes: to close with bytes unread would send RST, and could destroy what was sent."""
        while True:
            await PlainWire.receive(self.wire)

    async def tell(self) -> None:
        body = json.dumps([asdict(seen) for seen in self.log]).encode()
        self.log.clear()
        await self.wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def sleep_until(instant: float) -> None:
    """A timer of uvloop goes by whole milliseconds, and may be early."""
    while (left := instant - time.perf_counter()) > 0:
        await asyncio.sleep(left)


def length_of(head: bytes) -> int:
    found = re.findall(rb"(?im)^content-length: *(\d+)\r$", head)
    return int(found[0]) if found else 0


def fault_of(head: bytes, case: Exchange) -> str:
    """What is wrong with the head of a request, or nothing."""
    method = head.split(b" ", 1)[0].decode()
    if method != case.asked.method:
        return f"method {method} instead of {case.asked.method}"
    lines = head.decode("latin-1").split("\r\n")
    names = [line.partition(":")[0].lower() for line in lines[1:] if line]
    if names.count("host") != 1:
        return "not one Host"
    if length_of(head) != len(case.asked.body):
        return f"Content-Length {length_of(head)} instead of {len(case.asked.body)}"
    if ("expect" in names) != case.asked.expects:
        return "an Expect too many, or missing"
    return ""


def listener() -> socket.socket:
    sock = socket.create_server(("0.0.0.0", 0), backlog=1024)  # all of 127.0.0.0/8
    sock.setblocking(False)
    return sock


async def accept(sock: socket.socket, log: list[Seen], context: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    visits: set[asyncio.Task[None]] = set()
    number = 0
    while True:
        connection, _ = await loop.sock_accept(sock)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number += 1
        wire = PlainWire(connection) if context is None else TlsWire(connection, context, is_polite=number % 2 == 0)
        visit = asyncio.create_task(Visit(wire, number, log).serve())
        visits.add(visit)
        visit.add_done_callback(visits.discard)


async def main(certificate: list[str]) -> None:
    log: list[Seen] = []
    plain = listener()
    ports = {"plain": plain.getsockname()[1]}
    servers = [accept(plain, log, None)]
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
        tls = listener()
        ports["tls"] = tls.getsockname()[1]
        servers.append(accept(tls, log, context))
    tasks = [asyncio.ensure_future(server) for server in servers]
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    for task in tasks:
        task.cancel()


def checksum(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
