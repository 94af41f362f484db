"""Run files: a whole run in one file, and what is not one is refused, whatever it is."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurea_engine import (
    Branch,
    DamagedRunFile,
    Exponential,
    Faulty,
    Fifo,
    Mix,
    Poisson,
    RunFile,
    RunResult,
    RunSpec,
    Sleep,
    Workload,
    result_to_dict,
    simulate,
)
from aurea_engine.codec.run_file import MAGIC

JOB = Mix([Branch(1, Faulty(Sleep(Exponential(0.02)), 0.1), name="slow"), Branch(3, Sleep(0.01), name="fast")])


def make_result(jobs: int = 300, *, keep: bool = True) -> RunResult:
    return simulate(RunSpec(Workload(JOB, Poisson(100), jobs=jobs), Fifo(slots=2), seed=5, keep_jobs=keep))


RESULT = make_result()
CONTENT = RunFile.of(RESULT).to_bytes()


@pytest.mark.parametrize("jobs", [1, 300, 12_000])
def test_a_run_comes_back_whole(jobs: int) -> None:
    """Every figure and every job, also of a run of which JSON would hold only the first 10,000."""
    result = make_result(jobs)
    back = RunFile.from_bytes(RunFile.of(result).to_bytes()).to_result()
    assert result_to_dict(back) == result_to_dict(result)
    assert back.jobs is not None
    assert len(back.jobs) == jobs
    assert back.parts == result.parts


def test_a_run_without_records_comes_back() -> None:
    """Only its histograms are there, and nobody takes it for a run without jobs."""
    back = RunFile.from_bytes(RunFile.of(make_result(keep=False)).to_bytes()).to_result()
    assert back.jobs is None
    assert back.histograms["response_time"].count == back.counts.completed > 0


def test_replications_keep_their_parts() -> None:
    parts = [result.parts for seed in (1, 2) if (result := simulate(replace(RESULT.spec, seed=seed))).parts]
    back = RunFile.from_bytes(RunFile.of(RESULT, parts=parts).to_bytes())
    assert back.parts == tuple(parts)


def test_equal_runs_have_equal_files() -> None:
    assert RunFile.of(RESULT).to_bytes() == CONTENT


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_files_are_refused(data: st.DataObject) -> None:
    """Flipped, cut and doubled bytes, anywhere."""
    at = data.draw(st.integers(0, len(CONTENT) - 1))
    damaged = data.draw(
        st.sampled_from(
            [CONTENT[:at], CONTENT[:at] + bytes([CONTENT[at] ^ 1]) + CONTENT[at + 1 :], CONTENT + CONTENT[at:]]
        )
    )
    with pytest.raises(DamagedRunFile):
        RunFile.from_bytes(damaged).to_result()


def forge(body: bytes) -> bytes:
    """A body under the digest that belongs to it: what a person writes, and no disk."""
    return MAGIC + blake2b(body, digest_size=16).digest() + body


def pack(plain: bytes, size: int, *parts: bytes) -> bytes:
    packed = zlib.compress(plain)
    lengths = b"".join(struct.pack("<Q", len(each)) for each in parts)
    return forge(struct.pack("<IIH", len(packed), size, len(parts)) + lengths + packed + b"".join(parts))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no run file"),
        (b"{}", "no run file"),
        (b"AUREAR2\n" + CONTENT[8:], "newer version"),
        (forge(b""), "damaged"),
        (forge(b"\xff" * 40), "lengths do not add up"),
        (pack(b"{}", 3), "longer or shorter"),
        (pack(b"0" * 1_000_000, 2), "longer or shorter"),
        (pack(b"{}" + b" " * 64, 2**31), "lengths do not add up"),
        (pack(b"[" * 100_000, 100_000), "nested at most"),
        (pack(b"[]", 2), "no object"),
        (pack(b'{"a": 1, "a": 2}', 16), "must be given once"),
        (pack(b"{}", 2, b"AUREAP9\n"), "newer format"),
    ],
    ids=["nothing", "text", "newer", "empty", "huge", "longer", "bomb", "claim", "deep", "list", "twice", "parts"],
)
def test_forged_files_are_refused(content: bytes, says: str) -> None:
    """A right digest proves nothing: lengths, sizes and what is in it are checked one by one."""
    with pytest.raises(DamagedRunFile, match=says):
        RunFile.from_bytes(content)


def test_parts_of_another_run_are_refused() -> None:
    """Figures of one run beside the jobs of another would be compared as if they were one."""
    other = make_result(200)
    assert other.parts is not None
    swapped = RunFile.from_bytes(RunFile.of(RESULT, parts=[other.parts]).to_bytes())
    with pytest.raises(DamagedRunFile, match="not those of its result"):
        swapped.to_result()
