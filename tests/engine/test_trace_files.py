"""Recorded times in files: CSV and JSONL, dates and numbers, exact, and refused where they could mean something else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurea_engine import (
    Fifo,
    Replay,
    RunSpec,
    Sleep,
    SpecError,
    Trace,
    Workload,
    default_catalog,
    encode_json,
    inline_files,
    parse_json,
    result_to_dict,
    simulate,
    spec_from_dict,
    spec_to_dict,
)

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
2023-11-16 18:17:04.0781490,110,27
2023-11-16 18:18:00.0000001,7,1
"""
"""Rows as the public Azure traces have them."""


@pytest.fixture
def azure(tmp_path: Path) -> str:
    path = tmp_path / "azure.csv"
    path.write_text(AZURE)
    return str(path)


def written(folder: Path, content: str | bytes, name: str = "times.csv") -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def ns(**members: Any) -> list[int]:
    return Trace(**members).recorded_ns.tolist()  # type: ignore[no-any-return]


def test_public_rows_are_read_to_the_last_digit(azure: str) -> None:
    """Seven decimals are 100 ns; the first row arrives when the window opens."""
    assert ns(file=azure, column="TIMESTAMP") == [0, 52_000_000, 98_189_000, 56_020_040_100]


def test_a_trace_and_its_durations_stay_together(azure: str) -> None:
    """Row by row, of any slice: one slot serves them by the recursion that everybody knows."""
    for rows in (None, (1, None), (0, 3), (1, 2)):
        spec = RunSpec(
            Workload(
                Replay(file=azure, column="GeneratedTokens", unit="ms", slice=rows),
                Trace(file=azure, column="TIMESTAMP", slice=rows),
            ),
            Fifo(1),
        )
        jobs = simulate(spec).jobs
        assert jobs is not None
        free = 0
        services = [10, 8, 27, 1][slice(*(rows or (0, None)))]
        assert len(jobs) == len(services)
        for intended, finished, ms in zip(jobs.intended.tolist(), jobs.finished.tolist(), services, strict=True):
            free = max(free, intended) + ms * 10**6
            assert finished == free


@given(
    st.lists(st.integers(0, 10**15), min_size=1, max_size=20),
    st.sampled_from([("s", 9), ("ms", 6), ("us", 3), ("ns", 0)]),
    st.sampled_from(["csv", "jsonl", "bare"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_numbers_are_exact_in_every_unit(tmp_path: Path, at: list[int], unit: tuple[str, int], form: str) -> None:
    """As decimals with all their digits, and relative to the first."""
    at.sort()
    name, digits = unit
    texts = [f"{each // 10**digits}.{each % 10**digits:0{digits}d}" if digits else str(each) for each in at]
    content = {
        "csv": "a,t\n" + "".join(f"x,{text}\n" for text in texts),
        "jsonl": "".join(f'{{"a": 1, "t": {text}}}\n' for text in texts),
        "bare": "".join(f"{text}\n" for text in texts),
    }[form]
    file = written(tmp_path, content, f"t.{'jsonl' if form == 'bare' else form}")
    column = None if form == "bare" else "t"
    assert ns(file=file, column=column, unit=name) == [each - at[0] for each in at]
    assert ns(file=file, column=column, unit=name, offset=0.0) == at


@pytest.mark.parametrize(
    "text",
    [
        "2023-11-16 18:17:03.9799600",
        "2023-11-16T18:17:03.97996",
        "2023-11-16 18:17:03,97996",
        "2023-11-16T18:17:03.97996Z",
        "2023-11-16T20:17:03.97996+02:00",
        "2023-11-16 12:47:03.97996 -0530",
        "2023-11-16 18:17:03.979960000 UTC",
    ],
)
def test_dates_say_themselves_what_they_are(tmp_path: Path, text: str) -> None:
    """Against Python's own calendar."""
    since = datetime(2023, 11, 16, 18, 17, 3, 979960, UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    zone = "Z" if text[-1] in "ZC0" and ("Z" in text or "UTC" in text or "+" in text or " -" in text) else ""
    file = written(tmp_path, f't\n"{text}"\n')
    assert ns(file=file, column="t", offset=f"1970-01-01 00:00:00{zone}") == [since // timedelta(microseconds=1) * 1000]


def test_epochs_need_a_unit_and_no_offset(tmp_path: Path) -> None:
    """Milliseconds since 1970: a number that nobody takes for seconds."""
    file = written(tmp_path, "t\n1700158623979\n1700158624031\n")
    assert ns(file=file, column="t", unit="ms") == [0, 52_000_000]
    with pytest.raises(SpecError, match=r"unit: is required: .*times.csv, line 2, column 't' is a plain number"):
        Trace(file=file, column="t")


def test_durations_with_units_need_none(tmp_path: Path) -> None:
    """As in a specification."""
    file = written(tmp_path, "t\n250ms\n1.5s\n2m\n")
    assert Replay(file=file).recorded_ns.tolist() == [250_000_000, 1_500_000_000, 120_000_000_000]
    assert ns(file=file, offset="0s") == [250_000_000, 1_500_000_000, 120_000_000_000]


@pytest.mark.parametrize("speed", [2, 0.1, 3, 1.5, 1e-3])
def test_speed_divides_exactly(tmp_path: Path, speed: float) -> None:
    """Rounded to the nanosecond once, from the fraction."""
    at = [0, 1, 5, 1_000_000_007, 10**15 + 1]
    file = written(tmp_path, "".join(f"{each}\n" for each in at))
    assert ns(file=file, unit="ns", speed=speed) == [round(Fraction(each) / Fraction(repr(speed))) for each in at]


def test_offset_moves_the_opening(azure: str) -> None:
    """A date for dates, a number or duration for numbers."""
    assert ns(file=azure, column="TIMESTAMP", offset="2023-11-16 18:17:03")[0] == 979_960_000
    assert ns(file=azure, column="TIMESTAMP", offset="2023-11-16 18:17:04", slice=(1, 2)) == [31_960_000]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbft,u\r\n1,2\r\n3,4\r\n",
        "\ufefft,u\n1,2\n\n3,4".encode("utf-16-le"),
        "\ufefft,u\n1,2\n3,4\n".encode("utf-16-be"),
        b't,u\n"1",2\n" 3 ",4\n',
        b"u, t\n2,1\n4,3\n",
        b"t,u\n\n\n1,2\n3,4\n\n",
    ],
)
def test_what_editors_and_tools_write_is_read(tmp_path: Path, content: bytes) -> None:
    """Byte order marks, Windows line ends, quotes, spaces, blank lines."""
    assert ns(file=written(tmp_path, content), column="t", unit="s", offset=0.0) == [1_000_000_000, 3_000_000_000]


@pytest.mark.parametrize(
    ("content", "members", "told"),
    [
        ("t\n1\n2\n", {"column": "T", "unit": "s"}, r"column: is no column of .*times.csv: there is 't'"),
        ("t;u\n1;2\n", {"column": "t", "unit": "s"}, r"separated by ';'"),
        ("t,t\n1,2\n", {"column": "t", "unit": "s"}, r"stands more than once"),
        ("t,u\n1,2\n", {"unit": "s"}, r"column: is required: one of 't', 'u'"),
        ("u,t\n1,2\n3\n", {"column": "t", "unit": "s"}, r"line 3, column 't': the row has 1 columns only"),
        ("u,t\n1,2\n3,\n", {"column": "t", "unit": "s"}, r"line 3, column 't' is empty"),
        ("t\n1\nsoon\n", {"column": "t", "unit": "s"}, r"line 3, column 't' must be a number, or a date.* got 'soon'"),
        ("t\n1\nnan\n", {"column": "t", "unit": "s"}, r"line 3, column 't' must be"),
        ("t\n1\n1e99\n", {"column": "t", "unit": "s"}, r"line 3, column 't' (must be|is more than 146 years)"),
        (
            "t\n2\n1\n",
            {"column": "t", "unit": "s"},
            r"file: must be in order of time: .*line 3, column 't' is earlier.*sort the file",
        ),
        ("t\n1\n2023-11-16 18:17:03\n", {"column": "t", "unit": "s"}, r"line 3, column 't' is of another kind"),
        ("t\n2023-11-16 18:17:03\n2023-11-16 18:17:03Z\n", {"column": "t"}, r"line 3, column 't' is of another kind"),
        ("t\n2023-02-30 18:17:03\n", {"column": "t"}, r"line 2, column 't' must be"),
        ("t\n2023-11-16 24:00:00\n", {"column": "t"}, r"line 2, column 't' must be"),
        (
            "t\n11/16/2023 18:17\n",
            {"column": "t"},
            r"line 2, column 't' must be a number, or a date such as 2023-11-16",
        ),
        ("t\n1,5\n", {"column": "t", "slice": (1, None), "unit": "s"}, r"slice: leaves no row"),
        ("", {"column": "t", "unit": "s"}, r"is empty: its first line must name the columns"),
        ("t\n", {"column": "t", "unit": "s"}, r"file: leaves no row"),
        ('t\n"1\n', {"column": "t", "unit": "s"}, r"is not CSV"),
        (b"t\n\xff\n", {"column": "t", "unit": "s"}, r"must be UTF-8: .*line 2"),
        ("t\n5\n", {"column": "t", "unit": "s", "offset": 6.0}, r"offset: must not be after .*line 2"),
        ("t\n5\n", {"column": "t", "unit": "s", "offset": "2023-11-16 18:17:03"}, r"offset: must be a number"),
        ("t\n2023-11-16 18:17:03\n", {"column": "t", "offset": 5.0}, r"offset: must be a date"),
        ("t\n5\n5000000000\n", {"column": "t", "unit": "s", "offset": 5.0}, r"146 years"),
        ("t\n0\n1000000\n", {"column": "t", "unit": "s", "speed": 1e-5}, r"speed: is so low"),
    ],
)
def test_mistakes_name_file_line_and_column(
    tmp_path: Path, content: str | bytes, members: dict[str, Any], told: str
) -> None:
    """And the member to change, and how."""
    with pytest.raises(SpecError, match=told):
        Trace(file=written(tmp_path, content), **members)


@pytest.mark.parametrize(
    ("content", "column", "told"),
    [
        ('{"t": 1}\n{"u": 2}\n', "t", r"line 2, column 't' is not there: there is 'u'"),
        ('{"t": 1}\n{"t": true}\n', "t", r"line 2, column 't' must be"),
        ('{"t": 1}\n{"t": null}\n', "t", r"line 2, column 't' is empty"),
        ('{"t": 1}\n{"t": NaN}\n', "t", r"line 2, column 't' must be"),
        ('{"t": 1}\n{"t": {}}\n', "t", r"line 2, column 't' must be"),
        ('{"t": 1}\n{"t"\n', "t", r"line 2 is not JSON"),
        ("1\n2\n", "t", r"line 1 is not an object"),
        ('{"t": 1}\n', None, r"column: is required: one of 't'"),
        ("[" * 100_000, "t", r"line 1 is not JSON"),
    ],
)
def test_mistakes_in_json_lines_are_named_too(tmp_path: Path, content: str, column: str | None, told: str) -> None:
    """With the line that they are in."""
    with pytest.raises(SpecError, match=told):
        Trace(file=written(tmp_path, content, "t.jsonl"), column=column, unit="s")


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda _: Trace(), "at"),
        (lambda _: Replay(), "durations"),
        (lambda file: Trace((1.0,), file=file), "at"),
        (lambda file: Replay((1.0,), file=file), "durations"),
        (lambda _: Trace((1.0,), column="t"), "column"),
        (lambda _: Trace((1.0,), speed=2), "speed"),
        (lambda _: Trace((1.0,), offset=2), "offset"),
        (lambda _: Replay((1.0,), unit="s"), "unit"),
        (lambda file: Trace(file=file.replace("azure", "gone")), "file"),
        (lambda file: Trace(file=str(Path(file).parent)), "format"),
        (lambda file: Trace(file=str(Path(file).parent), format="csv"), "file"),
        (lambda _: Trace(file="a\0b", format="csv"), "file"),
        (lambda file: Trace(file=file, unit="m"), "unit"),
        (lambda file: Trace(file=file, column="TIMESTAMP", slice=(2, 1)), "slice"),
        (lambda file: Trace(file=file, column="TIMESTAMP", slice=(-1, None)), "slice[0]"),
        (lambda file: Trace(file=file, column="TIMESTAMP", speed=0), "speed"),
        (lambda file: Replay(file=file, column="TIMESTAMP"), "column"),
    ],
)
def test_members_that_do_not_fit_are_refused(azure: str, make: Any, path: str) -> None:
    """One of `at` and `file`; the rest beside a file only."""
    with pytest.raises(SpecError) as caught:
        make(azure)
    assert path in [problem.path for problem in caught.value.problems]


def test_a_result_runs_again_while_the_file_stays(azure: str) -> None:
    """Its specification has the digest; a file that changed since is another run."""
    first = simulate(RunSpec(Workload(Sleep(1), Trace(file=azure, column="TIMESTAMP")), Fifo(1), seed=1))
    spec = parse_json(encode_json(result_to_dict(first)))["spec"]
    assert len(spec["workload"]["arrivals"]["sha256"]) == 64
    again = simulate(spec_from_dict(spec))
    assert again.response_time == first.response_time
    assert again.spec == first.spec
    Path(azure).write_text(AZURE.replace("4808", "4809"))
    with pytest.raises(SpecError, match=r"workload.arrivals.sha256: is not that of .* any more.*leave sha256 out"):
        spec_from_dict(spec)
    del spec["workload"]["arrivals"]["sha256"]
    assert simulate(spec_from_dict(spec)).counts.arrived == 4


def test_from_elsewhere_no_file_is_looked_at(azure: str) -> None:
    """Whether it exists or not, and wherever it is named; all such members are told at once."""

    def body(file: str) -> dict[str, Any]:
        job = {"kind": "mix", "of": [{"weight": 1, "job": {"kind": "replay", "file": file, "unit": "s"}}]}
        return {"workload": {"job": job, "arrivals": {"kind": "trace", "file": file, "column": "x"}}, "label": 5}

    for file in (azure, "/no/such/file", "/dev/stdin"):
        with pytest.raises(SpecError) as caught:
            spec_from_dict(body(file), local=False)
        told = {problem.path: problem.problem for problem in caught.value.problems}
        assert set(told) == {"workload.job.of[0].job.file", "workload.arrivals.file", "label"}
        assert "comes over HTTP" in told["workload.arrivals.file"]


def test_files_can_be_sent_as_what_they_hold(azure: str) -> None:
    """The times themselves, exactly, wherever a file is named; everything else as it was."""
    arrivals = {"kind": "trace", "file": azure, "column": "TIMESTAMP", "speed": 2}
    job = {
        "kind": "faulty",
        "failure_rate": 0,
        "job": {"kind": "replay", "file": azure, "column": "ContextTokens", "unit": "ms"},
    }
    data = {"workload": {"job": job, "arrivals": arrivals}, "scheduler": {"slots": 1}, "seed": 1}
    sent = parse_json(encode_json(inline_files(data)))
    assert azure not in str(sent)
    here, there = simulate(spec_from_dict(data)), simulate(spec_from_dict(sent, local=False))
    assert here.jobs is not None
    assert there.jobs is not None
    assert np.array_equal(here.jobs.finished, there.jobs.finished)
    with pytest.raises(SpecError, match=r"workload.arrivals.column: is no column"):
        inline_files({"workload": {"job": job, "arrivals": {**arrivals, "column": "gone"}}})


def test_a_trace_as_long_as_the_published_ones_runs(tmp_path: Path) -> None:
    """19,366 rows, as the conversation trace has."""
    start = datetime(2023, 11, 16, 18, 15, 46, tzinfo=UTC).replace(tzinfo=None)
    rows = "".join(
        f"{(start + timedelta(milliseconds=180 * i)).isoformat(' ', 'milliseconds')}0000,{i},1\n" for i in range(19_366)
    )
    file = written(tmp_path, "TIMESTAMP,ContextTokens,GeneratedTokens\n" + rows)
    result = simulate(RunSpec(Workload(Sleep(0.1), Trace(file=file, column="TIMESTAMP"), jobs=None), Fifo(1), seed=1))
    assert result.counts.completed == 19_366
    assert result.duration == pytest.approx(19_365 * 0.18 + 0.1, abs=1e-12)


def test_specification_shows_its_file(azure: str) -> None:
    """Reference and digest, no instants; and of a list of instants, nothing that goes with files."""
    spec = RunSpec(Workload(Sleep(1), Trace(file=azure, column="TIMESTAMP", slice=(1, None))))
    shown = spec_to_dict(spec, default_catalog())["workload"]["arrivals"]
    assert json.loads(json.dumps(shown)) == {
        "kind": "trace", "at": None, "file": azure, "column": "TIMESTAMP", "slice": [1, None], "sha256": shown["sha256"],
        "tokens": None,
    }  # fmt: skip
    listed = spec_to_dict(RunSpec(Workload(Replay((1.0,)), Trace((1.0,)))))["workload"]
    assert (listed["job"], listed["arrivals"]) == (
        {"kind": "replay", "durations": [1.0]},
        {"kind": "trace", "at": [1.0], "tokens": None},
    )
