"""The environment of a run, which is recorded in every result; and garbage collection, whose pauses disturb a measurement.

A result without its environment cannot be compared: psf/pyperf keeps the same facts for the same reason. Nothing here
identifies a person or a host.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter_ns
from types import TracebackType
from typing import Self

from aurea_engine.fields.version import engine_version


@functools.cache
def _describe_machine() -> dict[str, str | int | None]:
    return {
        "aurea": engine_version(),
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        # Containers and taskset leave fewer processors than the machine has. These are the ones that count.
        "cpus_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu_model": _read_cpu_model(),
    }


def _read_cpu_model() -> str | None:
    # Linux on x86 only. platform.processor() says "x86_64" or nothing there, which tells no two machines apart.
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    except OSError:
        return None


def read_loop_name() -> str | None:
    """The package of the running event loop, ``asyncio`` or ``uvloop``. None outside of one."""
    try:
        return type(asyncio.get_running_loop()).__module__.partition(".")[0]
    except RuntimeError:
        return None


def describe_environment() -> Mapping[str, str | int | None]:
    """Machine, versions and event loop: what must be equal if two results are compared. And what traced the process, which
    is only there where something did.
    """
    tracer = find_tracer()
    return {**_describe_machine(), "loop": read_loop_name()} | ({} if tracer is None else {"tracer": tracer})


def find_tracer() -> str | None:
    """The package of what traces the code of this thread, such as ``coverage``; None if nothing does.

    A trace function is called for each line, a profile function for each call: either makes Python code several times as
    slow, and other code not at all.
    """
    for watching in (sys.gettrace(), sys.getprofile()):
        if watching is not None:
            module = getattr(watching, "__module__", None) or type(watching).__module__
            return str(module).partition(".")[0]
    # From Python 3.12 on tools may be told of lines and calls without such a function (PEP 669). Only the three kinds that
    # slow code down: others, such as what looks for branches that a test has not tried yet, have numbers of their own.
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return None
    kinds = (monitoring.DEBUGGER_ID, monitoring.COVERAGE_ID, monitoring.PROFILER_ID)
    return next((tool for kind in kinds if (tool := monitoring.get_tool(kind)) is not None), None)


class GarbageWatch:
    """A context that times garbage collections, or, with ``hold``, turns them off until it ends.

    They are turned off only if the engine alone makes objects, because it makes no cycles. Several runs may overlap.
    Collection is turned on again when the last run that held it has ended, and stays off if it was off before.
    """

    # Of the class, not of one run: gc.disable is a switch of the whole process, so overlapping runs must count together.
    _holding = 0
    _was_enabled = False

    def __init__(self, hold: bool) -> None:
        self._hold = hold
        self._began = 0
        self.total_ns = 0
        self.longest_ns = 0

    def __enter__(self) -> Self:
        # A bound method in a global list: it must come out again, whatever ends the run, or every later collection in this
        # process would call it.
        gc.callbacks.append(self._time_collection)
        if self._hold:
            if not GarbageWatch._holding:
                GarbageWatch._was_enabled = gc.isenabled()
                gc.disable()
            GarbageWatch._holding += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.callbacks.remove(self._time_collection)
        if self._hold:
            GarbageWatch._holding -= 1
            if not GarbageWatch._holding and GarbageWatch._was_enabled:
                gc.enable()

    def _time_collection(self, phase: str, info: Mapping[str, int]) -> None:
        # Called within a collection: it must not allocate much, and must not raise.
        if phase == "start":
            self._began = perf_counter_ns()
        # A "stop" without a "start" belongs to a collection that began before this context.
        elif self._began:
            pause = perf_counter_ns() - self._began
            self.total_ns += pause
            self.longest_ns = max(self.longest_ns, pause)
