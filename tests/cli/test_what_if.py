"""``aurea what-if``: a stored run under another load."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Aurea = Callable[..., Any]
SPEC = {
    "workload": {
        "job": {"kind": "mix", "of": [
            {"weight": 3, "name": "read", "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.01}}},
            {"weight": 1, "name": "write", "job": {"kind": "sleep", "duration": 0.02}},
        ]},
        "arrivals": {"kind": "poisson", "rate": 200},
    },
    "scheduler": {"kind": "fifo", "slots": 4},
    "clock": "virtual",
    "seed": 7,
    "objectives": [{"metric": "group:read:response_time", "quantile": 0.9, "at_most": 0.1}],
}  # fmt: skip
FEW = ("--replays", 40)


@pytest.fixture
def stored(aurea: Aurea, tmp_path: Path) -> Callable[..., Path]:
    """``stored("run.aurea", 1000)`` is the file of a run of so many jobs."""

    def make(name: str, jobs: int, **more: Any) -> Path:
        workload = {**SPEC["workload"], "jobs": jobs}  # type: ignore[dict-item]
        (tmp_path / "spec.json").write_text(json.dumps({**SPEC, "workload": workload, **more}))
        assert aurea("run", tmp_path / "spec.json", "-o", tmp_path / name)[0] == 0
        return tmp_path / name

    return make


def test_an_answer_says_what_it_rests_on(stored: Callable[..., Path], aurea: Aurea) -> None:
    """Figures beside the recorded ones, objectives, assumptions, and how many jobs they come from."""
    code, out, err = aurea("what-if", stored("run.aurea", 1000), "--rate", "1.2x", *FEW)
    assert (code, err) == (0, "")
    head = out.splitlines()[0].split()
    assert head == ["what", "if", "recorded", "answer", "95", "%", "interval"]
    for text in (
        "response mean",
        "1,000 jobs of benchmark-",
        "40 replays",
        "objective ",
        "met",
        "poisson at 240/s",
    ):
        assert text in out


@pytest.mark.parametrize("name", ["run.aurea", "run.json"])
def test_either_form_gives_the_same_answer(
    name: str, stored: Callable[..., Path], aurea: Aurea, tmp_path: Path
) -> None:
    file = stored(name, 500)
    code, out, _ = aurea("what-if", file, "--slots", 8, "--scheduler", "shortest_first", "--json", *FEW)
    answer = json.loads(out)
    assert code == 0
    assert answer["clock"] == "virtual"
    assert answer["spec"]["scheduler"] == {"kind": "shortest_first", "slots": 8, "queue_limit": None, "divided": False}
    assert answer["counts"]["arrived"] == answer["what_if"]["sample"] == 500
    assert "the scheduler knows the service time of each job before it starts" in answer["assumptions"]
    assert {figure["figure"] for figure in answer["what_if"]["figures"]} >= {"response_time.p99", "cost_per_million"}
    (tmp_path / "answer.json").write_text(out)
    assert aurea("reprice", tmp_path / "answer.json", "--cost", '{"kind": "per_job", "price": 1}')[0] == 0
    code, _, err = aurea("run", tmp_path / "answer.json")
    assert code == 2
    assert ".kind: stands in a what-if's answer for the jobs of a stored run: replay that run with aurea what-if" in err


def test_a_result_with_some_of_its_jobs_says_so(stored: Callable[..., Path], aurea: Aurea) -> None:
    """JSON holds the first 10,000; a run file holds all."""
    code, out, _ = aurea("what-if", stored("run.json", 12_000), "--jobs", 500, "--json", *FEW)
    answer = json.loads(out)
    assert code == 0
    assert answer["what_if"]["sample"] == 10_000
    assert answer["what_if"]["warnings"] == [
        "only the first 10,000 of 12,000 jobs are in the result, and stand for all"
    ]
    assert [group["name"] for group in answer["groups"]] == ["read", "write"]
    code, out, _ = aurea("what-if", stored("run.aurea", 12_000), "--jobs", 500, "--json", *FEW)
    assert json.loads(out)["what_if"]["sample"] == 12_000


def test_a_result_without_jobs_says_so(stored: Callable[..., Path], aurea: Aurea) -> None:
    code, out, _ = aurea("what-if", stored("run.json", 2000, keep_jobs=False, objectives=[]), "--json", *FEW)
    assert code == 0
    assert "histogram" in json.loads(out)["what_if"]["warnings"][0]


def test_prices_are_compared(stored: Callable[..., Path], aurea: Aurea) -> None:
    costs = ("--cost", '{"kind": "per_job", "price": "0.001"}', "--cost", "free")
    code, out, _ = aurea("what-if", stored("run.json", 500), *costs, *FEW)
    assert code == 0
    assert "per million, 1: per_job" in out
    assert "1,000.00 USD" in out
    assert "per million, 2: free" in out


@pytest.mark.parametrize(("bound", "code"), [(1e-6, 3), (0.1, 0)])
def test_the_exit_code_is_that_of_the_objectives(
    bound: float, code: int, stored: Callable[..., Path], aurea: Aurea
) -> None:
    objectives = [{"metric": "response_time", "at_most": bound}]
    # The run itself may miss it: what is asked is whether the answer does.
    file = stored("run.json", 500)
    document = json.loads(file.read_text())
    document["spec"]["objectives"] = objectives
    document["objectives"] = [{"outcome": "met", "observed": 0.01, "detail": ""}]
    file.write_text(json.dumps(document))
    assert aurea("what-if", file, *FEW)[0] == code


def test_what_is_not_known_here_is_made_up_for(stored: Callable[..., Path], aurea: Aurea) -> None:
    """Of another machine: its arrivals come as they were recorded, and what it cost is not told."""
    file = stored("run.json", 500, objectives=[])
    document = json.loads(file.read_text())
    document["spec"]["workload"]["arrivals"] = {"kind": "of_theirs", "rate": 3}
    document["spec"]["cost"] = {"kind": "of_theirs"}
    file.write_text(json.dumps(document))
    code, out, _ = aurea("what-if", file, "--rate", "2x", "--json", *FEW)
    answer = json.loads(out)
    assert code == 0
    assert "jobs arrive at the instants of the trace, in every replay" in answer["assumptions"]
    assert [warning.partition(":")[0] for warning in answer["what_if"]["warnings"]] == [
        "the recorded arrivals are not known here, or were in a file",
        "the recorded cost model is not known here, so no price is told",
    ]
    last = max(job["intended"] for job in document["jobs"])
    assert answer["jobs_truncated"] is True
    assert answer["offered_rate"] == pytest.approx(2 * 500 / last, rel=0.01)
    assert not any(figure["figure"].startswith("cost") for figure in answer["what_if"]["figures"])


def test_an_objective_on_what_is_not_replayed_is_left_open(stored: Callable[..., Path], aurea: Aurea) -> None:
    """A histogram knows no groups."""
    file = stored("run.json", 2000, keep_jobs=False)
    code, out, _ = aurea("what-if", file, *FEW)
    assert code == 6
    assert "p90 response time of read <= 0.1 s is not judged" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--rate", "fast"), '--rate: must be a factor such as "2x"'),
        (("--users", 4), "--users: goes with a closed model"),
        (("--scheduler", "nope"), "--scheduler kind: must be one of"),
        (("--slots", 0), "--slots: must be a whole number >= 1"),
        (("--scheduler", "{"), "must be JSON"),
        (("--arrivals", '{"kind": "poisson"}'), "--arrivals rate: is required"),
        (("--jobs", 0), "--jobs: must be a whole number >= 1"),
        (("--replays", 7), "--replays: must be a multiple of 5 from 40 on"),
    ],
)
def test_what_does_not_fit_is_named_by_its_option(
    arguments: tuple[object, ...], says: str, stored: Callable[..., Path], aurea: Aurea
) -> None:
    code, out, err = aurea("what-if", stored("run.json", 100), *arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_what_is_no_result_is_refused(aurea: Aurea, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(SPEC))
    code, _, err = aurea("what-if", tmp_path / "spec.json")
    assert code == 2
    assert "must be a result" in err


def test_each_model_has_its_own_currency(stored: Callable[..., Path], aurea: Aurea) -> None:
    pounds = '{"kind": "per_job", "price": "0.02", "currency": "GBP"}'
    run = stored("run.aurea", 400)
    _, out, _ = aurea("what-if", run, "--cost", "per_second", "--cost", pounds, *FEW)
    line = next(line for line in out.splitlines() if "per_job" in line)
    assert line.count("GBP") == 4
    _, out, _ = aurea("what-if", run, "--cost", "per_second", "--cost", pounds, "--json", *FEW)
    figures = json.loads(out)["what_if"]["figures"]
    assert [each["currency"] for each in figures if "currency" in each] == ["USD", "GBP"]


def test_json_that_is_none_names_its_option(stored: Callable[..., Path], aurea: Aurea) -> None:
    run = stored("run.aurea", 100)
    for option in ("--scheduler", "--arrivals", "--cost"):
        code, _, err = aurea("what-if", run, option, '{"kind": ', *FEW)
        assert (code, f"{option}: must be JSON" in err) == (2, True)


def test_a_repeated_run_is_one_of_its_replications(stored: Callable[..., Path], aurea: Aurea, tmp_path: Path) -> None:
    """Its counts are those of all of them: as many jobs at once would be another load."""
    stored("run.aurea", 150)
    _, _, err = aurea("run", tmp_path / "spec.json", "--repeat", 4, "--processes", 1, "-o", tmp_path / "four.aurea")
    assert err == ""
    _, out, _ = aurea("what-if", tmp_path / "four.aurea", *FEW)
    assert "in 40 replays of 150," in out


def test_nothing_of_a_file_reaches_the_terminal_raw(stored: Callable[..., Path], aurea: Aurea) -> None:
    """A result may come from anybody."""
    run = stored("run.json", 200)
    document = json.loads(run.read_text())
    run.write_text(json.dumps({**document, "benchmark_id": "benchmark-1\x1b]0;mine\x07"}))
    code, out, _ = aurea("what-if", run, *FEW)
    assert code in (0, 6)
    assert "jobs of benchmark-1" in out
    assert "\x1b" not in out
    assert "\x07" not in out
