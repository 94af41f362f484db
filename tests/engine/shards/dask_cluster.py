"""Dask clusters for tests, each of its processes one that can be killed by itself; over TLS with certificates made here.

    with start_cluster(tmp_path) as cluster:
        result = await run_on_dask(spec, cluster.address)

`Cluster.scheduler`, `.workers` and `.nannies` are process numbers. A cluster is as good as new after a run, so many tests
may share one; after a fault a new one is wanted. Nothing of it is left when the block ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from aurea_engine.processes.linux import PR_SET_PDEATHSIG
from aurea_engine.shards.dask_address import ClusterAddress

PATIENCE = 120.0
"""Seconds that a cluster has to be there, on a machine that is busy."""

LOCAL_CLUSTER = """
import json, sys, time
from distributed import LocalCluster
from distributed.security import Security

if __name__ == "__main__":
    file, ca, cert, key = sys.argv[1:]
    names = {f"tls_{role}_{kind}": value for role in ("client", "scheduler", "worker")
             for kind, value in (("cert", cert), ("key", key))}
    security = Security(tls_ca_file=ca, require_encryption=True, **names)
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, security=security, dashboard_address="127.0.0.1:0")
    workers = [each.process.process.pid for each in cluster.workers.values()]
    with open(file + ".part", "w") as opened:
        json.dump({"address": cluster.scheduler_address, "workers": workers}, opened)
    import os
    os.rename(file + ".part", file)
    sys.stdin.read()
    cluster.close()
"""


@dataclass
class Cluster:
    """A running one. ``address``: for us, with our certificates."""

    address: ClusterAddress
    scheduler: int
    nannies: list[int] = field(default_factory=list)
    workers: list[int] = field(default_factory=list)

    @property
    def pids(self) -> list[int]:
        return [self.scheduler, *self.nannies, *self.workers]


@dataclass(frozen=True)
class Certificates:
    """Files of an authority, and of a certificate that it issued."""

    ca: str
    cert: str
    key: str


def make_certificates(folder: Path, *, days: int = 1, authority: trustme.CA | None = None) -> Certificates:
    """For 127.0.0.1. ``days`` from now to their end: fewer than none, and they have expired."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = authority or trustme.CA()
    now = datetime.now(UTC)
    issued = authority.issue_cert(
        "127.0.0.1", not_before=now - timedelta(days=30), not_after=now + timedelta(days=days)
    )
    files = Certificates(*(str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem")))
    authority.cert_pem.write_to_path(files.ca)
    issued.private_key_pem.write_to_path(files.key)
    for i, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(files.cert, append=i > 0)
    return files


@contextlib.contextmanager
def start_cluster(
    folder: Path,
    *,
    paths: Sequence[str] = ("", ""),
    threads: int = 1,
    clock: int | None = None,
    certificates: Certificates | None = None,
    theirs: Certificates | None = None,
) -> Iterator[Cluster]:
    """A scheduler and workers with their nannies, on 127.0.0.1 and over TLS. ``paths``: for each worker, where it looks for
    modules first; ``clock``: how many seconds the clock of the first of them is ahead, with the right to make it so;
    ``certificates``: ours, made here if not given; ``theirs``: of the cluster, the same if not given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ours = certificates or make_certificates(folder / "certificates")
    theirs = theirs or ours
    common = ["--host", "127.0.0.1", "--protocol", "tls", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    common += ["--tls-ca-file", theirs.ca, "--tls-cert", theirs.cert, "--tls-key", theirs.key]
    with contextlib.ExitStack() as stack:
        file, log = folder / "scheduler.json", folder / "scheduler.log"
        scheduler = _start(stack, log, "scheduler", "--port", "0", "--scheduler-file", str(file), *common)
        address = _wait_for_json(file, scheduler, folder)["address"]
        logs = [folder / f"worker-{i}.log" for i in range(len(paths))]
        common += ["--nthreads", f"{threads}", "--local-directory", str(folder), "--death-timeout", f"{PATIENCE}"]
        nannies = [
            _start(stack, log, "worker", address, *common, path=path, clock=clock if log == logs[0] else None)
            for log, path in zip(logs, paths, strict=True)
        ]
        cluster = Cluster(ClusterAddress(address, *_list(ours)), scheduler.pid, [each.pid for each in nannies])
        cluster.workers = [_wait_for_worker(log, each) for log, each in zip(logs, nannies, strict=True)]
        yield cluster


@contextlib.contextmanager
def start_local_cluster(folder: Path) -> Iterator[Cluster]:
    """A `LocalCluster` of two worker processes over TLS: scheduler and nannies are in one process."""
    folder.mkdir(parents=True, exist_ok=True)
    certificates = make_certificates(folder / "certificates")
    program, file = folder / "local_cluster.py", folder / "cluster.json"
    program.write_text(LOCAL_CLUSTER)
    with contextlib.ExitStack() as stack:
        process = _run(stack, folder / "cluster.log", [sys.executable, str(program), str(file), *_list(certificates)])
        told = _wait_for_json(file, process, folder)
        yield Cluster(ClusterAddress(told["address"], *_list(certificates)), process.pid, [], told["workers"])


def _list(files: Certificates) -> tuple[str, str, str]:
    return files.ca, files.cert, files.key


def _start(
    stack: contextlib.ExitStack, log: Path, what: str, *arguments: str, path: str = "", clock: int | None = None
) -> subprocess.Popen[bytes]:
    under = [] if clock is None else set_clock(clock)
    return _run(stack, log, [*under, sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments], path)


def set_clock(ahead: int) -> list[str]:
    """What starts a program whose monotonic clock is so many seconds ahead of this machine's, as on another machine."""
    return ["unshare", "--time", "--monotonic", f"{ahead}", "--fork", "--kill-child"]


def can_set_clock() -> bool:
    """It takes the rights of root, and a kernel with time namespaces."""
    try:
        return subprocess.run([*set_clock(1), "true"], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def _run(stack: contextlib.ExitStack, log: Path, command: list[str], path: str = "") -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=stack.enter_context(log.open("wb")),
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": path},
        # Or these processes would share what the kernel gives the terminal of the tests, which others have for themselves.
        start_new_session=True,
        preexec_fn=_die_with_test,  # noqa: PLW1509 - it allocates nothing that a thread could hold
    )
    stack.callback(_end, process)
    return process


def _die_with_test() -> None:
    """Also where the test is killed: nothing may be left over for the next one."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it and what it started."""
    below = list_below(process.pid)
    for pid in (process.pid, *below):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def list_below(pid: int) -> list[int]:
    """All processes below this one."""
    found, waiting = [], [pid]
    while waiting:
        each = waiting.pop()
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{each}/task").iterdir():
                children = [int(child) for child in (thread / "children").read_text().split()]
                found += children
                waiting += children
    return found


def _wait_for_json(file: Path, process: subprocess.Popen[bytes], folder: Path) -> dict:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError):
            return json.loads(file.read_text())
        assert process.poll() is None, [log.read_text() for log in folder.glob("*.log")]
        time.sleep(0.02)
    raise AssertionError([log.read_text() for log in folder.glob("*.log")])


def _wait_for_worker(log: Path, nanny: subprocess.Popen[bytes]) -> int:
    """The worker below ``nanny``, once it has registered."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        assert nanny.poll() is None, log.read_text()
        if "Registered to:" in log.read_text():
            return _find_worker(nanny.pid)
        time.sleep(0.02)
    raise AssertionError(log.read_text())


def _find_worker(nanny: int) -> int:
    # Beside it there is the resource tracker of multiprocessing.
    for pid in list_below(nanny):
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise AssertionError(f"there is no worker below {nanny}")


async def wait_until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """However busy the machine is."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        await asyncio.sleep(0.02)
