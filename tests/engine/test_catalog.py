"""Kinds by name: the built-in ones, one's own, and those of installed packages."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from aurea_engine import (
    Catalog,
    Fifo,
    Job,
    Queue,
    RunSpec,
    Scheduler,
    Sleep,
    SpecError,
    StrategyError,
    Workload,
    default_catalog,
    simulate,
    spec_from_dict,
    spec_to_dict,
)

PLUGIN = '''
"""A package of somebody else's."""
from dataclasses import dataclass
from aurea_engine import Arrivals, Fifo, Job
import numpy as np

@dataclass(frozen=True)
class Nap(Job):
    minutes: float
    executor = "timers"

    async def run(self, demand):
        pass

    def demands(self, rng, first, n):
        return np.full(n, self.minutes * 60)

@dataclass(frozen=True)
class Fairest(Fifo):
    pass

NOT_A_CLASS = 3
'''

ENTRY_POINTS = """
[aurea.jobs]
nap = somebodys_plugin:Nap
broken = somebodys_plugin:Missing
sleep = somebodys_plugin:Nap
number = somebodys_plugin:NOT_A_CLASS

[aurea.schedulers]
fairest = somebodys_plugin:Fairest
misplaced = somebodys_plugin:Nap

[aurea.arrivals]
absent = no_such_module_at_all:Anything
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution that offers strategies, good and bad ones."""
    (tmp_path / "somebodys_plugin.py").write_text(PLUGIN)
    info = tmp_path / "somebodys_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "somebodys_plugin", raising=False)


def test_entry_points_are_found_when_asked_for(plugin: None) -> None:
    """By entry point, from a specification, to a result, and back."""
    catalog = default_catalog().with_entry_points()
    body = {"workload": {"job": {"kind": "nap", "minutes": 2}, "jobs": 3}, "scheduler": {"kind": "fairest", "slots": 1}}
    spec = spec_from_dict(body, catalog)
    assert simulate(spec).duration == 360.0
    assert spec == spec_from_dict(spec_to_dict(spec, catalog), catalog)
    assert spec_to_dict(spec, catalog)["workload"]["job"] == {"kind": "nap", "minutes": 2.0}


def test_default_catalog_loads_no_plugin(plugin: None) -> None:
    """Only the program's edge asks."""
    assert default_catalog().find("jobs", "nap") is None
    assert "somebodys_plugin" not in sys.modules


def test_unusable_entry_point_is_left_out(plugin: None, caplog: pytest.LogCaptureFixture) -> None:
    """Missing, of the wrong group, no class, or under a name that is taken; the others still load."""
    with caplog.at_level(logging.ERROR, "aurea_engine"):
        catalog = default_catalog().with_entry_points()
    assert Sleep is catalog.find("jobs", "sleep")
    assert catalog.find("jobs", "nap") is not None
    for group, kind in (("jobs", "broken"), ("jobs", "number"), ("schedulers", "misplaced"), ("arrivals", "absent")):
        assert catalog.find(group, kind) is None
    said = " ".join(record.getMessage() for record in caplog.records)
    for name in ("broken", "sleep", "number", "misplaced", "absent"):
        assert f"entry point {name} " in said


def test_only_named_kinds_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A package that exits when it is imported is left out with one line, or refused where it is the one asked for."""
    info = tmp_path / "leaving-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: leaving\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[aurea.jobs]\nleaves = leaving:X\nstays = aurea_engine:Sleep\n")
    (tmp_path / "leaving.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "leaving", raising=False)
    assert default_catalog().with_entry_points({"stays"}).find("jobs", "stays") is Sleep
    with pytest.raises(StrategyError, match=r"leaves of .* cannot be loaded: SystemExit: 3"):
        default_catalog().with_entry_points({"leaves"})
    assert caplog.records == []
    with caplog.at_level(logging.ERROR, "aurea_engine"):
        catalog = default_catalog().with_entry_points()
    assert catalog.find("jobs", "leaves") is None
    assert catalog.find("jobs", "stays") is Sleep
    assert [record.exc_info for record in caplog.records] == [None]


class Mine(Sleep):
    """A job of one's own."""


def test_adding_a_kind_makes_another_catalog() -> None:
    """Catalogs are values: the one it was added to stays as it was."""
    before = default_catalog()
    after = before.add("jobs", "mine", Mine)
    assert before.find("jobs", "mine") is None
    assert Mine is after.find("jobs", "mine")
    assert after.kind_of(Mine(0.1)) == "mine"
    assert f"{__name__}:Mine" == before.kind_of(Mine(0.1))
    with pytest.raises(TypeError):
        after.kinds["jobs"]["other"] = Mine  # type: ignore[index]


@pytest.mark.parametrize(
    ("group", "kind", "strategy", "says"),
    [
        pytest.param("job", "mine", Mine, "there is no group 'job': one of jobs, arrivals", id="no such group"),
        pytest.param("jobs", "sleep", Mine, "is taken by Sleep", id="a name that is taken"),
        pytest.param("schedulers", "mine", Mine, "must be a class that derives from Scheduler", id="another group"),
        pytest.param("jobs", "mine", Mine(0.1), "must be a class", id="an instance"),
        pytest.param("jobs", "mine", len, "must be a class", id="a function"),
    ],
)
def test_what_cannot_be_added_is_refused(group: str, kind: str, strategy: type, says: str) -> None:
    """With a sentence that says why."""
    with pytest.raises(SpecError, match=says):
        default_catalog().add(group, kind, strategy)


def test_own_class_needs_no_dataclass() -> None:
    """Ten lines are enough."""

    class Newest(Scheduler):
        def queue(self) -> Queue:
            return Fifo().queue()

    class Ping(Job):
        async def run(self, demand: float) -> None:
            pass

    catalog: Catalog = default_catalog().add("schedulers", "newest", Newest).add("jobs", "ping", Ping)
    spec = spec_from_dict(
        {"workload": {"job": {"kind": "ping"}, "jobs": 1}, "scheduler": {"kind": "newest", "slots": 3}}, catalog
    )
    assert isinstance(spec.workload.job, Ping)
    assert spec.scheduler.slots == 3
    assert spec_to_dict(spec, catalog)["workload"]["job"] == {"kind": "ping"}


def test_contracts_have_their_groups() -> None:
    """And a class that is no contract has none."""
    assert default_catalog().group_of(Scheduler) == "schedulers"
    assert default_catalog().group_of(RunSpec) is None
    assert default_catalog().group_of(Workload) is None
