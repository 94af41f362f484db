"""Frames: what one side packs the other reads, and nothing that no process of ours sends is believed."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import LatencyHistogram
from aurea_engine.closed_sets import REASONS
from aurea_engine.processes import frames
from aurea_engine.processes.frames import BadFrame, Pieces
from aurea_engine.processes.messages import Bill, Reason, Snapshot, check_snapshot, parse_ratio
from aurea_engine.processes.reasons import explain_death

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


async def read_all(*chunks: bytes) -> Any:
    reader = asyncio.StreamReader()
    for chunk in chunks:
        reader.feed_data(chunk)
    reader.feed_eof()
    return await frames.read(reader)


@given(st.dictionaries(st.text(), plain, max_size=4))
def test_message_survives_the_wire(message: dict[str, Any]) -> None:
    """By both readers, however the bytes are cut on the way."""
    packed = frames.pack(message)
    assert asyncio.run(read_all(packed[:3], packed[3:])) == message
    near, far = socket.socketpair()
    with near, far:
        writing = threading.Thread(target=near.sendall, args=(packed,))
        writing.start()
        assert frames.read_blocking(far) == message
        writing.join()


@given(st.binary(max_size=64))
def test_garbage_is_a_bad_frame(body: bytes) -> None:
    """Or, rarely, a message: never anything else."""
    try:
        message = asyncio.run(read_all(frames.LENGTH.pack(len(body)) + body))
    except BadFrame:
        return
    assert isinstance(message, dict)


async def test_forged_length_is_refused_at_once() -> None:
    with pytest.raises(BadFrame, match="more than"):
        await read_all(frames.LENGTH.pack(frames.MAX_FRAME + 1))
    with pytest.raises(BadFrame):
        frames.pack({"x": bytes(frames.MAX_FRAME)})


async def test_cut_off_message_is_the_end() -> None:
    packed = frames.pack({"x": 1})
    with pytest.raises(asyncio.IncompleteReadError):
        await read_all(packed[:-1])
    near, far = socket.socketpair()
    with far:
        near.sendall(packed[:-1])
        near.close()
        assert frames.read_blocking(far) is None


def add_all(pieces: Pieces, messages: list[dict[str, Any]]) -> None:
    for message in messages:
        pieces.add(message)


@given(st.binary(max_size=3 * frames.PIECE), st.integers(0, 10))
def test_pieces_join_to_the_value(value: bytes, more: int) -> None:
    """The limit is on all of them together, to the byte."""
    messages = [msgspec.msgpack.decode(msgspec.msgpack.encode(each)) for each in frames.split("a", value)]
    size = len(value) + len(messages)
    whole = Pieces(size + more)
    add_all(whole, messages)
    assert whole.take("a") == value
    assert whole.take("a") == b""
    add_all(whole, messages)  # what was taken has made room
    if messages:
        short = Pieces(size - 1)
        with pytest.raises(BadFrame):
            add_all(short, messages)


def test_pieces_with_endless_names_are_refused() -> None:
    """Empty ones take memory as well."""
    with pytest.raises(BadFrame):
        add_all(Pieces(1000), [{"piece": f"name {number}", "content": b""} for number in range(1000)])


@pytest.mark.parametrize("message", [{"piece": 1, "content": b""}, {"piece": "a", "content": "text"}])
def test_piece_of_another_type_is_refused(message: Any) -> None:
    with pytest.raises(BadFrame):
        Pieces(100).add(message)


@pytest.mark.parametrize("amount", ["1/0", "nan", "1e5", "", "1/", "9" * 2001, "٣", "1/00", "9" * 400])
def test_amount_that_is_no_number_is_refused(amount: str) -> None:
    """In the cost and in a bill. The last is a number, but larger than any that can be shown."""
    with pytest.raises(ValueError, match="amount"):
        check_snapshot(Snapshot(cost=amount))
    with pytest.raises(ValueError, match="amount"):
        check_snapshot(Snapshot(bill=Bill(lines=[("x", amount)])))


@pytest.mark.parametrize("buckets", [[10**12], [-1], [0, 2**62]])
def test_histogram_beyond_the_scale_is_refused(buckets: list[int]) -> None:
    """Before memory is taken for it."""
    histogram = LatencyHistogram()
    histogram.record(np.array([1, 2, 3]))
    forged = {**histogram.to_dict(), "buckets": buckets, "counts": [1] * len(buckets)}
    with pytest.raises(ValueError, match="scale"):
        check_snapshot(Snapshot(histograms={"lag": forged}))


@given(st.fractions())
def test_ratio_reads_what_is_written(value: Any) -> None:
    assert parse_ratio(f"{value.numerator}/{value.denominator}") == float(value)


def test_reason_has_a_code_of_the_closed_set() -> None:
    for code in REASONS:
        assert msgspec.convert({"code": code, "detail": ""}, Reason).code == code
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"code": "because", "detail": ""}, Reason)


@pytest.mark.parametrize(
    ("code", "output", "expected"),
    [
        (0, b"", ("runner_died", "exited with code 0")),
        (7, b"hello", ("runner_died", "exited with code 7")),
        (-11, b"", ("runner_died", "killed by SIGSEGV")),
        (-40, b"", ("runner_died", "killed by signal 40")),
        (1, b"MemoryError: no", ("memory", "found no memory")),
        (-6, b"terminate called after throwing an instance of 'std::bad_alloc'", ("memory", "found no memory")),
        (None, b"", ("runner_died", "exited with code None")),
    ],
)
def test_death_has_a_reason(code: int | None, output: bytes, expected: tuple[str, str]) -> None:
    reason = explain_death(code, output)
    assert reason.code == expected[0]
    assert expected[1] in reason.detail
