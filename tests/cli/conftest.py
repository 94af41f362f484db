"""The command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aurea_server.cli import main


@pytest.fixture
def aurea(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Any]:
    """``aurea("runs", "list")`` is (exit code, stdout, stderr)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capfdbinary.readouterr()
        return code, captured.out.decode(), captured.err.decode()

    return call
