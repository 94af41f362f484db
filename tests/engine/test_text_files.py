"""Files of Windows editors: a byte order mark is read, whatever it says, and what has none is UTF-8."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from aurea_engine import SpecError, parse_json, parse_toml
from aurea_engine.costs import check_sheet, load_sheet, shipped_sheets
from aurea_engine.fields.text_files import decode_text, read_text

MARKED = ["utf-8-sig", "utf-16", "utf-32"]
"""Python's names of encodings that write a mark first."""

ROOT = Path(__file__).parents[2]


def marked(text: str, encoding: str) -> bytes:
    if encoding in ("utf-16-be", "utf-32-be"):
        return ("\ufeff" + text).encode(encoding)
    return text.encode(encoding)


@pytest.mark.parametrize("encoding", [*MARKED, "utf-8", "utf-16-be", "utf-32-be"])
@pytest.mark.parametrize("text", ["", "ä", '{"num_jobs": 3}\r\n', "x\ufeffy"])
def test_a_mark_says_how_to_decode(text: str, encoding: str) -> None:
    """The mark goes, and only the first: within a text it is a character."""
    assert decode_text(marked(text, encoding)) == text


@pytest.mark.parametrize("encoding", MARKED)
def test_json_and_toml_may_have_a_mark(encoding: str) -> None:
    """Also with the ends of lines that Windows has, and where the caller has decoded it already."""
    assert parse_json('{"label": "ü",\r\n "num_jobs": 3}\r\n'.encode(encoding)) == {"label": "ü", "num_jobs": 3}
    assert parse_toml('label = "ü"\r\nnum_jobs = 3\r\n'.encode(encoding)) == {"label": "ü", "num_jobs": 3}
    assert parse_json('\ufeff{"num_jobs": 3}') == {"num_jobs": 3} == parse_toml("\ufeffnum_jobs = 3")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfea", "must be UTF-16, as its byte order mark says: truncated data at byte 2; save it as UTF-8"),
        (b"\xef\xbb\xbf{\xff}", "must be UTF-8: invalid start byte at byte 4; save it as UTF-8"),
        ("{}".encode("utf-16-le"), "UTF-16 without a byte order mark; save it as UTF-8"),
        ("{}".encode("utf-16-be"), "UTF-16 without a byte order mark; save it as UTF-8"),
        ("ä".encode("cp1252"), "must be UTF-8: unexpected end of data at byte 0; save it as UTF-8"),
        (gzip.compress(b"{}"), "must be text: it is compressed (gzip); unpack it first"),
        (bz2.compress(b"{}"), "must be text: it is compressed (bzip2); unpack it first"),
        (lzma.compress(b"{}"), "must be text: it is compressed (xz); unpack it first"),
    ],
)
def test_non_text_is_refused_with_remedy(content: bytes, says: str) -> None:
    """What is no text is refused with the remedy."""
    with pytest.raises(SpecError) as caught:
        parse_json(content)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["BZh", "PK\x03\x04", "BZhe,time\n1,2\n"])
def test_a_text_may_begin_like_a_packed_file(text: str) -> None:
    assert decode_text(text.encode()) == text


@pytest.mark.parametrize("encoding", MARKED)
def test_a_price_sheet_may_have_a_mark(encoding: str, tmp_path: Path) -> None:
    """It is the same sheet, with the same checksum."""
    shipped = ROOT / "aurea_engine" / "costs" / "prices" / f"{shipped_sheets()[0]}.toml"
    own = tmp_path / "own.toml"
    own.write_bytes(shipped.read_text("utf-8").replace("\n", "\r\n").encode(encoding))
    assert load_sheet(own).sha256 == load_sheet(shipped).sha256
    assert check_sheet(read_text(own)) == () == check_sheet("\ufeff" + shipped.read_text("utf-8"))
