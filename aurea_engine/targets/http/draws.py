"""What is drawn for single jobs while a run goes on, UUIDs and rows: by the job's number, so shards and repeats agree."""

# A generator of random numbers gives its numbers in an order, and jobs have none: they start as the target lets them. So
# each draw is a hash of a key and the job's number, both of fixed length (BLAKE2s, RFC 7693; its keyed mode would take two
# blocks). The key comes from the run's own stream, so another seed has other draws, and every process of a run has the
# same. Below 1 µs a draw.

from __future__ import annotations

from hashlib import blake2s

from aurea_engine.workload.streams import Streams

_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The first digit of the fourth group has two bits that are fixed."""


class Draws:
    """The draws of one leaf of a run, from its ``streams``."""

    def __init__(self, streams: Streams) -> None:
        self._uuids, self._rows = streams.rng("uuids").bytes(32), streams.rng("rows").bytes(32)

    def uuid(self, number: int) -> str:
        """The UUID of a job: version 4 in form, and the same in every run of the same seed (RFC 9562, section 5.4)."""
        text = blake2s(self._uuids + number.to_bytes(8, "little"), digest_size=16).hexdigest()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{_VARIANTS[text[16]]}{text[17:20]}-{text[20:]}"

    def row(self, number: int, rows: int) -> int:
        """The row of a job, of ``rows``, each as likely as any other: to within 2⁻⁴⁴ for a million of them."""
        drawn = blake2s(self._rows + number.to_bytes(8, "little"), digest_size=8).digest()
        return int.from_bytes(drawn, "little") * rows >> 64
