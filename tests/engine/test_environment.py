"""What a run ran on, and the garbage collector's part in it."""

from __future__ import annotations

import asyncio
import gc
import json

import pytest

from aurea_engine import Job, RunSpec, Sleep, Workload, engine_version, run_sync, simulate
from aurea_engine.fields import version
from aurea_engine.run.environment import GarbageWatch, describe_environment, read_loop_name
from aurea_engine.testing import run_jumping


def test_a_result_says_what_it_ran_on() -> None:
    """Versions, machine and loop, fit for JSON."""
    real, virtual = (run(RunSpec(Workload(Sleep(0.001), jobs=1))).environment for run in (run_sync, simulate))
    assert {"aurea", "python", "system", "machine", "cpus", "cpu_model", "loop"} <= set(real)
    assert real["loop"] in {"asyncio", "uvloop"}
    assert virtual["loop"] is None
    assert engine_version() == real["aurea"]
    json.dumps(dict(real))


def test_the_loop_is_named_by_its_package() -> None:
    """Here it is the standard library's."""

    async def main() -> tuple[object, object]:
        return describe_environment()["loop"], read_loop_name()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        assert runner.run(main()) == ("asyncio", "asyncio")


def test_outside_a_loop_there_is_no_name() -> None:
    """None."""
    assert read_loop_name() is None


def test_an_unknown_version_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run from a folder that was never installed."""
    monkeypatch.setattr(version, "DISTRIBUTION", "no-such-distribution-anywhere")
    engine_version.cache_clear()
    assert engine_version() == "unknown"
    monkeypatch.undo()
    engine_version.cache_clear()


def test_collections_are_timed_while_they_are_watched() -> None:
    """One that is forced, and none after."""
    with GarbageWatch(hold=False) as watch:
        gc.collect()
    assert 0 < watch.longest_ns <= watch.total_ns
    total = watch.total_ns
    gc.collect()
    assert total == watch.total_ns


@pytest.fixture
def collecting() -> object:
    """Whatever a test does, collection is as it was."""
    was = gc.isenabled()
    yield
    (gc.enable if was else gc.disable)()


@pytest.mark.parametrize("before", [True, False])
def test_collection_is_put_off_and_then_as_it_was(before: bool, collecting: None) -> None:
    """Also when runs overlap: it comes back when the last of them has ended."""
    (gc.enable if before else gc.disable)()
    with GarbageWatch(hold=True):
        assert not gc.isenabled()
        with GarbageWatch(hold=True):
            assert not gc.isenabled()
        assert not gc.isenabled()
        with GarbageWatch(hold=False):
            assert not gc.isenabled()
    assert before is gc.isenabled()


class Asking(Job):
    """Notes whether collection is on."""

    seen: list[bool] = []  # noqa: RUF012

    async def run(self, demand: float) -> None:
        Asking.seen.append(gc.isenabled())


def test_jobs_of_other_people_keep_their_garbage_collector(collecting: None) -> None:
    """Only where the engine alone makes objects may it be held off."""
    gc.enable()
    run_jumping(RunSpec(Workload(Asking(), jobs=1), seed=0))
    assert Asking.seen == [True]
    assert gc.isenabled()
