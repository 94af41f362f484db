"""The permissions of the data folder: nobody else may read or change what is in it.

The folder itself may be a link: its path is the operator's choice. What is in it may not be, since a link would make a
server write to, restrict or delete a file elsewhere. Files are opened with ``O_NOFOLLOW`` and judged by their
descriptors, so nothing can be exchanged between the check and the use.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from aurea_server.history.errors import LedgerUnusable

FOLDER_MODE, FILE_MODE = 0o700, 0o600
OUR_NAMES = frozenset({"ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-journal", "ledger.lock", "records"})
"""Names in a data folder that are Aurea's."""


def make_folder(folder: Path) -> None:
    """Make the folder with mode 0700, whatever the umask, and what is missing above it. Raises OSError."""
    missing = [folder, *(parent for parent in folder.parents if not parent.exists())]
    # And chmod, since the umask takes bits away from the mode of mkdir: one of 0277 would leave a folder without
    # the right to write.
    for each in reversed(missing):
        try:
            each.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            if not each.is_dir():
                raise
        else:
            each.chmod(FOLDER_MODE)


def restrict_folder(descriptor: int, folder: Path) -> None:
    """Take away others' rights to a folder that holds nothing but our files; a folder with anything else stays as it is.

    Raises `LedgerUnusable` if others may write there and that cannot be changed: they could replace the ledger.
    """
    mode = os.fstat(descriptor).st_mode
    if not mode & 0o077:
        return
    # A folder with anything else in it (a home, /tmp) is not ours to restrict.
    if set(os.listdir(descriptor)) <= OUR_NAMES:
        with suppress(OSError):
            os.fchmod(descriptor, FOLDER_MODE)
            return
    if mode & stat.S_IWOTH:
        raise LedgerUnusable(f"{folder}: everybody may write there; --data names a folder of its own")


def open_private(path: Path) -> int:
    """Open a file that only we can read, made where it is missing: its descriptor. Raises `LedgerUnusable` or OSError."""
    # O_NONBLOCK: opening a pipe in its place would wait for a writer that never comes.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, FILE_MODE)
    try:
        _check_file(path, os.fstat(descriptor))
        restrict_file(descriptor, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise LedgerUnusable(f"{path}: it is not a regular file")
    # A hard link is another name for the same bytes: a process with that name reads and writes our ledger.
    if found.st_nlink > 1:
        raise LedgerUnusable(f"{path}: the file has another name elsewhere (a hard link); put a copy in its place")


def restrict_file(descriptor: int, mode: int) -> None:
    """Take away others' rights to a file. One that belongs to another user stays as it is."""
    if mode & 0o777 != FILE_MODE:
        with suppress(OSError):
            os.fchmod(descriptor, FILE_MODE)


def refuse_links(paths: Iterable[Path]) -> None:
    """Raises `LedgerUnusable` if a file that SQLite keeps beside the ledger is a link, or no regular file."""
    for path in paths:
        with suppress(FileNotFoundError):
            _check_file(path, path.lstat())
