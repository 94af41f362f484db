"""The folder of records: one file for each run that has more than a few jobs.

Nothing is deleted that this history did not write. A file belongs to it where its ledger has a run of that id.

**Writing**: the content goes to ``.unfinished``, onto the disk, then the file gets its name; only then does the row say
that it exists. **Deleting** takes two steps around the commit: the file is renamed to ``.removed``, the row is deleted, the
file is deleted. A crash at any point leaves a file whose name says what was under way, and a row that says whether it was
completed: `sweep` finishes it at the next start.
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
from aurea_server.history.permissions import FILE_MODE, FOLDER_MODE, restrict_file
from aurea_server.history.rows import is_run_id

KEPT, UNFINISHED, REMOVED = ".columns", ".unfinished", ".removed"
# The file or its folder does not exist, or something else is in its place: a link, a pipe. That is damage of one run;
# any other error is the disk's.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)


def sync_folder(folder: Path) -> None:
    """Wait until the names in ``folder`` are on the disk. Raises OSError, also where it is a link."""
    descriptor = _open_folder(folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


class RecordFiles:
    """``folder``: ``records`` in the data folder. Only we can write there, so nothing is exchanged after it was checked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> None:
        """Make the folder, with mode 0700. Raises OSError if something else is in its place, such as a link."""
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
        """The file of a run's records. Raises ValueError for a malformed id, which never becomes part of a path."""
        if not is_run_id(run_id):
            raise ValueError("no run has such an id")
        return self.folder / f"{run_id}{KEPT}"

    def has_records(self) -> bool:
        """Whether any run's records are there."""
        return any(path.suffix in (KEPT, REMOVED) and is_run_id(path.stem) for path in self._files())

    def write(self, run_id: str, content: bytes) -> None:
        """All or nothing, and on the disk when this returns. Raises OSError."""
        path = self.path_of(run_id)
        unfinished = path.with_suffix(UNFINISHED)
        self.make()
        # Left by a crash. O_EXCL would refuse it, and must stay: it also refuses a link in its place.
        unfinished.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(unfinished, flags, FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, FILE_MODE)
                file.write(content)
                file.flush()
                # In this order: the bytes, the name, the folder. A power cut leaves the whole file under its name, or
                # none.
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
        # The size is in the row, so a file that was cut or replaced is noticed before it is decoded.
        if stat.S_ISREG(found.st_mode) and found.st_size == size:
            return os.fdopen(descriptor, "rb", buffering=0)
        os.close(descriptor)
        raise Damaged(f"the records of {run_id} are not the file of {size} bytes that was written")

    def mark_removed(self, run_ids: Sequence[str]) -> None:
        """Before the rows are deleted. What does not exist, or is no file, stays as it is."""
        self._rename(run_ids, KEPT, REMOVED)

    def restore(self, run_ids: Sequence[str]) -> None:
        """The rows were not deleted after all."""
        self._rename(run_ids, REMOVED, KEPT)

    def _rename(self, run_ids: Sequence[str], old: str, new: str) -> None:
        for path in self._existing(run_ids, old):
            # rename would replace what is there without a word.
            if not os.path.lexists(path.with_suffix(new)):
                with suppress(OSError):
                    path.rename(path.with_suffix(new))

    def delete_removed(self, run_ids: Sequence[str]) -> None:
        """The rows are deleted: delete what was marked."""
        for path in self._existing(run_ids, REMOVED):
            with suppress(OSError):
                path.unlink()

    def _existing(self, run_ids: Sequence[str], suffix: str) -> Iterator[Path]:
        """The files of these runs that exist, and are regular files."""
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
                # The row is still there, so its deletion was never committed.
                if path.suffix == REMOVED and kept:
                    self._rename([run_id], REMOVED, KEPT)
                elif path.suffix == KEPT and kept:
                    self._restrict(path)
                # The deletion was committed, or the file was written by a run whose row does not say that it has one.
                # Files of runs that the ledger does not know are left alone: another history may have written them.
                elif path.suffix == REMOVED or (path.suffix in (KEPT, UNFINISHED) and kept is not None):
                    path.unlink()

    def _restrict(self, path: Path) -> None:
        if not path.lstat().st_mode & 0o077:
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            restrict_file(descriptor, os.fstat(descriptor).st_mode)
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
