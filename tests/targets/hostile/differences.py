"""Where a client may say something else than the truth, and why. What is not in this table must be equal.

Each row is (client, kind of exchange, what it says). ``aside`` is the reply that the RFCs let a client accept where it may
also fail; ``other`` is a reply that is neither the truth nor aside; anything else is a failure class. A row that no exchange
of the campaign needs, but by chance, is a defect of the table, and its test fails.
"""

from __future__ import annotations

from tests.targets.hostile.clients import Said, checksum
from tests.targets.hostile.parts import Truth

LENIENT = "libcurl takes header lines as they come: it looks only for the names that it knows"
LLHTTP = "aiohttp tells llhttp to be lenient with replies, outside its debug mode"

DIFFERENCES: dict[tuple[str, str, str], str] = {
    ("curl", "bad_header", "aside"): LENIENT,
    ("curl", "bare_lf", "aside"): "libcurl ends a line at LF (allowed: RFC 9112, 2.2)",
    ("curl", "folded", "aside"): "libcurl unfolds (allowed: RFC 9112, 5.2)",
    ("curl", "two_lengths", "aside"): "equal lengths are one length to libcurl (allowed: RFC 9112, 6.3)",
    ("curl", "length_and_chunks", "aside"): "chunks win (allowed: RFC 9112, 6.3)",
    ("curl", "old_chunked", "aside"): "libcurl reads chunks in HTTP/1.0",
    ("curl", "other_version", "aside"): "libcurl reads the status line of HTTP/2 and HTTP/3 on any connection",
    ("curl", "loose_chunk", "aside"): "libcurl skips what follows the digits of a chunk's size up to LF",
    ("curl", "long_extension", "aside"): "libcurl skips extensions of any length",
    ("curl", "endless_interim", "aside"): "libcurl's bound of headers is 300 KiB",
    ("curl", "large_head", "aside"): "libcurl's bounds are 100 KiB for a line and 300 KiB for the headers",
    ("curl", "reset_after", "aside"): "the reply was read before RST came",
    (
        "curl",
        "cut",
        "other",
    ): "libcurl takes a head that ends in the middle for a whole one, once it has its status line",
    ("curl", "endless_head", "other"): "the same: a header without end, then the end of the connection",
    (
        "curl",
        "bad_chunk",
        "closed_early",
    ): "CR without LF after a chunk's size: libcurl goes on looking for LF until the end",
    ("curl", "bad_length", "other"): "a length beyond 64 bits is no length to libcurl: the body goes on until the end",
    (
        "curl",
        "garbage",
        "other",
    ): "libcurl reads `http/1.1`, a tab for the space, and the first three digits of a longer status",
    (
        "curl",
        "switching",
        "closed_early",
    ): "libcurl goes on after 101 as in the other protocol, and reads what comes for it",
    ("curl", "switching", "other"): "the same: what follows 101 is a body to it",
    ("curl", "not_continued", "timeout"): "after 417 libcurl asks again without Expect, as RFC 9110, 10.1.1, lets it",
    ("curl", "compressed_in_parts", "protocol"): "libcurl knows one member of gzip",
    (
        "curl",
        "raw_deflate",
        "protocol",
    ): "libcurl finds out about the missing header only if the first read has enough bytes",
    ("curl", "cut_compression", "other"): "libcurl gives what it could unpack",
    ("aiohttp", "compressed_by_old_name", "other"): "aiohttp does not know the name, and leaves the body as it is",
    ("aiohttp", "cut_compression", "other"): "aiohttp gives what it could unpack",
    ("aiohttp", "bad_header", "aside"): LLHTTP,
    ("aiohttp", "bare_lf", "aside"): LLHTTP,
    ("aiohttp", "folded", "aside"): LLHTTP,
    ("aiohttp", "loose_chunk", "aside"): LLHTTP,
    ("aiohttp", "leading_lines", "aside"): "llhttp skips empty lines before a status line",
    ("aiohttp", "old_chunked", "aside"): "llhttp reads chunks in HTTP/1.0",
    ("aiohttp", "other_version", "aside"): "llhttp knows the numbers 0.9, 1.0, 1.1 and 2.0",
    ("aiohttp", "other_coding", "aside"): "the body goes on until the end (RFC 9112, 6.3)",
    ("aiohttp", "low_status", "aside"): "three digits are a status to llhttp",
    ("aiohttp", "long_extension", "aside"): "llhttp skips extensions of any length",
    ("aiohttp", "endless_interim", "aside"): "aiohttp counts the headers of each interim reply for itself",
    ("aiohttp", "reset_after", "aside"): "the reply was read before RST came",
    ("aiohttp", "large_head", "protocol"): "aiohttp has no class of its own for too many headers",
    ("aiohttp", "large_trailers", "closed_early"): "aiohttp reports too many trailers as a body that is not complete",
    (
        "aiohttp",
        "bad_chunk",
        "timeout",
    ): "aiohttp 3.14 may miss the error of a chunk after it gave the headers, and waits",
    ("aiohttp", "loose_chunk", "timeout"): "the same",
    ("aiohttp", "left_over", "protocol"): "aiohttp fails the reply if what follows in one read is wrong",
    ("aiohttp", "switching", "other"): "101 is a reply like any other to aiohttp",
    ("aiohttp", "never_continued", "timeout"): "aiohttp waits for 100 until its time limit",
    ("aurea", "leading_lines", "aside"): "llhttp skips empty lines before a status line",
    ("aurea", "old_chunked", "aside"): "llhttp reads chunks in HTTP/1.0",
    ("aurea", "other_coding", "aside"): "the body goes on until the end (RFC 9112, 6.3)",
    ("aurea", "reset_after", "aside"): "the reply was read before RST came",
    ("aurea", "long_extension", "aside"): "extensions are skipped, not kept, and the job's time is limited",
    (
        "aurea",
        "large_trailers",
        "aside",
    ): "trailers are skipped where no headers are kept; elsewhere the bound allows for two reads",
}

BY_CHANCE = {
    ("curl", "raw_deflate", "protocol"),
    ("aiohttp", "bad_chunk", "timeout"),
    ("aiohttp", "loose_chunk", "timeout"),
}
"""Rows that depend on how bytes fall into reads, which the network decides: a campaign may do without them."""


def verdict(truth: Truth, said: Said) -> str:
    """``right``, or in which way it is not."""
    if said.failure is not None:
        return "right" if said.failure in truth.failures else said.failure
    if not truth.failures:
        return "right" if is_reply(said, truth.status, truth.body) else "other"
    return "aside" if truth.aside is not None and is_reply(said, *truth.aside) else "other"


def is_reply(said: Said, status: int, body: bytes) -> bool:
    """Whether it says that this came. Of one that did not look at the body, the status tells."""
    return said.status == status and said.checksum in {"", checksum(body)}
