"""Paths of operations, with something in place of what varies."""

from __future__ import annotations

NAMES = {"{folder}/{name}": "start/main.js", "{run_id}": "benchmark-1", "{search_id}": "search-1", "{name}": "page.js"}


def fill_path(path: str) -> str:
    """``/benchmark/runs/{run_id}`` → ``/benchmark/runs/benchmark-1``. Fails where it has a part that is not known here."""
    for name, value in NAMES.items():
        path = path.replace(name, value)
    assert "{" not in path, path
    return path
