"""One contender, once, in a process of its own: ``python -m benchmarks.trial MODULE FUNCTION ARGUMENTS [ENGINE]``.

Prints one line of JSON: the figures it answered, the processor time that it and its children took, or what was missing.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

from benchmarks.contest import CORES, PROCESS, Absent, Contender

LIMIT = 180
"""Seconds after which a trial is given up."""


# A process for each trial: what one contender leaves behind (imports, monkey-patches such as gevent's, a heap that has
# grown) would be the next one's handicap.


def run_trial(contender: Contender, quick: bool, seed: int) -> dict[str, float] | str:
    """Figures of one trial, or, as text, why there are none."""
    arguments = dict(contender.quick if quick else contender.full) | ({"seed": seed} if contender.seeded else {})
    where = [contender.run.__module__, contender.run.__name__]
    command = [
        sys.executable,
        "-m",
        "benchmarks.trial",
        *where,
        json.dumps(arguments),
        *filter(None, [contender.engine]),
    ]
    began = time.perf_counter()
    # A session of its own: at the limit everything that the trial started ends with it.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return f"gave no answer within {LIMIT} s"
    wall = time.perf_counter() - began
    lines = out.strip().splitlines()
    if process.returncode or not lines:
        return (err.strip().splitlines() or ["ended without an answer"])[-1]
    figures: dict[str, float] = json.loads(lines[-1])
    return str(figures["absent"]) if "absent" in figures else {PROCESS: wall, **figures}


def _read_processor_time() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _run_contender(module: str, function: str, arguments: Mapping[str, float]) -> dict[str, float | str]:
    run = getattr(importlib.import_module(module), function)
    arguments = dict(arguments)
    warm_up = arguments.pop("warm_up", None)
    if warm_up is not None:  # a rate is asked for, not a start: nobody's first calls are timed
        try:
            run(**{**arguments, "jobs": warm_up})
        except (Absent, ImportError) as missing:
            return {"absent": str(missing)}
    used, began = _read_processor_time(), time.perf_counter()
    try:
        figures = dict(run(**arguments))
    except (Absent, ImportError) as missing:
        return {"absent": str(missing)}
    return {CORES: (_read_processor_time() - used) / (time.perf_counter() - began), **figures}


if __name__ == "__main__":
    if len(sys.argv) > 4:
        # `benchmarks` is imported already, so the scripts stay these; only the engine comes from the other checkout.
        sys.path.insert(0, sys.argv[4])
    print(json.dumps(_run_contender(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))))
