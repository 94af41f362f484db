"""FORCE_COLOR, as is usual in CI: it asks for colours in what is no terminal, and not for a cursor that moves there."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from rich.console import Console

from aurea_server.cli import selftest
from aurea_server.cli.terminal_room import can_draw, goes_to_terminal

Aurea = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def forced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")


def test_a_run_leaves_a_file_alone(aurea: Aurea) -> None:
    """What is watched in a terminal is not written where stderr goes to a file; colours on stdout stay."""
    run = ("run", "--jobs", "20", "--duration-ms", "1")
    code, out, err = aurea(*run)
    assert code in (0, 6)
    assert err == ""
    assert "\x1b[" in out
    assert "\x1b[?25" not in out
    _, out, err = aurea(*run, "--json")
    assert (json.loads(out)["completed_jobs"], err) == (20, "")


def test_a_selftest_leaves_a_file_alone(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    def leave() -> None:
        raise InterruptedError

    monkeypatch.setattr(selftest, "run_virtual_checks", leave)
    with pytest.raises(InterruptedError):
        selftest.selftest()
    assert b"\x1b" not in capfdbinary.readouterr().err


@pytest.mark.usefixtures("capfdbinary")
def test_a_file_is_no_terminal() -> None:
    console = Console(stderr=True)
    assert console.is_terminal, "rich takes its word"
    assert not goes_to_terminal(console)
    assert not can_draw(console)
