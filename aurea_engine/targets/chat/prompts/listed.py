"""Prompts that are given: written out in the specification, or in a file of JSON lines, or of conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NoReturn

import msgspec

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Invalid, show_value
from aurea_engine.fields.local_files import read_file
from aurea_engine.fields.text_files import decode_text
from aurea_engine.targets.chat.prompt_lines import PromptLine
from aurea_engine.targets.chat.prompt_source import Ask, PromptSource
from aurea_engine.targets.chat.prompts.member import Prompts, is_sharegpt
from aurea_engine.targets.chat.prompts.sharegpt import read_questions
from aurea_engine.targets.http.data import split_lines
from aurea_engine.targets.http.draws import Draws

MOST_BYTES = 1024**3
"""Of a local file; of a published one a quarter (`MOST_PUBLISHED_BYTES`)."""
MOST_LINES = 1_000_000
CHOICES = ("prompt", "messages")

# Every line of a file is looked at before the first request: a wrong one would fail its job an hour later, as a failure
# without a cause in the target. Kept are the bytes of the lines and not their values, which would take ten times the memory;
# a line is decoded again for the job that asks it.


class ListedPrompts(PromptSource):
    """Prompts in a list: ``choose(number, turn)`` says which of them a job has."""

    is_shared: ClassVar[bool] = True

    def __init__(self, asks: Sequence[Ask], choose: Callable[[int, int], int]) -> None:
        self._asks, self._choose = asks, choose

    def ask(self, number: int, turn: int) -> Ask:
        return self._asks[self._choose(number, turn)]


class PromptFile(PromptSource):
    """Prompts of a file, whose ``lines`` are JSON that was looked at."""

    def __init__(self, lines: Sequence[bytes], choose: Callable[[int, int], int]) -> None:
        self._lines, self._choose = lines, choose

    def ask(self, number: int, turn: int) -> Ask:
        return make_ask(read_line(self._lines[self._choose(number, turn)]))


def open_listed(prompts: Prompts, draws: Draws) -> PromptSource:
    """The prompts that are given. Raises `SpecError` for a file that cannot be read, and for a line that is none."""
    if prompts.of is not None:
        asks = [make_ask(line) for line in prompts.of]
        return ListedPrompts(asks, choose_prompt(prompts, draws, len(asks)))
    lines = list(read_lines(prompts))
    return PromptFile(lines, choose_prompt(prompts, draws, len(lines)))


def list_prompts(prompts: Prompts) -> Sequence[PromptLine]:
    """The prompts that are given, those of the file too. Raises `SpecError`."""
    if prompts.file is None:
        return prompts.of or ()
    return [read_line(text) for text in read_lines(prompts)]


def choose_prompt(prompts: Prompts, draws: Draws, n: int) -> Callable[[int, int], int]:
    """(number, turn) of a job → which of ``n`` prompts it has."""
    # By numbers alone, never by the order in which jobs come to be sent: shards and slower servers change nothing.
    if prompts.pick == "random":
        return lambda number, _: draws.row(number, n)
    if prompts.pick == "once":
        return lambda _, turn: turn % n
    return lambda number, _: number % n


def make_ask(line: PromptLine) -> Ask:
    """What a prompt asks."""
    return Ask(line.messages, line.prompt, line.max_tokens)


def read_line(text: bytes) -> PromptLine:
    """One line of a file. Raises `SpecError`, or what the decoder raises."""
    value = msgspec.json.decode(text)
    try:
        return PromptLine.coerce(value)
    except Invalid as error:
        raise SpecError([Problem("", str(error), show_value(value))]) from None


def read_lines(prompts: Prompts) -> Iterator[bytes]:
    """The prompts of the file as JSON. Raises `SpecError`, with the number of a line that is none."""
    assert prompts.file is not None
    number, file, text = 0, prompts.file, _load(prompts.file)
    found = read_questions(file, text) if is_sharegpt(file) else _read_jsonl(file, text)
    for number, line in enumerate(found, 1):
        if number > MOST_LINES:
            _refuse(f"must have at most {MOST_LINES:,} prompts", file)
        yield line
    if not number:
        _refuse("has no prompt", file)


def _read_jsonl(file: str, text: str) -> Iterator[bytes]:
    for line, each in enumerate(split_lines(text), 1):
        if each.strip():
            encoded = each.strip().encode()
            _check_line(file, line, encoded)
            yield encoded


def _check_line(file: str, line: int, text: bytes) -> None:
    try:
        read_line(text)
    except (msgspec.DecodeError, RecursionError):
        _refuse(f"{file}, line {line} is not JSON", text.decode())
    except SpecError as error:
        raise SpecError([Problem("file", f"{file}, line {line}: {problem}") for problem in error.problems]) from None


def _load(file: str) -> str:
    try:
        return decode_text(read_file(file, MOST_BYTES))
    except ValueError as error:  # a SpecError is one
        _refuse(str(error), file)
    except OSError as error:
        _refuse(f"cannot be read: {error.strerror or error}", file)


def _refuse(problem: str, got: Any) -> NoReturn:
    raise SpecError([Problem("file", problem, show_value(got))])
