"""How often a run is repeated, as requests and options write it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aurea_engine import RunSpec, Sleep, SpecError, Workload
from aurea_engine.shards.split import Sharding
from aurea_engine.studies.repetition import MOST_UNTIL, Repetition

REAL = RunSpec(Workload(Sleep(0.1), jobs=1))


@pytest.mark.parametrize("until", [0.01, Decimal("0.01"), "1%", "1 %", "1.0%"])
def test_share_may_be_written_as_a_number_or_percent(until: object) -> None:
    assert Repetition.of(20, until) == Repetition(20, 0.01)


def test_until_alone_is_bounded() -> None:
    assert Repetition.of(None, "5%") == Repetition(MOST_UNTIL, 0.05)


@pytest.mark.parametrize("repeat", [0, -1, 1001, 2.0, "5", True, None])
def test_wrong_number_is_named(repeat: object) -> None:
    with pytest.raises(SpecError, match=r"^repeat: must be a whole number from 1 to 1000"):
        Repetition.of(repeat)


@pytest.mark.parametrize("until", [0, 1, -0.5, "100%", "0%", "x", "nan%", "1_0%", "%", True, float("nan"), "٣%"])
def test_wrong_share_is_named(until: object) -> None:
    with pytest.raises(SpecError, match=r"^until: must be a share above 0 and below 1"):
        Repetition.of(10, until)


def test_members_are_taken_out_with_all_problems() -> None:
    """What stands beside a specification is no part of it, and is judged at once."""
    rest, sharding = Sharding.take_from({"num_jobs": 1, "repeat": 5, "processes": 2, "until": 0.1})
    assert rest == {"num_jobs": 1}
    assert sharding == Sharding(2, repetition=Repetition(5, 0.1))
    with pytest.raises(SpecError) as caught:
        Sharding.take_from({"repeat": 0, "processes": 0, "until": 2, "on_loss": "retry"})
    assert [problem.path for problem in caught.value.problems] == ["processes", "on_loss", "repeat", "until"]


def test_virtual_replications_take_the_cores() -> None:
    """Where nobody chose: as many as there are cores, and no more than replications. Real ones follow each other."""
    sharding = Sharding.take_from({"repeat": 1})[1]
    assert sharding == Sharding(1, is_auto=True, repetition=Repetition(1))
    virtual = RunSpec(Workload(Sleep(0.1), jobs=1), clock="virtual")
    assert (sharding.count_for(virtual), sharding.count_for(REAL)) == (1, 1)
    assert Sharding.of(3, repeat=9).count_for(virtual) == 3


@pytest.mark.parametrize(
    "sharding",
    [Sharding(2, "continue"), Sharding.of(repeat=3), Sharding.of(4, repeat=3, until="1%")],
)
def test_plain_form_reads_back(sharding: Sharding) -> None:
    assert Sharding.from_plain(sharding.to_plain()) == sharding


def test_processes_of_a_single_virtual_run_are_refused() -> None:
    """Repeated they are not: each replication is executed whole."""
    virtual = RunSpec(Workload(Sleep(0.1), jobs=1), clock="virtual")
    with pytest.raises(SpecError, match="or repeat the run"):
        Sharding(2).check(virtual)
    Sharding.of(2, repeat=3).check(virtual)
