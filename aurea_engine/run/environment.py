"""What the run ran on, recorded with every result; and garbage collection, whose pauses a measurement must know of."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter_ns
from types import TracebackType
from typing import Self

DISTRIBUTION = "aurea-orchestrator"


@functools.cache
def engine_version() -> str:
    """The installed version of Aurea."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


@functools.cache
def _machine() -> dict[str, object]:
    return {
        "aurea": engine_version(),
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "cpus_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu_model": _cpu_model(),
    }


def _cpu_model() -> str | None:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    except OSError:
        return None


def loop_name() -> str | None:
    """The package of the running event loop: ``asyncio`` or ``uvloop``; None outside of one."""
    try:
        return type(asyncio.get_running_loop()).__module__.partition(".")[0]
    except RuntimeError:
        return None


def describe() -> Mapping[str, object]:
    """Machine, versions and event loop: what must be equal before two results may be compared."""
    return {**_machine(), "loop": loop_name()}


class GarbageWatch:
    """Context in which garbage collections are timed, or, with ``hold``, put off until it ends.

    Collections are held off only where the engine alone makes objects, because it makes no cycles. Several runs may overlap:
    collection resumes when the last one that held it has ended, and stays off if it was off before.
    """

    _holding = 0
    _was_enabled = False

    def __init__(self, hold: bool) -> None:
        self._hold = hold
        self._began = 0
        self.total_ns = 0
        self.longest_ns = 0

    def __enter__(self) -> Self:
        gc.callbacks.append(self._collected)
        if self._hold:
            if not GarbageWatch._holding:
                GarbageWatch._was_enabled = gc.isenabled()
                gc.disable()
            GarbageWatch._holding += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.callbacks.remove(self._collected)
        if self._hold:
            GarbageWatch._holding -= 1
            if not GarbageWatch._holding and GarbageWatch._was_enabled:
                gc.enable()

    def _collected(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "start":
            self._began = perf_counter_ns()
        elif self._began:
            pause = perf_counter_ns() - self._began
            self.total_ns += pause
            self.longest_ns = max(self.longest_ns, pause)
