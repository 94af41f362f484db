"""What a request costs the client in two processes, against one: as many connections and requests in each, nginx beside.

A process with fewer connections finds fewer answers each time it looks, so half the connections in each would compare
two loads. Here every process has 50, and all share one core, so that the kernel and the caches treat both alike.
"""

from __future__ import annotations

from benchmarks.contest import AUREA, Bound, Contender, Figures, Row
from benchmarks.http_client import AUREA_PROGRAM, FIGURES, measure_client, write_spec
from benchmarks.processes import ONE

CONNECTIONS = 50
"""Of each process."""


def run_in_one(seconds: float) -> Figures:
    """In a supervised process, too: the second one is all that is different."""
    return _run_in(1, seconds)


def run_in_two(seconds: float) -> Figures:
    """A hundred users, fifty of them in each."""
    return _run_in(2, seconds)


def _run_in(processes: int, seconds: float) -> Figures:
    def command(url: str, length: float, folder: str) -> list[str]:
        arrivals = {"kind": "closed", "users": CONNECTIONS * processes}
        workload = {"job": {"kind": "http", "url": f"{url}/"}, "arrivals": arrivals, "duration": length}
        file = write_spec(folder, workload, {"kind": "fifo", "divided": True})
        return [*AUREA_PROGRAM, "run", "--processes", str(processes), file]

    return measure_client(command, seconds)


_FULL, _QUICK = {"seconds": 8}, {"seconds": 4}

ROWS = (
    Row(
        "http_processes",
        "HTTP client in one process and in two, GET of 612 bytes over 50 connections each, every request recorded",
        FIGURES,
        (
            Contender(
                AUREA,
                run_in_two,
                "`aurea run --processes 2`, a closed model of 100 users: 50 in each. Of all processes of the program, the"
                " merging included.",
                _FULL,
                _QUICK,
            ),
            Contender(
                ONE,
                run_in_one,
                "`aurea run --processes 1`, a closed model of 50 users: in a supervised process, its parts sent back.",
                _FULL,
                _QUICK,
            ),
        ),
        (Bound("cpu", 1 / 1.1, ONE, "less"),),
        "Measured as the rows above, all processes of the client on one core. A ratio of 0.909 is 10 % more per request.",
    ),
)
