"""The commands in the deployment files are ones that the server understands: no container runs here to find out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def help_text() -> str:
    command = [sys.executable, "-m", "aurea_server", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env={"COLUMNS": "200"})
    return done.stdout


def texts() -> Iterator[tuple[str, str]]:
    files = [
        "deploy/kubernetes/deployment.yaml",
        "deploy/kubernetes-dask/kustomization.yaml",
        "deploy/systemd/aurea.service",
    ]
    for path in ["Dockerfile", "compose.yaml", *files]:
        yield path, (ROOT / path).read_text()


OPTIONS = ["--host", "--allowed-host", "--insecure-no-auth"]


@pytest.mark.service
@pytest.mark.parametrize("option", OPTIONS)
def test_the_server_knows_the_option(help_text: str, option: str) -> None:
    assert re.search(rf"{option}\b", help_text), f"aurea serve has no {option}, which a deployment file uses"


@pytest.mark.service
def test_server_reads_its_mounted_token_file(help_text: str) -> None:
    """The server reads its token from the file that is mounted."""
    assert "AUREA_TOKEN_FILE" in help_text


def test_these_are_all_the_options_that_are_used(read_yaml: Callable[[Path], Any]) -> None:
    compose = read_yaml(ROOT / "compose.yaml")["services"]["aurea"]["command"]
    (container,) = read_yaml(ROOT / "deploy/kubernetes/deployment.yaml")["spec"]["template"]["spec"]["containers"]
    (entrypoint,) = re.findall(r"^ENTRYPOINT (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    unit = re.findall(r"^#? *ExecStart=(.*)$", (ROOT / "deploy/systemd/aurea.service").read_text(), re.MULTILINE)
    words = [*compose, *container["args"], *json.loads(entrypoint), *" ".join(unit).split()]
    assert {word for word in words if word.startswith("--")} == set(OPTIONS)


def test_set_variables_are_read_by_the_server(help_text: str) -> None:
    """The variables that are set are ones that the server reads."""
    for path, text in texts():
        for variable in re.findall(r"\bAUREA_[A-Z_]+", text):
            assert variable in help_text, f"{path} sets {variable}, of which aurea serve --help says nothing"
