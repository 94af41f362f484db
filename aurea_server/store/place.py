"""Where the history lies, and the lock by which one server has it."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from aurea_server.store.errors import Damaged, LedgerLocked, LedgerUnusable, StorageFailed

_ID = re.compile(r"benchmark-[0-9]{1,19}", re.ASCII)


def default_data(environ: Mapping[str, str] = os.environ) -> Path:
    """``$XDG_DATA_HOME/aurea``, else ``~/.local/share/aurea``. Raises `LedgerUnusable` for a user without a home."""
    home = environ.get("XDG_DATA_HOME", "")
    # A relative path there is to be ignored, says the XDG specification.
    try:
        return (Path(home) if home.startswith("/") else Path("~/.local/share").expanduser()) / "aurea"
    except RuntimeError:
        raise LedgerUnusable("this user has no home folder for the history; --data names a folder") from None


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Place:
    """A folder, ours alone: ``ledger.db``, ``ledger.lock`` and ``records/``. Raises `LedgerUnusable` or `LedgerLocked`.

    The folder itself is locked too: whoever removes the lock file does not let a second server in. ``patience``: seconds to
    wait for whoever has it.
    """

    def __init__(self, folder: Path, patience: float = 0.0) -> None:
        self.folder = folder
        self.ledger = folder / "ledger.db"
        self.log = folder / "ledger.db-wal"
        self.records = folder / "records"
        self._locks: list[int] = []
        self._known: dict[Path, tuple[int, int]] = {}
        try:
            self.records.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._locks.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._locks.append(os.open(folder / "ledger.lock", flags, 0o600))
        except OSError as error:
            self.release()
            raise LedgerUnusable(f"{folder}: {error.strerror}; --data names another folder") from None
        try:
            self._take(patience)
            self._own()
        except OSError as error:
            self.release()
            raise LedgerUnusable(f"{self.ledger}: {error.strerror}") from None
        except LedgerUnusable:
            self.release()
            raise

    def _take(self, patience: float) -> None:
        until = time.monotonic() + patience
        for lock in self._locks:
            while not self._taken(lock):
                if time.monotonic() >= until:
                    raise LedgerLocked(f"{self.folder} is in use by another server; --data names another folder")
                time.sleep(0.05)

    def _taken(self, lock: int) -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            if lock != self._locks[0]:  # on some network file systems a folder has no lock
                raise
        return True

    def _own(self) -> None:
        """The ledger is a file of our own that only we can read. Raises LedgerUnusable or OSError."""
        found = self.ledger.lstat() if os.path.lexists(self.ledger) else None
        if found is None or (stat.S_ISREG(found.st_mode) and not found.st_size):
            self.must_be_new(self.log if self.log.exists() and self.log.stat().st_size else None)
        descriptor = os.open(self.ledger, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        os.close(descriptor)
        if not regular:
            raise LedgerUnusable(f"{self.ledger}: it is not a regular file")

    def remember(self) -> None:
        """Know folder, ledger and log again, once they are open. Raises OSError."""
        self._known = {path: _identity(path) for path in (self.folder, self.ledger, self.log) if path.exists()}

    def check(self) -> None:
        """They are still what was opened; else nobody would ever find what is written. Raises `StorageFailed`."""
        for path, known in self._known.items():
            try:
                found = _identity(path)
            except OSError as error:
                raise StorageFailed(f"{path}: {error.strerror}; put it back, or restart the server") from None
            if found != known:
                raise StorageFailed(f"{path} was replaced while the server was on; put it back, or restart the server")

    def must_be_new(self, left: Path | None = None) -> None:
        """A ledger without runs belongs to an empty folder: raises LedgerUnusable where something is ``left`` of another."""
        if any(self.records.glob("*.columns")):
            left = self.records
        if left is not None:
            raise LedgerUnusable(
                f"{self.ledger} is gone or empty, but {left} is left of it: restore the ledger from a copy,"
                f" or move {self.folder} away to begin a new history"
            )

    def release(self) -> None:
        """Let others have it."""
        while self._locks:
            os.close(self._locks.pop())

    def free_bytes(self) -> int:
        """Room on the disk for an unprivileged user."""
        room = os.statvfs(self._locks[0])
        return room.f_bavail * room.f_frsize

    def records_of(self, run_id: str) -> Path:
        """The file of a run's records. An id never becomes a path unless it looks like one of ours."""
        if not _ID.fullmatch(run_id):
            raise ValueError("no run has such an id")
        return self.records / f"{run_id}.columns"

    def write_records(self, run_id: str, content: bytes) -> None:
        """All or nothing, and on the disk when this returns. Raises OSError."""
        path = self.records_of(run_id)
        unfinished = path.with_suffix(".unfinished")
        if not self.records.exists():
            self.records.mkdir(mode=0o700)
            _sync(self.folder)
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        _sync(self.records)

    def open_records(self, run_id: str, size: int) -> BinaryIO:
        """What was written: a file of ours, of that size. Raises `Damaged` or OSError."""
        try:
            descriptor = os.open(self.records_of(run_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
                raise Damaged(f"the records of {run_id} are gone: {error.strerror}") from None
            raise
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_size == size:
            return os.fdopen(descriptor, "rb", buffering=0)
        os.close(descriptor)
        raise Damaged(f"the records of {run_id} are not the file of {size} bytes that was written")

    def sweep(self, known: set[str]) -> None:
        """Remove files of records that no run has: a server died between the file and its row."""
        for path in self.records.iterdir():
            kept = path.suffix == ".columns" and path.stem in known
            if not kept and _ID.fullmatch(path.stem) and path.suffix in (".columns", ".unfinished"):
                with suppress(OSError):
                    path.unlink()
