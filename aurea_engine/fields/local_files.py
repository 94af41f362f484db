"""Members of a specification that refer to this machine, and the files that an operator publishes.

A specification from elsewhere may not name what only this machine has: it would read any file for anybody. Each member that
does so carries an annotation of this page, and the codec refuses it before a constructor could open anything. The one
exception are files for data: where the operator names a folder, such a member may hold the plain name of a file in it.
The codec then puts a `DataFile` in its place, a text that knows its folder, and `read_file` opens it beneath that folder.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from aurea_engine.errors import LOCAL_REFERENCE

FileName = Annotated[str, Meta(max_length=4096)]

MOST_PUBLISHED_BYTES = 256 * 1024**2
"""Of a file in the published folder: a client chooses which, and it must fit into a runner's memory."""

PLAIN_NAME = re.compile(r"(?!\.)[\w.+@=, -]{1,255}")
"""No separator, no leading dot, and so neither ``..`` nor a hidden file."""


class Local:
    """An annotation: the member only makes sense with a local file, so the HTTP interface does not offer it."""

    local = True


class NotFromElsewhere(Local):
    """An annotation: the member refers to this machine, and one from elsewhere may not have it."""

    publishable = False
    opens = False
    """Whether a value that is made with this member opens what it names; others do so when a run is set up."""

    def refuse(self, value: object) -> str | None:
        """Why a specification from elsewhere may not say ``value`` here; None if it may."""
        return None if value is None else LOCAL_REFERENCE


class LocalFile(NotFromElsewhere):
    """An annotation: the member names a local file. From elsewhere it may name one that the operator published."""

    publishable = True
    opens = True


class RunFile(LocalFile):
    """An annotation: the same, for a file that is read when a run is set up, and not when the value is made."""

    opens = False


class TargetUrl(NotFromElsewhere):
    """An annotation: a URL. One of a Unix socket refers to this machine."""

    local = False  # other URLs are for everybody

    def refuse(self, value: object) -> str | None:
        is_socket = isinstance(value, str) and value.strip().lower().startswith("unix:")
        return LOCAL_REFERENCE if is_socket else None


class SecretHeaders(NotFromElsewhere):
    """An annotation: headers of a request, whose values may be references to secrets. From elsewhere to published ones."""

    local = False  # headers are for everybody

    def refuse(self, value: object) -> str | None:
        references = (
            [each for each in value.values() if isinstance(each, Mapping)] if isinstance(value, Mapping) else []
        )
        return LOCAL_REFERENCE if any("env" in each or "file" in each for each in references) else None


LOCAL = Local()
LOCAL_FILE = LocalFile()
RUN_FILE = RunFile()
LOCAL_ONLY = NotFromElsewhere()
TARGET_URL = TargetUrl()
SECRET_HEADERS = SecretHeaders()


class DataFile(str):
    """The plain name of a file in the folder that an operator published."""

    __slots__ = ("folder",)
    folder: Path

    @classmethod
    def within(cls, name: str, folder: Path) -> DataFile:
        """Raises ValueError for what is no plain name."""
        if not PLAIN_NAME.fullmatch(name):
            raise ValueError("must be the plain name of a published file, without a folder")
        made = cls(name)
        made.folder = folder
        return made


def read_file(name: str, most_bytes: int) -> bytes:
    """The content of a file that a specification names, published or local. Raises OSError, or ValueError if it is longer.

    Every member that names a file is read through this: it is where a published name stays beneath its folder.
    """
    limit = min(most_bytes, MOST_PUBLISHED_BYTES) if isinstance(name, DataFile) else most_bytes
    descriptor = _open_published(name) if isinstance(name, DataFile) else os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    # One byte more than allowed tells too long from just right, without asking for the size: a pipe has none.
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"must be at most {limit:,} bytes")
    return content


def _open_published(name: DataFile) -> int:
    """A descriptor of a regular file right beneath the folder, whatever happens to the names meanwhile."""
    # The folder is opened once, and the file relative to it: there is no path in which a link could stand. O_NOFOLLOW
    # refuses a name that is a link itself; O_NONBLOCK keeps a FIFO from blocking before it is refused.
    folder = os.open(name.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(str(name), flags, dir_fd=folder)
    finally:
        os.close(folder)
    status = os.fstat(descriptor)
    # A second hard link may be anybody's file, put here by whoever can write to the folder. None at all is a file that was
    # replaced since.
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        raise OSError(None, "is no regular file with one name")
    return descriptor
