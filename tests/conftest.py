"""What every test may use. Fixtures for one subject live in the conftest of its folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

# CI must fail for what changed, not for what was drawn; everywhere else, new examples are welcome. No deadlines: a slow
# machine is not a defect.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("aurea", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "aurea"))


@pytest.fixture(scope="session", autouse=True)
def no_loop_of_its_own() -> None:
    """Asking for the current event loop where there is none makes one that nobody closes; pytest-asyncio asks."""
    asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def require() -> Callable[..., str]:
    """``require("prometheus", "promtool")`` is the path of promtool: on the PATH, or beside this Python, where pip puts it.

    Without it the test skips and says so. Where AUREA_REQUIRE names the component (``AUREA_REQUIRE=prometheus,chromium``, as
    CI sets it), the test fails instead: there a missing component is a broken installation, and no reason to test less.
    """
    beside = str(Path(sys.executable).parent)

    def find(name: str, program: str | None = None) -> str:
        path = shutil.which(program or name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
        if path is not None:
            return path
        reason = f"needs {name}: no {program or name} on the PATH"
        if name in os.environ.get("AUREA_REQUIRE", "").replace(",", " ").split():
            pytest.fail(f"{reason}, though AUREA_REQUIRE names it", pytrace=False)
        pytest.skip(reason)

    return find
