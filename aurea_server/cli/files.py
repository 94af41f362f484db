"""Files that commands read and write: judged before the work, and written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aurea_engine import AureaError, SpecError, parse_json, parse_toml


def read_file(path: Path) -> Any:
    """What a JSON or TOML file holds; ``-`` is JSON on stdin. Raises SpecError."""
    try:
        text = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None
    return parse_toml(text) if path.suffix == ".toml" else parse_json(text)


def check_output(path: Path | None) -> None:
    """Raises SpecError where it is plain that ``path`` cannot be written: before the work, which would be lost."""
    if path is None:
        return
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "Is a directory")
        folder = path.resolve().parent
        if not folder.is_dir():
            raise FileNotFoundError(0, f"there is no folder {folder}")
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise PermissionError(0, "it cannot be written")
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links is a RuntimeError
        raise SpecError(f"--output {path}: {getattr(error, 'strerror', None) or error}") from None


def write_file(path: Path, pieces: Iterable[bytes]) -> None:
    """What was there stays until the last piece is written. Raises SpecError where it cannot be written."""
    try:
        whole = path.resolve()
        if (whole.exists() and not whole.is_file()) or not os.access(whole.parent, os.W_OK):
            with whole.open("wb") as file:
                file.writelines(pieces)
        else:
            _replace(whole, pieces)
    except AureaError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise SpecError(f"--output {path}: {getattr(error, 'strerror', None) or error}") from None


def _replace(path: Path, pieces: Iterable[bytes]) -> None:
    """Written aside, then renamed; with the rights that the old file had."""
    aside = path.with_name(f".{path.name[:200]}.{os.getpid()}")
    try:
        with aside.open("xb") as file:
            if path.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            file.writelines(pieces)
        aside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
