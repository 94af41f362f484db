"""The systemd unit: understood by systemd, and shut in as far as the server allows."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy/systemd/aurea.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists here: systemd-analyze looks for it."""
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text(), flags=re.MULTILINE))
    return copy


def test_systemd_understands_every_line(unit: Path, passes: Callable[..., str]) -> None:
    assert passes("systemd", "systemd-analyze", "verify", unit) == ""


def test_systemd_rates_its_exposure_as_ok(unit: Path, passes: Callable[..., str]) -> None:
    """0 is a sealed box and 10 an open one; a service without any protection has 9.6."""
    report = passes("systemd", "systemd-analyze", "security", "--offline=true", "--threshold=20", unit)
    assert re.search(r"Overall exposure level for aurea.service: [01]\.\d OK", report)


def test_unit_stops_and_restarts_sensibly() -> None:
    """SIGTERM goes to the server alone; exit codes 2, 4 and 5 are settings and ledgers that a person must look at."""
    lines = UNIT.read_text().splitlines()
    assert "KillMode=mixed" in lines
    assert "TimeoutStopSec=20" in lines
    assert "RestartPreventExitStatus=2 4 5" in lines
