"""The data folder: nobody else can read it, nothing in it is a link, and nothing is deleted that is not ours."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from aurea_server.history import AcceptedRun, DataFolder, FinishedRun, Ledger, LedgerUnusable, Retention

LARGE = os.urandom(20_000)
"""Records that get a file of their own."""


@contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    """A start: the history is taken, opened and swept."""
    place = DataFolder(folder)
    try:
        with closing(Ledger(place)) as ledger:
            ledger.sweep()
            yield ledger
    finally:
        place.release()


def add(ledger: Ledger, number: int, *, ends: bool = True) -> str:
    run_id = f"benchmark-{number}"
    ledger.add(AcceptedRun(run_id, number, None, b"{}", number))
    if ends:
        ledger.end(run_id, FinishedRun("completed", number, head=b"{}", records=LARGE))
    return run_id


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a history of two runs, closed."""
    with opened(tmp_path / "data") as ledger:
        add(ledger, 1)
        add(ledger, 2)
    return tmp_path / "data"


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*") if not path.is_dir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the index of the log, which is rebuilt from it."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o777])
def test_all_that_is_made_is_the_owner_s_alone(tmp_path: Path, umask: int) -> None:
    """The folder, what is missing above it, and all in it, whatever the umask; log and index while they are open."""
    before = os.umask(umask)
    try:
        with opened(tmp_path / "above" / "data") as ledger:
            add(ledger, 1)
            assert modes(tmp_path) == {0o600}
            assert (tmp_path / "above/data/ledger.db-wal").exists()
    finally:
        os.umask(before)
    for name in ("above", "above/data", "above/data/records"):
        assert mode(tmp_path / name) == 0o700


def test_a_wide_folder_of_ours_is_restricted(data: Path) -> None:
    """As an earlier version, or a copy that was put back, left it."""
    for path in (data, *data.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    with opened(data) as ledger:
        assert ledger.records("benchmark-1") == LARGE
        assert modes(data) == {0o600}
    assert (mode(data), mode(data / "records")) == (0o700, 0o700)


def test_a_wide_empty_folder_is_restricted(tmp_path: Path) -> None:
    """An empty folder that is too wide is tightened."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    with opened(tmp_path / "data"):
        assert mode(tmp_path / "data") == 0o700


def test_folders_with_other_files_keep_their_mode(tmp_path: Path) -> None:
    """Somebody's home or /tmp must not become unusable; where everybody may write, it is refused."""
    (tmp_path / "theirs").write_text("x")
    tmp_path.chmod(0o755)
    with opened(tmp_path):
        assert mode(tmp_path) == 0o755
        assert mode(tmp_path / "theirs") != 0o600
    shutil.rmtree(tmp_path / "records")
    tmp_path.chmod(0o1777)
    with pytest.raises(LedgerUnusable, match="everybody may write there"):
        DataFolder(tmp_path)
    assert mode(tmp_path) == 0o1777
    tmp_path.chmod(0o755)


def linked(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere)


def dangling(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere.with_name("nowhere"))


def hard_linked(path: Path, elsewhere: Path) -> None:
    path.hardlink_to(elsewhere)


def fifo(path: Path, elsewhere: Path) -> None:
    os.mkfifo(path)


def folder(path: Path, elsewhere: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [linked, dangling, hard_linked, fifo, folder])
@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-journal", "ledger.lock"])
def test_what_is_no_file_of_ours_is_refused(
    data: Path, tmp_path: Path, name: str, make: Callable[[Path, Path], None]
) -> None:
    """Nothing that a link leads to is opened, tightened or written."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes((data / "ledger.db").read_bytes())
    elsewhere.chmod(0o644)
    before = elsewhere.read_bytes()
    (data / name).unlink(missing_ok=True)
    make(data / name, elsewhere)
    with pytest.raises(LedgerUnusable, match=name), opened(data):
        pass
    assert (elsewhere.read_bytes(), mode(elsewhere)) == (before, 0o644)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("make", [linked, dangling, fifo])
def test_records_that_are_a_link_are_refused(data: Path, tmp_path: Path, make: Callable[[Path, Path], None]) -> None:
    """Another history's records would be swept away."""
    elsewhere = tmp_path / "elsewhere"
    (data / "records").rename(elsewhere)
    elsewhere.chmod(0o755)
    (elsewhere / "benchmark-9.columns").write_bytes(b"theirs")
    make(data / "records", elsewhere)
    with pytest.raises(LedgerUnusable, match="records"), opened(data):
        pass
    assert len(list(elsewhere.iterdir())) == 3
    assert mode(elsewhere) == 0o755


def test_links_in_place_of_records_are_refused(data: Path, tmp_path: Path) -> None:
    """Neither for reading nor for deleting, while a server is on."""
    with opened(data) as ledger:
        (data / "records").rename(tmp_path / "elsewhere")
        (data / "records").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(Exception, match="benchmark-1 are gone"):
            ledger.records("benchmark-1")
        assert ledger.remove(["benchmark-1"]) == ["benchmark-1"]
        assert ledger.prune(Retention(0, 0, 0), 10**9) == ["benchmark-2"]
        ledger.sweep()
    assert len(list((tmp_path / "elsewhere").iterdir())) == 2


def test_the_folder_itself_may_be_a_link(data: Path, tmp_path: Path) -> None:
    """Its path is the operator's."""
    (tmp_path / "link").symlink_to(data)
    with opened(tmp_path / "link") as ledger:
        add(ledger, 3)
        assert ledger.records("benchmark-3") == LARGE


HEAD = b"SQLite format 3\0"


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(
    "content",
    [b"\0", b"S", b"\n", HEAD[:-1], HEAD, b"x" * 100, HEAD + b"\0" * 84, b"\0" * 8192, b"benchmark,cost\n1,2\n"],
)
def test_a_file_that_is_no_ledger_is_untouched(data: Path, content: bytes, alone: bool) -> None:
    """Also a single byte, which SQLite takes for an empty file; with records beside it, and without."""
    if alone:
        shutil.rmtree(data / "records")
    (data / "ledger.db").write_bytes(content)
    (data / "ledger.db-wal").write_bytes(b"what is left of it")
    before = contents(data)
    with pytest.raises(LedgerUnusable, match=r"ledger\.db"), opened(data):
        pass
    assert contents(data) == before


@pytest.mark.parametrize("size", [0, 1, 16, 100, 511, 512, 1000, 4096, 8192])
def test_a_cut_ledger_is_refused_untouched(data: Path, tmp_path: Path, size: int) -> None:
    """With the log of a server that was killed: neither is thrown away, nor folded into the other."""
    with opened(data) as ledger:
        add(ledger, 3)
        shutil.copytree(data, tmp_path / "copy")
    copy = tmp_path / "copy"
    log = (copy / "ledger.db-wal").read_bytes()
    assert log
    os.truncate(copy / "ledger.db", size)
    before = contents(copy)
    try:
        with opened(copy) as ledger:
            assert ledger.records("benchmark-3") == LARGE
            assert ledger.records("benchmark-1") == LARGE
    except LedgerUnusable:
        assert contents(copy) == before


THEIRS = ["notes.txt", "benchmark-7.columns", "benchmark-7.unfinished", "benchmark-1.columns.bak", "benchmark-1", ".hidden",
          "benchmark-1.COLUMNS", "benchmark-1 .columns", "benchmark-x.columns", "benchmark-1.json"]  # fmt: skip


def test_a_start_deletes_nothing_of_others(data: Path, tmp_path: Path) -> None:
    """Files with names like ours, folders, pipes and links; and neither do retention and deletion."""
    records = data / "records"
    for name in THEIRS:
        (records / name).write_text("theirs")
    (records / "benchmark-3.columns").mkdir()
    os.mkfifo(records / "benchmark-4.columns")
    (records / "benchmark-5.unfinished").symlink_to(tmp_path)
    theirs = {path.name for path in records.iterdir()} - {"benchmark-1.columns", "benchmark-2.columns"}
    with opened(data) as ledger:
        for number in (3, 4, 5):
            add(ledger, number, ends=False)
        ledger.recover(1, b"{}")
        ledger.sweep()
        ledger.remove(["benchmark-1", "benchmark-3"])
        ledger.prune(Retention(0, 0, 0), 10**9)
    assert {path.name for path in records.iterdir()} == theirs
    assert len(list(data.iterdir())) == 3


def test_what_a_crash_left_of_our_own_is_swept(data: Path) -> None:
    """A file that is not finished, one whose row does not say so yet, and one whose row was deleted."""
    records = data / "records"
    with opened(data) as ledger:
        add(ledger, 3, ends=False)
        add(ledger, 4, ends=False)
    (records / "benchmark-3.unfinished").write_bytes(b"half")
    (records / "benchmark-4.columns").write_bytes(LARGE)
    (records / "benchmark-5.removed").write_bytes(LARGE)
    (records / "benchmark-1.columns").rename(records / "benchmark-1.removed")
    with opened(data) as ledger:
        ledger.recover(1, b"{}")
        assert ledger.records("benchmark-1") == LARGE
    assert {path.name for path in records.iterdir()} == {"benchmark-1.columns", "benchmark-2.columns"}


def test_a_deletion_that_fails_keeps_the_records(data: Path) -> None:
    """The row stays, so they stay; a trigger stands for a disk that is full at the commit."""
    with opened(data) as ledger:
        ledger._connection.execute(
            "CREATE TEMP TRIGGER refuse AFTER DELETE ON run WHEN old.id = 'benchmark-2' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        with pytest.raises(Exception, match="no"):
            ledger.remove(["benchmark-1", "benchmark-2"])
        assert ledger.records("benchmark-1") == LARGE
        assert ledger.records("benchmark-2") == LARGE
