"""The workflow that runs objectives for pull requests."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
WORKFLOW = ROOT / "deploy" / "github" / "objectives.yml"


def test_the_workflow_follows_its_schema(passes: Callable[..., str]) -> None:
    passes("check-jsonschema", "check-jsonschema", "--builtin-schema", "vendor.github-workflows", WORKFLOW)


@pytest.fixture
def steps(require: Callable[..., str]) -> list[dict[str, str]]:
    yaml = pytest.importorskip("yaml")
    return list(yaml.safe_load(WORKFLOW.read_text())["jobs"]["objectives"]["steps"])


def test_its_commands_exist(steps: list[dict[str, str]], pytestconfig: pytest.Config) -> None:
    """Options of pytest that it uses are those of the plugin, and the example that it names is there by that name."""
    commands = " ".join(step["run"] for step in steps if "run" in step)
    used = set(re.findall(r"--aurea-\w+", commands))
    assert used == {"--aurea-baseline"}
    assert all(hasattr(pytestconfig.option, option[2:].replace("-", "_")) for option in used)
    (aurea,) = (shlex.split(step["run"]) for step in steps if step.get("run", "").startswith("aurea"))
    assert (ROOT / "examples" / "testing" / Path(aurea[2]).name).exists()


def test_it_may_not_write(steps: list[dict[str, str]]) -> None:
    """A pull request may come from anybody."""
    assert re.search(r"^permissions:\n  contents: read$", WORKFLOW.read_text(), re.MULTILINE)
    assert all(re.fullmatch(r"[\w-]+/[\w/-]+@v\d+", step["uses"]) for step in steps if "uses" in step)
