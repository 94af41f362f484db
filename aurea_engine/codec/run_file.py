"""A whole run as one file, ``run.aurea``: its result as JSON, and the parts that the result was computed from.

Layout, all numbers little-endian::

    8 bytes   magic, which ends in the version of the format
    16 bytes  BLAKE2b digest of everything after it
    uint32    length of the result, compressed
    uint32    length of the result, as JSON without its jobs
    uint16    how many parts follow: one of a plain run, one for each replication, none where they are gone
    uint64    length of the parts, for each
    …         the result (zlib), then the parts (`aurea_engine.run.parts_file`)

The parts hold the records, so jobs are not written twice. A result that is read from such a file has all its jobs.

Hazards. A file may come from anybody. The digest shows what a disk or a transfer has changed; it is no signature. So every
length is compared with what is there before it is used, nothing is unpacked beyond a bound, nothing is executed (no
pickle), and the document is read by the strict parser. Whatever is wrong is `DamagedRunFile`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import Any

from aurea_engine.codec.catalog import Catalog
from aurea_engine.codec.parsing import RESULT_DEPTH, parse_json
from aurea_engine.codec.result_reading import result_from_dict
from aurea_engine.codec.results import encode_json, result_to_dict
from aurea_engine.errors import DamagedParts, DamagedRunFile, SpecError
from aurea_engine.results.result import RunResult
from aurea_engine.run.parts import RunParts

MAGIC = b"AUREAR1\n"
RUN_FILE_ENDING = ".aurea"

_DIGEST = 16
_LENGTHS = struct.Struct("<IIH")
_PART = struct.Struct("<Q")
_MOST_RESULT = 64 * 1024 * 1024
"""Bytes of a result as JSON, its jobs left out. A run with a hundred groups has some 300 kB."""


@dataclass(frozen=True)
class RunFile:
    """``document``: the result as JSON values, without its jobs; ``parts``: what it was computed from, several where it is
    of several replications, none where they are gone.
    """

    document: dict[str, Any]
    parts: tuple[RunParts, ...] = ()

    @classmethod
    def of(cls, result: RunResult, catalog: Catalog | None = None, parts: Iterable[RunParts] = ()) -> RunFile:
        """The file of ``result``. ``parts``: those of its replications, if it has any; else its own are taken."""
        own = () if result.parts is None else (result.parts,)
        return cls(result_to_dict(result, catalog, jobs_shown=0), tuple(parts) or own)

    def to_bytes(self) -> bytes:
        """The file's content."""
        plain = encode_json(self.document)
        packed = zlib.compress(plain, 6)
        parts = [each.to_bytes() for each in self.parts]
        lengths = [_LENGTHS.pack(len(packed), len(plain), len(parts)), *(_PART.pack(len(each)) for each in parts)]
        body = b"".join([*lengths, packed, *parts])
        return MAGIC + blake2b(body, digest_size=_DIGEST).digest() + body

    @classmethod
    def from_bytes(cls, content: bytes) -> RunFile:
        """The inverse of `to_bytes`. Raises `DamagedRunFile` for anything that it did not write."""
        try:
            return cls(*_decode(content))
        except (DamagedParts, SpecError, struct.error, zlib.error) as error:
            raise DamagedRunFile(f"this run file is damaged: {error}") from None

    def to_result(self, catalog: Catalog | None = None, *, local: bool = True, keep_unknown: bool = False) -> RunResult:
        """The result with its jobs, as `result_from_dict` makes it. Raises `SpecError`, or `DamagedRunFile` if the parts
        are those of another run.
        """
        result = result_from_dict(self.document, catalog, local=local, keep_unknown=keep_unknown)
        if len(self.parts) != 1:
            return result
        (parts,) = self.parts
        # Figures come from the document, quantiles of a comparison from the parts: they must be of the same jobs.
        if parts.meters.counts.total() != result.counts.arrived:
            raise DamagedRunFile("this run file is damaged: its parts are not those of its result")
        steps = None if parts.steps is None else parts.steps.records
        return replace(result, jobs=parts.records, steps=steps, parts=parts)


def is_run_file(content: bytes) -> bool:
    """Whether ``content`` claims to be a run file, of whatever version."""
    return content.startswith(MAGIC[:6])


def _decode(content: bytes) -> tuple[dict[str, Any], tuple[RunParts, ...]]:
    # From the outside in, as parts are read: what it is, whether it is whole, whether its lengths add up, what it says.
    if not content.startswith(MAGIC):
        newer = "this run file is in a newer format: a newer version of aurea reads it"
        raise DamagedRunFile(newer if is_run_file(content) else "this is no run file")
    body = memoryview(content)[len(MAGIC) + _DIGEST :]
    if blake2b(body, digest_size=_DIGEST).digest() != content[len(MAGIC) : len(MAGIC) + _DIGEST]:
        raise DamagedRunFile("this run file is damaged: it is not what was written")
    packed, plain, count = _LENGTHS.unpack_from(body)
    begin = _LENGTHS.size + _PART.size * count
    sizes = [size for (size,) in _PART.iter_unpack(body[_LENGTHS.size : begin])] if len(body) >= begin else []
    if len(sizes) != count or len(body) != begin + packed + sum(sizes) or plain > _MOST_RESULT:
        raise DamagedRunFile("this run file is damaged: its lengths do not add up")
    edges = list(accumulate([begin, packed, *sizes]))
    pieces = [body[low:high] for low, high in pairwise(edges)]
    document = parse_json(_unpack(pieces[0], plain), max_depth=RESULT_DEPTH)
    if not isinstance(document, dict):
        raise DamagedRunFile("this run file is damaged: its result is no object")
    return document, tuple(RunParts.from_bytes(bytes(piece)) for piece in pieces[1:])


def _unpack(packed: memoryview, size: int) -> bytes:
    """Exactly ``size`` bytes: what claims to be small must not fill the memory."""
    unpacking = zlib.decompressobj()
    plain = unpacking.decompress(packed, size + 1)
    if len(plain) != size or not unpacking.eof or unpacking.unused_data:
        raise DamagedRunFile("this run file is damaged: its result is longer or shorter than it says")
    return plain
