"""The data folder of a history, and the lock by which one server has it.

Two servers that write one ledger would each end the other's runs, so a folder is locked before anything in it is read. It is
checked before anything in it is changed: a path given by mistake must not destroy anyone's files.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from pathlib import Path

from aurea_server.history.errors import LedgerLocked, LedgerUnusable, StorageFailed
from aurea_server.history.permissions import make_folder, open_private, refuse_links, restrict_folder
from aurea_server.history.record_files import RecordFiles

_HEAD = b"SQLite format 3\0"
REMEDY = "move its folder away, or restore a copy"


def default_data_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """``$XDG_DATA_HOME/aurea``, else ``~/.local/share/aurea``. Raises `LedgerUnusable` for a user without a home."""
    home = environ.get("XDG_DATA_HOME", "")
    # The XDG specification says that a relative path there is to be ignored.
    try:
        return (Path(home) if home.startswith("/") else Path("~/.local/share").expanduser()) / "aurea"
    except RuntimeError:
        raise LedgerUnusable("this user has no home folder for the history; --data names a folder") from None


def _identity(path: Path, folder: Path) -> tuple[int, int]:
    """Device and inode of the file itself, not of what it links to: only the data folder may be a link."""
    found = path.stat() if path == folder else path.lstat()
    return found.st_dev, found.st_ino


class DataFolder:
    """A folder, ours alone: ``ledger.db``, ``ledger.lock`` and ``records/``. Raises `LedgerUnusable` or `LedgerLocked`.

    The folder itself is locked too, so that removing the lock file does not let a second server in. ``patience``: seconds to
    wait for the program that has it.
    """

    def __init__(self, folder: Path, patience: float = 0.0) -> None:
        self.folder = folder
        self.ledger = folder / "ledger.db"
        self.log = folder / "ledger.db-wal"
        self.records = folder / "records"
        self.files = RecordFiles(self.records)
        self._locks: list[int] = []
        self._known: dict[Path, tuple[int, int]] = {}
        try:
            self._open()
            self._lock(patience)
            self._check_ledger()
        except OSError as error:
            self.release()
            raise LedgerUnusable(f"{error.filename or folder}: {error.strerror}; --data names another folder") from None
        except LedgerUnusable:
            self.release()
            raise

    def _open(self) -> None:
        """Open both locks. Nothing that is in the folder is changed before it is known to be ours."""
        make_folder(self.folder)
        self._locks.append(os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        restrict_folder(self._locks[0], self.folder)
        self._locks.append(open_private(self.folder / "ledger.lock"))

    def _lock(self, patience: float) -> None:
        # Polled: a lock that waits cannot be given up after a while, and this happens once a start.
        until = time.monotonic() + patience
        for lock in self._locks:
            while not self._try_lock(lock):
                if time.monotonic() >= until:
                    raise LedgerLocked(f"{self.folder} is in use by another server; --data names another folder")
                time.sleep(0.05)

    def _try_lock(self, lock: int) -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            # On some network file systems a folder cannot be locked; the lock file is then all there is.
            if lock != self._locks[0]:
                raise
        return True

    def _check_ledger(self) -> None:
        """The ledger is a file of ours that only we can read, or is still to be made. Raises LedgerUnusable or OSError."""
        beside = [self.folder / f"ledger.db-{name}" for name in ("wal", "journal", "shm")]
        refuse_links(beside)
        self.files.make()
        # A ledger of no bytes is what SQLite leaves when it is killed before its first commit: it may be begun again.
        size = self.ledger.lstat().st_size if os.path.lexists(self.ledger) else 0
        if not size:  # a journal beside it is of a first start that was cut short, before there was a log
            self.check_new(self.log if self.log.exists() and self.log.stat().st_size else None)
        descriptor = open_private(self.ledger)
        try:
            head = os.pread(descriptor, len(_HEAD), 0)
        finally:
            os.close(descriptor)
        # SQLite takes a file of one byte for an empty one, and would begin a history on top of what is left of another.
        if head and head != _HEAD:
            raise LedgerUnusable(f"{self.ledger}: it is damaged, or no ledger of Aurea; {REMEDY}")

    def remember(self) -> None:
        """Remember which files were opened, for `check`. Raises OSError."""
        paths = (self.folder, self.ledger, self.log)
        self._known = {path: _identity(path, self.folder) for path in paths if path.exists()}

    def check(self) -> None:
        """They are still the files that were opened. Raises `StorageFailed`."""
        # A folder that was moved away, or a ledger that was copied over, leaves us writing into files that will never be
        # found.
        for path, known in self._known.items():
            try:
                found = _identity(path, self.folder)
            except OSError as error:
                raise StorageFailed(f"{path}: {error.strerror}; put it back, or restart the server") from None
            if found != known:
                raise StorageFailed(
                    f"{path} was replaced while the server was running; put it back, or restart the server"
                )

    def check_new(self, remains: Path | None = None) -> None:
        """A ledger without runs belongs to an empty folder: raises LedgerUnusable where another's files remain."""
        if self.files.has_records():
            remains = self.records
        if remains is not None:
            raise LedgerUnusable(
                f"{self.ledger} is gone or empty, but {remains} is left of it: restore the ledger from a copy,"
                f" or move {self.folder} away to begin a new history"
            )

    def release(self) -> None:
        """Release the locks."""
        while self._locks:
            os.close(self._locks.pop())

    def free_bytes(self) -> int:
        """Room on the disk for an unprivileged user."""
        room = os.statvfs(self._locks[0])
        return room.f_bavail * room.f_frsize
