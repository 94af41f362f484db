"""The power fails: what is left is what was synced, and any part of what was not. Nothing acknowledged may be gone.

No disk is harmed. A preloaded library writes down every write, cut, sync, creation, renaming and removal in the history's
folder, and the client notes in the same file what it was told. Afterwards the folder is made again as the disk could have
left it at any instant: all that was synced, of what came later some writes, whole or torn, and of what was done in the
folder since that was synced only the first part. No file system in use is as forgetful.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from aurea_engine.closed_sets import STATUSES
from aurea_engine.records import column_file
from aurea_server.history.data_folder import DataFolder
from aurea_server.history.ledger import Ledger

pytestmark = pytest.mark.faults

SECTOR = 512
HEAD = struct.Struct("<cIQQ")
ACCEPTED, ENDED, TO_BE_DELETED, DELETED = range(4)
QUICK = {"num_jobs": 3, "job_duration_ms": 1}
RECORDED = {
    "workload": {"job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.002}}, "jobs": 3000},
    "clock": "virtual",
    "seed": 1,
}
LONG = {"num_jobs": 1, "job_duration_ms": 600_000}


class Event(NamedTuple):
    """See `remembering_disk.c`; ``A`` is what a client was told: ``path`` the run, ``at`` one of the four above."""

    what: str
    path: str
    at: int
    data: bytes


def read(journal: Path) -> Iterator[Event]:
    content, i = journal.read_bytes(), 0
    while i < len(content):
        what, length, at, n = HEAD.unpack_from(content, i)
        i += HEAD.size
        yield Event(what.decode(), content[i : i + length].decode(), at, content[i + length : i + length + n])
        i += length + n


class File:
    """A file's content, as a list of what was done to it; the first ``synced`` of that are on the disk for good."""

    def __init__(self) -> None:
        self.done: list[Event] = []
        self.synced = 0

    def left(self, chance: random.Random) -> bytes:
        """What a failure of power may leave."""
        content = bytearray()
        for number, event in enumerate(self.done):
            data = event.data
            if number >= self.synced:
                if chance.random() < 0.5:
                    continue
                if event.what == "W" and chance.random() < 0.3:
                    data = data[: chance.randrange(len(data)) // SECTOR * SECTOR]
            if event.what == "T":
                content = content[: event.at].ljust(event.at, b"\0")
            else:
                content[event.at :] = content[event.at :].ljust(len(data), b"\0")
                content[event.at : event.at + len(data)] = data
        return bytes(content)


class Disk:
    """All that was done to the folder. ``entries``: what was created, renamed and removed, in order; the first ``safe`` of
    a folder's are on the disk for good.
    """

    def __init__(self, events: Sequence[Event]) -> None:
        self.names: dict[str, File] = {}
        self.entries: list[tuple[Event, File]] = []
        self.safe: dict[str, int] = {}
        for event in events:
            if event.what in "CRU":
                self._entry(event)
            elif event.what in "WTS":
                self._content(event)
            elif event.what == "D":
                self.safe[event.path] = len(self.entries)

    def _entry(self, event: Event) -> None:
        file = File() if event.what == "C" else self.names.pop(event.path)
        if event.what != "U":
            self.names[event.data.decode() or event.path] = file
        self.entries.append((event, file))

    def _content(self, event: Event) -> None:
        file = self.names[event.path]
        if event.what == "S":
            file.synced = len(file.done)
        else:
            file.done.append(event)

    def left(self, chance: random.Random) -> dict[str, bytes]:
        """Path → content, as a failure of power may leave them."""
        folders = {str(Path(event.path).parent) for event, _ in self.entries}
        until = {folder: chance.randint(self.safe.get(folder, 0), len(self.entries)) for folder in folders}
        left: dict[str, File] = {}
        for number, (event, file) in enumerate(self.entries):
            if number < until[str(Path(event.path).parent)]:
                left.pop(event.path, None)
                if event.what != "U":
                    left[event.data.decode() or event.path] = file
        return {path: file.left(chance) for path, file in left.items()}


@pytest.fixture
def remembering(tmp_path: Path, require: Callable[..., str]) -> dict[str, str]:
    """The environment of a server whose disk remembers."""
    library = tmp_path / "remembering_disk.so"
    source = Path(__file__).parent / "remembering_disk.c"
    subprocess.run([require("cc"), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return {
        "LD_PRELOAD": str(library),
        "AUREA_DISK": f"{tmp_path}/server-0/data",
        "AUREA_JOURNAL": str(tmp_path / "journal"),
    }


def worked(server: Any, journal: Path) -> None:
    """A while of all that leads to acknowledgements: runs that end, that wait, that are deleted; a stop, a kill, a start."""

    def told(run_id: str, what: int) -> str:
        with journal.open("ab", buffering=0) as file:
            file.write(HEAD.pack(b"A", len(run_id), what, 0) + run_id.encode())
        return run_id

    for turn in range(3):
        server.start()
        for spec in (QUICK, RECORDED, QUICK, RECORDED):
            told(server.run(spec)["benchmark_id"], ENDED)
        gone = told(server.run(RECORDED)["benchmark_id"], ENDED)
        server.acknowledged.remove(gone)
        told(gone, TO_BE_DELETED)
        assert server.ask("DELETE", f"/benchmark/runs/{gone}")[0] == 204
        told(gone, DELETED)
        first = told(server.accept(RECORDED), ACCEPTED)
        assert server.final(first)["status"] == "completed"
        told(first, ENDED)
        told(server.accept(LONG), ACCEPTED)
        told(server.accept(QUICK), ACCEPTED)
        if turn == 1:
            server.process.kill()
            server.ended()
        else:
            server.signal(15)
            server.signal(2)
            server.ended()


def check(events: Sequence[Event], folder: Path, chance: random.Random) -> int:
    """Start over with what is left, and look for all that was acknowledged. Returns how many runs that was."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "records").mkdir(parents=True)
    root = next(event.path for event in events).rpartition("/")[0]
    for path, content in Disk(events).left(chance).items():
        if not path.endswith("-shm"):
            (folder / path.removeprefix(f"{root}/")).write_bytes(content)
    known: dict[str, int] = {}
    for event in events:
        if event.what == "A":
            known[event.path] = max(event.at, known.get(event.path, 0))
    place = DataFolder(folder)
    ledger = Ledger(place)
    try:
        assert ledger._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ledger.recover(0, b"{}")
        ledger.sweep()
        for run_id, told in known.items():
            row = ledger.get(run_id)
            if told == DELETED:
                assert row is None, f"{run_id} was deleted, and is back"
            if row is None and told >= TO_BE_DELETED:
                continue
            assert row is not None, f"{run_id} was acknowledged, and is gone"
            assert row.state in STATUSES
            if told >= ENDED:
                assert row.state == "completed", f"{run_id} had ended, and is {row.state}"
            if row.state == "completed":
                assert row.head is not None
                arrived = msgspec.json.decode(row.head)["num_jobs"]
                content = ledger.records(run_id)
                assert content is not None, f"the records of {run_id} are gone"
                assert len(column_file.decode(content).jobs) == arrived
    finally:
        ledger.close()
        place.release()
    return len(known)


def fail_often(cuts: int, server: Any, journal: Path, folder: Path, seed: int) -> None:
    worked(server, journal)
    events, chance = list(read(journal)), random.Random(seed)
    assert {event.what for event in events} >= set("WTSCDRUA")
    looked = [check(events[: chance.randint(1, len(events))], folder, chance) for _ in range(cuts)]
    assert max(looked) > 15
    assert check(events, folder, chance) == len({event.path for event in events if event.what == "A"})


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_failure_of_power_loses_nothing_acknowledged(
    serve: Callable[..., Any],
    remembering: dict[str, str],
    tmp_path: Path,
    invariants: Callable[[Any], None],
    campaign: Callable[[int], int],
) -> None:
    server = serve("--min-free", "0", start=False, **remembering)
    fail_often(campaign(10_000), server, tmp_path / "journal", tmp_path / "ruins", seed=12)
    invariants(server)


def test_the_ruins_are_what_a_disk_may_leave() -> None:
    """The model itself: what was synced is always there, the rest now and then."""
    synced = [
        Event("C", "/d/a", 0, b""),
        Event("D", "/d", 0, b""),
        Event("W", "/d/a", 0, b"x" * 2000),
        Event("S", "/d/a", 0, b""),
    ]
    chance = random.Random(1)
    later = [Event("W", "/d/a", 1000, b"y" * 2000), Event("C", "/d/b", 0, b"")]
    seen = [Disk([*synced, *later]).left(chance) for _ in range(200)]
    assert all(each["/d/a"][:1000] == b"x" * 1000 for each in seen)
    assert {len(each["/d/a"]) for each in seen} == {2000, 2024, 2536, 3000}
    assert {"/d/b" in each for each in seen} == {True, False}
    assert all(Disk(synced).left(chance) == {"/d/a": b"x" * 2000} for _ in range(20))
