"""The fixture of the pytest plugin: what passes, what fails, and what decides nothing. Whole sessions are in
`tests/test_pytest_session.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aurea_engine import (
    ConstantRate,
    Exponential,
    Faulty,
    Fifo,
    Finding,
    Job,
    Objective,
    Poisson,
    Reason,
    RunResult,
    RunSpec,
    Severity,
    Sleep,
    SpecError,
    Workload,
    encode_json,
    result_to_dict,
    run_sync,
    simulate,
    spec_to_dict,
)
from aurea_engine.codec.run_file import RunFile
from aurea_engine.results.objectives import count_jobs_needed
from aurea_engine.results.summarize import judge_again
from aurea_engine.testing.judgement import judge
from aurea_engine.testing.pull_request_summary import render_summary
from aurea_engine.testing.pytest_plugin import Aurea
from aurea_engine.testing.stored_baselines import Baselines
from aurea_engine.workload.streams import derive_seed

MET, MISSED = Objective("response_time", at_most=1.0, quantile=0.9), Objective("response_time", at_most=0.001)
OPEN = Objective("response_time", at_most=0.01, quantile=0.6322)
"""Of M/M/∞ with a mean of 10 ms the quantile is 10.002 ms: an interval lies across the bound in nine runs of ten."""


def spec(*objectives: Objective, jobs: int = 500, **more: Any) -> RunSpec:
    """Exponential service of 10 ms without a queue, in virtual time."""
    workload = Workload(Sleep(Exponential(0.01)), Poisson(100), jobs=jobs)
    return RunSpec(workload, clock="virtual", **{"seed": 1, "objectives": objectives} | more)


@pytest.fixture
def fixture(tmp_path: Path) -> Callable[..., Aurea]:
    return lambda **options: Aurea(tmp_path, **options)


def outcome_of(call: Callable[[], object]) -> tuple[str, str]:
    """What a test that does so comes to, and the text."""
    try:
        call()
    except pytest.skip.Exception as skipped:
        return "skipped", str(skipped)
    except pytest.fail.Exception as failed:
        return "failed", str(failed)
    return "passed", ""


def test_met_objectives_pass(fixture: Callable[..., Aurea]) -> None:
    aurea = fixture()
    result = aurea.run(spec(MET))
    assert aurea.require(result) is result


def test_a_missed_objective_fails_with_the_table(fixture: Callable[..., Aurea]) -> None:
    outcome, text = outcome_of(lambda: fixture().require(simulate(spec(MET, MISSED))))
    assert outcome == "failed"
    head, names, met, missed, *_ = text.splitlines()
    assert head == "1 of 2 objectives missed"
    assert names.split() == ["objective", "outcome", "observed"]
    assert "met" in met.split()
    assert "missed" in missed.split()
    assert "95 % bounds" in missed


def test_an_open_interval_skips(fixture: Callable[..., Aurea]) -> None:
    """And fails where nothing may be left open."""
    result = simulate(spec(OPEN))
    assert [judged.outcome for judged in result.objectives] == ["inconclusive"]
    outcome, text = outcome_of(lambda: fixture().require(result))
    assert outcome == "skipped"
    assert "decides neither way (p63.22 response time <= 0.01 s: 95 % bounds" in text
    assert outcome_of(lambda: fixture(strict=True).require(result))[0] == "failed"


def test_an_invalid_measurement_skips(fixture: Callable[..., Aurea]) -> None:
    """Whatever its figures say: they are of another load. Missed objectives too."""
    found = Finding("late_releases", Severity.INVALID, "98 % of the jobs were released late", "Keep other work off.")
    for objective in (MET, MISSED, OPEN):
        result = replace(simulate(spec(objective)), findings=(found,))
        outcome, text = outcome_of(lambda result=result: fixture().require(result))  # type: ignore[misc]
        assert outcome == "skipped"
        assert text == "the measurement is invalid (late_releases: 98 % of the jobs were released late)"


def test_a_degraded_measurement_is_judged(fixture: Callable[..., Aurea]) -> None:
    found = Finding("tracer_active", Severity.DEGRADED, "coverage traced it", "Run it without.")
    result = replace(simulate(spec(MISSED)), findings=(found,))
    outcome, text = outcome_of(lambda: fixture().require(result))
    assert outcome == "failed"
    assert "degraded: tracer_active: coverage traced it" in text


@pytest.mark.parametrize(
    ("objective", "jobs", "needed"),
    [
        (Objective("response_time", at_most=1, quantile=0.99), 298, 299),
        (Objective("service_time", at_least=0.001, quantile=0.01), 298, 299),
        (Objective("response_time", at_most=1), 9, 10),
    ],
    ids=["upper", "lower", "mean"],
)
def test_too_few_jobs_can_never_decide(
    objective: Objective, jobs: int, needed: int, fixture: Callable[..., Aurea]
) -> None:
    """Such a test would be skipped for ever, and look as if the machine were at fault."""
    outcome, text = outcome_of(lambda: fixture().require(simulate(spec(objective, jobs=jobs))))
    assert outcome == "failed"
    assert f"can never be decided: {objective} needs {needed} jobs, and {jobs} arrived" in text
    assert count_jobs_needed(objective) == needed
    assert "can never" not in outcome_of(lambda: fixture().require(simulate(spec(objective, jobs=needed))))[1]


def test_jobs_that_failed_do_not_excuse(fixture: Callable[..., Aurea]) -> None:
    """Enough arrived, and too few of them completed: that is the code's doing."""
    whole = spec(Objective("response_time", at_most=1, quantile=0.99))
    failing = replace(whole, workload=Workload(Faulty(Sleep(0.01), 0.6), Poisson(100), jobs=500))
    outcome, text = outcome_of(lambda: fixture().require(simulate(failing)))
    assert outcome == "failed"
    assert "p99 needs 299 jobs" in text


def test_nothing_to_require_fails(fixture: Callable[..., Aurea]) -> None:
    """A test that passes on no objective says nothing."""
    outcome, text = outcome_of(lambda: fixture().require(simulate(spec())))
    assert outcome == "failed"
    assert "no objectives" in text


def test_a_run_that_did_not_complete_fails(fixture: Callable[..., Aurea]) -> None:
    result = replace(simulate(spec(MET)), status="failed", reason=Reason("strategy", "the job broke its contract"))
    outcome, text = outcome_of(lambda: fixture().require(result))
    assert outcome == "failed"
    assert text.startswith("the run failed: the job broke its contract")


def test_an_aborted_run_has_missed(fixture: Callable[..., Aurea]) -> None:
    """Though fewer jobs arrived than the quantile needs: it was lost for certain."""
    objectives = (
        Objective("response_time", at_most=1, quantile=0.99),
        Objective("failure_ratio", at_most=0.01, abort=True),
    )
    workload = Workload(Faulty(Sleep(0.01), 1.0), Poisson(100), jobs=1000)
    result = simulate(replace(spec(*objectives), workload=workload))
    assert result.status == "aborted"
    assert result.counts.arrived < 299
    assert judge(result).word == "missed"


# Several attempts


def test_attempts_end_with_the_first_that_decides(fixture: Callable[..., Aurea]) -> None:
    """By seeds of their own, each judged at 1 − 0.05/3."""
    seeds, level = [1, *(derive_seed(1, "attempt", i) for i in (1, 2))], 1 - 0.05 / 3
    runs = [simulate(spec(OPEN, seed=seed, jobs=2000)) for seed in seeds]
    # A bound that the first attempt leaves open and a later one does not: there is one, since their figures differ.
    for bound in np.linspace(0.009, 0.013, 81):
        close = replace(OPEN, at_most=float(bound))
        each = [judge_again(replace(run, spec=replace(run.spec, objectives=(close,))), level) for run in runs]
        words = [judge(result, level).word for result in each]
        decided = next((i for i, word in enumerate(words) if word != "not_judged"), 0)
        if decided:
            break
    assert decided
    result = fixture().run(spec(close, jobs=2000), attempts=3)
    assert result.spec.seed == seeds[decided]
    assert result.objectives == each[decided].objectives


def test_attempts_are_judged_more_strictly() -> None:
    """Bounds are wider, more jobs are needed, and what was met at 95 % may be open at 99 %."""
    result = simulate(spec(Objective("response_time", at_most=1, quantile=0.99), jobs=350))
    strict = judge_again(result, 0.99)
    assert count_jobs_needed(strict.objectives[0].objective, 0.99) == 459
    assert [result.objectives[0].outcome, strict.objectives[0].outcome] == ["met", "inconclusive"]
    assert judge(strict, 0.99).word == "never"
    mean = simulate(spec(Objective("response_time", at_most=1)))
    (usual,), (wide,) = mean.objectives, judge_again(mean, 0.99).objectives
    low, high = (float(text) for text in usual.detail.removeprefix("95 % bounds ").replace(" s", "").split(" and "))
    lower, higher = (float(text) for text in wide.detail.removeprefix("99 % bounds ").replace(" s", "").split(" and "))
    # Of t with 29 degrees of freedom: 1.699 and 2.462.
    assert (higher - lower) / (high - low) == pytest.approx(2.462 / 1.699, rel=1e-3)
    with pytest.raises(ValueError, match="no parts"):
        judge_again(replace(result, parts=None), 0.99)


@pytest.mark.long
def test_attempts_err_no_more_often(campaign: Callable[[int], int], fixture: Callable[..., Aurea]) -> None:
    """The true quantile is just above the bound, so every pass is an error: at most 5 %, however many attempts. With the
    chance of 5 % a count beyond the binomial 0.1 % bound would be seen once in a thousand.
    """
    rounds = campaign(1000)
    aurea = fixture()
    wrong = sum(
        judge(aurea.run(spec(OPEN, seed=seed), attempts=3), 1 - 0.05 / 3).word == "met" for seed in range(rounds)
    )
    assert wrong <= {100: 13, 1000: 73}[rounds]


def test_require_can_try_again(fixture: Callable[..., Aurea]) -> None:
    """From a first result on; and nothing is run again once it is decided."""
    aurea = fixture()
    first = simulate(spec(MET))
    decided = aurea.require(first, attempts=3)
    assert decided.spec.seed == first.spec.seed
    assert decided.objectives[0].detail.startswith("98.3 % bounds")


@pytest.mark.parametrize("attempts", [0, 21, True, 1.5])
def test_attempts_are_a_small_number(attempts: Any, fixture: Callable[..., Aurea]) -> None:
    with pytest.raises(SpecError, match="from 1 to 20"):
        fixture().run(spec(MET), attempts=attempts)


def test_a_drawn_seed_is_the_first_of_the_attempts(fixture: Callable[..., Aurea]) -> None:
    """Then all of them can be repeated."""
    result = fixture().run(spec(OPEN, seed=None), attempts=2)
    assert result.spec.seed is not None


# What is run


def test_specifications_come_in_every_form(fixture: Callable[..., Aurea], tmp_path: Path) -> None:
    """The same run from a value, a dict, a file beside the test, and a stored result."""
    whole = spec(MET)
    data = json.loads(encode_json(spec_to_dict(whole)))
    (tmp_path / "spec.json").write_text(json.dumps(data))
    (tmp_path / "spec.toml").write_text(
        'seed = 1\nclock = "virtual"\n[workload]\njobs = 500\n[workload.job]\nkind = "sleep"\n'
        'duration = {kind = "exponential", mean = 0.01}\n[workload.arrivals]\nkind = "poisson"\nrate = 100\n'
    )
    stored = simulate(whole)
    (tmp_path / "run.json").write_bytes(encode_json(result_to_dict(stored)))
    aurea = fixture()
    (tmp_path / "run.aurea").write_bytes(RunFile.of(stored).to_bytes())
    for given in (whole, data, "spec.json", Path("spec.toml"), tmp_path / "run.json", "run.aurea"):
        assert aurea.run(given).response_time == stored.response_time
    with pytest.raises(SpecError, match="No such file"):
        aurea.run("missing.json")
    for name, content in (("damaged.json", b"{"), ("damaged.aurea", (tmp_path / "run.aurea").read_bytes()[:-9])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SpecError, match=name):
            aurea.run(name)


class Waits(Job):
    """Waits for another task of the same loop."""

    turn: asyncio.Event

    async def run(self, demand: float) -> None:
        await Waits.turn.wait()


async def test_runs_share_a_running_loop(fixture: Callable[..., Aurea]) -> None:
    """`run` would block it, and says what to do instead; a simulation needs no loop at all."""
    Waits.turn = asyncio.Event()
    real = RunSpec(Workload(Waits(), jobs=20), seed=1, objectives=(Objective("failure_ratio", at_most=0),))
    aurea = fixture()
    with pytest.raises(SpecError, match="there is a running event loop"):
        aurea.run(real)
    with pytest.raises(SpecError, match="there is a running event loop"):
        aurea.require(replace(simulate(spec(MET)), spec=real), attempts=2)
    asyncio.get_running_loop().call_soon(Waits.turn.set)
    result = await aurea.run_async(real, attempts=2)
    aurea.require(result)
    assert aurea.run(spec(MET)).counts.completed == 500


def test_a_run_in_real_time_needs_no_loop(fixture: Callable[..., Aurea]) -> None:
    real = RunSpec(Workload(Sleep(0.001), jobs=20), seed=1, objectives=(Objective("failure_ratio", at_most=0),))
    aurea = fixture()
    assert aurea.require(aurea.run(real)).counts.completed == 20


# Baselines, and what is told of it


def write(result: RunResult, path: Path) -> str:
    path.write_bytes(RunFile.of(result).to_bytes() if path.suffix == ".aurea" else encode_json(result_to_dict(result)))
    return str(path)


def slow(factor: float, **more: Any) -> RunResult:
    """Each job takes so much longer."""
    workload = Workload(Sleep(Exponential(0.01 * factor)), ConstantRate(100), jobs=5000)
    return simulate(RunSpec(workload, Fifo(4), seed=1, objectives=(MET,), **more))


@pytest.mark.parametrize("name", ["base.json", "base.aurea"])
def test_a_run_is_compared_with_its_baseline(name: str, fixture: Callable[..., Aurea], tmp_path: Path) -> None:
    """Half as long again is worse, whatever the objectives say; the very same run is not."""
    baselines = Baselines.read([write(slow(1), tmp_path / name)])
    judged: list[dict[str, Any]] = []
    aurea = fixture(baselines=baselines, judged=judged)
    aurea.require(slow(1))
    outcome, text = outcome_of(lambda: aurea.require(slow(1.5)))
    assert outcome == "failed"
    assert text.startswith(f"worse than {tmp_path / name}")
    assert "response_time.mean" in text
    assert [each["baseline"] for each in judged] == [str(tmp_path / name)] * 2
    assert baselines.list_unused(each["baseline"] for each in judged) == []


def test_what_cannot_be_compared_is_not_judged(fixture: Callable[..., Aurea], tmp_path: Path) -> None:
    """Too few jobs; a missed objective stays missed all the same."""
    few = simulate(spec(MET, jobs=60))
    aurea = fixture(baselines=Baselines.read([write(few, tmp_path / "base.json")]))
    outcome, text = outcome_of(lambda: aurea.require(few))
    assert outcome == "skipped"
    assert "no comparison with" in text
    assert outcome_of(lambda: aurea.require(simulate(spec(MISSED, jobs=60))))[0] == "failed"


def test_baselines_are_found_by_label(fixture: Callable[..., Aurea], tmp_path: Path) -> None:
    """One of another label is of another test; and one that no test met is told of."""
    files = [write(slow(1, label=label), tmp_path / f"{label}.json") for label in ("search", "cart")]
    baselines = Baselines.read(files)
    judged: list[dict[str, Any]] = []
    aurea = fixture(baselines=baselines, judged=judged)
    aurea.require(slow(1.5))  # it has no label, so it is compared with nothing
    aurea.require(slow(1, label="cart"))
    assert [each["baseline"] for each in judged] == [None, files[1]]
    (line,) = baselines.list_unused(each["baseline"] for each in judged)
    assert line == f"{files[0]} was compared with no run: none was required that has the label 'search'"


def test_wrong_baselines_are_refused(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{}")
    (tmp_path / "torn.aurea").write_bytes(RunFile.of(slow(1)).to_bytes()[:-9])
    write(slow(1), tmp_path / "one.json")
    for files, says in (
        (["missing.json"], "No such file"),
        (["spec.json"], "is no result"),
        (["torn.aurea"], "damaged"),
        (["one.json", "one.json"], ""),
    ):
        paths = [str(tmp_path / file) for file in files]
        if files == ["one.json", "one.json"]:
            assert len(Baselines.read(paths).results) == 1  # the same file twice is one
            continue
        with pytest.raises(ValueError, match=says):
            Baselines.read(paths)
    write(slow(1), tmp_path / "two.json")
    with pytest.raises(ValueError, match="the label None"):
        Baselines.read([str(tmp_path / "one.json"), str(tmp_path / "two.json")])


def test_properties_are_those_of_the_run(fixture: Callable[..., Aurea]) -> None:
    """For JUnit; also of a run that failed."""
    properties: list[tuple[str, object]] = []
    aurea = fixture(properties=properties)
    result = simulate(spec(MET, MISSED))
    assert outcome_of(lambda: aurea.require(result))[0] == "failed"
    assert properties[:2] == [("aurea.run", result.benchmark_id), ("aurea.verdict", "valid")]
    assert [str(value).rpartition(": ")[2].partition(",")[0] for _, value in properties[2:]] == ["met", "missed"]


def test_a_summary_is_markdown_and_nothing_else(fixture: Callable[..., Aurea], tmp_path: Path) -> None:
    """Tables of objectives and changes; what is named by others is no markup."""
    judged: list[dict[str, Any]] = []
    aurea = fixture(baselines=Baselines.read([write(slow(1), tmp_path / "base.json")]), judged=judged)
    outcome_of(lambda: aurea.require(slow(1.5)))
    outcome_of(lambda: aurea.require(replace(simulate(spec(OPEN)), spec=replace(spec(OPEN), label="other"))))
    text = "\n".join(render_summary([("test_a|b<img src=x>", judged[0]), ("test_c", judged[1])]))
    assert r"test\_a\|b\<img src=x\>" in text
    assert "<img" not in text.replace(r"\<img", "")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    for line in tables:
        assert line.replace(r"\|", "").count("|") in (6, 8)
    assert "| p90 response time \\<= 1 s | met |" in text
    assert "worse" in text
    assert "1 objective not judged:" in text


def test_what_was_judged_crosses_processes(fixture: Callable[..., Aurea], pytestconfig: pytest.Config) -> None:
    """A worker of pytest-xdist sends its reports to the controller, and plain values are all that it can send."""
    judged: list[dict[str, Any]] = []
    fixture(judged=judged).require(simulate(spec(MET)))
    report = pytest.TestReport("test_it", ("test_it.py", 0, "test_it"), {}, "passed", None, "teardown")
    report.aurea_judged = judged
    sent = json.dumps(pytestconfig.hook.pytest_report_to_serializable(config=pytestconfig, report=report))
    again = pytestconfig.hook.pytest_report_from_serializable(config=pytestconfig, data=json.loads(sent))
    assert again.aurea_judged == judged


def test_no_run_is_made_twice(fixture: Callable[..., Aurea]) -> None:
    """Of attempts that decide at once, one is run."""
    seen = []

    class Counting(Job):
        async def run(self, demand: float) -> None:
            seen.append(1)

    real = RunSpec(Workload(Counting(), jobs=20), seed=1, objectives=(Objective("failure_ratio", at_most=0),))
    fixture().run(real, attempts=5)
    assert len(seen) == 20
    assert np.array_equal(run_sync(real).counts.completed, 20)
