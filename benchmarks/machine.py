"""What the figures were measured on, and whether it had anything else to do."""

from __future__ import annotations

import datetime as dt
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

from benchmarks.contest import Absent

PACKAGES = (
    "aurea-orchestrator",
    "numpy",
    "uvloop",
    "httptools",
    "aiohttp",
    "k6",
    "locust",
    "gevent",
    "simpy",
    "ciw",
)
PROGRAMS = ("nginx", "wrk", "hey")
"""From Debian's packages, where the machine has them."""


def describe() -> dict[str, str]:
    """Machine and versions, for the record."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": _find_processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "event loop": "uvloop" if _find_version("uvloop") else "asyncio",
        **{name: found for name in PACKAGES if (found := _find_version(name))},
        **{name: found for name in PROGRAMS if (found := _find_debian_version(name))},
    }


def _find_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _find_debian_version(package: str) -> str | None:
    try:
        return run_program(["dpkg-query", "-W", "-f", "${Version}", package], 10) or None
    except (OSError, subprocess.SubprocessError):
        return None


def measure_load(seconds: float = 1.0) -> float | None:
    """Share of all cores in use while this process sleeps; None where the system does not say."""
    try:
        # Of all cores together: one busy core of two is a half, and enough to disturb a contender that uses both.
        before = _read_ticks()
        time.sleep(seconds)
        idle, total = (after - earlier for after, earlier in zip(_read_ticks(), before, strict=True))
    except (OSError, ValueError):
        return None
    return 1 - idle / total if total else 0.0


def _read_ticks() -> tuple[int, int]:
    with Path("/proc/stat").open(encoding="ascii") as lines:
        # user, nice, system, idle, iowait, irq, softirq, steal: see proc(5). A wait for a disk is idle.
        ticks = [int(field) for field in next(lines).split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def read_stolen(core: int) -> float:
    """Seconds that the hypervisor has taken from ``core`` for others since the start; 0 where there is none."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        fields = next(line.split() for line in lines if line.startswith(f"cpu{core} "))
        return int(fields[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, StopIteration, IndexError):
        return 0.0


def find_program(name: str) -> str | None:
    """Path of a program: beside this interpreter, where a package brought it, or on the path."""
    # First beside the interpreter: an environment that is not activated is not on the path.
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)


def run_program(command: list[str], limit: float) -> str:
    """What ``command`` printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=True)
    return done.stdout


@dataclass(frozen=True)
class Program:
    """A program that ended well: what it printed, and seconds of its processor time, all its children included."""

    printed: str
    cpu: float


def run_on_core(core: int, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Program:
    """Run ``command`` to its end on ``core``."""
    # Into files: a pipe that nobody empties would stop a program that prints much. wait4 tells the time of this very
    # process and of the children that it waited for.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(pin(core, command), stdout=out, stderr=err, env=environment and dict(environment))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        printed, said = (_read_all(file) for file in (out, err))
    if process.returncode:
        # Our own errors stand in a box, whose last line has no word.
        lines = [line for line in said.splitlines() if any(map(str.isalpha, line))]
        raise RuntimeError(f"{Path(command[0]).name}: {lines[-1] if lines else f'exit code {process.returncode}'}")
    return Program(printed, usage.ru_utime + usage.ru_stime)


def _read_all(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def pin(core: int, command: Sequence[str]) -> list[str]:
    """``command``, on one core."""
    if (os.cpu_count() or 1) < 2:
        raise Absent("needs two cores: one for the contender, one for the server")
    taskset = find_program("taskset")
    if taskset is None:
        raise Absent("taskset is not installed")
    return [taskset, "-c", str(core), *command]


def read_cpu(pid: int) -> float:
    """Seconds of processor time of a running process, all its threads included, by steps of 10 ms."""
    # After the name, which may hold blanks and ends with the last bracket: utime and stime are the 14th and 15th field.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def find_free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
