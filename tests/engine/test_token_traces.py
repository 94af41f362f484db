"""Traces of language-model requests: instants and lengths of every row, in each form, and malformed lines by number."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurea_engine import (
    RunSpec,
    Sleep,
    SpecError,
    Trace,
    Workload,
    inline_files,
    simulate,
    spec_from_dict,
    spec_to_dict,
)
from aurea_engine.workload import token_traces, trace_files

HERE = Path(__file__).parent / "traces"
FORMS = {
    "mooncake.jsonl": "mooncake",
    "azure_2023.csv": "azure",
    "azure_2024.csv": "azure",
    "burstgpt.csv": "burstgpt",
}
Row = tuple[Fraction, int, int]
"""Seconds since the first row, tokens of the prompt, tokens of the answer."""


def since_1970(text: str) -> Fraction:
    """A date of any number of decimals, by Python's own calendar."""
    date, _, fraction = text.partition(".")
    digits = fraction.partition("+")[0]
    whole = datetime.strptime(date, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return Fraction(whole // timedelta(seconds=1)) + Fraction(int(digits), 10 ** len(digits))


def read_rows(name: str) -> Iterator[Row]:
    """The rows of a file, read by other means than the engine's."""
    text = (HERE / name).read_text()
    if name.endswith(".jsonl"):
        for line in text.splitlines():
            row = json.loads(line)
            yield Fraction(row["timestamp"], 1000), row["input_length"], row["output_length"]
        return
    for cells in csv.DictReader(text.splitlines()):
        if "TIMESTAMP" in cells:
            yield since_1970(cells["TIMESTAMP"]), int(cells["ContextTokens"]), int(cells["GeneratedTokens"])
        else:
            yield Fraction(cells["Timestamp"]), int(cells["Request tokens"]), int(cells["Response tokens"])


def load(name: str, **members: Any) -> Trace:
    return Trace(file=str(HERE / name), format=FORMS[name], **members)


def lengths(trace: Trace) -> tuple[list[int], list[int]]:
    assert trace.lengths is not None
    return trace.lengths.input.tolist(), trace.lengths.output.tolist()


@pytest.mark.parametrize("speed", [1, 10])
@pytest.mark.parametrize("name", FORMS)
def test_every_row_is_right_at_both_speeds(name: str, speed: int) -> None:
    """Two hundred instants to the nanosecond, and both lengths of each: of jobs that really arrive."""
    rows = list(read_rows(name))
    trace = load(name, speed=speed)
    jobs = simulate(RunSpec(Workload(Sleep(0), trace), seed=1)).jobs
    assert jobs is not None
    assert len(rows) == len(jobs) == 200
    assert jobs.intended.tolist() == [round((at - rows[0][0]) * 10**9 / speed) for at, _, _ in rows]
    assert lengths(trace) == ([prompt for _, prompt, _ in rows], [answer for _, _, answer in rows])


@pytest.mark.parametrize(
    ("name", "last_ns", "tokens"),
    [
        ("mooncake.jsonl", 145_882_000_000, (776_340, 68_746)),
        ("azure_2023.csv", 388_848_694_600, (731_313, 148_426)),
        ("azure_2024.csv", 379_909_827_000, (819_616, 152_054)),
        ("burstgpt.csv", 33_894_000_000_000, (298_095, 87_427)),
    ],
)
def test_sums_are_those_that_were_counted_apart(name: str, last_ns: int, tokens: tuple[int, int]) -> None:
    """By awk, once: `awk -F, '{i += $2; o += $3} END {print i, o}'` and its like."""
    trace = load(name)
    prompts, answers = lengths(trace)
    assert (int(trace.recorded_ns[-1]), (sum(prompts), sum(answers))) == (last_ns, tokens)


def test_a_slice_keeps_rows_together() -> None:
    """The window opens with its first row; the offset may be another instant."""
    rows = list(read_rows("azure_2024.csv"))[50:60]
    trace = load("azure_2024.csv", slice=(50, 60))
    assert trace.recorded_ns.tolist() == [round((at - rows[0][0]) * 10**9) for at, _, _ in rows]
    assert lengths(trace) == ([prompt for _, prompt, _ in rows], [answer for _, _, answer in rows])
    later = load("mooncake.jsonl", offset=0, slice=(50, 60), speed=10)
    assert later.recorded_ns.tolist() == [int(at * 10**8) for at, _, _ in list(read_rows("mooncake.jsonl"))[50:60]]
    dated = load("azure_2024.csv", offset="2024-05-09 23:58:00Z")
    assert dated.recorded_ns[0] == 631_360_000


@pytest.mark.parametrize("name", FORMS)
def test_lines_of_spaces_are_skipped(tmp_path: Path, name: str) -> None:
    lines = (HERE / name).read_text().splitlines()
    (tmp_path / name).write_text("\n".join(["  ", lines[0], " ", *lines[1:], "\t", ""]))
    assert lengths(Trace(file=str(tmp_path / name), format=FORMS[name])) == lengths(load(name))


def test_ids_of_blocks_are_kept() -> None:
    """As many as the row has, of any job."""
    trace = load("mooncake.jsonl", slice=(3, 20))
    rows = [json.loads(line)["hash_ids"] for line in (HERE / "mooncake.jsonl").read_text().splitlines()[3:20]]
    assert trace.lengths is not None
    assert [trace.lengths.blocks_of(job) for job in range(17)] == rows
    assert all(load("azure_2023.csv").lengths.blocks_of(job) == [] for job in (0, 1, 199))  # type: ignore[union-attr]


WRONG = {
    "mooncake.jsonl": [
        ("{", r"line 101 is not JSON"),
        ("[1, 2, 3]", r"line 101 is not an object"),
        (
            '{"timestamp": 900000000, "input_length": 5}',
            r"line 101, column 'output_length' is not there: there is 'timestamp'",
        ),
        (
            '{"timestamp": 900000000, "input_length": true, "output_length": 1}',
            r"line 101, column 'input_length' must be a whole",
        ),
        (
            '{"timestamp": 900000000, "input_length": 5.5, "output_length": 1}',
            r"line 101, column 'input_length' must be a whole",
        ),
        (
            '{"timestamp": 900000000, "input_length": 5, "output_length": -1}',
            r"line 101, column 'output_length' must be a whole",
        ),
        (
            '{"timestamp": 900000000, "input_length": 2000001, "output_length": 1}',
            r"line 101, .* 0 to 2,000,000, got 2000001",
        ),
        (
            '{"timestamp": "soon", "input_length": 5, "output_length": 1}',
            r"line 101, column 'timestamp' must be a number",
        ),
        ('{"timestamp": null, "input_length": 5, "output_length": 1}', r"line 101, column 'timestamp' is empty"),
        (
            '{"timestamp": 900000000, "input_length": 5, "output_length": 1, "hash_ids": [1, "2"]}',
            r"line 101, column 'hash_ids' must be a list",
        ),
        (
            '{"timestamp": -1, "input_length": 5, "output_length": 1}',
            r"line 101, column 'timestamp' is earlier than the row before",
        ),
    ],
    "azure_2023.csv": [
        ("2024-01-01 00:00:00.0000000,5", r"line 101 has 2 columns, and the first line names 3"),
        ("2024-01-01 00:00:00.0000000,5,6,7", r"line 101 has 4 columns"),
        ("2024-01-01 00:00:00.0000000,,6", r"line 101, column 'ContextTokens' must be a whole number of tokens"),
        ("2024-01-01 00:00:00.0000000,5,six", r"line 101, column 'GeneratedTokens' must be .* got 'six'"),
        ("2024-01-01 00:00:00.0000000,5,6.0", r"line 101, column 'GeneratedTokens' must be"),
        ("2024-13-01 00:00:00.0000000,5,6", r"line 101, column 'TIMESTAMP' must be a number, or a date"),
        ("2024-01-01 00:00:00.0000000+00:00,5,6", r"line 101, column 'TIMESTAMP' is of another kind"),
        ('2024-01-01 00:00:00.0000000,"5,6', r"line \d+ is not CSV"),
        ("2020-01-01 00:00:00.0000000,5,6", r"line 101, column 'TIMESTAMP' is earlier than the row before"),
    ],
    "burstgpt.csv": [
        ("9e8,GPT-4,1,2,3,API log,more", r"line 101 has 7 columns"),
        ("9e8,GPT-4,1,-2,3,API log", r"line 101, column 'Response tokens' must be"),
        ("soon,GPT-4,1,2,3,API log", r"line 101, column 'Timestamp' must be"),
    ],
}


@pytest.mark.parametrize(("name", "line", "told"), [(name, *each) for name, found in WRONG.items() for each in found])
def test_a_malformed_line_is_named_by_its_number(tmp_path: Path, name: str, line: str, told: str) -> None:
    """Line 101 of each file is replaced. The file is what is wrong, whatever its column is called."""
    lines = (HERE / name).read_text().splitlines()
    lines[100] = line
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    with pytest.raises(SpecError, match=rf"{name}, {told}") as caught:
        Trace(file=str(tmp_path / name), format=FORMS[name])
    assert [problem.path for problem in caught.value.problems] == ["file"]


@pytest.mark.parametrize(
    ("make", "path", "told"),
    [
        (lambda: load("mooncake.jsonl", column="timestamp"), "column", "goes with csv and jsonl"),
        (lambda: load("azure_2023.csv", unit="s"), "unit", "goes with csv and jsonl"),
        (lambda: load("azure_2023.csv", slice=(200, None)), "slice", "leaves no row"),
        (lambda: load("azure_2023.csv", sha256="0" * 64), "sha256", "is not that of"),
        (lambda: Trace((1.0,), format="azure"), "format", "goes with file only"),
        (
            lambda: Trace(file=str(HERE / "burstgpt.csv"), format="azure"),
            "file",
            r"is no azure trace: .*'Request tokens'",
        ),
        (lambda: Trace(file=str(HERE / "azure_2023.csv"), format="mooncake"), "file", "line 1 is not JSON"),
        (lambda: Trace((1.0,), tokens={"input": (1,), "output": (1,)}), "tokens", "must be a TraceTokens"),
    ],
)
def test_members_that_do_not_fit_are_refused(make: Any, path: str, told: str) -> None:
    with pytest.raises(SpecError, match=told) as caught:
        make()
    assert [problem.path for problem in caught.value.problems] == [path]


def sleep_at(tokens: dict[str, Any]) -> dict[str, Any]:
    return {"workload": {"job": {"kind": "sleep"}, "arrivals": {"kind": "trace", "at": [0, 1], "tokens": tokens}}}


def test_lengths_can_be_written_out() -> None:
    """One for each instant, and of one request as many as of the other."""
    tokens = {"input": [10, 20], "output": [1, 0], "blocks": [[1, 2], []]}
    made = spec_from_dict(sleep_at(tokens))
    trace = made.workload.arrivals
    assert isinstance(trace, Trace)
    assert lengths(trace) == ([10, 20], [1, 0])
    assert spec_to_dict(made)["workload"]["arrivals"] == {"kind": "trace", "at": [0, 1], "tokens": tokens}
    for wrong, path in (
        ({**tokens, "output": [1]}, "tokens.output"),
        ({**tokens, "blocks": [[1]]}, "tokens.blocks"),
        ({**tokens, "input": [1, -1]}, "tokens.input[1]"),
        ({"input": [1], "output": [1]}, "tokens.input"),
    ):
        with pytest.raises(SpecError) as caught:
            spec_from_dict(sleep_at(wrong))
        assert [problem.path for problem in caught.value.problems] == [f"workload.arrivals.{path}"]


@pytest.mark.parametrize("name", FORMS)
def test_a_trace_can_be_sent_as_what_it_holds(name: str) -> None:
    """The same instants, lengths and blocks, without the file."""
    arrivals = {"kind": "trace", "file": str(HERE / name), "format": FORMS[name], "speed": 10}
    sent = inline_files({"workload": {"job": {"kind": "sleep"}, "arrivals": arrivals}})
    there = spec_from_dict(json.loads(json.dumps(sent)), local=False).workload.arrivals
    here = load(name, speed=10)
    assert isinstance(there, Trace)
    assert lengths(there) == lengths(here)
    assert next(there.instants(None)).tolist() == here.recorded_ns.tolist()  # type: ignore[arg-type]
    assert there.lengths is not None
    assert here.lengths is not None
    assert [there.lengths.blocks_of(job) for job in range(200)] == [here.lengths.blocks_of(job) for job in range(200)]


def test_from_elsewhere_no_trace_is_opened() -> None:
    """Whatever its form."""
    for name in ("/no/such/file", str(HERE / "azure_2023.csv")):
        arrivals = {"kind": "trace", "file": name, "format": "azure"}
        with pytest.raises(SpecError, match="comes over HTTP"):
            spec_from_dict({"workload": {"job": {"kind": "sleep"}, "arrivals": arrivals}}, local=False)


def test_a_published_trace_may_be_named(tmp_path: Path) -> None:
    """By its plain name, which is all that the specification shows."""
    (tmp_path / "day.csv").write_bytes((HERE / "azure_2023.csv").read_bytes())
    arrivals = {"kind": "trace", "file": "day.csv", "format": "azure"}
    spec = spec_from_dict(
        {"workload": {"job": {"kind": "sleep"}, "arrivals": arrivals}}, local=False, data_dir=tmp_path
    )
    assert spec_to_dict(spec)["workload"]["arrivals"]["file"] == "day.csv"
    assert isinstance(spec.workload.arrivals, Trace)
    assert lengths(spec.workload.arrivals) == lengths(load("azure_2023.csv"))


counts = st.integers(0, 2_000_000)


@given(
    st.lists(st.tuples(st.integers(0, 10**12), counts, counts, st.lists(st.integers(0, 2**53), max_size=5)), min_size=1)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_any_rows_come_back(tmp_path: Path, rows: list[tuple[int, int, int, list[int]]]) -> None:
    """Written as Mooncake's, read, and written out again."""
    rows.sort(key=lambda row: row[0])
    names = ("timestamp", "input_length", "output_length", "hash_ids")
    file = tmp_path / "any.jsonl"
    file.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n\n" for row in rows))
    trace = Trace(file=str(file), format="mooncake", offset=0.0)
    assert trace.recorded_ns.tolist() == [at * 10**6 for at, _, _, _ in rows]
    assert trace.lengths is not None
    told = trace.lengths.to_dict()
    assert (told["input"], told["output"]) == ([row[1] for row in rows], [row[2] for row in rows])
    assert told.get("blocks", [[] for _ in rows]) == [row[3] for row in rows]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a number of rows and of ids of blocks, as well as by the size of the file."""
    monkeypatch.setattr(token_traces, "MOST_BLOCKS", 1000)
    with pytest.raises(SpecError, match=r"file: must have at most 1,000 ids of blocks"):
        load("mooncake.jsonl")
    monkeypatch.setattr(trace_files, "MOST_ROWS", 150)
    with pytest.raises(SpecError, match=r"file: must have at most 150 rows"):
        load("azure_2023.csv")


def test_a_result_repeats_its_trace() -> None:
    """The specification of the result names the file and its digest, and no row of it."""
    result = simulate(RunSpec(Workload(Sleep(0), load("burstgpt.csv", speed=10)), seed=1))
    shown = spec_to_dict(result.spec)["workload"]["arrivals"]
    assert shown["tokens"] is None
    assert len(shown["sha256"]) == 64
    again = spec_from_dict(spec_to_dict(result.spec)).workload.arrivals
    assert again == result.spec.workload.arrivals
    assert isinstance(again, Trace)
    assert again.lengths is not None
