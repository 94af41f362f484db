"""The installed version of Aurea: it stands in every result, and in every request to a target."""

from __future__ import annotations

import functools
from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "aurea-orchestrator"


# Reading the metadata of installed packages takes milliseconds, and it cannot change while the process runs.
@functools.cache
def engine_version() -> str:
    """The installed version of Aurea."""
    # A copy that runs from a folder without being installed has no metadata. That is no reason not to run.
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
