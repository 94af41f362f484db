"""Tables keep every figure, its unit and every id whole, at any width; and have no width at all without a terminal."""

from __future__ import annotations

import fcntl
import io
import os
import re
import struct
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text

from aurea_engine import parse_json, simulate, spec_from_dict
from aurea_engine.testing.selftest import Check, Machine
from aurea_server.cli import main
from aurea_server.cli.report import render_report
from aurea_server.cli.selftest import tabulate_checks, tabulate_machine
from aurea_server.cli.tables import NO_WIDTH, Column, Prose, Table, fold, join_fitting, measure_width, show

QUEUE = Path(__file__).parents[2] / "examples" / "specs" / "queue.json"
WIDTHS = [*range(1, 30), *range(30, 90, 3), 120, 200]
FIGURE = re.compile(r"[\d.,]*\d(?: [^\s\d,;()]+)?")
"""A number with the word after it, which may be its unit."""
ID = re.compile(r"benchmark-\d+|[\w.-]+@[\w.]+|\w+_\w+")


def printed(renderable: RenderableType, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, height=25).print(renderable, crop=False)
    return out.getvalue().split("\n")


def whole(renderable: RenderableType) -> set[str]:
    """What must never be cut: figures with their units, and ids, as they stand where there is no edge."""
    lines = printed(renderable, NO_WIDTH)
    return {found.group().rstrip(".") for line in lines for what in (FIGURE, ID) for found in what.finditer(line)}


def check(renderable: RenderableType, widths: list[int] = WIDTHS) -> None:
    kept = whole(renderable)
    assert kept
    for width in widths:
        lines = printed(renderable, width)
        assert "…" not in "".join(lines)
        assert [piece for piece in kept if not any(piece in line for line in lines)] == [], width
        # Only what cannot be folded is over the edge.
        assert [line for line in lines if cell_len(line) > max(width, 50)] == [], width


def history(label: str) -> Table:
    table = Table(*map(Column, ("run", "status")), Column("label", prose=True), *(Column("mean", right=True),) * 3)
    for i in range(3):
        table.add_row(f"benchmark-179534429949{i}", "completed", label, "12.5 ms", "9,999,999/s", f"{i}.00 USD")
    return table


def test_a_report_at_every_width() -> None:
    data = parse_json(QUEUE.read_bytes())
    data["workload"]["jobs"], data["label"] = 3000, "quatre serveurs 四台服务器 " * 5
    data["objectives"] += [{"metric": "cost_per_job", "at_most": 1e-12}, {"metric": "failure_ratio", "at_most": 0.01}]
    check(render_report(simulate(spec_from_dict(data))))


@pytest.mark.parametrize("label", ["short", "some words and 12.5 ms and more " * 4, "四台服务器 一 " * 9])
def test_a_list_of_runs_at_every_width(label: str) -> None:
    check(history(label))


def test_the_self_test_at_every_width() -> None:
    checks = [
        Check("a known answer with a long name of many words", 0.55, 0.55, 1e-12, "the arithmetic of 3 sources")
    ] * 3
    check(tabulate_checks([*checks, Check("b", 0.05, 0.07, 0.01, "queues")]))
    check(tabulate_machine(Machine("uvloop", 1e-9, 1.2e-5, 3.4e-4, 5.6e-6, 123_456)))


def test_a_machine_too_busy_for_any_rate(capsys: pytest.CaptureFixture[str]) -> None:
    """It has no highest honest rate: 0 jobs/s would be a figure that nobody measured."""
    show(tabulate_machine(Machine("uvloop", 1e-9, 1.2e-5, 3.4e-4, 5.6e-6, 0)))
    assert "none: even at 1,000 jobs/s" in capsys.readouterr().out


PER_JOB, LONG = '{"kind": "per_job", "price": "0.0002"}', '{"kind": "per_second", "price": "12345.678901"}'


@pytest.mark.parametrize(
    "command",
    [
        ("prices", "list"),
        ("prices", "show", "aws-lambda-x86-us-east-1"),
        (
            "cost-curve",
            "--service-time",
            "0.1",
            "--points",
            "3",
            *(each for i in range(6) for each in ("--cost", (PER_JOB, LONG)[i % 2])),
        ),
        ("run", "--jobs", "100", "--duration-ms", "50", "--virtual"),
        ("config",),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_commands_on_terminals_of_all_widths(command: tuple[str, ...], terminal: Callable[..., list[str]]) -> None:
    """Against what a pipe gets."""
    plain = terminal(command, 100_000)
    figures = {found.group().rstrip(".") for line in plain for what in (FIGURE, ID) for found in what.finditer(line)}
    figures = {each for each in figures if not re.match(r"benchmark|\d\d:|\d{4}-|[\d.]+ UTC|\d+$", each)}
    assert figures
    for columns in (1, 10, 17, 33, 40, 60, 79):
        lines = terminal(command, columns)
        assert [each for each in figures if not any(each in line for line in lines)] == [], columns


@pytest.mark.parametrize(
    ("command", "heads"),
    [
        (("prices", "list"), ["sheet", "currency", "region", "checked"]),
        (
            ("cost-curve", "--service-time", "0.1", "--cost", PER_JOB, "--cost", PER_JOB),
            ["jobs/s", "1: per_job/hour", "1: per_job/million", "2: per_job/hour", "2: per_job/million"],
        ),
    ],
    ids=["prices list", "cost-curve"],
)
def test_common_tables_fit_80_columns(
    command: tuple[str, ...], heads: list[str], terminal: Callable[..., list[str]]
) -> None:
    """Side by side: stacked, a dozen rows of them fill three screens."""
    assert any(re.split(r" {2,}", line.strip()) == heads for line in terminal(command, 80))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Lines that a command writes to a terminal of so many columns."""
    monkeypatch.delenv("COLUMNS", raising=False)
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.setenv(name, {"NO_COLOR": "1", "TERM": "xterm"}[name])

    def call(command: tuple[str, ...], columns: int) -> list[str]:
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 25, min(columns, 65535), 0, 0))
        pieces: list[bytes] = []

        def read() -> None:
            try:
                while piece := os.read(master, 65536):
                    pieces.append(piece)
            except OSError:  # the other side is closed
                pass

        thread = threading.Thread(target=read)
        thread.start()
        with io.TextIOWrapper(io.FileIO(slave, "w"), "utf-8") as stream, monkeypatch.context() as patched:
            patched.setattr("sys.stdout", stream)
            assert main(command) == 0
        thread.join()
        os.close(master)
        return re.sub(r"\x1b\[[\d;]*m", "", b"".join(pieces).decode()).replace("\r\n", "\n").split("\n")

    return call


def test_without_a_terminal_there_is_no_width(
    aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever COLUMNS says, and whether colours are asked for."""
    for name, value in (("COLUMNS", "20"), ("TERM", "dumb"), ("COLUMNS", "0"), ("COLUMNS", "wide")):
        monkeypatch.setenv(name, value)
        _, out, _ = aurea("run", "--jobs", 3, "--virtual", "--label", "a label of many words " * 8)
        assert f"label          {('a label of many words ' * 8).rstrip()}\n" in out


def test_columns_may_be_told(monkeypatch: pytest.MonkeyPatch, terminal: Callable[..., list[str]]) -> None:
    command = ("prices", "list")
    for told, longest in (("30", 41), ("0", 79), ("", 79), ("many", 79)):
        monkeypatch.setenv("COLUMNS", told)
        assert max(map(cell_len, terminal(command, 80))) <= max(longest, int(told or 0) if told.isdecimal() else 0) + 5
    with Path(os.devnull).open("w") as nothing:
        assert measure_width(nothing) == NO_WIDTH


def words(text: str) -> Iterator[str]:
    return (word for word in re.split(r"[ \n]+", text) if word)


@pytest.mark.parametrize("width", [1, 7, 20, 79])
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "one",
        "one two  three",
        "a\nb\n\nc",
        "3.6153 USD, 60.2558 USD per million completed jobs, 82.7 % of 4 slots",
    ],
)
def test_folding_loses_nothing(text: str, width: int) -> None:
    lines = [line.plain for line in fold(Text(text), width)]
    assert list(words("\n".join(lines))) == list(words(text))
    for unit in ("3.6153 USD", "60.2558 USD per million", "82.7 %", "4 slots"):
        assert unit not in text or any(unit in line for line in lines)


def test_stacked_rows_name_their_figures() -> None:
    table = Table(Column("run"), Column("mean", right=True), Column("p99", right=True))
    table.add_row("benchmark-1", "12.5 ms", "33.1 ms")
    assert printed(table, 17)[:-1] == ["run", "benchmark-1", "    mean  12.5 ms", "    p99   33.1 ms"]
    assert printed(table, 80)[:-1] == ["run             mean      p99", "benchmark-1  12.5 ms  33.1 ms"]


def test_two_lines_come_before_stacking() -> None:
    table = Table(*(Column(name * 8) for name in "abcd"), two_lines=True)
    table.add_row(*(name.upper() * 8 for name in "abcd"))
    assert printed(table, 24)[:-1] == [
        "aaaaaaaa  bbbbbbbb",
        "    cccccccc  dddddddd",
        "AAAAAAAA  BBBBBBBB",
        "    CCCCCCCC  DDDDDDDD",
    ]


def test_parts_that_do_not_fit_are_left_out() -> None:
    """What does not fit in a line is left out whole."""
    parts = ["12.5/s", "p99 3.10 ms", "5 s left"]
    assert [join_fitting(parts, width) for width in (99, 26, 19, 18, 6, 5)] == [
        "12.5/s  p99 3.10 ms  5 s left",
        "12.5/s  p99 3.10 ms",
        "12.5/s  p99 3.10 ms",
        "12.5/s",
        "12.5/s",
        "",
    ]


def test_prose_by_itself_is_folded_at_words() -> None:
    assert printed(Prose("break-even at 25.8 jobs/s: below it"), 24)[:-1] == ["break-even at", "25.8 jobs/s: below it"]


@pytest.mark.parametrize("clock", ["real", "virtual"])
def test_a_report_says_when(aurea: Callable[..., Any], clock: str) -> None:
    """In UTC, and says so; virtual time ends at no instant of the wall clock."""
    _, out, _ = aurea("run", "--jobs", 2, "--duration-ms", 1, *(["--virtual"] if clock == "virtual" else []))
    instant = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC"
    assert re.search(rf"^started +{instant}$", out, re.MULTILINE)
    assert re.search(rf"^ended +({instant}|1.00 ms later, in virtual time)$", out, re.MULTILINE)
    assert ("virtual time" in out) == (clock == "virtual")
