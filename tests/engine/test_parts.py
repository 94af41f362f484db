"""The parts of a run as a value: stored and summarised again they give the same result, and damaged ones are refused."""

from __future__ import annotations

import asyncio
import functools
import json
import struct
import zlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aurea_engine import (
    AureaError,
    Closed,
    DamagedParts,
    Exponential,
    Faulty,
    Fifo,
    Job,
    JobBatch,
    Mark,
    Measure,
    Objective,
    Observer,
    Poisson,
    Progress,
    RunParts,
    RunSpec,
    Shard,
    Sleep,
    SpecError,
    Stop,
    Workload,
    encode_json,
    execute,
    result_to_dict,
    run,
    run_sync,
    simulate,
    summarize,
)
from aurea_engine.run import parts_file
from aurea_engine.testing import run_jumping

SPEC = RunSpec(
    Workload(Faulty(Sleep(Exponential(0.06)), 0.1), Poisson(55), jobs=300),
    Fifo(4),
    seed=7,
    clock="virtual",
    warmup=0.5,
    objectives=(Objective("response_time", at_most=0.3, quantile=0.9),),
)


@given(st.from_type(RunSpec), st.booleans(), st.sampled_from([0.0, 0.1, "auto"]))
def test_stored_parts_give_the_same_result(spec: RunSpec, keep: bool, warmup: float | str) -> None:
    """To the last bit: every figure, quantile, line of the bill, objective and finding, of any specification."""
    warmup = warmup if keep else 0.0
    spec = replace(spec, keep_jobs=keep, warmup=warmup)  # type: ignore[arg-type]
    result = simulate(spec)
    assert result.parts is not None
    again = RunParts.from_bytes(result.parts.to_bytes())
    assert again == result.parts
    summary = summarize(spec, again)
    assert summary == result
    assert encode_json(result_to_dict(summary)) == encode_json(result_to_dict(result))


def test_a_real_run_is_summarised_again_alike() -> None:
    """What the generator knows of itself is in the parts too, so that the findings are the same."""
    spec = replace(SPEC, clock="real", workload=Workload(Sleep(0.001), Poisson(2000), jobs=200))
    result = run_sync(spec)
    assert result.parts is not None
    assert summarize(spec, RunParts.from_bytes(result.parts.to_bytes())) == result


def read_loop_clock() -> int:
    return round(asyncio.get_running_loop().time() * 1e9)


class Told(Job):
    """Reports seldom, and fails in two ways, of which the later one comes first by name."""

    marks = (Mark("z"), Mark("a"))
    measures = (Measure("rows", "rows"),)

    async def run(self, demand: float) -> dict[str, int]:
        await asyncio.sleep(demand)
        if demand < 0.002:
            raise ValueError if demand > 0.001 else KeyError
        return {"rows": 1} if demand < 0.02 else {"rows": 1, "a": read_loop_clock(), "z": read_loop_clock()}

    def demands(self, rng: np.random.Generator, first: int, n: int) -> NDArray[np.float64]:
        return rng.exponential(0.02, n)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stored_parts_give_the_same_text(seed: int) -> None:
    """Byte for byte: maps of the result are in an order of their own, and not in that in which jobs failed or reported, or
    in which parts were written.
    """
    result = run_jumping(RunSpec(Workload(Told(), Poisson(100), jobs=200), seed=seed))
    assert result.parts is not None
    assert len(result.failures) == 2
    again = summarize(result.spec, RunParts.from_bytes(result.parts.to_bytes()), benchmark_id=result.benchmark_id)
    assert encode_json(result_to_dict(again)) == encode_json(result_to_dict(result))
    assert list(result.histograms)[-5:] == ["z", "z/from_start", "a", "a/from_start", "rows"]


def test_the_seed_that_was_drawn_is_in_the_parts() -> None:
    """A specification that leaves it open gets it from there, and one with another is refused."""
    spec = replace(SPEC, seed=None)
    parts = execute(spec)
    assert parts.seed is not None
    assert summarize(spec, parts).spec.seed == parts.seed
    with pytest.raises(ValueError, match="seed"):
        summarize(replace(spec, seed=parts.seed + 1), parts)


def test_a_stored_run_meets_other_objectives() -> None:
    """With its records it can be: the result is that of a run which had them from the start."""
    other = replace(SPEC, warmup=1.0, objectives=(Objective("waiting_time", at_most=0.001, quantile=0.5),))
    parts = execute(SPEC)
    assert summarize(other, parts, benchmark_id="a") == replace(
        simulate(other, benchmark_id="a"),
        started_at=parts.started_at,
        usage=summarize(other, parts).usage,
    )
    bare = execute(replace(SPEC, keep_jobs=False))
    with pytest.raises(ValueError, match="records"):
        summarize(replace(other, keep_jobs=False), bare)


def test_a_run_that_goes_on_is_not_summarised() -> None:
    """Observers see figures made of its parts; a result is for what has ended."""
    parts = execute(SPEC)
    going_on = replace(parts, shards=(replace(parts.shards[0], status=None),))
    with pytest.raises(ValueError, match="not ended"):
        summarize(SPEC, going_on)
    with pytest.raises(ValueError, match="no shard"):
        summarize(SPEC, RunParts.empty(SPEC))


class _Last(Observer):
    def __init__(self) -> None:
        self.told: list[Progress] = []

    def on_progress(self, progress: Progress) -> None:
        self.told.append(progress)


def test_execute_tells_observers_and_obeys_a_stop() -> None:
    """As `run` does; but there is no result, so nobody is told of one."""
    stop, seen = Stop(), _Last()
    stop.now("timed_out")
    spec = replace(SPEC, workload=replace(SPEC.workload, jobs=100_000))
    parts = execute(spec, observers=[seen], stop=stop)
    assert parts.status == "timed_out"
    assert parts.arrived < 100_000
    assert seen.told == []


async def test_execute_in_an_event_loop_is_refused() -> None:
    """It would hold the loop up for as long as the run takes."""
    with pytest.raises(SpecError, match="await"):
        execute(replace(SPEC, clock="real"))
    assert execute(SPEC).status == "completed"


def test_execute_runs_a_shard_in_real_time() -> None:
    """Two processes would each do this, on a clock of their own."""
    spec = RunSpec(Workload(Sleep(0.001), Poisson(1000), jobs=100), seed=1)
    first, second = (execute(spec, Shard(index, 2)) for index in range(2))
    result = summarize(spec, first.merge(second))
    assert result.counts.completed == 100
    assert result.jobs is not None
    planned = simulate(spec).jobs
    assert planned is not None
    np.testing.assert_array_equal(result.jobs.intended, planned.intended)


@functools.cache
def stored() -> dict[str, bytes]:
    kept = RunSpec(Workload(Sleep(Exponential(0.1)), Poisson(20), jobs=40), seed=1, clock="virtual")
    closed = RunSpec(Workload(Sleep(0.1), Closed(3), jobs=20), Fifo(2), seed=1, clock="virtual", keep_jobs=False)
    return {
        "whole": execute(SPEC).to_bytes(),
        "shard": execute(kept, Shard(1, 3)).to_bytes(),
        "no records": execute(closed).to_bytes(),
        "empty": RunParts.empty(SPEC).to_bytes(),
    }


MUTATIONS = st.lists(
    st.tuples(st.sampled_from(["flip", "cut", "insert", "double"]), st.integers(0, 10**6), st.integers(0, 255)),
    min_size=1,
    max_size=4,
)


def mutate(content: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    made = bytearray(content)
    for kind, where, value in changes:
        at = where % (len(made) + 1)
        if kind == "flip" and at < len(made):
            made[at] = value
        elif kind == "cut":
            del made[at : at + value]
        elif kind == "insert":
            made[at:at] = bytes([value]) * 5
        else:
            made[at:at] = made[at : at + value]
    return bytes(made)


@given(st.sampled_from(["whole", "shard", "no records", "empty"]), MUTATIONS)
@settings(max_examples=300)
def test_changed_bytes_are_damaged_or_equal(which: str, changes: list[tuple[str, int, int]]) -> None:
    """Flipped, cut, inserted and doubled bytes, anywhere: nothing but `DamagedParts`, and never another value."""
    changed = mutate(stored()[which], changes)
    try:
        parts = RunParts.from_bytes(changed)
    except DamagedParts:
        return
    assert parts.to_bytes() == stored()[which]


@given(st.sampled_from(["whole", "shard", "no records", "empty"]), MUTATIONS)
@settings(max_examples=300)
def test_forged_bytes_are_refused_or_harmless(which: str, changes: list[tuple[str, int, int]]) -> None:
    """The same, with a digest that fits, as somebody would make it on purpose: within the bounds, and no other error."""
    body = mutate(stored()[which][24:], changes)
    attempt(seal(body))


def attempt(content: bytes) -> None:
    with suppress(DamagedParts):
        assert isinstance(RunParts.from_bytes(content).to_bytes(), bytes)


def seal(body: bytes) -> bytes:
    return parts_file.MAGIC + blake2b(body, digest_size=16).digest() + body


LENGTHS = struct.Struct("<IIIQ")


@given(
    st.sampled_from(["whole", "shard", "no records"]),
    st.lists(
        st.tuples(st.integers(0, 10**6), st.sampled_from(list(b'0123456789-",:{}[]nulte.'))), min_size=1, max_size=6
    ),
)
@settings(max_examples=400)
def test_a_forged_head_is_refused_or_harmless(which: str, changes: list[tuple[int, int]]) -> None:
    """Changes inside the JSON itself, which reach every member: types, signs, sizes, keys."""
    packed, _, numbers, rows = LENGTHS.unpack(stored()[which][24 : 24 + LENGTHS.size])
    body = stored()[which][24 + LENGTHS.size :]
    head = bytearray(zlib.decompress(body[:packed]))
    for where, value in changes:
        head[where % len(head)] = value
    forged = zlib.compress(bytes(head))
    attempt(seal(LENGTHS.pack(len(forged), len(head), numbers, rows) + forged + body[packed:]))


@pytest.mark.parametrize("value", [b"[" * 100_000 + b"]" * 100_000, b"[" + b"{}," * 10_000 + b"{}]"])
def test_a_nested_environment_is_refused(value: bytes) -> None:
    """A third of a megabyte of empty objects took 1.5 gigabytes once they were read. It is plain values by name, no more."""
    whole = stored()["whole"]
    packed, _, numbers, rows = LENGTHS.unpack(whole[24 : 24 + LENGTHS.size])
    body = whole[24 + LENGTHS.size :]
    head = zlib.decompress(body[:packed])
    deep = head.replace(b'"environment":{', b'"environment":{"x":' + value + b",", 1)
    assert deep != head
    forged = zlib.compress(deep)
    with pytest.raises(DamagedParts):
        RunParts.from_bytes(seal(LENGTHS.pack(len(forged), len(deep), numbers, rows) + forged + body[packed:]))


@pytest.mark.parametrize(
    ("part", "member", "value"),
    [
        ("times", "squares", "0"),
        ("times", "squares", "9" * 61),
        ("times", "total", "9" * 60),
        ("times", "total", "0"),
        ("times", "minimum", 2**62),
        ("times", "maximum", -5),
        ("times", "count", 2**60),
        ("numbers", "busy_in_window_ns", "9" * 61),
    ],
)
def test_impossible_sums_of_parts_are_refused(part: str, member: str, value: object) -> None:
    """They got as far as the summary, which took the root of a negative number, or divided what no float can hold."""
    whole = stored()["whole"]
    packed, _, numbers, rows = LENGTHS.unpack(whole[24 : 24 + LENGTHS.size])
    body = whole[24 + LENGTHS.size :]
    head = json.loads(zlib.decompress(body[:packed]))
    meters = head["meters"][part]
    (meters["response_time"] if part == "times" else meters)[member] = value
    plain = json.dumps(head).encode()
    forged = zlib.compress(plain)
    with pytest.raises(DamagedParts):
        RunParts.from_bytes(seal(LENGTHS.pack(len(forged), len(plain), numbers, rows) + forged + body[packed:]))


def test_no_more_is_unpacked_than_was_promised() -> None:
    """A head of a gigabyte of zeros packs to a megabyte: it is refused by its stated length, and by its real one."""
    packed = zlib.compress(bytes(2**28), 9)
    for claimed in (2**28, 100):
        with pytest.raises(DamagedParts):
            RunParts.from_bytes(seal(LENGTHS.pack(len(packed), claimed, 0, 0) + packed))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "no parts", id="nothing"),
        pytest.param(b"AUREAC1\n" + bytes(40), "no parts", id="records alone"),
        pytest.param(b"AUREAP3\n" + bytes(40), "newer", id="a later format"),
        pytest.param(b"AUREAP1\n" + bytes(40), "not what was written", id="a wrong digest"),
        pytest.param(seal(b""), "damaged", id="nothing inside"),
    ],
)
def test_what_is_wrong_with_bytes_is_said(content: bytes, says: str) -> None:
    """It is an error of Aurea's tree, and a ValueError."""
    with pytest.raises(DamagedParts, match=says) as refused:
        RunParts.from_bytes(content)
    assert isinstance(refused.value, AureaError)
    assert isinstance(refused.value, ValueError)


def test_parts_are_as_small_as_their_records() -> None:
    """A million jobs take 41 bytes each at most; most runs take a third of it."""
    spec = replace(SPEC, workload=replace(SPEC.workload, jobs=20_000))
    assert len(execute(spec).to_bytes()) < 33 * 20_000
    assert len(execute(replace(spec, keep_jobs=False)).to_bytes()) < 100_000


def test_equal_parts_are_equal_and_others_are_not() -> None:
    """One job more, another status, another row."""
    parts = execute(SPEC)
    assert parts.records is not None
    assert parts == replace(parts)
    others = [
        replace(parts, seed=8),
        replace(parts, shards=(replace(parts.shards[0], status="failed"),)),
        replace(parts, records=JobBatch.empty()),
        replace(parts, meters=RunParts.empty(SPEC).meters),
    ]
    assert all(other != parts for other in others)
    assert parts != "parts"


async def test_run_returns_what_it_was_made_from() -> None:
    """For whoever stores it: nothing has to be measured twice."""
    result = await run(replace(SPEC, clock="real", workload=Workload(Sleep(0.0), jobs=3)))
    assert result.parts is not None
    assert result.parts.arrived == 3
    assert asyncio.get_running_loop()
    assert result.parts.started_at <= datetime.now(UTC)
