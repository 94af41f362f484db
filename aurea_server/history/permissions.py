"""What of the data folder is ours, and that nobody else may read or change it.

The folder itself may be a link: its path is the operator's. What is in it may not, since a link would have a server write,
tighten or delete what is somebody else's. Files are opened by `O_NOFOLLOW` and judged by their descriptors.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from aurea_server.history.errors import LedgerUnusable

FOLDER_MODE, FILE_MODE = 0o700, 0o600
OURS = frozenset({"ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-journal", "ledger.lock", "records"})
"""Names in a data folder that are Aurea's."""


def make_folder(folder: Path) -> None:
    """The folder with mode 0700, whatever the umask, and what is missing above it. Raises OSError."""
    missing = [folder, *(parent for parent in folder.parents if not parent.exists())]
    for each in reversed(missing):
        try:
            each.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            if not each.is_dir():
                raise
        else:
            each.chmod(FOLDER_MODE)


def tighten_folder(descriptor: int, folder: Path) -> None:
    """Take others' rights to a folder that holds nothing but what is ours; a folder with anything else stays as it is.

    Raises `LedgerUnusable` where others may write there and that cannot be changed: they could replace the ledger.
    """
    mode = os.fstat(descriptor).st_mode
    if not mode & 0o077:
        return
    if set(os.listdir(descriptor)) <= OURS:
        with suppress(OSError):
            os.fchmod(descriptor, FOLDER_MODE)
            return
    if mode & stat.S_IWOTH:
        raise LedgerUnusable(f"{folder}: everybody may write there; --data names a folder of its own")


def open_own(path: Path) -> int:
    """A descriptor of a file that is ours alone, made where it is missing. Raises `LedgerUnusable` or OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, FILE_MODE)
    try:
        _refuse_foreign(path, os.fstat(descriptor))
        tighten(descriptor, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_foreign(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise LedgerUnusable(f"{path}: it is not a regular file")
    if found.st_nlink > 1:
        raise LedgerUnusable(f"{path}: the file has another name elsewhere (a hard link); put a copy in its place")


def tighten(descriptor: int, mode: int) -> None:
    """Take others' rights to a file; where it belongs to another user, that is theirs to do."""
    if mode & 0o777 != FILE_MODE:
        with suppress(OSError):
            os.fchmod(descriptor, FILE_MODE)


def refuse_links(paths: Iterable[Path]) -> None:
    """What SQLite keeps beside a ledger are regular files of ours, where they are there. Raises `LedgerUnusable`."""
    for path in paths:
        with suppress(FileNotFoundError):
            _refuse_foreign(path, path.lstat())
