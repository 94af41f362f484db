"""What the figures were measured on, and whether it had anything else to do."""

from __future__ import annotations

import datetime as dt
import os
import platform
import shutil
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("aurea-orchestrator", "numpy", "uvloop", "k6", "locust", "gevent", "simpy", "ciw")


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


def find_program(name: str) -> str | None:
    """Path of a program: beside this interpreter, where a package brought it, or on the path."""
    # First beside the interpreter: an environment that is not activated is not on the path.
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)


def run_program(command: list[str], limit: float) -> str:
    """What ``command`` printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=True)
    return done.stdout
