"""The history by itself: what is kept, what is let go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aurea_engine.closed_sets import ServeExitCode
from aurea_server.history import (
    AcceptedRun,
    DataFolder,
    FinishedRun,
    IdempotencyKey,
    Ledger,
    ReadFailed,
    retention_clock,
)
from aurea_server.history.retention import BATCH, Retention, measure_used_bytes
from aurea_server.history.retention_clock import DAY_MS, RetentionClock
from aurea_server.http.serving import serve
from aurea_server.runner.kinds import Kinds
from aurea_server.settings.settings import Settings

HUGE = 2**62


@pytest.fixture
def place(tmp_path: Path) -> Iterator[DataFolder]:
    place = DataFolder(tmp_path / "data")
    yield place
    place.release()


@pytest.fixture
def ledger(place: DataFolder) -> Iterator[Ledger]:
    ledger = Ledger(place)
    yield ledger
    ledger.close()


@pytest.fixture
def ended(ledger: Ledger) -> Callable[..., list[str]]:
    """Runs that have ended: ``ended(3, records=100)``."""

    def add(count: int, records: int = 0, head: int = 2000, first: int = 1) -> list[str]:
        ids = [f"benchmark-{number}" for number in range(first, first + count)]
        for number, run_id in enumerate(ids, first):
            ledger.add(AcceptedRun(run_id, number, None, b"{}" + b" " * 500, number))
            ledger.end(run_id, FinishedRun("completed", number, head=os.urandom(head), records=os.urandom(records)))
        return ids

    return add


def kept(ledger: Ledger) -> list[str]:
    return [row.id for row in ledger.page(100_000)[0]][::-1]


def pruned(ledger: Ledger, runs: int = HUGE, size: int = HUGE, since: int = 0, now: int = 2 * DAY_MS) -> int:
    """How many runs went."""
    count = 0
    while gone := ledger.prune(Retention(runs, size, (now - since) / DAY_MS), now):
        count += len(gone)
    return count


def used(ledger: Ledger, place: DataFolder) -> int:
    """What the history occupies, counted from outside."""
    files = sum(path.stat().st_size for path in place.records.iterdir())
    return measure_used_bytes(ledger._connection) + files


@pytest.mark.parametrize("records", [0, 3000, 20_000])
def test_a_large_history_is_cut_to_its_limit(
    ledger: Ledger, place: DataFolder, ended: Callable[..., list[str]], records: int
) -> None:
    """A history that is too large is cut to its limit and not further."""
    empty = used(ledger, place)  # the pages of the tables themselves, which stay
    ids = ended(121, records)
    size = used(ledger, place) - empty
    assert pruned(ledger, size=empty + size) == 0
    for share in (0.6, 0.3):
        pruned(ledger, size=empty + int(size * share))
        left = kept(ledger)
        assert share * 0.8 * 121 < len(left) < share * 1.05 * 121
        assert left == ids[-len(left) :]
        assert share * 0.9 < (used(ledger, place) - empty) / size <= share
    assert pruned(ledger, size=empty + int(size * 0.3)) == 0


def test_pages_that_are_free_do_not_count(ledger: Ledger, place: DataFolder, ended: Callable[..., list[str]]) -> None:
    ids = ended(60, 3000)
    ledger.remove(ids[:50])
    assert pruned(ledger, size=used(ledger, place)) == 0
    assert pruned(ledger, size=200_000) == 0
    assert len(kept(ledger)) == 10


def test_what_is_on_is_never_pruned(ledger: Ledger, ended: Callable[..., list[str]]) -> None:
    ledger.add(AcceptedRun("benchmark-1", 1, None, b"{}"))
    ended(BATCH + 10, first=2, head=10)
    assert pruned(ledger, runs=5) == BATCH + 6
    assert kept(ledger)[0] == "benchmark-1"
    assert pruned(ledger, since=10_000) == 4
    assert kept(ledger) == ["benchmark-1"]


async def test_a_failing_history_is_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A history that fails at the start is an exit code."""

    def fails(_: Ledger) -> str:
        raise ReadFailed("the ledger could not be read: disk I/O error")

    monkeypatch.setattr(Ledger, "newest_id", fails)
    assert await serve(Settings(data=str(tmp_path / "data"), port=0), Kinds()) == ServeExitCode.LEDGER_UNUSABLE
    assert "disk I/O error" in capfd.readouterr().err
    DataFolder(tmp_path / "data").release()


def test_runs_with_a_promised_key_stay(ledger: Ledger, place: DataFolder) -> None:
    """A run whose key is promised stays unless there are too many bytes."""
    for number in range(1, 41):
        key = IdempotencyKey(f"key-{number}", "digest", f"benchmark-{number}", number)
        ledger.add(AcceptedRun(f"benchmark-{number}", number, None, b"{}", number), key if number <= 20 else None)
        ledger.end(f"benchmark-{number}", FinishedRun("completed", number, head=os.urandom(4000)))
    size = used(ledger, place)
    assert pruned(ledger, runs=10, now=DAY_MS + 1) == 20
    assert pruned(ledger, since=HUGE, now=DAY_MS + 1) == 0
    assert kept(ledger) == [f"benchmark-{number}" for number in range(1, 21)]
    assert ledger.find_key("key-1", DAY_MS + 1) is not None
    assert pruned(ledger, size=int(size * 0.4), now=DAY_MS + 1) > 0
    assert 5 < len(kept(ledger)) < 20
    assert pruned(ledger, runs=5, now=2 * DAY_MS) > 0
    assert kept(ledger) == [f"benchmark-{number}" for number in range(16, 21)]


class Clocks:
    """Both clocks, in ms."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.ticks = 1000 * DAY_MS, 5 * DAY_MS
        monkeypatch.setattr(retention_clock, "wall_ms", lambda: self.wall)
        monkeypatch.setattr(retention_clock, "ticks_ms", lambda: self.ticks)

    def goes_on(self, ms: int) -> None:
        self.wall, self.ticks = self.wall + ms, self.ticks + ms


def test_a_clock_ahead_is_believed_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is ahead is believed after a day."""
    clocks = Clocks(monkeypatch)
    true = RetentionClock(clocks.wall - 5)
    assert true.now_ms() == clocks.wall - 5
    clocks.goes_on(1000)
    assert true.now_ms() == clocks.wall - 5
    clocks.goes_on(DAY_MS)
    assert true.now_ms() == clocks.wall
    clocks.wall += 400 * DAY_MS
    assert true.now_ms() == clocks.wall - 400 * DAY_MS
    clocks.goes_on(DAY_MS - 1)
    assert true.now_ms() == clocks.wall - 400 * DAY_MS
    clocks.goes_on(1)
    assert true.now_ms() == clocks.wall


def test_runs_of_the_future_are_not_the_latest(ledger: Ledger) -> None:
    assert ledger.newest_ms(HUGE) is None
    for number, created_ms in enumerate((5, 20, 10, 900)):
        ledger.add(AcceptedRun(f"benchmark-{number}", created_ms, None, b"{}"))
    assert [ledger.newest_ms(now) for now in (4, 100, 900)] == [None, 20, 900]


def test_a_clock_behind_is_believed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is behind is believed at once."""
    clocks = Clocks(monkeypatch)
    clock = RetentionClock()
    assert clock.now_ms() == clocks.wall
    clocks.wall -= 400 * DAY_MS
    assert clock.now_ms() == clocks.wall
    clocks.wall += 400 * DAY_MS
    assert clock.now_ms() == clocks.wall - 400 * DAY_MS
    assert RetentionClock(clocks.wall + DAY_MS).now_ms() == clocks.wall
