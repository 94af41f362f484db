"""Marks, measures and groups: how they are declared, and the columns that they become."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import (
    Branch,
    Constant,
    Cpu,
    Faulty,
    Job,
    JobBatch,
    Limited,
    Mark,
    Measure,
    Mix,
    NotReported,
    Outcome,
    Schema,
    Sleep,
    SpecError,
    Workload,
)
from aurea_engine.records.column_names import COLUMNS, RESERVED
from aurea_engine.records.measures import number_repeated
from aurea_engine.workload.jobs import map_leaves_to_groups, read_schema

ROWS, FIRST = Measure("rows", "rows"), Mark("first_row")


class Query(Job):
    """Declares one mark and one measure."""

    marks = (FIRST,)
    measures = (ROWS,)

    async def run(self, demand: float) -> None:
        """Nothing."""


class Upload(Job):
    """Declares a measure of its own and one that `Query` has too."""

    measures = (Measure("bytes_sent", "bytes"), ROWS)

    async def run(self, demand: float) -> None:
        """Nothing."""


def batch_of(n: int, schema: Schema, seed: int = 0) -> JobBatch:
    """``n`` jobs with random columns of ``schema``, some of them not reported."""
    rng = np.random.default_rng(seed)

    def column() -> np.ndarray:
        return rng.integers(-1, 1000, n)

    return JobBatch(
        column(),
        column(),
        column(),
        column(),
        np.full(n, Outcome.COMPLETED, np.uint8),
        {mark: column() for mark in schema.marks},
        {measure: column() for measure in schema.measures},
        rng.integers(-1, len(schema.groups), n).astype(np.int32) if schema.groups else None,
        schema.groups,
    )


def test_plain_record_takes_33_bytes() -> None:
    """Columns exist only where they are declared."""
    batch = batch_of(1000, Schema())
    assert sum(column.nbytes for column in batch.columns().values()) == 33 * 1000
    assert tuple(batch.columns()) == COLUMNS


def test_each_declaration_adds_one_column() -> None:
    """Eight bytes for a mark or a measure, four for the group."""
    batch = batch_of(1000, Schema((FIRST,), (ROWS,), ("reads", "writes")))
    assert sum(column.nbytes for column in batch.columns().values()) == (33 + 8 + 8 + 4) * 1000
    assert tuple(batch.columns()) == (*COLUMNS, "first_row", "rows", "group")


@pytest.mark.parametrize("name", ["", "Rows", "2nd", "first row", "a-b", "x" * 65, "ä", 5, None, "_x"])
def test_column_names_read_as_one_word(name: object) -> None:
    """A name is a column, a JSON member and a metric."""
    with pytest.raises(SpecError, match="lower-case letters"):
        Mark(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_built_in_names_are_taken(name: str) -> None:
    """A column of a CSV file means one thing."""
    with pytest.raises(SpecError, match="built-in"):
        Measure(name, "things")


@pytest.mark.parametrize("scale", [0, -1, 1.5, 10**13, "2"])
def test_scale_is_a_whole_number(scale: object) -> None:
    """``value × scale`` must be whole for whole values."""
    with pytest.raises(SpecError, match="scale"):
        Measure("rows", "rows", scale)  # type: ignore[arg-type]


def test_schema_joins_all_kinds() -> None:
    """One column for what two kinds of jobs both declare, in the order of the first declaration."""
    mix = Mix((Branch(1, Query(), name="read"), Branch(1, Upload())))
    assert read_schema(mix) == Schema((FIRST,), (ROWS, Measure("bytes_sent", "bytes")), ("read", "upload"))
    assert Workload(mix, jobs=1).schema == read_schema(mix)


def test_kinds_must_agree_on_a_name() -> None:
    """Thousandths and whole rows in one column would add up to nothing."""

    class Other(Query):
        measures = (Measure("rows", "rows", 1000),)

    with pytest.raises(SpecError, match="Other declares rows otherwise"):
        Workload(Mix((Branch(1, Query()), Branch(1, Other()))), jobs=1)


@pytest.mark.parametrize(
    ("marks", "measures", "problem"),
    [
        ([FIRST], (), "must be a tuple of Mark"),
        ((), ("rows",), "must be a tuple of Measure"),
        ((Mark("rows"),), (ROWS,), "both as a mark and as a measure"),
        ((), (ROWS, Measure("rows", "lines")), "different names"),
        (tuple(Mark(f"m{i}") for i in range(65)), (), "at most 64"),
    ],
)
def test_wrong_declarations_name_the_job(marks: object, measures: object, problem: str) -> None:
    """They are found when the workload is made, not when the first job reports."""
    kind = type("Wrong", (Query,), {"marks": marks, "measures": measures})
    with pytest.raises(SpecError, match=problem) as caught:
        Workload(kind(), jobs=1)
    assert caught.value.problems[0].path == "job"


def test_branches_are_groups_by_name_or_kind() -> None:
    """The kind of a branch's job, numbered where it repeats, never twice the same."""
    sleeps = [Branch(1, Sleep(Constant(0))) for _ in range(2)]
    mix = Mix(
        (*sleeps, Branch(1, Cpu(Constant(0))), Branch(1, Sleep(), name="sleep_1"), Branch(1, Sleep(), name="GET /"))
    )
    assert mix.groups() == ("sleep_2", "sleep_3", "cpu", "sleep_1", "GET /")


def test_mix_within_a_mix_has_groups_of_its_own() -> None:
    """Every leaf is in one group, also through wrappers, so counts add up."""
    inner = Limited(Faulty(Mix((Branch(1, Query(), name="a"), Branch(1, Sleep(), name="b"))), 0.5), 1)
    mix = Mix((Branch(1, inner, name="outer"), Branch(1, Sleep())))
    assert mix.groups() == ("outer/a", "outer/b", "sleep")
    assert map_leaves_to_groups(mix).tolist() == [0, 1, 2]


def test_leaves_may_share_a_group() -> None:
    """A source of one's own may name one group twice."""

    class Two(Mix):
        def groups(self) -> tuple[str, ...]:
            return ("one", "one", "two")

    source = Two((Branch(1, Sleep()), Branch(1, Sleep()), Branch(1, Sleep())))
    assert read_schema(source).groups == ("one", "two")
    assert map_leaves_to_groups(source).tolist() == [0, 0, 1]


@pytest.mark.parametrize("name", ["", "a:b", "=1+1", "-x", "@x", "a\nb", "x" * 129, "\u202ex"])
def test_group_names_can_stand_in_a_spreadsheet(name: str) -> None:
    """No formula, no control character, and no colon, which ends the name in a metric."""
    with pytest.raises(SpecError, match="printable characters"):
        Branch(1, Sleep(), name=name)


def test_branches_cannot_share_a_name() -> None:
    """The second is the one that is named in the problem."""
    with pytest.raises(SpecError, match=r"of\[1\]\.name"):
        Mix((Branch(1, Sleep(), name="a"), Branch(1, Sleep(), name="a")))


@given(names=st.lists(st.sampled_from(["a", "b", "a_1", "b_1", "a_2"])), taken=st.sets(st.sampled_from(["a", "a_1"])))
def test_numbered_names_are_all_different(names: list[str], taken: set[str]) -> None:
    """Whatever was there before, no name is given twice, and one that is alone stays as it is."""
    unique = number_repeated(names, taken)
    assert len({*unique, *taken}) == len(names) + len(taken)
    for name, given_name in zip(names, unique, strict=True):
        assert given_name.startswith(name)
        if names.count(name) == 1 and name not in taken and name not in unique:
            raise AssertionError((name, unique))


@given(cut=st.integers(0, 20))
def test_concatenating_slices_gives_the_whole(cut: int) -> None:
    """All columns, optional ones included."""
    batch = batch_of(20, Schema((FIRST,), (ROWS,), ("reads", "writes")))
    assert JobBatch.concatenate([batch[:cut], batch[cut:]]) == batch


def test_concatenating_fills_what_one_part_lacks() -> None:
    """What one part never declared was not reported there; groups of one name are one group."""
    one = batch_of(3, Schema((FIRST,), (), ("reads", "writes")), 1)
    two = batch_of(2, Schema((), (ROWS,), ("writes",)), 2)
    both = JobBatch.concatenate([one, two, batch_of(1, Schema())])
    assert both.groups == ("reads", "writes")
    assert both.mark("first_row").tolist() == [*one.mark("first_row").tolist(), -1, -1, -1]
    assert both.measure("rows").tolist() == [-1, -1, -1, *two.measure("rows").tolist(), -1]
    assert both.group is not None
    assert two.group is not None
    assert both.group[3:].tolist() == [*(1 if group == 0 else -1 for group in two.group.tolist()), -1]


def test_one_name_of_two_scales_is_not_added_up() -> None:
    """Their sum would be of nothing."""
    one, two = batch_of(1, Schema((), (ROWS,))), batch_of(1, Schema((), (Measure("rows", "rows", 10),)))
    with pytest.raises(ValueError, match="rows"):
        JobBatch.concatenate([one, two])


def test_equal_batches_have_equal_columns() -> None:
    """A different amount, or another declaration, is another batch."""
    schema = Schema((FIRST,), (ROWS,), ("reads",))
    batch = batch_of(5, schema)
    assert batch == batch_of(5, schema)
    assert batch != batch_of(5, schema, seed=1)
    assert batch != batch_of(5, Schema((FIRST,), (ROWS,)))
    assert JobBatch.empty(schema).schema == schema


def test_a_record_names_what_its_job_reported() -> None:
    """In seconds and in the measure's unit; what was not reported is not there."""
    schema = Schema((FIRST,), (Measure("score", "points", 1000),), ("reads",))
    batch = batch_of(4, schema)
    shown = batch.record(int(np.argmax(batch.mark("first_row"))))
    assert shown.marks == {"first_row": batch.mark("first_row").max() / 1e9}
    assert all(value == batch.measure("score")[shown.number] / 1000 for value in shown.measures.values())
    assert shown.group in ("reads", None)


def test_undeclared_names_are_refused() -> None:
    """A cost model that reads a column by a wrong name is told the right ones."""
    batch = batch_of(1, Schema((FIRST,), (ROWS,), ("reads",)))
    for ask in (batch.mark, batch.measure, batch.of_group):
        with pytest.raises(NotReported, match="declared are"):
            ask("nothing")


def test_a_group_is_a_filter_over_the_rows() -> None:
    """As a spreadsheet would filter them."""
    batch = batch_of(50, Schema((), (), ("reads", "writes")))
    assert batch.group is not None
    assert batch.of_group("writes") == batch[np.asarray(batch.group == 1)]
