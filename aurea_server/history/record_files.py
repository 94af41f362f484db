"""The folder of records: one file for each run that has more than a few jobs.

Nothing is deleted that this history did not write. A file belongs to it where its ledger has a run of that id. A deletion is
two steps around the commit: the file is put aside (``.removed``), the row is deleted, the file goes. A crash between leaves
a file that says by its name what was under way, and the row says whether it came to be.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from aurea_server.history.errors import Damaged
from aurea_server.history.permissions import FILE_MODE, FOLDER_MODE, tighten
from aurea_server.history.rows import is_run_id

KEPT, UNFINISHED, REMOVED = ".columns", ".unfinished", ".removed"
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)


def sync_folder(folder: Path) -> None:
    """Names in ``folder`` are on the disk when this returns. Raises OSError, also where it is a link."""
    descriptor = _open_folder(folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


class RecordFiles:
    """``folder``: ``records`` in the data folder. That is ours alone, so nobody can exchange what has just been judged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> None:
        """The folder, with mode 0700. Raises OSError where something else is in its place, such as a link."""
        try:
            self.folder.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            descriptor = _open_folder(self.folder)
            try:
                if os.fstat(descriptor).st_mode & 0o077:
                    with suppress(OSError):
                        os.fchmod(descriptor, FOLDER_MODE)
            finally:
                os.close(descriptor)
        else:
            self.folder.chmod(FOLDER_MODE)
            sync_folder(self.folder.parent.resolve())

    def path_of(self, run_id: str) -> Path:
        """The file of a run's records. An id never becomes a path unless it looks like one of ours."""
        if not is_run_id(run_id):
            raise ValueError("no run has such an id")
        return self.folder / f"{run_id}{KEPT}"

    def left(self) -> bool:
        """Whether any run's records are there."""
        return any(path.suffix in (KEPT, REMOVED) and is_run_id(path.stem) for path in self._files())

    def write(self, run_id: str, content: bytes) -> None:
        """All or nothing, and on the disk when this returns. Raises OSError."""
        path = self.path_of(run_id)
        unfinished = path.with_suffix(UNFINISHED)
        self.make()
        unfinished.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(unfinished, flags, FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, FILE_MODE)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        sync_folder(self.folder)

    def open(self, run_id: str, size: int) -> BinaryIO:
        """What was written: a file of ours, of that size. Raises `Damaged` or OSError."""
        try:
            os.close(_open_folder(self.folder))
            descriptor = os.open(self.path_of(run_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _GONE:
                raise Damaged(f"the records of {run_id} are gone: {error.strerror}") from None
            raise
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_size == size:
            return os.fdopen(descriptor, "rb", buffering=0)
        os.close(descriptor)
        raise Damaged(f"the records of {run_id} are not the file of {size} bytes that was written")

    def put_aside(self, run_ids: Sequence[str]) -> None:
        """Before the rows are deleted. What is not there, or is no file, stays as it is."""
        self._rename(run_ids, KEPT, REMOVED)

    def put_back(self, run_ids: Sequence[str]) -> None:
        """The rows were not deleted after all."""
        self._rename(run_ids, REMOVED, KEPT)

    def _rename(self, run_ids: Sequence[str], old: str, new: str) -> None:
        for path in self._own(run_ids, old):
            if not os.path.lexists(path.with_suffix(new)):
                with suppress(OSError):
                    path.rename(path.with_suffix(new))

    def discard(self, run_ids: Sequence[str]) -> None:
        """The rows are deleted: what was put aside goes."""
        for path in self._own(run_ids, REMOVED):
            with suppress(OSError):
                path.unlink()

    def _own(self, run_ids: Sequence[str], suffix: str) -> Iterator[Path]:
        """The files of these runs that are there, and are files."""
        try:
            os.close(_open_folder(self.folder))
        except OSError:
            return
        for run_id in run_ids:
            path = self.path_of(run_id).with_suffix(suffix)
            with suppress(OSError):
                if stat.S_ISREG(path.lstat().st_mode):
                    yield path

    def sweep(self, known: Mapping[str, bool]) -> None:
        """Finish what a crash cut short. ``known``: id of every run of this history → whether its records are kept here."""
        for path in self._files():
            run_id = path.stem
            if not is_run_id(run_id):
                continue
            kept = known.get(run_id)
            with suppress(OSError):
                if path.suffix == REMOVED and kept:
                    self._rename([run_id], REMOVED, KEPT)
                elif path.suffix == KEPT and kept:
                    self._tighten(path)
                elif path.suffix == REMOVED or (path.suffix in (KEPT, UNFINISHED) and kept is not None):
                    path.unlink()  # an unfinished deletion, or written before the row could say so

    def _tighten(self, path: Path) -> None:
        if not path.lstat().st_mode & 0o077:
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            tighten(descriptor, os.fstat(descriptor).st_mode)
        finally:
            os.close(descriptor)

    def _files(self) -> Iterator[Path]:
        """Regular files in the folder; none where the folder is a link or no folder."""
        try:
            os.close(_open_folder(self.folder))
            with os.scandir(self.folder) as found:
                names = [entry.name for entry in found if entry.is_file(follow_symlinks=False)]
        except OSError:
            return
        for name in names:
            yield self.folder / name
