"""Real servers for the tests: nginx, and Python's application servers. Each listens on loopback and on a Unix socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SMALL = bytes(range(256)) * 2 + b"x" * 100
LARGE = 8 * 1024 * 1024


def free_port() -> int:
    """A port that nobody listens on. Another program may take it first: then the server says so, and the test fails."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for(listening: socket.socket, address: object, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        with suppress(OSError):
            listening.connect(address)  # type: ignore[arg-type]
            return
        code = process.poll()
        assert code is None, f"the server ended with {code}: {log.read_text()}"
        assert time.monotonic() < deadline, f"the server does not listen: {log.read_text()}"
        time.sleep(0.01)


@contextmanager
def started(command: list[str], unix: Path, log: Path, stop: signal.Signals, **more: object) -> Iterator[None]:
    """The server while it runs: from when it takes connections on its Unix socket to when it has ended by itself."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **more)  # type: ignore[call-overload]
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            wait_for(sock, str(unix), process, log)
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(120)
        finally:
            process.kill()
            process.wait()


class Logged(NamedTuple):
    """One request in nginx's log. ``sent``: all bytes of the reply, head and framing included, before TLS."""

    path: str
    status: int
    sent: int
    read: int
    connection: int
    number_on_it: int


class Nginx(NamedTuple):
    port: int
    tls_port: int
    unix: Path
    access_log: Path

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def tls_url(self, path: str) -> str:
        return f"https://localhost:{self.tls_port}{path}"

    def take_log(self, requests: int) -> list[Logged]:
        """The log since the last call. nginx writes a line after the reply's last byte, so there may be some to wait for."""
        deadline = time.monotonic() + 120
        while len(lines := self.access_log.read_text().splitlines()) < requests:
            assert time.monotonic() < deadline, f"{len(lines)} lines in nginx's log, not {requests}"
            time.sleep(0.01)
        os.truncate(self.access_log, 0)
        return [Logged(**json.loads(line)) for line in lines]


CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; {user}
events {{ worker_connections 1024; }}
http {{
  log_format bytes escape=json '{{"path":"$request_uri","status":$status,"sent":$bytes_sent,"read":$request_length,'
    '"connection":$connection,"number_on_it":$connection_requests}}';
  access_log {folder}/access.log bytes;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  limit_req_zone $server_port zone=slow:1m rate=1r/m; limit_req_status 429;
  root {folder}/www; default_type application/octet-stream; keepalive_requests 1000000;
  gzip_min_length 1; gzip_types *; gzip_proxied any;
  server {{
    listen 127.0.0.1:{port}; listen 127.0.0.1:{tls_port} ssl; listen unix:{folder}/nginx.sock;
    ssl_certificate {certificate}; ssl_certificate_key {certificate};
    ssl_client_certificate {ca}; ssl_verify_client optional;
    location /gzip/ {{ gzip on; alias {folder}/www/; }}
    location = /seven {{ keepalive_requests 7; try_files /small =404; }}
    location = /idle {{ keepalive_timeout 50ms; try_files /small =404; }}
    location = /no-keep-alive {{ keepalive_timeout 0; try_files /small =404; }}
    location = /limited {{ limit_req zone=slow burst=2 nodelay; try_files /small =404; }}
    location = /upload {{ client_max_body_size 10k; return 201 "taken\\n"; }}
    location = /redirect {{ return 302 /small; }}
    location = /twice {{ return 307 /redirect; }}
    location = /loop {{ return 302 /loop; }}
    location = /elsewhere {{ return 302 http://127.0.0.2:{port}/small; }}
    location = /drop {{ return 444; }}
    location = /fail {{ return 503 "not now\\n"; }}
    location = /nothing {{ return 204; }}
    location = /certified {{
      if ($ssl_client_verify != SUCCESS) {{ return 403; }}
      return 200 $ssl_client_s_dn;
    }}
  }}
}}
"""


@contextmanager
def run_nginx(program: str, folder: Path, ca: str, certificate: str) -> Iterator[Nginx]:
    """Nginx with a port, a port for TLS and a Unix socket. ``certificate``: a PEM file with the key in it."""
    www = folder / "www"
    www.mkdir()
    (www / "small").write_bytes(SMALL)
    (www / "large").write_bytes(b"0123456789abcdef" * (LARGE // 16))
    (www / "text").write_bytes(b"the same words again and again, " * 1000)
    server = Nginx(free_port(), free_port(), folder / "nginx.sock", folder / "access.log")
    configuration = CONFIGURATION.format(
        folder=folder,
        user="user root;" if os.getuid() == 0 else "",  # its workers read a folder that only its owner may
        port=server.port,
        tls_port=server.tls_port,
        ca=ca,
        certificate=certificate,
    )
    (folder / "nginx.conf").write_text(configuration)
    command = [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    with started(command, server.unix, folder / "output", signal.SIGQUIT):
        yield server


APPLICATION = "tests.targets.application"


@contextmanager
def run_gunicorn(folder: Path, ca: str = "", certificate: str = "") -> Iterator[tuple[int, Path]]:
    """The WSGI application on a port and a Unix socket, by threads, so that connections are kept.

    With an authority both speak TLS, and a client has to show a certificate.
    """
    port, unix = free_port(), folder / "gunicorn.sock"
    command = [sys.executable, "-m", "gunicorn", "--threads", "4", "--keep-alive", "30", "--no-control-socket"]
    binds = ["--bind", f"unix:{unix}", "--bind", f"127.0.0.1:{port}", "--graceful-timeout", "1", f"{APPLICATION}:wsgi"]
    tls = ["--certfile", certificate, "--ca-certs", ca, "--cert-reqs", "2"] if ca else []
    with started([*command, *tls, *binds], unix, folder / "gunicorn.log", signal.SIGTERM, cwd=ROOT):
        yield port, unix


@contextmanager
def run_uvicorn(folder: Path) -> Iterator[tuple[int, Path]]:
    """The ASGI application, once on a port and once on a Unix socket: uvicorn listens on one of them only."""
    port, unix = free_port(), folder / "uvicorn.sock"
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        f"{APPLICATION}:asgi",
        "--no-access-log",
        "--timeout-graceful-shutdown",
        "1",
    ]
    with socket.create_server(("127.0.0.1", port)) as sock:
        sock.set_inheritable(True)
        on_port = subprocess.Popen([*command, "--fd", str(sock.fileno())], cwd=ROOT, pass_fds=[sock.fileno()])
    try:
        with started([*command, "--uds", str(unix)], unix, folder / "uvicorn.log", signal.SIGTERM, cwd=ROOT):
            yield port, unix
    finally:
        on_port.terminate()
        on_port.wait(120)
