"""`aurea capacity --server` and `aurea searches`, against a real server."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.service

SPEC = {
    "workload": {
        "job": {"kind": "sleep", "duration": 0.01},
        "arrivals": {"kind": "constant", "rate": 50},
        "jobs": 500,
    },
    "scheduler": {"kind": "fifo", "slots": 1},
    "objectives": [{"metric": "response_time", "quantile": 0.9, "at_most": "12.5ms"}],
    "label": "queue",
}
"""D/D/1 at 100/s: see tests/server/test_searches.py."""
SECONDS = 120
"""How long anything may take on a busy machine."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server whose trials have at most 500 jobs."""
    data = tmp_path_factory.mktemp("server") / "data"
    command = [sys.executable, "-m", "aurea_server", "--port", "0", "--data", str(data), "--max-jobs", "500"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://\S+?:\d+", said)
        assert found, said
        try:
            yield found[0]
        finally:
            process.terminate()
            process.wait(SECONDS)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(SPEC))
    return path


def test_search_on_a_server(server: str, spec: Path, tmp_path: Path, aurea: Callable[..., Any]) -> None:
    """Shown as if it were here: each trial a line, the answer a table, a picture and a file; and `searches` knows it."""
    stored, picture = tmp_path / "answer.json", tmp_path / "frontier.svg"
    fleet = '{"kind": "fleet", "price": "0.10", "slots": 2}'
    code, out, err = aurea("capacity", spec, "--server", server, "--cost", fleet, "-o", stored, "--svg", picture)
    assert code == 0, err
    answer = json.loads(stored.read_text())
    assert (answer["status"], answer["clock"]) == ("found", "virtual"), "sleeps can be simulated, so they are"
    assert 90 < answer["value"] <= 100.1
    assert {cost["model"] for cost in answer["costs"]} == {"per_second", "fleet"}
    assert f"{answer['value']:,.5g} jobs/s" in out
    assert len([line for line in err.splitlines() if re.search(r"\d jobs", line)]) == len(answer["trials"])
    assert picture.read_text().startswith("<svg")
    code, out, _ = aurea("searches", "list", "--server", server)
    assert code == 0
    (found,) = re.findall(r"search-\d+", out)
    assert "found" in out
    assert "queue" in out
    code, out, _ = aurea("searches", "show", found, "--server", server)
    assert (code, f"{answer['value']:,.5g} jobs/s" in out) == (0, True)
    code, out, _ = aurea("searches", "show", found, "--server", server, "--json")
    assert json.loads(out)["answer"] == answer
    assert aurea("searches", "delete", found, "--server", server)[0] == 0
    code, _, err = aurea("searches", "show", found, "--server", server)
    assert (code, "There is no such search." in err) == (1, True)


def test_required_rate_that_fails_is_3(server: str, spec: Path, aurea: Callable[..., Any]) -> None:
    code, out, err = aurea("capacity", spec, "--server", server, "--require", "150/s")
    assert code == 3, err
    assert "at most" in out or "infeasible" in out


def test_what_is_wrong_is_said(server: str, spec: Path, aurea: Callable[..., Any]) -> None:
    code, _, err = aurea("capacity", spec, "--server", server, "--rate", "20..10/s")
    assert (code, "high" in err) == (2, True)
    code, _, err = aurea("capacity", spec, "--server", server, "--processes", "2", "--trials", "3")
    assert (code, "--processes" in err, "--trials" in err) == (2, True, True)


def test_ctrl_c_cancels_the_search_there(server: str, spec: Path, aurea: Callable[..., Any]) -> None:
    """What is known is printed, and the command ends by the signal."""
    program = "import sys; from aurea_server.__main__ import aurea; sys.exit(aurea())"
    rest = ["capacity", str(spec), "--server", server, "--real", "--rate", "1..2/s"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *rest], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    ) as process:  # fmt: skip
        until = time.monotonic() + SECONDS
        running: list[Any] = []
        while not running and time.monotonic() < until:
            listed = json.loads(aurea("searches", "list", "--server", server, "--json")[1])
            running = [each for each in listed if each["status"] == "running"]
            time.sleep(0.05)
        assert running, "it never began"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == -signal.SIGINT, err
    assert "undecided" in out, err
    (search,) = [
        each
        for each in json.loads(aurea("searches", "list", "--server", server, "--json")[1])
        if each["search_id"] == running[0]["search_id"]
    ]
    assert (search["status"], search["reason"]["code"]) == ("cancelled", "stop_requested")
