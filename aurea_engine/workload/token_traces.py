"""Traces of requests to language models, in the forms in which they are published: instants and lengths together.

A row is one request: when it came, how many tokens its prompt had, and how many the answer. Read apart, the two would be of
different requests as soon as a row is left out, so one pass reads both.

Each form names its columns itself:

- ``mooncake``: JSONL of Qin et al., *Mooncake* (FAST 2025): milliseconds, and the ids of the prompt's blocks of 512 tokens.
  Equal ids are equal text, which is what a cache of prefixes can use.
- ``azure``: CSV of Patel et al., *Splitwise* (ISCA 2024), and of its successor of 2024: dates.
- ``burstgpt``: CSV of Wang et al., *BurstGPT* (2024): seconds. Requests that failed have an answer of 0 tokens.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, NoReturn

import numpy as np
from msgspec import Meta

from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Checked, show_value
from aurea_engine.records.batch import Instants
from aurea_engine.workload.time_parsing import TimeUnit
from aurea_engine.workload.trace_files import (
    Row,
    Source,
    TimeColumn,
    Times,
    Unreadable,
    decode_lines,
    describe_place,
    list_names,
    load_content,
    read_json_lines,
)

TokenForm = Literal["mooncake", "azure", "burstgpt"]
MOST_TOKENS = 2_000_000
"""Of one prompt or answer: the longest context of today's models, and 12 MB of text."""
MOST_BLOCKS = 20_000_000
"""Ids of blocks of one file: 160 MB."""
BLOCK_TOKENS = 512
"""Tokens of one block of a prompt, as the traces of Mooncake have them."""

TokenCount = Annotated[int, Meta(ge=0, le=MOST_TOKENS)]
BlockId = Annotated[int, Meta(ge=0, le=2**53)]
_DIGITS = re.compile(r"[0-9]{1,12}", re.ASCII)


class Columns(NamedTuple):
    """What a form calls the columns that are read. ``blocks``: of the ids; only rows of JSON have some."""

    time: str
    input: str
    output: str
    unit: TimeUnit | None
    blocks: str | None = None


FORMS: Mapping[str, Columns] = MappingProxyType(
    {
        "mooncake": Columns("timestamp", "input_length", "output_length", "ms", "hash_ids"),
        "azure": Columns("TIMESTAMP", "ContextTokens", "GeneratedTokens", None),
        "burstgpt": Columns("Timestamp", "Request tokens", "Response tokens", "s"),
    }
)


@dataclass(frozen=True)
class TraceTokens(Checked):
    """The lengths of the requests of a trace, in tokens, one for each of its instants.

    ``blocks``: for each request the ids of the blocks of 512 tokens that its prompt consists of. Equal ids are equal text.
    """

    input: tuple[TokenCount, ...]
    output: tuple[TokenCount, ...]
    blocks: tuple[tuple[BlockId, ...], ...] | None = None

    def check(self) -> list[Problem]:
        given = [("output", self.output), ("blocks", self.blocks or self.input)]
        return [
            Problem(name, f"must have as many as input, {len(self.input):,}", f"{len(column):,}")
            for name, column in given
            if len(column) != len(self.input)
        ]


class TokenLengths:
    """The lengths of the jobs of a run, by their numbers: job i is request i of the trace. ``input`` and ``output`` are
    tokens; `blocks_of` a job are the ids of the blocks of its prompt, as far as the trace has any.
    """

    # No dataclass: arrays have no truth value, so none of its comparisons would work.
    def __init__(self, input: Instants, output: Instants, blocks: Instants, ends: Instants) -> None:  # noqa: A002
        self.input, self.output = input, output
        self._blocks, self._ends = blocks, ends

    @classmethod
    def of(cls, tokens: TraceTokens) -> TokenLengths:
        """Of a trace that is written out."""
        kept = _Kept()
        for row, (prompt, answer) in enumerate(zip(tokens.input, tokens.output, strict=True)):
            kept.add(prompt, answer, tokens.blocks[row] if tokens.blocks else ())
        return kept.close()

    def __len__(self) -> int:
        return len(self.input)

    def blocks_of(self, job: int) -> list[int]:
        """The ids of the blocks of the prompt of ``job``, in order; empty if the trace has none."""
        first = int(self._ends[job - 1]) if job else 0
        ids: list[int] = self._blocks[first : int(self._ends[job])].tolist()
        return ids

    def to_dict(self) -> dict[str, Any]:
        """Written out, as the members of `TraceTokens`, to be sent elsewhere."""
        blocks = {"blocks": [self.blocks_of(job) for job in range(len(self))]} if len(self._blocks) else {}
        return {"input": self.input.tolist(), "output": self.output.tolist(), **blocks}


class _Kept:
    """Collects the rows of `TokenLengths`, eight bytes a number."""

    def __init__(self) -> None:
        self._input, self._output, self._blocks, self._ends = (array("q") for _ in range(4))

    def add(self, prompt: int, answer: int, blocks: Sequence[int]) -> None:
        self._input.append(prompt)
        self._output.append(answer)
        self._blocks.extend(blocks)
        self._ends.append(len(self._blocks))

    @property
    def blocks(self) -> int:
        return len(self._blocks)

    def close(self) -> TokenLengths:
        columns = (self._input, self._output, self._blocks, self._ends)
        return TokenLengths(*(np.array(column, np.int64) for column in columns))


def read_token_trace(source: Source, form: TokenForm, sha256: str | None) -> tuple[Times, TokenLengths]:
    """The instants and lengths in a file, which must have the digest ``sha256`` if one is given. Raises `Unreadable`.

    The column and unit of ``source`` are those of the time in ``form``.
    """
    columns = FORMS[form]
    content, digest = load_content(source.file, sha256)
    rows = _read_csv(source, form, content) if columns.blocks is None else _read_objects(source, columns, content)
    times, kept = TimeColumn(source), _Kept()
    try:
        for line, (time, prompt, answer, blocks) in source.select(rows):
            times.add(line, time)
            counts = _read_count(source, columns.input, line, prompt), _read_count(source, columns.output, line, answer)
            kept.add(*counts, _read_blocks(source, columns, line, blocks))
            if kept.blocks > MOST_BLOCKS:
                _refuse(f"must have at most {MOST_BLOCKS:,} ids of blocks: {source.file} has more")
        return times.close(digest), kept.close()
    except Unreadable as error:
        # The form says which columns there are, so whatever is wrong with one is wrong with the file.
        if error.problem.path == "column":
            raise Unreadable("file", error.problem.problem, error.problem.got) from None
        raise


def _refuse(text: str, got: object = None) -> NoReturn:
    raise Unreadable("file", text, "" if got is None else show_value(got))


def _read_count(source: Source, column: str, line: int, cell: object) -> int:
    count = int(cell) if isinstance(cell, str) and _DIGITS.fullmatch(cell := cell.strip()) else cell
    # By the exact type: true is 1 to Python.
    if type(count) is not int or not 0 <= count <= MOST_TOKENS:
        place = describe_place(replace(source, column=column), line)
        raise Unreadable("file", f"{place} must be a whole number of tokens, 0 to {MOST_TOKENS:,}", show_value(cell))
    return count


def _read_blocks(source: Source, columns: Columns, line: int, cell: object) -> Sequence[int]:
    if cell is None:
        return ()
    if not isinstance(cell, list) or not all(type(each) is int and 0 <= each <= 2**53 for each in cell):
        place = describe_place(replace(source, column=columns.blocks), line)
        _refuse(f"{place} must be a list of whole numbers >= 0 and <= 2^53, the ids of blocks", cell)
    return cell


def _read_csv(source: Source, form: TokenForm, content: bytes) -> Iterator[Row]:
    """(line, cells of time, input, output, and no blocks) of each row that is not blank."""
    names = FORMS[form][:3]
    rows = csv.reader(decode_lines(source, content), strict=True)
    # A line of spaces is a row of one cell.
    filled = (row for row in rows if len(row) > 1 or (row and row[0].strip()))
    try:
        head = [name.strip() for name in next(filled, [])]
        if any(head.count(name) != 1 for name in names):
            wanted = f"its first line must name {', '.join(names)} once each"
            _refuse(f"{source.file} is no {form} trace: {wanted}, and names {list_names(head) or 'nothing'}")
        places = [head.index(name) for name in names]
        for row in filled:
            if len(row) != len(head):
                place = f"{source.file}, line {rows.line_num}"
                _refuse(f"{place} has {len(row)} columns, and the first line names {len(head)}")
            yield rows.line_num, (*(row[place] for place in places), None)
    except csv.Error as error:
        raise Unreadable("file", f"{source.file}, line {rows.line_num} is not CSV: {error}") from None


def _read_objects(source: Source, columns: Columns, content: bytes) -> Iterator[Row]:
    """(line, values of time, input, output and blocks) of each line that is not blank."""
    for line, value in read_json_lines(source, content):
        if not isinstance(value, dict):
            _refuse(f"{source.file}, line {line} is not an object", value)
        for name in columns[:3]:
            if name not in value:
                place = describe_place(replace(source, column=name), line)
                _refuse(f"{place} is not there: there is {list_names(list(value)) or 'nothing'}")
        yield line, (*(value[name] for name in columns[:3]), value.get(columns.blocks or ""))
