"""The line on stderr that names the targets before a run begins, so that a misspelt host is seen in time."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

from aurea_engine import Catalog, RunSpec, spec_to_dict
from aurea_engine.targets.chat.endpoints import find_endpoint
from aurea_server.cli.credentials import split_userinfo
from aurea_server.cli.number_format import format_number, format_seconds, make_printable
from aurea_server.cli.tables import join_fitting, measure_width

SHOWN = 5


def print_targets(spec: RunSpec, catalog: Catalog) -> None:
    """A line on stderr for each request of the specification, and one for their load; nothing where none is sent."""
    if spec.clock == "virtual":
        return  # nothing is sent
    document = spec_to_dict(spec, catalog)
    targets = list(dict.fromkeys(list_targets(document["workload"]["job"])))
    if not targets:
        return
    lines = [f"target {each}" for each in targets[:SHOWN]]
    if len(targets) > SHOWN:
        lines.append(f"and {len(targets) - SHOWN} more")
    lines.append(describe_load(spec))
    room = measure_width(sys.stderr)
    sys.stderr.write(
        "".join(f"aurea: {join_fitting([make_printable(line)], room) or make_printable(line)}\n" for line in lines)
    )
    sys.stderr.flush()


def list_targets(job: Any) -> Iterator[str]:
    """Method and URL of each request in a job as plain data. The query is left out: it may hold a token."""
    if isinstance(job, list):
        for each in job:
            yield from list_targets(each)
    elif isinstance(job, dict):
        if isinstance(job.get("url"), str):
            url = job["url"] if job.get("kind") != "chat" else find_endpoint(job["url"], job.get("endpoint", "chat"))
            yield f"{job.get('method', 'POST')} {split_userinfo(url)[0].partition('?')[0]}"
        else:
            for member in job.values():
                yield from list_targets(member)


def find_path(url: str) -> str:
    """Path and query of a URL, such as ``/x?a=1``: what follows the host, or the path of a Unix socket."""
    pattern = r"unix:[^:]*:?" if url.startswith("unix:") else r"[a-zA-Z]+://[^/?]*"
    path = re.sub(pattern, "", url, count=1)
    return path if path.startswith("/") else f"/{path}"


def describe_load(spec: RunSpec) -> str:
    """Such as ``50/s for 10 s`` or ``20 users for 1,000 jobs``."""
    workload = spec.workload
    arrivals = workload.arrivals
    users, rate = getattr(arrivals, "users", None), getattr(arrivals, "rate", None)
    if users is not None:
        how = f"{users:,} {'user' if users == 1 else 'users'}"
    else:
        how = "as specified" if rate is None else format_number(rate, "/s")
    much = [f"{workload.jobs:,} jobs"] if workload.jobs is not None else []
    much += [format_seconds(workload.duration)] if workload.duration is not None else []
    return f"{how}{' for ' if much else ''}{' or '.join(much)}"
