"""Addresses of Dask clusters: what is refused before anybody is asked, and what a first contact says of each failure."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from aurea_engine import ClusterRefused
from aurea_engine.shards.dask_address import ClusterAddress, make_first_contact
from tests.engine.shards.dask_cluster import Certificates, make_certificates


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def problems(address: str, *files: str, insecure: bool = False) -> list[str]:
    return [f"{each}" for each in ClusterAddress(address, *files, insecure=insecure).find_problems()]


@pytest.mark.parametrize(
    "address",
    [
        "", "host", "host:8786", "tls://", "tls://host", "tls://host:", "tls://host:0", "tls://host:99999", "ws://host:1",
        "ucx://host:1", "inproc://1", "http://host:1", "tls://user@host:1", "tls://user:word@host:1", "tls://host:1/path",
        "tls://host:1?a", "tls://host:1#a", "tcp://ho st:1", "tcp://[::1:1", "TLS//host:1", "tls://\x1b[31m:1", "tls://1.2.3.4.5:1",
    ],
)  # fmt: skip
def test_other_addresses_are_refused(address: str) -> None:
    (problem,) = problems(address)
    assert problem.startswith("dask: must be tls://HOST:PORT or tcp://HOST:PORT")
    assert problem.isprintable()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]", "LOCALHOST"])
def test_tcp_on_loopback_is_allowed(host: str) -> None:
    cluster = ClusterAddress(f"tcp://{host}:8786", insecure=True)
    assert ClusterAddress(f"tcp://{host}:8786").check() == ClusterAddress(f"tcp://{host}:8786")
    assert (cluster.find_problems(), cluster.list_warnings()) == ([], [])


@pytest.mark.parametrize("host", ["10.0.0.1", "scheduler", "0.0.0.0", "[::]", "localhost.example.org", "[fe80::1]"])
def test_tcp_elsewhere_must_be_asked_for(host: str) -> None:
    """And then there is a warning each time."""
    address = f"tcp://{host}:8786"
    (problem,) = problems(address)
    assert "is neither encrypted nor authenticated" in problem
    assert "--dask-insecure" in problem
    allowed = ClusterAddress(address, insecure=True)
    assert (allowed.find_problems(), len(allowed.list_warnings())) == ([], 1)


def test_tls_needs_all_three_files(files: Certificates, tmp_path: Path) -> None:
    """All that is missing is said at once."""
    assert problems("tls://h:1") == [
        f"dask_{name}: is needed with a tls:// address: a file in PEM" for name in ("ca", "cert", "key")
    ]
    assert problems("tls://h:1", files.ca, files.cert, files.key) == []
    missing = str(tmp_path / "none")
    assert [each.partition(":")[0] for each in problems("tls://h:1", missing, "", str(tmp_path))] == [
        "dask_cert",
        "dask_ca",
        "dask_key",
    ]
    assert problems("tcp://127.0.0.1:1", files.ca) == ["dask_ca: goes with a tls:// address: leave it out"]


# A first contact. What answers here greets as a scheduler does, or does not: of Dask it needs no more.


@contextlib.contextmanager
def answering(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port of 127.0.0.1 at which each connection is handled."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, contextlib.suppress(OSError):
                        handle(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def greeting_over_tls(theirs: Certificates) -> Callable[[socket.socket], None]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=theirs.ca)
    context.load_cert_chain(theirs.cert, theirs.key)
    context.verify_mode = ssl.CERT_REQUIRED

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.sendall(b"\0" * 8)
            encrypted.recv(1)

    return handle


def refusal(port: int, ours: Certificates | None) -> str:
    """What a first contact says, which is one line."""
    files = () if ours is None else (ours.ca, ours.cert, ours.key)
    scheme = "tcp" if ours is None else "tls"
    with pytest.raises(ClusterRefused) as refused:
        make_first_contact(ClusterAddress(f"{scheme}://127.0.0.1:{port}", *files))
    text = f"{refused.value}"
    assert f"{scheme}://127.0.0.1:{port}" in text or "PEM" in text
    assert "\n" not in text
    return text


def test_scheduler_is_recognised(files: Certificates) -> None:
    with answering(greeting_over_tls(files)) as port:
        make_first_contact(ClusterAddress(f"tls://127.0.0.1:{port}", files.ca, files.cert, files.key))
    with answering(lambda connection: connection.sendall(b"\0" * 8)) as port:
        make_first_contact(ClusterAddress(f"tcp://127.0.0.1:{port}"))


def test_nobody_is_there(files: Certificates) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, and not listening
        text = refusal(unused.getsockname()[1], files)
    assert "cannot be reached: connection refused. Start the scheduler, or correct the address" in text


def test_unknown_host_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No resolver is asked for the test."""

    def resolve(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(ClusterRefused, match=r"tcp://nobody\.invalid:1 cannot be reached: name or service not known"):
        make_first_contact(ClusterAddress("tcp://nobody.invalid:1", insecure=True))


def test_expired_certificates(tmp_path: Path) -> None:
    """Theirs and ours are told apart."""
    authority = trustme.CA()
    good = make_certificates(tmp_path / "good", authority=authority)
    old = make_certificates(tmp_path / "old", authority=authority, days=-1)
    with answering(greeting_over_tls(old)) as port:
        assert "the certificate of the scheduler at" in (text := refusal(port, good))
        assert "has expired: give it a new one" in text
    with answering(greeting_over_tls(good)) as port:
        assert f"refuses our certificate {old.cert}: it has expired" in refusal(port, old)


def test_certificates_of_another_authority(files: Certificates, tmp_path: Path) -> None:
    others = make_certificates(tmp_path / "others")
    with answering(greeting_over_tls(others)) as port:
        assert f"is not from the authority in {files.ca}" in refusal(port, files)
        half = Certificates(others.ca, files.cert, files.key)
        assert f"refuses our certificate {files.cert}: it is from another authority" in refusal(port, half)


def test_something_else_answers(files: Certificates) -> None:
    with answering(lambda _: None) as port:
        assert "closed the connection: is it a Dask scheduler, and one that speaks tcp?" in refusal(port, None)
        assert "closed the connection: is it a Dask scheduler, and one that speaks tls?" in refusal(port, files)
    with answering(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert "is it a Dask scheduler, and one that speaks tls?" in refusal(port, files)


def test_silence_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler that speaks TLS waits for us to begin, and so do many others."""
    monkeypatch.setattr("aurea_engine.shards.dask_address.CONNECT_PATIENCE", 0.05)
    with answering(lambda connection: connection.recv(1) and None) as port:
        assert "says nothing: is it a Dask scheduler, and one that speaks tcp?" in refusal(port, None)


def test_files_that_are_none(files: Certificates, tmp_path: Path) -> None:
    """A key of another certificate, and a text."""
    other = make_certificates(tmp_path / "other")
    text = tmp_path / "text"
    text.write_text("none")
    with answering(greeting_over_tls(files)) as port:
        assert "are no certificate and its key in PEM" in refusal(port, Certificates(files.ca, files.cert, other.key))
        assert "are no certificate and its key in PEM" in refusal(port, Certificates(files.ca, str(text), files.key))
        assert "holds no certificate of an authority" in refusal(port, Certificates(str(text), files.cert, files.key))


@pytest.mark.service
def test_importing_aurea_imports_no_dask() -> None:
    """In a fresh interpreter, also what the command line and the server load to run on a cluster."""
    names = "aurea_engine, aurea_engine.shards.dask_shard, aurea_engine.shards.dask_task, aurea_server.__main__"
    names += ", aurea_server.cli.run, aurea_server.http.app, aurea_server.runner.program"
    program = f"import sys, {names}\nprint(sorted({{'dask', 'distributed', 'tornado'}} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out == "[]\n"
