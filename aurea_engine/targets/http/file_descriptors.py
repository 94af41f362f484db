"""How many connections this process may hold: every one takes a file descriptor."""

from __future__ import annotations

import os
import resource

from aurea_engine.errors import Problem, SpecError
from aurea_engine.targets.http.connection_options import MOST_CONNECTIONS

# A process begins with a soft limit of 1,024 nearly everywhere, for programs that still use select(2), and a hard one that
# is far above. Raising it is what the hard limit is for.

RESERVE = 64
"""Descriptors that are left for everything else: files, pipes, the event loop."""


def raise_descriptor_limit() -> int:
    """Raise the limit of this process to the hard one, which needs no right. Returns how many more it may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass  # some systems have an unlimited hard limit and refuse it as a soft one
    return max(soft - _count_descriptors() - RESERVE, 1)


def _count_descriptors() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(folder))  # noqa: PTH208 - only counted
        except OSError:
            continue
    return 0


def find_limit(wanted: int | None, allowed: int | None) -> int:
    """The most connections of a pool: ``wanted`` by its options, ``allowed`` by the operator. Raises `SpecError`."""
    bounds = [MOST_CONNECTIONS, raise_descriptor_limit()]
    if wanted is not None and wanted > bounds[1]:
        problem = f"needs more descriptors than the {bounds[1]} that this process may still open: raise ulimit -n"
        raise SpecError([Problem("connections", problem, str(wanted))])
    return min(bound for bound in (wanted, allowed, *bounds) if bound is not None)
