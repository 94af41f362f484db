"""Searches in the ledger by itself: their rows, their trials, and what is let go."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aurea_server.history import (
    AcceptedRun,
    AcceptedSearch,
    DataFolder,
    FinishedRun,
    FinishedSearch,
    IdempotencyKey,
    KeyReused,
    Ledger,
    Retention,
    migrations,
)
from aurea_server.history.retention_clock import DAY_MS

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
def search(ledger: Ledger) -> Callable[..., list[str]]:
    """``search(1, trials=3)``: a search that has ended, with trials that have; returns the ids of those."""

    def add(number: int, trials: int = 2, *, ended: bool = True) -> list[str]:
        search_id = f"search-{number}"
        ledger.searches.add(AcceptedSearch(search_id, number, "label", b'{"seed":1}', b"{}", number))
        ids = [f"benchmark-{number * 1000 + k}" for k in range(trials)]
        for run_id in ids:
            ledger.add(AcceptedRun(run_id, number, None, b"{}", number, search_id))
            ledger.end(run_id, FinishedRun("completed", number, head=b"{}"))
        if ended:
            ledger.searches.end(search_id, FinishedSearch("completed", number, None, b"{}", b'{"status":"found"}'))
        return ids

    return add


def runs(ledger: Ledger) -> list[str]:
    return [row.id for row in ledger.page(1000)[0]][::-1]


def searches(ledger: Ledger) -> list[str]:
    return [row.id for row in ledger.searches.page(1000)[0]][::-1]


def prune(ledger: Ledger, runs: int = HUGE, since: int = 0, now: int = 2 * DAY_MS) -> list[str]:
    gone: list[str] = []
    while some := ledger.prune(Retention(runs, HUGE, (now - since) / DAY_MS), now):
        gone += some
    return gone


def test_states_only_go_forward(ledger: Ledger) -> None:
    ledger.searches.add(AcceptedSearch("search-1", 1, None, b"{}", b"{}"))
    states = [ledger.searches.get("search-1")]
    ledger.searches.report("search-1", b"[1]")  # not running: nothing is known of it
    for change in (
        lambda: ledger.searches.begin("search-1", 2),
        lambda: ledger.searches.report("search-1", b"[2]"),
        lambda: ledger.searches.end("search-1", FinishedSearch("cancelled", 3, b"{}")),
        lambda: ledger.searches.end("search-1", FinishedSearch("completed", 4)),
        lambda: ledger.searches.begin("search-1", 5),
        lambda: ledger.searches.report("search-1", b"[6]"),
    ):
        change()
        states.append(ledger.searches.get("search-1"))
    assert [row and (row.state, row.started_ms, row.ended_ms, row.progress) for row in states] == [
        ("queued", None, None, None),
        ("running", 2, None, None),
        ("running", 2, None, b"[2]"),
        *[("cancelled", 2, 3, b"[2]")] * 4,
    ]


def test_trials_belong_to_their_search(ledger: Ledger, search: Callable[..., list[str]]) -> None:
    """They are listed with it, and deleted with it alone."""
    first, second = search(1), search(2)
    ledger.add(AcceptedRun("benchmark-9", 9, None, b"{}", 9))
    ledger.end("benchmark-9", FinishedRun("completed", 9))
    assert [row.id for row in ledger.page(10, search_id="search-1")[0]] == first[::-1]
    row = ledger.get(first[0])
    assert row is not None
    assert row.search_id == "search-1"
    assert ledger.remove([*first, "benchmark-9"]) == ["benchmark-9"]
    assert ledger.searches.remove("search-1") == first
    assert ledger.searches.remove("search-1") is None
    assert (runs(ledger), searches(ledger)) == (second, ["search-2"])


def test_unended_search_is_not_removed(ledger: Ledger, search: Callable[..., list[str]]) -> None:
    ids = search(1, ended=False)
    assert ledger.searches.remove("search-1") is None
    assert prune(ledger, since=HUGE // DAY_MS) == []
    assert runs(ledger) == ids


def test_retention_counts_a_search_as_one_run(ledger: Ledger, search: Callable[..., list[str]]) -> None:
    """Its trials go with it, and never before."""
    for number in range(1, 6):
        search(number, trials=3)
        ledger.add(AcceptedRun(f"benchmark-{number}", number, None, b"{}", number))
        ledger.end(f"benchmark-{number}", FinishedRun("completed", number))
    assert prune(ledger, runs=10) == []
    trials = [f"benchmark-{number * 1000 + k}" for number in (1, 2) for k in range(3)]
    assert sorted(prune(ledger, runs=7)) == sorted(["benchmark-1", *trials, "search-1", "search-2"])
    assert searches(ledger) == ["search-3", "search-4", "search-5"]
    assert len(runs(ledger)) == 4 + 3 * 3
    prune(ledger, since=5)
    assert (searches(ledger), len(runs(ledger))) == (["search-5"], 4)


def test_key_stands_for_one_search_for_a_day(ledger: Ledger) -> None:
    key = IdempotencyKey("key", "digest", "search-1", 1)
    ledger.searches.add(AcceptedSearch("search-1", 1, None, b"{}", b"{}", 1), key)
    ledger.searches.end("search-1", FinishedSearch("completed", 1))
    assert ledger.searches.find_key("key", DAY_MS) == key
    assert ledger.find_key("key", DAY_MS) is None, "keys of runs are others"
    again = IdempotencyKey("key", "digest", "search-2", 2)
    with pytest.raises(KeyReused) as reused:
        ledger.searches.add(AcceptedSearch("search-2", 2, None, b"{}", b"{}", 2), again)
    assert (reused.value.taken, searches(ledger)) == (key, ["search-1"])
    assert prune(ledger, runs=0, now=DAY_MS) == [], "whoever has the key may come back for it"
    late = IdempotencyKey("key", "other", "search-3", DAY_MS + 2)
    ledger.searches.add(AcceptedSearch("search-3", DAY_MS + 2, None, b"{}", b"{}", 1), late)
    assert ledger.searches.find_key("key", DAY_MS + 3) == late


def test_crash_interrupts_search_and_trial(ledger: Ledger, search: Callable[..., list[str]]) -> None:
    search(1, ended=False)
    ledger.add(AcceptedRun("benchmark-5", 5, None, b"{}", 5, "search-1"))
    ledger.searches.report("search-1", b"[3]")
    assert sorted(ledger.recover(7, b"{}")) == ["benchmark-5", "search-1"]
    row, trial = ledger.searches.get("search-1"), ledger.get("benchmark-5")
    assert row is not None
    assert trial is not None
    assert (row.state, row.ended_ms, row.reason, row.progress) == ("interrupted", 7, b"{}", b"[3]")
    assert (trial.state, trial.ended_ms) == ("interrupted", 7)
    assert ledger.recover(8, b"{}") == []


def test_interruption_is_read_before_it_is_written(
    ledger: Ledger, search: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk a search that no server will end is read, listed and counted as interrupted all the same."""
    search(1, ended=False)
    with monkeypatch.context() as full:
        full.setattr(ledger, "_record_interrupted", lambda: (_ for _ in ()).throw(sqlite3.OperationalError("no")))
        with pytest.raises(Exception, match="no"):
            ledger.recover(7, b"{}")
        row = ledger.searches.get("search-1")
        assert row is not None
        assert (row.state, row.ended_ms, row.reason) == ("interrupted", 7, b"{}")
        assert [each.id for each in ledger.searches.page(10, state="interrupted")[0]] == ["search-1"]
        assert ledger.searches.page(10, state="running")[0] == []
    ledger.probe()
    assert not ledger.behind
    row = ledger.searches.get("search-1")
    assert row is not None
    assert row.state == "interrupted"


def test_older_ledger_gets_the_tables(tmp_path: Path) -> None:
    """All or nothing; runs that were there keep their rows, and belong to no search."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    with closing(sqlite3.connect(folder / "ledger.db", isolation_level=None)) as older:
        for statements in migrations.MIGRATIONS[:2]:
            for statement in statements:
                older.execute(statement)
        older.execute(
            "INSERT INTO run (id, state, created_ms, spec, number) VALUES ('benchmark-1', 'completed', 1, x'7b7d', 1)"
        )
        older.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
        older.execute("PRAGMA user_version = 2")
    (folder / "ledger.db").chmod(0o600)
    place = DataFolder(folder)
    with closing(Ledger(place)) as ledger:
        row = ledger.get("benchmark-1")
        assert row is not None
        assert (row.state, row.search_id) == ("completed", None)
        ledger.searches.add(AcceptedSearch("search-1", 2, None, b"{}", b"{}"))
        assert ledger.searches.newest_id() == "search-1"
    place.release()
    with closing(sqlite3.connect(folder / "ledger.db")) as found:
        assert found.execute("PRAGMA user_version").fetchone() == (migrations.VERSION,)
        assert found.execute(
            "SELECT count(*) FROM pragma_table_list WHERE name IN ('search', 'trial') AND strict"
        ).fetchone() == (2,)
        assert found.execute("PRAGMA foreign_key_check").fetchall() == []
