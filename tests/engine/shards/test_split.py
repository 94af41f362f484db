"""What can be cut into processes, into how many, and what is refused with a remedy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aurea_engine import Closed, Fifo, Objective, Poisson, RunSpec, Shard, Sleep, SpecError, Workload
from aurea_engine.shards import split
from aurea_engine.shards.split import Sharding, count_cores, count_processes, prepare_spec

SPEC = RunSpec(Workload(Sleep(0.01), Poisson(100), jobs=300), seed=7)


@pytest.mark.parametrize("wanted", [0, -1, 257, 1.5, True, "two", "2", None, [2]])
def test_wrong_number_is_refused(wanted: object) -> None:
    with pytest.raises(SpecError, match="processes: must be a whole number from 1 to 256"):
        count_processes(wanted)


def test_auto_is_one_for_each_core() -> None:
    assert count_processes("auto") == count_cores() >= 1


@pytest.mark.parametrize(
    ("quotas", "cores"),
    [
        ({"": "max 100000"}, []),
        ({"a/b": "150000 100000"}, [1.5]),
        ({"a/b": "max 100000", "a": "200000 100000"}, [2.0]),
        ({"a/b": "400000 100000", "a": "200000 100000", "": "nonsense"}, [4.0, 2.0]),
        ({"a": "100000 0"}, []),
    ],
)
def test_quotas_of_all_groups_count(tmp_path: Path, quotas: dict[str, str], cores: list[float]) -> None:
    """A group has no more time than the groups above it. What cannot be read limits nothing."""
    (tmp_path / "root/a/b").mkdir(parents=True)
    for folder, text in quotas.items():
        (tmp_path / "root" / folder / "cpu.max").write_text(f"{text}\n")
    own = tmp_path / "own"
    own.write_text("0::/a/b\n")
    assert list(split._read_quotas(tmp_path / "root", own)) == cores


def test_group_of_the_host_is_at_the_root(tmp_path: Path) -> None:
    """Inside a container the path may be one that only the host has."""
    (tmp_path / "cpu.max").write_text("300000 100000")
    own = tmp_path / "own"
    own.write_text("12:cpu:/old\n0::/not/here\n")
    assert list(split._read_quotas(tmp_path, own)) == [3.0]


def test_virtual_time_is_refused() -> None:
    with pytest.raises(SpecError, match="processes: cannot be used in virtual time"):
        prepare_spec(replace(SPEC, clock="virtual"), 2)


def test_everything_wrong_is_told_at_once() -> None:
    spec = RunSpec(Workload(Sleep(0.01), Closed(3), jobs=300), Fifo(slots=4), clock="virtual")
    with pytest.raises(SpecError) as caught:
        prepare_spec(spec, 2)
    assert [problem.path for problem in caught.value.problems] == ["processes", "scheduler.slots", "workload.arrivals"]
    assert all("divided" in problem.problem for problem in caught.value.problems[1:])


def test_one_process_cuts_nothing() -> None:
    """So what cannot be cut can be run in one."""
    spec = replace(SPEC, scheduler=Fifo(slots=4))
    assert prepare_spec(spec, 1) == spec


def test_shards_have_one_seed_and_end_nothing() -> None:
    """Whoever draws a seed of his own runs other jobs; whoever sees a part alone cannot judge the whole."""
    lost = Objective("failure_ratio", at_most=0.1, abort=True)
    shared = prepare_spec(replace(SPEC, seed=None, objectives=(lost,)), 2)
    assert shared.seed is not None
    assert shared.objectives == (replace(lost, abort=False),)
    Shard(0, 2).check(shared)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"num_jobs": 1}, None),
        ({"num_jobs": 1, "processes": 2}, Sharding(2)),
        ({"num_jobs": 1, "processes": 2, "on_loss": "continue"}, Sharding(2, "continue")),
        ({"num_jobs": 1, "on_loss": "continue"}, Sharding(1, "continue", is_auto=True)),
    ],
)
def test_members_stand_beside_a_specification(document: dict[str, object], expected: Sharding | None) -> None:
    assert Sharding.take_from(document) == ({"num_jobs": 1}, expected)


def test_wrong_members_are_refused() -> None:
    with pytest.raises(SpecError, match='on_loss: must be "fail" or "continue"'):
        Sharding.take_from({"processes": 2, "on_loss": "retry"})
    assert Sharding.take_from([1]) == ([1], None)
