"""A real component that is missing: skipped by people, a failure in CI."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Require = Callable[..., str]


def test_a_program_on_the_path_is_answered_with_its_path(
    require: Require, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "somewherectl"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert require("somewhere", "somewherectl") == str(program)


def test_a_program_that_pip_installed_is_found_beside_this_python(
    require: Require, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert require("python", Path(sys.executable).name) == sys.executable


@pytest.mark.parametrize("named", ["", "prometheus", "nowhere-at-all"])
def test_a_missing_component_skips_with_its_reason(
    named: str, require: Require, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUREA_REQUIRE", named)
    with pytest.raises(pytest.skip.Exception, match="needs nowhere: no nowherectl on the PATH"):
        require("nowhere", "nowherectl")


@pytest.mark.parametrize("named", ["nowhere", "prometheus,nowhere", "prometheus nowhere"])
def test_a_missing_component_fails_where_it_is_required(
    named: str, require: Require, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUREA_REQUIRE", named)
    with pytest.raises(pytest.fail.Exception, match="AUREA_REQUIRE names it"):
        require("nowhere")
