"""nginx as the server of the rows on HTTP: one process on a core of its own, which says what it did and what that took."""

from __future__ import annotations

import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contest import Absent
from benchmarks.machine import find_free_port, find_program, pin, read_cpu

BODY = 612
"""Bytes of each answer: nginx's own welcome page used to have so many, and they became the usual size of such tests."""

_CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
worker_rlimit_nofile {files};
events {{ worker_connections {files}; multi_accept on; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    sendfile on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = / {{ default_type text/plain; return 200 "{plain}"; }}
        location = /item {{ default_type application/json; return 200 '{item}'; }}
        location /files/ {{ alias {folder}/files/; }}
        location = /status {{ stub_status; }}
    }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running one. ``requests`` and ``connections`` are its own counts, the same for every contender."""

    url: str
    pid: int
    files: Path

    def count_requests(self) -> int:
        """Requests handled so far, that for this count among them."""
        return int(self._read_status()[9])

    def count_connections(self) -> int:
        """Connections open now, that of this count among them."""
        return int(self._read_status()[2])

    def read_cpu(self) -> float:
        """Seconds of processor time so far."""
        return read_cpu(self.pid)

    def _read_status(self) -> list[str]:
        with urllib.request.urlopen(f"{self.url}/status", timeout=10) as answer:
            text: str = answer.read().decode()
        # The third word is the connections that are open, the tenth the requests so far.
        return text.split()


@contextmanager
def open_nginx(core: int, files: int = 1024) -> Iterator[Nginx]:
    """One nginx on ``core``, with room for ``files`` connections, until the block ends."""
    binary = find_program("nginx") or find_program("/usr/sbin/nginx")
    if binary is None:
        raise Absent("nginx is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), find_free_port()
        (folder / "files").mkdir()
        # It drops its rights where it is started by root, and must still reach the files.
        folder.chmod(0o755)
        config = folder / "nginx.conf"
        config.write_text(_write_config(folder, port, files), encoding="ascii")
        command = pin(core, [binary, "-p", name, "-c", str(config), "-e", str(folder / "error.log")])
        process = subprocess.Popen(command)
        try:
            server = Nginx(f"http://127.0.0.1:{port}", process.pid, folder / "files")
            _wait_until_it_answers(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(timeout=30)


def _write_config(folder: Path, port: int, files: int) -> str:
    # $arg_id is the value of ?id= in the request: the answer to each request of its own is another one.
    item = '{"status": "ok", "id": "$arg_id", "padding": "PADDING"}'
    item = item.replace("PADDING", "x" * (BODY - len(item) + len("PADDING")))
    return _CONFIG.format(folder=folder, port=port, files=files, plain="x" * BODY, item=item)


def _wait_until_it_answers(server: Nginx, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        try:
            server.count_requests()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise Absent(f"nginx did not start: exit code {process.poll()}")
