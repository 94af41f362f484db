"""Bytes → text, for every file that people write: UTF-8, or what the byte order mark says.

Editors on Windows put a byte order mark before UTF-8, and ``>`` of Windows PowerShell writes UTF-16. The mark says which,
so nothing is guessed (Unicode Standard, chapter 23.8, "Byte Order Mark").
"""

from __future__ import annotations

import codecs
from pathlib import Path

from aurea_engine.errors import SpecError

__all__ = ["decode_text", "read_text"]

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
MARK = "\ufeff"
PACKED = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
)
"""What compressed files begin with: published traces and price lists come so as often as not."""


def decode_text(content: bytes) -> str:
    """The text without its byte order mark. Without one it is UTF-8. Raises `SpecError` with the remedy."""
    packed = next((name for magic, name in PACKED if content.startswith(magic)), None)
    if packed is not None and not content.isascii():
        raise SpecError(f"must be text: it is compressed ({packed}); unpack it first")
    mark, encoding = next(((mark, name) for mark, name in MARKS if content.startswith(mark)), (b"", "utf-8"))
    if not mark and b"\0" in content[:4]:  # no text in UTF-8 begins so, and any in UTF-16 that begins with ASCII does
        raise SpecError("must be UTF-8: it looks like UTF-16 without a byte order mark; save it as UTF-8")
    try:
        return content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start + len(mark)}"
        said = "" if encoding == "utf-8" else ", as its byte order mark says"
        raise SpecError(f"must be {encoding[:6].rstrip('-').upper()}{said}: {where}; save it as UTF-8") from None


def read_text(path: str | Path) -> str:
    """The text of a file, as `decode_text` reads it. Raises `SpecError`, or OSError if the file cannot be read."""
    return decode_text(Path(path).read_bytes())
