"""`aurea prices`, `aurea reprice` and `aurea cost-curve`, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from aurea_server.cli import main

PER_JOB = '{"kind": "per_job", "price": "0.0002"}'
SERVERLESS = '{"kind": "serverless", "memory_mb": 512, "price": "0.0000166667", "request_price": "0.0000002"}'
FLEET = '{"kind": "fleet", "price": "0.096", "slots": 8}'


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A result as `aurea run` stores it: 300 jobs of 100 ms."""
    path = tmp_path / "result.json"
    assert main(["run", "--jobs", "300", "--slots", "4", "--virtual", "--output", str(path)]) == 0
    return path


def test_sheets_are_listed_with_their_dates(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its version and the day on which somebody last looked, and a word of caution."""
    assert main(["prices", "list"]) == 0
    out = capsys.readouterr().out
    assert "aws-lambda-x86-us-east-1@2026.11.0" in out
    assert "2026-11-22" in out
    assert "check the vendor" in out


def test_sheet_shows_every_step_of_its_prices(capsys: pytest.CaptureFixture[str]) -> None:
    """Prices in plain digits, tiers with their bounds, the source and the notice."""
    assert main(["prices", "show", "aws-lambda-x86-us-east-1"]) == 0
    out = capsys.readouterr().out
    for text in ("0.0000166667", "up to 6,000,000,000", "beyond", "1,000,000 Requests", "source: https://"):
        assert text in out


def test_unknown_sheet_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and what could have been meant."""
    assert main(["prices", "show", "no-such-sheet"]) == 2
    assert "example-functions@1" in capsys.readouterr().err


def test_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, and the file is named."""
    assert main(["prices", "show", str(tmp_path / "nofile.toml")]) == 2
    err = capsys.readouterr().err
    assert err.endswith("nofile.toml: No such file or directory\n")


def test_sheet_mistakes_are_listed_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, not only the first; a file that cannot be read is one of them."""
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[sheet]\nschema = 1\nid = "x"\ncurrency = "usd"\n', "utf-8")
    assert main(["prices", "check", str(wrong), str(tmp_path / "missing.toml")]) == 2
    err = capsys.readouterr().err
    assert "line 4" in err
    assert "version" in err
    assert "missing.toml: cannot be read" in err


def test_reprice_shows_models_side_by_side(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """300 jobs at 0.0002, and 15 GB-seconds with 300 requests, by hand."""
    capsys.readouterr()
    assert main(["reprice", str(stored), "--cost", PER_JOB, "--cost", SERVERLESS, "--json"]) == 0
    bills = json.loads(capsys.readouterr().out)
    assert bills["1: per_job"]["exact"] == "3/50"
    assert bills["2: serverless"]["total"] == "0.0003100005"
    assert main(["reprice", str(stored), "--cost", PER_JOB, "--cost", SERVERLESS]) == 0
    out = capsys.readouterr().out
    assert "as it was run: 0.03" in out
    assert "0.0600" in out


def test_a_model_may_stand_in_a_file(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON or TOML, by its ending."""
    model = tmp_path / "mine.toml"
    model.write_text('kind = "per_job"\nprice = 0.0002\n', "utf-8")
    capsys.readouterr()
    assert main(["reprice", str(stored), "--cost", str(model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["1: mine"]["exact"] == "3/50"


ODD = '{"kind": "per_second", "step": 0.0137}'


def test_odd_steps_are_counted_from_the_jobs(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No run keeps a meter of 13.7 ms unasked: 300 jobs of 100 ms are 8 such steps each."""
    capsys.readouterr()
    assert main(["reprice", str(stored), "--cost", ODD, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["1: per_second"]["total"] == "0.03288"
    assert main(["cost-curve", str(stored), "--cost", ODD, "--points", "2"]) == 0


@pytest.mark.parametrize(
    "change", [{"jobs_truncated": True}, {"jobs": []}, {"jobs": [{"job_id": "old", "latency": 0.1}]}]
)
def test_odd_steps_need_all_of_the_jobs(
    stored: Path, tmp_path: Path, change: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is approximated; the message says where all jobs are kept. What was metered is priced all the same."""
    part = tmp_path / "part.json"
    part.write_text(json.dumps(json.loads(stored.read_text()) | change))
    assert main(["reprice", str(part), "--cost", PER_JOB]) == 0
    assert main(["reprice", str(part), "--cost", ODD]) == 2
    assert "run at most 10,000, or on a server" in capsys.readouterr().err


def test_jobs_and_usage_must_be_of_one_run(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A result that somebody changed is no basis for a bill."""
    result = json.loads(stored.read_text())
    result["jobs"][0]["finished"] += 1
    other = tmp_path / "other.json"
    other.write_text(json.dumps(result))
    assert main(["reprice", str(other), "--cost", ODD]) == 2
    assert "not of one run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--cost", '{"kind": "per_job", "price": -1}'], "cost.price", id="a negative price"),
        pytest.param(["--cost", "no_such_kind"], "cost.kind", id="an unknown kind"),
        pytest.param(["--cost", "{"], "must be JSON", id="half a JSON object"),
        pytest.param(["--cost", "gone.json"], "gone.json", id="a file that is not there"),
    ],
)
def test_a_bad_model_is_refused(
    stored: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and the member at fault."""
    assert main(["reprice", str(stored), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_only_a_result_can_be_priced_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A specification is no result, and the message says where results come from."""
    path = tmp_path / "spec.json"
    path.write_text('{"num_jobs": 1}', "utf-8")
    assert main(["reprice", str(path), "--cost", PER_JOB]) == 2
    assert "aurea run --json" in capsys.readouterr().err


def test_cost_curve_draws_the_break_even(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A machine at 0.096 an hour overtakes 1.03334 per million requests at 0.096/3600/1.03334e-6 = 25.8 jobs a second."""
    picture = tmp_path / "curve.svg"
    models = ["--cost", SERVERLESS, "--cost", FLEET]
    assert main(["cost-curve", "--service-time", "0.1", *models, "--output", str(picture)]) == 0
    assert "break-even at 25.8 jobs/s" in capsys.readouterr().out
    assert ET.parse(picture).getroot().tag.endswith("svg")


def test_cost_curve_takes_jobs_from_a_result(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From either a result or a service time, and not from neither."""
    assert main(["cost-curve", str(stored), "--cost", PER_JOB, "--from", "1", "--to", "10", "--points", "3"]) == 0
    assert "200.00 USD" in capsys.readouterr().out
    assert main(["cost-curve", "--cost", PER_JOB]) == 2
    assert "--service-time" in capsys.readouterr().err


def test_curves_take_units(capsys: pytest.CaptureFixture[str]) -> None:
    """100ms is 0.1, and 60/m is 1."""
    shown = []
    for time, low, high in (("0.1", "1", "1000"), ("100ms", "60/m", "1000/s")):
        options = ["--service-time", time, "--from", low, "--to", high, "--points", "5", "--cost", SERVERLESS]
        assert main(["cost-curve", *options]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert main(["cost-curve", "--service-time", "5 s", "--cost", SERVERLESS]) == 2
    assert "--service-time" in capsys.readouterr().err
