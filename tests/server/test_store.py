"""The history by itself: what is kept, what is let go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aurea_engine import default_catalog
from aurea_server.serving import LEDGER_UNUSABLE, serve
from aurea_server.settings import Settings
from aurea_server.store import Ending, Entry, Ledger, Place, ReadFailed
from aurea_server.store.pruning import BATCH, used_bytes

HUGE = 2**62


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "data")
    yield place
    place.release()


@pytest.fixture
def ledger(place: Place) -> Iterator[Ledger]:
    ledger = Ledger(place)
    yield ledger
    ledger.close()


@pytest.fixture
def ended(ledger: Ledger) -> Callable[..., list[str]]:
    """Runs that have ended: ``ended(3, records=100)``."""

    def add(count: int, records: int = 0, head: int = 2000, first: int = 1) -> list[str]:
        ids = [f"benchmark-{number}" for number in range(first, first + count)]
        for number, run_id in enumerate(ids, first):
            ledger.add(Entry(run_id, number, None, b"{}" + b" " * 500, number))
            ledger.end(run_id, Ending("completed", number, head=os.urandom(head), records=os.urandom(records)))
        return ids

    return add


def kept(ledger: Ledger) -> list[str]:
    return [row.id for row in ledger.page(100_000)[0]][::-1]


def pruned(ledger: Ledger, runs: int = HUGE, size: int = HUGE, since: int = 0) -> int:
    """How many runs went."""
    count = 0
    while gone := ledger.prune(runs, size, since):
        count += len(gone)
    return count


def used(ledger: Ledger, place: Place) -> int:
    """What the history occupies, counted from outside."""
    files = sum(path.stat().st_size for path in place.records.iterdir())
    return used_bytes(ledger._connection) + files


@pytest.mark.parametrize("records", [0, 3000, 20_000])
def test_a_history_that_is_too_large_is_cut_to_its_limit_and_not_further(
    ledger: Ledger, place: Place, ended: Callable[..., list[str]], records: int
) -> None:
    ids = ended(121, records)
    size = used(ledger, place)
    assert pruned(ledger, size=size) == 0
    for share in (0.6, 0.3):
        pruned(ledger, size=int(size * share))
        left = kept(ledger)
        assert share * 0.8 * 121 < len(left) < share * 1.05 * 121
        assert left == ids[-len(left) :]
        assert share * 0.9 < used(ledger, place) / size <= share
    assert pruned(ledger, size=int(size * 0.3)) == 0


def test_pages_that_are_free_do_not_count(ledger: Ledger, place: Place, ended: Callable[..., list[str]]) -> None:
    ids = ended(60, 3000)
    ledger.remove(ids[:50])
    assert pruned(ledger, size=used(ledger, place)) == 0
    assert pruned(ledger, size=200_000) == 0
    assert len(kept(ledger)) == 10


def test_what_is_on_is_never_pruned(ledger: Ledger, ended: Callable[..., list[str]]) -> None:
    ledger.add(Entry("benchmark-1", 1, None, b"{}"))
    ended(BATCH + 10, first=2, head=10)
    assert pruned(ledger, runs=5) == BATCH + 6
    assert kept(ledger)[0] == "benchmark-1"
    assert pruned(ledger, since=HUGE) == 4
    assert kept(ledger) == ["benchmark-1"]


async def test_a_history_that_fails_at_the_start_is_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(_: Ledger) -> str:
        raise ReadFailed("the ledger could not be read: disk I/O error")

    monkeypatch.setattr(Ledger, "newest_id", fails)
    assert await serve(Settings(data=str(tmp_path / "data"), port=0), default_catalog()) == LEDGER_UNUSABLE
    assert "disk I/O error" in capfd.readouterr().err
    Place(tmp_path / "data").release()
