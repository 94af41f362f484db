"""The file that ``--output`` names: checked before the work, and a plain file is written whole or not at all.

Devices, pipes and the standard streams are written into. So is the very file that stdout or stderr goes to, under whatever
name: replacing it would take away what the shell has written, or is about to write, to the old one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from aurea_engine import AureaError, SpecError
from aurea_server.stdio.standard_streams import ERR, OUT, write_all, write_out

_DESCRIPTOR = re.compile(r"(?:/dev|/proc/(?P<process>self|thread-self|\d+(?:/task/\d+)?))/fd/(?P<number>\d{1,9})")
_LINKS = 40
"""As many as Linux follows (path_resolution(7))."""


def find_descriptor(path: Path) -> int | None:
    """The open descriptor that ``path`` stands for: ``-``, ``/dev/stdout``, ``/dev/fd/N``, a link to these, or the file of
    stdout or stderr. None if it is none. Raises OSError if a descriptor is named that is not open for writing.
    """
    number = OUT if str(path) == "-" else _parse_descriptor(path)
    if number is None:
        # `aurea run -o log >> log`: the file has other names, but it is the one that the shell has open.
        return next((each for each in (OUT, ERR) if _is_file_of(each, path)), None)
    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise PermissionError(0, f"descriptor {number} is open for reading only")
    return number


def _parse_descriptor(path: Path) -> int | None:
    """Link by link: the last one, of a descriptor, would lead on to the file behind it."""
    for _ in range(_LINKS):
        path = path.parent.resolve() / path.name
        if found := _DESCRIPTOR.fullmatch(str(path)):
            process = (found["process"] or "self").partition("/")[0]
            return int(found["number"]) if process in ("self", "thread-self", str(os.getpid())) else None
        try:
            path = path.parent / path.readlink()
        except OSError:  # no link, or nothing there
            return None
    return None


def _is_file_of(descriptor: int, path: Path) -> bool:
    try:
        one, other = path.stat(), os.fstat(descriptor)
        writable = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    except (OSError, ValueError):
        return False
    return writable and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def check_output(path: Path | None, flag: str = "--output", read: Iterable[Path] = ()) -> None:
    """Raises SpecError if it is clear that ``path``, given by ``flag``, cannot be written: before the work. ``read``: stored
    results that the work is about, which must not be replaced by what is said of them.
    """
    if path is None:
        return
    try:
        if find_descriptor(path) is not None:
            return
        if any(path.exists() and each.exists() and path.samefile(each) for each in read):
            raise FileExistsError(0, "it is the result that is read: name another file")
        if path.is_dir():
            raise IsADirectoryError(0, "Is a directory")
        # A file is replaced by a new one, so it is the folder that has to be writable; a device is written into.
        folder = path.resolve().parent
        if not folder.is_dir():
            raise FileNotFoundError(0, f"there is no folder {folder}")
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise PermissionError(0, "it cannot be written")
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links is a RuntimeError
        raise _make_refusal(flag, path, error) from None


def is_stdout(path: Path | None) -> bool:
    """Whether what is written to ``path`` comes out of stdout."""
    with contextlib.suppress(OSError):
        return path is not None and find_descriptor(path) == OUT
    return False


def write_output(path: Path, pieces: Iterable[bytes], flag: str = "--output") -> None:
    """Write all ``pieces``. A plain file keeps what it holds until the last of them is written.

    Raises SpecError if it cannot be written; OSError if it is stdout, whose failure is not the option's.
    """
    try:
        descriptor = find_descriptor(path)
        if descriptor is None:
            _write_path(path.resolve(), pieces)
            return
        if descriptor != OUT:
            _write_pieces(descriptor, pieces)
    except AureaError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise _make_refusal(flag, path, error) from None
    if descriptor == OUT:
        for piece in pieces:
            write_out(piece)


def _make_refusal(flag: str, path: Path, error: Exception) -> SpecError:
    return SpecError(f"{flag} {path}: {getattr(error, 'strerror', None) or error}")


def _write_pieces(descriptor: int, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        write_all(descriptor, piece)


def _write_path(path: Path, pieces: Iterable[bytes]) -> None:
    try:
        before = path.stat()
    except FileNotFoundError:
        _replace(path, None, pieces)
        return
    # Replaced where that makes no difference; a file that would get another owner is written in place instead.
    if stat.S_ISREG(before.st_mode) and os.access(path.parent, os.W_OK) and _keeps_owner(before):
        _replace(path, before, pieces)
        return
    # Only a file has something to cut off. A terminal that is opened must not become the one that controls this process.
    truncate = os.O_TRUNC if stat.S_ISREG(before.st_mode) else 0
    descriptor = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC | truncate)
    try:
        _write_pieces(descriptor, pieces)
    finally:
        os.close(descriptor)


def _keeps_owner(before: os.stat_result) -> bool:
    """Whether a new file can be given to the owner of the old one. Only root gives files away."""
    # Without that right `fchown` would fail with everything written; so it is asked before.
    groups = {os.getegid(), *os.getgroups()}
    return os.geteuid() == 0 or (before.st_uid == os.geteuid() and before.st_gid in groups)


def _replace(path: Path, before: os.stat_result | None, pieces: Iterable[bytes]) -> None:
    """Written aside, then renamed; with the rights and the owner that the old file had."""
    # Beside the old file and not in /tmp: only within a file system is a rename atomic.
    aside = path.with_name(f".aurea-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with aside.open("xb") as file:
            # Rights after the owner: a change of owner takes the set-user-id bits away.
            if before is not None:
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            file.writelines(pieces)
        try:
            aside.replace(path)
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.EXDEV):
                raise
            shutil.copyfile(aside, path)  # a file that is mounted by itself, into a container: it has to stay
            aside.unlink()
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
