"""Opening connections: names, addresses, TLS, Unix sockets, and the class of each way in which it fails."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import pytest
import trustme

from aurea_engine.errors import SpecError, TargetRefused
from aurea_engine.targets.http.connection import Connection
from aurea_engine.targets.http.connection_options import ConnectionOptions
from aurea_engine.targets.http.dialing import Dialer
from aurea_engine.targets.http.origin import Origin
from aurea_engine.targets.http.pool import ConnectionPool
from aurea_engine.targets.http.tls import TlsOptions, make_tls_context
from aurea_engine.workload.access import Access, parse_allowed_target
from tests.targets.connections.exchanges import (
    OK,
    PLAIN,
    SECOND,
    Recorder,
    answer,
    exchange,
    failures_of,
    pool_for,
    serve,
)

Address = tuple[str, int]


class Names:
    """A resolver of one name. ``answers``: addresses, or what is raised; the last one stays."""

    def __init__(self, *answers: Sequence[Address] | Exception) -> None:
        self.answers, self.asked = list(answers), 0

    async def resolve(self, host: str, port: int, access: Access) -> Sequence[Address]:
        self.asked += 1
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@asynccontextmanager
async def pool_of_names(names: Names, **options: Any) -> AsyncIterator[ConnectionPool]:
    """A pool that asks ``names``."""
    made = ConnectionOptions(Origin("http", "target.test", 80), warm=False, **options)
    pool = ConnectionPool(made, Access(), perf_counter_ns)
    pool._dialer = Dialer(made, Access(), names.resolve)
    try:
        yield pool
    finally:
        await pool.close()


@contextmanager
def black_hole() -> Iterator[int]:
    """A port at which connecting takes for ever: its queue is full."""
    with socket.socket() as listener, contextmanager(_fill)(listener) as port:
        yield port


def _fill(listener: socket.socket) -> Iterator[int]:
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    clients = []
    for _ in range(3):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
        clients.append(client)
    yield listener.getsockname()[1]
    for client in clients:
        client.close()


async def test_name_is_looked_up_once() -> None:
    """Ten connections at once, and more later: one look."""
    async with serve(answer(OK)) as port:
        names = Names([("127.0.0.1", port)])
        async with pool_of_names(names, reuse=False) as pool:
            sender = Recorder()
            for token in range(10):
                pool.send(sender, token, PLAIN, 30 * SECOND, None)
            await sender.wait(10)
            await exchange(pool, sender)
    assert failures_of(sender.seen) == [None] * 11
    assert names.asked == 1


async def test_unknown_name_is_dns() -> None:
    """It is asked for again, in case the resolver was at fault, and once a second at most, however many jobs fail."""
    async with serve(answer(OK)) as port:
        names = Names(socket.gaierror(socket.EAI_NONAME, "unknown"), [("127.0.0.1", port)])
        async with pool_of_names(names) as pool:
            sender = Recorder()
            for _ in range(20):
                assert (await exchange(pool, sender)).failure == "dns"
                if names.asked == 1:  # on a busy machine all of them take longer than that second
                    pool._dialer._looked_up = asyncio.get_running_loop().time()
            assert names.asked == 1
            pool._dialer._looked_up -= 2
            assert (await exchange(pool, sender)).failure is None
            assert pool.state().failed_dials == 20


async def test_next_address_is_tried(unused_tcp_port: int) -> None:
    """The first refuses. The one that answered is the first from then on."""
    async with serve(answer(OK)) as port:
        names = Names([("127.0.0.1", unused_tcp_port), ("127.0.0.1", port)])
        async with pool_of_names(names, reuse=False) as pool:
            sender = Recorder()
            for _ in range(3):
                assert (await exchange(pool, sender)).failure is None
            assert pool._dialer._addresses == [("127.0.0.1", port), ("127.0.0.1", unused_tcp_port)]
    assert names.asked == 1


async def test_silent_address_leaves_others_time() -> None:
    """One that swallows packets gets its share of the time, not all of it."""
    async with serve(answer(OK)) as port:
        with black_hole() as silent:
            for patience in (SECOND // 2, 10 * SECOND, 60 * SECOND):  # a busy machine needs some for the other one, too
                names = Names([("127.0.0.1", silent), ("127.0.0.1", port)])
                async with pool_of_names(names, connect_timeout_ns=patience) as pool:
                    if (seen := await exchange(pool, Recorder(), timeout_ns=120 * SECOND)).failure is None:
                        break
            assert seen.failure is None


async def test_open_connection_is_dialled_once() -> None:
    """Its time may end in the very turn of the event loop in which it opens: then its request has been sent already."""
    received: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        received.append(await reader.read(1))
        await asyncio.sleep(60)

    async with serve(listen) as port, pool_of_names(Names([("127.0.0.1", port)] * 2)) as pool:
        dial = pool._dialer._dial_address

        async def dial_too_late(connection: Connection, address: Address) -> None:
            await dial(connection, address)
            raise TimeoutError

        pool._dialer._dial_address = dial_too_late  # type: ignore[method-assign]
        sender = Recorder()
        for patience in (SECOND // 5, 5 * SECOND, 60 * SECOND):  # a busy machine may take longer to open it at all
            assert (await exchange(pool, sender, timeout_ns=patience)).failure == "timeout"
            if pool.opened:
                break
        assert pool.opened == 1
    assert received == [b"G"]


async def test_failed_address_is_looked_up_again(unused_tcp_port: int) -> None:
    """But not more than once a second, however many jobs fail."""
    names = Names([("127.0.0.1", unused_tcp_port)])
    async with pool_of_names(names) as pool:
        sender = Recorder()
        began = time.monotonic()
        for _ in range(20):
            assert (await exchange(pool, sender)).failure == "refused"
        assert names.asked <= 2 + (time.monotonic() - began)
        asked = names.asked
        pool._dialer._looked_up -= 2
        await exchange(pool, sender)
        assert names.asked == asked + 1


async def test_silent_target_is_connect_timeout() -> None:
    """The job's service began when its connection began to be opened."""
    with black_hole() as port:
        async with pool_for(port, connect_timeout_ns=SECOND // 20) as pool:
            seen = await exchange(pool, Recorder())
    assert (seen.failure, seen.connected, seen.sent, seen.bytes_sent) == ("connect_timeout", -1, -1, 0)
    assert seen.finished - seen.started >= SECOND // 20 - 1_000_000  # the loop's own timer


async def test_job_timeout_while_connecting() -> None:
    """The job's own limit is shorter: `timeout`, and the connection is given up."""
    with black_hole() as port:
        async with pool_for(port) as pool:
            seen = await exchange(pool, Recorder(), timeout_ns=SECOND // 50)
            assert pool.state().busy == 0
            await asyncio.sleep(0)
            assert not pool._dials or all(dial.cancelling() for dial in pool._dials)
    assert seen.failure == "timeout"


async def test_no_descriptor_is_local() -> None:
    """The client's own fault, and never the target's."""
    async with serve(answer(OK)) as port, pool_for(port) as pool:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
        fillers = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, before[1]))
            with pytest.raises(OSError, match="Too many"):
                fillers.extend(iter(lambda: os.dup(0), -1))
            seen = await exchange(pool, Recorder())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            for filler in fillers:
                os.close(filler)
        assert seen.failure == "local"
        assert (await exchange(pool, Recorder())).failure is None


async def test_target_that_is_not_allowed() -> None:
    """Nothing is dialled."""
    access = Access(targets=(parse_allowed_target("127.0.0.1:1"),), local=False)
    async with serve(answer(OK)) as port, pool_for(port, access) as pool:
        seen = await exchange(pool, Recorder())
        assert (seen.failure, pool.state().opened) == ("target_not_allowed", 0)


async def test_address_is_checked_when_dialled() -> None:
    """A resolver that answers what is not allowed opens nothing."""
    access = Access(targets=(parse_allowed_target("target.test:80"),), local=False)
    async with serve(answer(OK)) as port:
        options = ConnectionOptions(Origin("http", "target.test", 80), warm=False)
        dialer = Dialer(options, access, Names([("127.0.0.1", port)]).resolve)
        pool = ConnectionPool(options, access, perf_counter_ns)
        connection = pool._add_connection()
        with pytest.raises(TargetRefused):
            await dialer.dial(connection)
        assert connection.transport is None


# --- Unix sockets ----------------------------------------------------------------------------------------------------


def unix_options(path: Path) -> ConnectionOptions:
    return ConnectionOptions(Origin("http", "localhost", 80, unix=str(path)), warm=False)


async def test_unix_socket_is_served(tmp_path: Path) -> None:
    """As over TCP, with all stamps."""
    path = tmp_path / "s"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer(OK, close=True)(reader, writer)
        writer.close()

    server = await asyncio.start_unix_server(script, path)
    pool = ConnectionPool(unix_options(path), Access(), perf_counter_ns)
    seen = await exchange(pool, Recorder())
    await pool.close()
    server.close()
    assert (seen.failure, seen.status, seen.is_kept) == (None, 200, False)


@pytest.mark.parametrize(
    ("local", "failure"), [(True, "refused"), (False, "target_not_allowed")], ids=["missing", "from elsewhere"]
)
async def test_unix_socket_is_refused(tmp_path: Path, local: bool, failure: str) -> None:
    """There is none; or the specification came from elsewhere, and may name none."""
    pool = ConnectionPool(unix_options(tmp_path / "s"), Access(local=local), perf_counter_ns)
    assert (await exchange(pool, Recorder())).failure == failure
    await pool.close()


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    client = authority.issue_cert("client@test")
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    client.private_key_pem.write_to_path(folder / "client.key")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    return folder


@asynccontextmanager
async def serve_tls(authority: trustme.CA, host: str = "localhost", client_needed: bool = False) -> AsyncIterator[int]:
    """A server with a certificate for ``host`` by ``authority``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    if client_needed:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(OK)(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    server = await asyncio.start_server(script, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def over_tls(port: int, host: str = "127.0.0.1", **tls: Any) -> tuple[list[str | None], list[bool], int]:
    """Two exchanges: their failures, which of them were over a kept connection, and the bytes of the last."""
    options = ConnectionOptions(Origin("https", host, port), warm=False, tls=TlsOptions(**tls))
    pool = ConnectionPool(options, Access(), perf_counter_ns)
    try:
        sender = Recorder()
        seen = [await exchange(pool, sender) for _ in range(2)]
    finally:
        await pool.close()
    return failures_of(seen), [each.is_kept for each in seen], seen[-1].bytes_received


async def test_private_authority_is_trusted(authority: trustme.CA, files: Path) -> None:
    """With ``ca``; and the name is checked that ``server_name`` gives. What is counted is HTTP, not TLS."""
    async with serve_tls(authority) as port:
        found = await over_tls(port, ca=str(files / "ca.pem"), server_name="localhost")
    assert found == ([None, None], [False, True], len(OK))


@pytest.mark.parametrize("tls", [{}, {"server_name": "localhost"}, {"ca": True}], ids=["none", "ca", "name"])
async def test_wrong_certificate_is_tls(authority: trustme.CA, files: Path, tls: dict[str, Any]) -> None:
    """An authority that is not known; a certificate for another name."""
    if "ca" in tls:
        tls = {"ca": str(files / "ca.pem"), "server_name": "elsewhere.test"}
    async with serve_tls(authority) as port:
        failures, _, _ = await over_tls(port, **tls)
    assert failures == ["tls", "tls"]


async def test_verification_can_be_off(authority: trustme.CA) -> None:
    """Then any certificate will do."""
    async with serve_tls(authority, "elsewhere.test") as port:
        assert (await over_tls(port, verify=False))[0] == [None, None]


@pytest.mark.parametrize("names", [("client.pem", "client.key"), ("both.pem", None)], ids=["two files", "one file"])
async def test_client_certificate_is_shown(authority: trustme.CA, files: Path, names: tuple[str, str | None]) -> None:
    """A server that asks for one gets it."""
    cert, key = (None if name is None else str(files / name) for name in names)
    async with serve_tls(authority, client_needed=True) as port:
        found = await over_tls(port, ca=str(files / "ca.pem"), server_name="localhost", cert=cert, key=key)
    assert found[0] == [None, None]


async def test_missing_client_certificate_is_tls(authority: trustme.CA, files: Path) -> None:
    """With TLS 1.3 the server says so after the handshake, when the request is on its way."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED

    def refuse(listener: socket.socket) -> None:
        # Blocking, since asyncio's servers close without the alert that OpenSSL has for the client.
        for _ in range(2):
            connection, _ = listener.accept()
            with connection, pytest.raises(ssl.SSLError, match="certificate"):
                context.wrap_socket(connection, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = asyncio.create_task(asyncio.to_thread(refuse, listener))
        port = listener.getsockname()[1]
        failures, _, _ = await over_tls(port, ca=str(files / "ca.pem"), server_name="localhost")
        await refusing
    assert failures == ["tls", "tls"]


async def test_server_without_tls_is_tls(files: Path) -> None:
    """A plain server at a port for TLS."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with serve(script) as port:
        assert (await over_tls(port, verify=False))[0] == ["tls", "tls"]


@pytest.mark.parametrize(
    ("member", "content"),
    [("ca", None), ("ca", "no certificate"), ("cert", None), ("cert", "no certificate")],
)
def test_tls_file_is_named(member: str, content: str | None, tmp_path: Path) -> None:
    """A file that is missing, or holds something else: the error names the member and the file."""
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SpecError) as raised:
        make_tls_context(TlsOptions(**{member: str(path)}))
    (problem,) = raised.value.problems
    assert problem.path.startswith(f"tls.{member}")
    assert problem.got == str(path)


def test_all_tls_problems_at_once(tmp_path: Path) -> None:
    """Both files are missing, and both are named."""
    with pytest.raises(SpecError) as raised:
        make_tls_context(TlsOptions(ca=str(tmp_path / "a"), cert=str(tmp_path / "b")))
    assert [problem.path for problem in raised.value.problems] == ["tls.ca", "tls.cert"]


def test_named_authority_is_the_only_one(files: Path) -> None:
    """Those of the system are not trusted beside it."""
    assert len(make_tls_context(TlsOptions(ca=str(files / "ca.pem"))).get_ca_certs()) == 1


@pytest.mark.parametrize("name", ["", ".", "a..b", "nul\0", "x" * 64, "-", "a b"])
def test_server_name_is_a_host_name(name: str) -> None:
    """With anything else the handshake would fail in the event loop's own code, which prints a traceback."""
    with pytest.raises(SpecError, match="server_name: must be a host name"):
        TlsOptions(server_name=name)
