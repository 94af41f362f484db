"""Files that commands read."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from typing import Any

from aurea_engine import SpecError, parse_json, parse_toml
from aurea_engine.codec.parsing import RESULT_DEPTH


def read_file(path: Path) -> Any:
    """What a JSON or TOML file holds; ``-`` is JSON on stdin. Raises SpecError."""
    return parse_file(path, read_content(path))


def read_content(path: Path) -> bytes:
    """All bytes of a file; ``-`` is stdin. Raises SpecError."""
    try:
        return read_stdin() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None


def parse_option(text: str, option: str) -> Any:
    """The values in the JSON that ``option`` was given. Raises SpecError, which names it."""
    try:
        return parse_json(text)
    except SpecError as error:
        raise SpecError([each._replace(path=option) for each in error.problems]) from None


def parse_file(path: Path, content: bytes) -> Any:
    """The values in the ``content`` of the JSON or TOML file ``path``. Raises SpecError."""
    try:
        # It may be a result, whose specification is to be run again.
        return parse_toml(content) if path.suffix.lower() == ".toml" else parse_json(content, max_depth=RESULT_DEPTH)
    except SpecError as error:
        # A problem with a member names it; one with the whole text has to name the file.
        raise SpecError(
            each if each.path else each._replace(path=name_input(path)) for each in error.problems
        ) from None


def name_input(path: Path) -> str:
    """What errors call it."""
    return "stdin" if str(path) == "-" else str(path)


def read_bytes(path: Path, most: int) -> bytes:
    """``most`` bytes of a file, and one more if it is longer than that; ``-`` is stdin. Raises SpecError."""
    try:
        if str(path) == "-":
            return read_stdin()
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None


def read_stdin() -> bytes:
    """All of stdin, also where it is non-blocking: then a read returns what is there by now, or None."""
    # An earlier program may have left the pipe non-blocking; reading it once would silently lose the rest.
    stream, pieces = sys.stdin.buffer, []
    try:
        descriptor = stream.fileno()
        blocking = os.get_blocking(descriptor)
    except (OSError, ValueError):
        blocking = True
    if blocking:
        return stream.read()
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    while (piece := stream.read(65536)) != b"":
        if piece is None:
            waiting.poll()
        else:
            pieces.append(piece)
    return b"".join(pieces)
