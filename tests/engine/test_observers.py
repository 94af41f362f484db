"""Observers are told, and cannot hurt a run."""

from __future__ import annotations

import logging

import pytest

from aurea_engine import (
    ConstantRate,
    Fifo,
    Observer,
    Outcome,
    PerJob,
    Progress,
    RunSpec,
    Sleep,
    Trace,
    Workload,
    simulate,
)
from aurea_engine.testing import RecordingObserver, run_jumping

SPEC = RunSpec(Workload(Sleep(0.1), ConstantRate(10), jobs=50), Fifo(1), PerJob("0.5"))


class Broken(Observer):
    """Raises in the hook of its name."""

    def __init__(self, hook: str) -> None:
        self.hook, self.calls = hook, 0

    def on_start(self, spec: RunSpec) -> None:
        self.tell("on_start")

    def on_progress(self, progress: Progress) -> None:
        self.tell("on_progress")

    def tell(self, hook: str) -> None:
        self.calls += 1
        if hook == self.hook:
            raise ValueError("an observer's own trouble")


@pytest.mark.parametrize("run", [simulate, run_jumping])
def test_an_observer_is_told_of_the_start_and_of_the_end(run: type[object]) -> None:
    """With the seed that was drawn; the last report is of the whole run."""
    observer = RecordingObserver()
    result = run(SPEC, [observer])  # type: ignore[call-arg]
    assert observer.spec == result.spec  # type: ignore[attr-defined]
    assert observer.spec is not None
    assert observer.spec.seed is not None
    last = observer.reports[-1]
    assert (last.arrived, last.ended, last.in_flight, last.queued, last.counts) == (
        50,
        50,
        0,
        0,
        {Outcome.COMPLETED: 50},
    )
    assert (last.cost, last.fraction_done, last.time_left) == (25, 1.0, 0.0)
    assert pytest.approx(last.mean_latency) == 0.1
    assert pytest.approx(last.p99, rel=0.004) == 0.1


@pytest.mark.parametrize("hook", ["on_start", "on_progress"])
@pytest.mark.parametrize("run", [simulate, run_jumping])
def test_an_observer_that_raises_is_dropped_and_logged_once(
    run: type[object], hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are still told, and the run does not notice."""
    broken, other = Broken(hook), RecordingObserver()
    with caplog.at_level(logging.ERROR, "aurea_engine"):
        result = run(SPEC, [broken, other])  # type: ignore[call-arg]
    assert result.counts.completed == 50  # type: ignore[attr-defined]
    assert [f"observer Broken raised in {hook} and was dropped"] == [record.getMessage() for record in caplog.records]
    assert (1 if hook == "on_start" else 2) == broken.calls
    assert other.spec is not None
    assert other.reports


def test_every_hook_is_optional() -> None:
    """The base class is an observer that cares for nothing."""
    assert simulate(SPEC, [Observer()]).counts.completed == 50
    with_both = Broken("neither")
    simulate(SPEC, [with_both])
    assert with_both.calls == 2


def test_watching_changes_no_figure() -> None:
    """The same run with and without an observer."""
    spec = RunSpec(SPEC.workload, SPEC.scheduler, seed=3)
    assert simulate(spec).response_time == simulate(spec, [RecordingObserver()]).response_time


def test_a_run_by_duration_says_how_far_it_is() -> None:
    """Half-way through ten seconds there are five left; nobody knows where neither jobs nor duration is given."""
    observer = RecordingObserver()
    run_jumping(RunSpec(Workload(Sleep(0.1), ConstantRate(10), duration=10), seed=0), [observer])
    assert observer.reports[-1].fraction_done == 1.0


def test_a_run_that_drains_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """500/s for 10 s on 4 slots of 10 ms: it has drained after 12.5 s, and that is what is told all the time."""
    monkeypatch.setattr("aurea_engine.engine.PROGRESS_NS", 0)
    observer = RecordingObserver()
    spec = RunSpec(Workload(Sleep(0.01), ConstantRate(500), duration=10), Fifo(4), seed=0)
    result = run_jumping(spec, [observer])
    reports = [each for each in observer.reports[:-1] if each.elapsed > 10]
    assert len(reports) > 10
    for report in reports:
        assert report.in_flight
        assert report.fraction_done is not None
        assert report.fraction_done < 1.0
        assert report.time_left is not None
        assert report.time_left > 0.0
        assert report.elapsed + report.time_left == pytest.approx(result.duration, rel=0.02)
    assert (observer.reports[-1].fraction_done, observer.reports[-1].time_left) == (1.0, 0.0)


@pytest.mark.parametrize("limits", [{"jobs": 50, "duration": 1000.0}, {"duration": 1000.0}, {}])
def test_a_run_that_has_ended_is_done(limits: dict[str, float]) -> None:
    """However it was limited: arrivals that end by themselves come to an end before any duration."""
    observer = RecordingObserver()
    simulate(RunSpec(Workload(Sleep(0.1), Trace((0.0, 1.0)), **limits), seed=0), [observer])  # type: ignore[arg-type]
    assert (observer.reports[-1].fraction_done, observer.reports[-1].time_left) == (1.0, 0.0)
