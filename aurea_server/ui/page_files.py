"""The files of the web page, as they are sent: read and compressed once. No path from outside ever reaches a disk."""

from __future__ import annotations

import functools
import gzip
import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

# Only what is listed here is served: licences and notes are for those who read the repository.
# A comment that has its lines to itself. What follows code on its line stays, since a text may look like a comment.
COMMENTS = {
    "js": re.compile(r"^[ \t]*(?:/\*.*?\*/|//[^\n]*)[ \t]*$", re.MULTILINE | re.DOTALL),
    "css": re.compile(r"/\*.*?\*/", re.DOTALL),
}
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)


class PageFile(NamedTuple):
    """``tag``: of the content, the same wherever and whenever it is served."""

    content: bytes
    compressed: bytes
    media_type: str
    tag: str


@functools.cache
def page_files() -> dict[str, PageFile]:
    """``folder/name``, or the name alone of what is in no folder → the file."""
    return dict(_read_folder(files("aurea_server.ui").joinpath("page")))


def _read_folder(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, PageFile]]:
    for entry in folder.iterdir():
        kind = TYPES.get(entry.name.rpartition(".")[2])
        if entry.is_dir():
            yield from _read_folder(entry, f"{prefix}{entry.name}/")
        elif kind is not None:
            content = entry.read_bytes()
            # What others wrote is served as it is, with the notes of its licence.
            yield (
                prefix + entry.name,
                _make_file(content if prefix == "vendor/" else _shorten(entry.name, content), kind),
            )


def _shorten(name: str, content: bytes) -> bytes:
    """Without comments and indentation, which are an eighth of what goes over the wire. Each line keeps its number."""
    text, comments = content.decode(), COMMENTS.get(name.rpartition(".")[2])
    if comments is not None:
        text = comments.sub(lambda found: "\n" * found[0].count("\n"), text)
    return _INDENTATION.sub("", text).encode()


def _make_file(content: bytes, media_type: str) -> PageFile:
    # Without a time in it, so that the same content is the same bytes on every server behind a balancer.
    compressed = gzip.compress(content, compresslevel=9, mtime=0)
    return PageFile(content, compressed, media_type, hashlib.blake2b(content, digest_size=12).hexdigest())
