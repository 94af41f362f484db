"""`aurea capacity`, as a person and as a pipeline call it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from aurea_engine.results.capacity import Bracket
from aurea_server.cli.exit_codes import choose_search_exit_code
from aurea_server.cli.trial_lines import WIDTH, draw_bracket

SPEC = {
    "workload": {
        "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.01}},
        "arrivals": {"kind": "poisson", "rate": 300},
        "jobs": 1000,
    },
    "scheduler": {"kind": "fifo", "slots": 4},
    "objectives": [{"metric": "response_time", "quantile": 0.99, "at_most": "60ms"}],
    "seed": 7,
}
FLEET = '{"kind": "fleet", "price": "0.10", "slots": 2}'
QUICK = ("--trial-jobs", "3000", "--processes", "1")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(SPEC))
    return path


def test_search_is_shown_line_by_line(spec: Path, tmp_path: Path, aurea: Callable[..., Any]) -> None:
    """In virtual time, since sleeps can be simulated: trials on stderr, each with the bracket; the answer on stdout."""
    stored, picture = tmp_path / "answer.json", tmp_path / "frontier.svg"
    code, out, err = aurea("capacity", spec, "--cost", FLEET, "-o", stored, "--svg", picture, *QUICK)
    assert code == 0, err
    document = json.loads(stored.read_text())
    assert document["clock"] == "virtual"
    assert document["value"] == pytest.approx(299.8, rel=0.15)
    for text in (
        f"{document['value']:,.5g} jobs/s",
        "found",
        "p99 response time",
        "holds",
        "fails",
        "fleet",
        "cheapest",
        "at other rates",
    ):
        assert text in out
    assert "for real it would have cost" in out
    lines = err.splitlines()
    assert len(lines) == len(document["trials"])
    assert lines[0].startswith("probe")
    assert lines[-1].startswith("verify")
    assert all("[" in line and "o" in line for line in lines if not line.startswith("probe"))
    assert ET.parse(picture).getroot().tag.endswith("svg")


def test_slots_are_searched_at_the_rate(spec: Path, aurea: Callable[..., Any]) -> None:
    code, out, _ = aurea("capacity", spec, "--slots", "1..64", "--objective", "p99 <= 54ms", "--json", *QUICK)
    answer = json.loads(out)
    assert (code, answer["variable"], answer["value"], answer["rate"]) == (0, "slots", 5, 300)
    code, out, _ = aurea(
        "capacity", spec, "--slots", "1..64", "--rate", "150", "--objective", "p99 <= 65ms", "--json", *QUICK
    )
    answer = json.loads(out)
    assert (code, answer["value"], answer["rate"]) == (0, 3, 150)


@pytest.mark.parametrize(
    ("options", "code", "status"),
    [
        (("--require", "250/s"), 0, "at_least"),
        (("--require", "360/s"), 3, "at_most"),
        (("--rate", "10..100/s"), 0, "at_least"),
        (("--rate", "360.."), 3, "at_most"),
        (("--objective", "p99 <= 40ms"), 3, "infeasible"),
        (("--trials", "9"), 6, "undecided"),
    ],
)
def test_exit_codes(options: tuple[str, ...], code: int, status: str, spec: Path, aurea: Callable[..., Any]) -> None:
    """0 where it was verified, 3 where it does not hold, 6 where nothing was decided."""
    ended, out, _ = aurea("capacity", spec, *options, "--json", *QUICK)
    assert (ended, json.loads(out)["status"]) == (code, status)


def test_generator_limit_decides_nothing() -> None:
    assert choose_search_exit_code("generator_limited", is_verified=True) == 6
    assert choose_search_exit_code("infeasible", is_verified=False) == 3
    assert choose_search_exit_code("at_most", is_verified=True) == 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--rate", "1..2", "--slots", "1..2"), "--slots"),
        (("--rate", ".."), "--rate"),
        (("--rate", "9..3"), "--rate"),
        (("--slots", "1..x"), "--slots"),
        (("--slots", "1.5..3"), "--slots"),
        (("--require", "fast"), "--require"),
        (("--require", "5", "--rate", "1..9"), "--require"),
        (("--confirm", "virtual"), "--confirm"),
        (("--objective", "p99"), "--objective"),
        (("--cost", "nothing"), "nothing"),
        (("--processes", "0"), "--processes"),
    ],
)
def test_bad_input_names_the_option(
    options: tuple[str, ...], named: str, spec: Path, aurea: Callable[..., Any]
) -> None:
    """Exit code 2, nothing on stdout, and no trial was run."""
    code, out, err = aurea("capacity", spec, *options)
    assert (code, out) == (2, "")
    assert named in err
    assert "probe" not in err


def test_objectives_are_needed(tmp_path: Path, aurea: Callable[..., Any]) -> None:
    path = tmp_path / "bare.json"
    path.write_text(json.dumps({"num_jobs": 5}))
    code, _, err = aurea("capacity", path)
    assert code == 2
    assert "objectives" in err
    assert "workload.arrivals" in err


def test_bracket_is_drawn_to_scale() -> None:
    """In equal ratios: of 10, 100 and 1,000 the middle one stands in the middle."""
    drawn = draw_bracket(100, Bracket(10, 1000), [10, 1000, 100])
    assert drawn == f"[{'=' * (WIDTH // 2)}o{'=' * (WIDTH - WIDTH // 2 - 1)}]"
    assert draw_bracket(1000, Bracket(100, None), [10, 100, 1000])[1:-1].count("-") == WIDTH // 2
    assert draw_bracket(5, Bracket(), [5]).count("o") == 1


@pytest.mark.service
def test_ctrl_c_ends_with_what_is_known(spec: Path, tmp_path: Path) -> None:
    """Undecided, the bracket so far and its trials are written, and the command ends by the signal."""
    stored = tmp_path / "answer.json"
    program = "import sys; from aurea_server.__main__ import aurea; sys.exit(aurea())"
    command = [sys.executable, "-c", program, "capacity", str(spec), "-o", str(stored)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("bisect"):
                process.send_signal(signal.SIGINT)
                break
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGINT
    answer = json.loads(stored.read_text())
    assert (answer["status"], answer["reason"]) == ("undecided", "the search was stopped")
    assert answer["interval"]["low"] is not None
    assert answer["trials"]


@pytest.mark.service
def test_found_in_virtual_time_is_confirmed(tmp_path: Path, aurea: Callable[..., Any]) -> None:
    """Both verifications are shown, each with its clock; a machine that is too busy says that it could not confirm."""
    path = tmp_path / "confirmed.json"
    quick = {
        **SPEC,
        "workload": {
            "job": {"kind": "sleep", "duration": 0.05},
            "arrivals": {"kind": "constant", "rate": 20},
            "duration": 0.3,
        },
        "scheduler": {"kind": "fifo", "slots": 2},
        "objectives": [{"metric": "response_time", "quantile": 0.5, "at_most": "500ms"}],
    }
    path.write_text(json.dumps(quick))
    code, out, _ = aurea("capacity", path, "--require", "20", "--confirm", "real", "--json", *QUICK)
    answer = json.loads(out)
    assert answer["verification"]["clock"] == "virtual"
    assert answer["verification"]["passed"]
    assert answer["confirmation"]["clock"] == "real"
    assert [trial["phase"] for trial in answer["trials"]].count("confirm_real") >= 5
    assert (code, answer["status"]) in ((0, "at_least"), (6, "undecided"))
    assert answer["confirmation"]["passed"] == (code == 0)


def test_slots_and_rate_of_the_command_line(spec: Path, aurea: Callable[..., Any]) -> None:
    """One number each is what all trials run on, whatever the file says."""
    options = ("--require", "500", "--slots", "9", "--json", *QUICK)
    code, out, err = aurea("capacity", spec, *options)
    assert code == 0, err
    assert json.loads(out)["slots"] == 9
    code, _, err = aurea("capacity", spec, "--slots", "three", *QUICK)
    assert (code, "scheduler.slots: must be a whole number" in err) == (2, True)


def test_a_run_file_is_a_specification_too(spec: Path, aurea: Callable[..., Any], tmp_path: Path) -> None:
    assert aurea("run", spec, "--virtual", "-o", tmp_path / "run.aurea")[0] == 0
    code, out, err = aurea("capacity", tmp_path / "run.aurea", "--require", "120", *QUICK)
    assert code == 0, err
    assert "at least 120 jobs/s" in out


def test_each_model_has_its_own_currency(spec: Path, aurea: Callable[..., Any], tmp_path: Path) -> None:
    """In the tables, and in the picture; amounts in two currencies are not compared."""
    euros, picture = '{"kind": "per_job", "price": "0.01", "currency": "EUR"}', tmp_path / "frontier.svg"
    _, out, _ = aurea("capacity", spec, "--cost", euros, "--require", "200", "--svg", picture, *QUICK)
    priced = [line for line in out.splitlines() if line.startswith("per_job")]
    assert len(priced) == 2
    assert all("EUR" in line and "USD" not in line for line in priced)
    assert "USD, EUR per million good" in picture.read_text()


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        (("--trials", "-2"), "--trials: must be at least 1"),
        (("--trial-jobs", "0"), "--trial-jobs: must be at least 1"),
        (("--trial-jobs", "300"), "--trial-jobs: must be at least 333"),
        (("--cost", "{[}"), "--cost: must be JSON"),
        (("--confirm", "yes", "--server", "http://localhost:1"), "--confirm: must be real"),
    ],
)
def test_what_is_refused_names_its_flag(
    spec: Path, aurea: Callable[..., Any], options: tuple[str, ...], flag: str
) -> None:
    """Trials too short for a p99 would make every system look infeasible."""
    code, out, err = aurea("capacity", spec, *options)
    assert (code, out) == (2, "")
    assert flag in err


def test_a_rate_of_almost_nothing_is_refused_for_what_it_is(spec: Path, aurea: Callable[..., Any]) -> None:
    code, _, err = aurea("capacity", spec, "--require", "1e-8", *QUICK)
    assert (code, "must be a rate from 0.001" in err, "warmup" in err) == (2, True, False)
