"""Failures by class and answers by status: columns, counts, results, exports, and what earlier versions wrote."""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import (
    Branch,
    CallbackPool,
    Constant,
    ConstantRate,
    Faulty,
    Job,
    JobBatch,
    Limited,
    Mix,
    Objective,
    Outcome,
    RunParts,
    RunSpec,
    Shard,
    Sleep,
    SpecError,
    Workload,
    encode_json,
    execute,
    parse_json,
    record_rows,
    records_from_rows,
    result_from_dict,
    result_to_dict,
    run_sync,
    simulate,
    summarize,
)
from aurea_engine.closed_sets import MOST_FAILURE_CLASSES, MOST_FAILURE_NAME, OTHER
from aurea_engine.records.column_file import StoredRecords, decode, encode
from aurea_engine.records.failure_classes import count_failures, name_failures, name_unclassed
from aurea_engine.records.status_codes import STATUS
from aurea_engine.testing import check_result, run_jumping

ANSWERS: tuple[tuple[int, Outcome, str | None], ...] = (
    (200, Outcome.COMPLETED, None),
    (200, Outcome.COMPLETED, None),
    (503, Outcome.FAILED, "status"),
    (200, Outcome.FAILED, "check"),
    (-1, Outcome.TIMED_OUT, "timeout"),
    (-1, Outcome.FAILED, "refused"),
)
"""(status, outcome, class): what the jobs get in turn."""

EXPECTED = {"check": 100, "refused": 100, "status": 100, "timeout": 100}


class Answering(CallbackPool):
    """Answers by the number of the job in the whole run, so that shards answer as the run does."""

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        status, outcome, error = ANSWERS[self.number(job) % len(ANSWERS)]
        self.done(job, self.now(), self.now(), outcome, (), (status,), error)

    def cancel(self, job: int) -> int | None:
        raise NotImplementedError


@dataclass(frozen=True)
class Asks(Job):
    """Sends a request, as it were."""

    executor = "callbacks"
    measures: ClassVar = (STATUS,)

    async def run(self, demand: float) -> None:
        raise NotImplementedError

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[CallbackPool]:
        yield Answering()


SPEC = RunSpec(Workload(Asks(), ConstantRate(1e5), jobs=600), seed=1)


def name_expected(jobs: int) -> list[str | None]:
    return [ANSWERS[job % len(ANSWERS)][2] for job in range(jobs)]


@pytest.mark.parametrize("keep", [True, False])
def test_failures_and_statuses_are_exact(keep: bool) -> None:
    """By class and by code, with records and without; timeouts are a class."""
    result = run_jumping(replace(SPEC, keep_jobs=keep))
    assert result.failures == EXPECTED
    assert result.statuses == {"200": 300, "503": 100}
    assert sum(result.failures.values()) == result.counts.failed + result.counts.timed_out
    if keep:
        check_result(result)
        assert result.jobs is not None
        assert name_failures(result.jobs) == name_expected(600)
        assert result.jobs.record(2).failure == "status"


def test_groups_have_their_own_counts() -> None:
    """And they add up to those of the run."""
    mix = Mix((Branch(1, Asks(), name="a"), Branch(2, Asks(), name="b"), Branch(1, Sleep(0.0), name="c")))
    result = run_jumping(RunSpec(Workload(mix, jobs=2000), seed=3))
    for counts, parts in ((result.failures, "failures"), (result.statuses, "statuses")):
        added = Counter[str]()
        for group in result.groups:
            added.update(getattr(group, parts))
        assert added == counts
    assert (result.groups[2].failures, result.groups[2].statuses) == ({}, {})


def test_shards_merge_to_the_run() -> None:
    """Each shard sees other classes first; merged, columns, names and counts are those of the run."""
    whole = execute(SPEC)
    shards = [execute(SPEC, Shard(index, 4)) for index in range(4)]
    merged = RunParts.empty(SPEC).merge(*(RunParts.from_bytes(each.to_bytes()) for each in reversed(shards)))
    assert whole.records is not None
    assert merged.records is not None
    assert merged.records.failures == whole.records.failures
    assert np.array_equal(merged.records.failure, whole.records.failure)
    results = [summarize(SPEC, parts) for parts in (whole, merged)]
    assert results[0].failures == results[1].failures == EXPECTED
    assert results[0].statuses == results[1].statuses


def test_shards_without_failures_join() -> None:
    """Its rows have no class."""
    none, some = [execute(SPEC, Shard(index, 6)) for index in (0, 2)]
    assert none.records is not None
    assert none.records.failure is None
    merged = none.merge(some)
    assert merged.records is not None
    assert name_failures(merged.records) == [None, "status"] * 100


def test_runs_without_failures_pay_nothing() -> None:
    """No column, no names, and files and parts as they were without them."""
    parts = execute(RunSpec(Workload(Sleep(0.01), jobs=100), clock="virtual", seed=1))
    assert parts.records is not None
    assert (parts.records.failure, parts.records.failures) == (None, ())
    assert "failure" not in parts.records.columns()


def test_planned_failures_have_a_class() -> None:
    """In virtual time nobody names one: an injected failure and a limit that is reached are told apart all the same."""
    job = Limited(Faulty(Sleep(Constant(0.1)), 0.3), 0.2)
    late = Limited(Sleep(Constant(0.3)), 0.2)
    result = simulate(RunSpec(Workload(Mix((Branch(1, job), Branch(1, late))), jobs=1000), seed=2))
    assert result.failures == {"InjectedFailure": result.counts.failed, "timeout": result.counts.timed_out}
    assert result.jobs is not None
    assert count_failures(result.jobs) == result.failures


def test_many_classes_are_folded() -> None:
    """Whoever makes an exception for each job gets `MOST_FAILURE_CLASSES` of them, and the rest together."""

    class Raises(Job):
        made = 0

        async def run(self, demand: float) -> None:
            type(self).made += 1
            raise type(f"Error{self.made:04}" + "x" * 200, (Exception,), {})

    result = run_sync(RunSpec(Workload(Raises(), jobs=200), seed=1))
    assert len(result.failures) == MOST_FAILURE_CLASSES + 1
    assert result.failures[OTHER] == 200 - MOST_FAILURE_CLASSES
    assert max(map(len, result.failures)) == MOST_FAILURE_NAME


def test_statuses_above_999_are_one() -> None:
    class Odd(Answering):
        def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
            self.done(job, self.now(), self.now(), Outcome.COMPLETED, (), (990 + job * 5,))

    class Asks2(Asks):
        @asynccontextmanager
        async def opened(self) -> AsyncIterator[CallbackPool]:
            yield Odd()

    assert run_jumping(RunSpec(Workload(Asks2(), jobs=4), seed=1)).statuses == {"990": 1, "995": 1, "other": 2}


def test_a_status_is_no_quantity() -> None:
    """No total, no mean, no quantile, no histogram; and no objective can be on it."""
    result = run_jumping(SPEC)
    figures = result_to_dict(result)["measures"]["status"]
    assert (figures["unit"], figures["count"], figures["total"], figures["mean"]) == ("code", 400, None, None)
    assert "status" not in result.histograms
    with pytest.raises(SpecError, match="it is the name of an answer and no quantity"):
        replace(SPEC, objectives=(Objective("status", at_most=299, quantile=0.5),))


def test_results_are_read_again() -> None:
    """Through JSON and back: failures, statuses, and the class of each job."""
    result = run_jumping(SPEC)
    document = json.loads(encode_json(result_to_dict(result)))
    assert document["failures"] == EXPECTED
    assert [job["failure"] for job in document["jobs"]] == name_expected(600)
    again = result_from_dict(parse_json(encode_json(result_to_dict(result))), keep_unknown=True)
    assert (again.failures, again.statuses) == (result.failures, result.statuses)
    assert again.measures == result.measures
    assert again.jobs == result.jobs


def test_results_with_errors_are_still_read() -> None:
    """What earlier versions called errors: of the run and of its groups."""
    mix = Mix((Branch(1, Faulty(Sleep(0.1), 0.5)), Branch(1, Sleep(0.1))))
    document = result_to_dict(simulate(RunSpec(Workload(mix, jobs=100), seed=2)))
    for each in (document, *document["groups"]):
        each["errors"] = each.pop("failures")
        del each["statuses"]
    for row in document["jobs"]:
        del row["failure"]
    again = result_from_dict(document)
    assert again.failures == again.groups[0].failures == {"InjectedFailure": again.counts.failed}
    assert again.jobs is not None
    assert again.jobs.failure is None


def test_parts_of_earlier_versions_are_read() -> None:
    """They counted classes by shard, and timeouts by none."""
    parts = execute(SPEC)
    (report,) = parts.shards
    old = replace(report, totals=replace(report.totals, errors={"status": 100, "check": 100}))
    older = drop_from_head(replace(parts, shards=(old,)).to_bytes(), "failures")
    assert RunParts.from_bytes(older).meters.failures == {
        "check": 100, "status": 100, "InjectedFailure": 100, "timeout": 100
    }  # fmt: skip


def drop_from_head(content: bytes, member: str) -> bytes:
    """``content`` of parts, without that member of their meters."""
    body = content[24:]
    packed, plain, *others = struct.unpack_from("<IIIQ", body)
    head = json.loads(zlib.decompress(body[20 : 20 + packed]))
    assert plain == len(zlib.decompress(body[20 : 20 + packed]))
    del head["meters"][member]
    text = json.dumps(head).encode()
    small = zlib.compress(text, 1)
    changed = struct.pack("<IIIQ", len(small), len(text), *others) + small + body[20 + packed :]
    return content[:8] + blake2b(changed, digest_size=16).digest() + changed


classes = st.lists(st.sampled_from(["a", "refused", "status", "zz", None]), max_size=30)


@given(st.lists(classes, min_size=1, max_size=4))
def test_tables_of_names_are_joined(parts: list[list[str | None]]) -> None:
    """Whatever each part knows: names, rows, files and concatenations agree with plain lists."""
    batches = [make_batch(each) for each in parts]
    joined = JobBatch.concatenate(batches)
    wanted = [name for each in parts for name in each]
    assert name_failures(joined) == wanted
    assert count_failures(joined) == Counter(name for name in wanted if name is not None)
    assert joined.failures == tuple(sorted({name for name in wanted if name is not None}))
    assert joined == JobBatch.concatenate([JobBatch.concatenate(batches[:1]), *batches[1:]])
    stored = StoredRecords("benchmark-1", SPEC_START, joined, np.zeros(len(joined)))
    assert decode(encode(stored)).jobs == joined
    rows = list(record_rows("benchmark-1", SPEC_START, joined, [0.0] * len(joined)))
    assert records_from_rows(json.loads(encode_json(rows))) == joined


SPEC_START = run_jumping(replace(SPEC, workload=replace(SPEC.workload, jobs=1))).started_at


def make_batch(names: list[str | None]) -> JobBatch:
    """A job for each of ``names``, failed by that class or completed."""
    n = len(names)
    table = tuple(sorted({name for name in names if name is not None}))
    failure = np.array([-1 if name is None else table.index(name) for name in names], np.int32)
    outcome = np.array([Outcome.COMPLETED if name is None else Outcome.FAILED for name in names], np.uint8)
    zeros = np.zeros(n, np.int64)
    return JobBatch(zeros, zeros, zeros, zeros, outcome, failure=failure if table else None, failures=table)


@pytest.mark.parametrize("failure", [3, "x" * 200, ["a"]])
def test_unknown_class_of_a_row_is_refused(failure: object) -> None:
    rows = list(record_rows("benchmark-1", SPEC_START, make_batch(["a"]), [0.0]))
    rows[0]["failure"] = failure
    with pytest.raises(SpecError, match=r"jobs\[0\]\.failure"):
        records_from_rows(rows)


@given(st.dictionaries(st.sampled_from(["a", "timeout"]), st.integers(0, 5)), st.integers(0, 9), st.integers(0, 9))
def test_what_nobody_named_is_named(named: dict[str, int], failed: int, timed_out: int) -> None:
    """Together they are all that failed or timed out, however little was named."""
    whole = name_unclassed(named, failed, timed_out)
    assert whole.total() == max(failed + timed_out, sum(named.values()))
    assert all(whole[name] >= count for name, count in named.items())
