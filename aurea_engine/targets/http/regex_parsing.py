"""Regular expressions as trees: the subset of Python's that can be matched in linear time."""

# The grammar, as Python's documentation of `re` has it, without what needs to look back or around:
#
#     choice    sequence | sequence | …
#     sequence  atom, each with an optional quantifier: * + ? {m} {m,} {,n} {m,n}, all with ? for as few as possible
#     atom      a character, . , a class [a-z], an escape \d \w \s \n \x41 …, ^ $ \A \Z, ( … ), (?: … )
#
# An atom for one character keeps the text that it was written as, and that text alone is compiled by `re`: so classes mean
# here what they mean there, in every script and with every flag.

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from aurea_engine.errors import SpecError

MOST_REPEATS = 200
"""Of a counted quantifier: each repetition is a copy of what is repeated."""

_FLAGS = re.compile(r"\(\?([is]+)\)")
_COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}")
_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\\[]|\\.)*\]", re.DOTALL)
_UNCLEAR = re.compile(r"--|&&|~~|\|\|")
_ESCAPE = re.compile(r"\\(?:[dDwWsSnrtfv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[^0-9a-zA-Z])", re.DOTALL)
_QUANTIFIERS = {"*": (0, None), "+": (1, None), "?": (0, 1)}


@dataclass(frozen=True)
class Char:
    """One character of those that ``source`` matches. ``literal``: the character, where there is only one."""

    source: str
    literal: str | None = None


@dataclass(frozen=True)
class Edge:
    r"""The beginning (``^``, ``\A``) or the end (``$``, ``\Z``) of the text."""

    source: str


@dataclass(frozen=True)
class Sequence:
    of: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    of: tuple[Node, ...]


@dataclass(frozen=True)
class Group:
    """The capturing group, of which there is one at most."""

    of: Node


@dataclass(frozen=True)
class Repeat:
    """``most``: None for any number. ``greedy``: as many as there are, before fewer."""

    of: Node
    least: int
    most: int | None
    greedy: bool


Node: TypeAlias = Char | Edge | Sequence | Choice | Group | Repeat


@dataclass(frozen=True)
class Tree:
    """A whole expression, with its flags as `re` has them."""

    root: Node
    flags: int
    has_group: bool


def parse_regex(text: str) -> Tree:
    """``text`` as a tree. Raises `SpecError` for what is no expression, or none that is matched in linear time."""
    found = _FLAGS.match(text)
    letters = found[1] if found else ""
    flags = (re.IGNORECASE if "i" in letters else 0) | (re.DOTALL if "s" in letters else 0)
    parser = _Parser(text, found.end() if found else 0)
    root = parser.read_choice()
    if parser.at < len(text):
        parser.refuse("has a ) without its (")
    # What is left is a mistake that only `re` knows, such as a class from z to a.
    try:
        re.compile(text)
    except (re.error, OverflowError) as error:
        raise SpecError(f"is no regular expression: {error}") from None
    return Tree(root, int(flags), parser.groups > 0)


class _Parser:
    """Reads ``text`` from ``at`` on."""

    def __init__(self, text: str, at: int) -> None:
        self.text, self.at, self.groups, self._depth = text, at, 0, 0

    def refuse(self, why: str) -> NoReturn:
        raise SpecError(f"{why}, at character {self.at + 1}")

    def read_choice(self) -> Node:
        """Up to the end, or to the ) that ends a group."""
        ways = [self._read_sequence()]
        while self.text.startswith("|", self.at):
            self.at += 1
            ways.append(self._read_sequence())
        return ways[0] if len(ways) == 1 else Choice(tuple(ways))

    def _read_sequence(self) -> Node:
        parts: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self._read_quantified(self._read_atom()))
        return Sequence(tuple(parts))

    def _read_quantified(self, atom: Node) -> Node:
        counts = self._read_counts()
        if counts is None:
            return atom
        least, most = counts
        if max(least, most or 0) > MOST_REPEATS:
            self.refuse(f"must repeat at most {MOST_REPEATS} times, or any number of times")
        # A part without a character could be repeated for ever without the text going on.
        if may_be_empty(atom):
            self.refuse("must repeat nothing that can be empty")
        greedy = not self.text.startswith("?", self.at)
        self.at += not greedy
        if self.at < len(self.text) and (self.text[self.at] in "*+?" or self._read_counts() is not None):
            self.refuse("must have one quantifier at a place")
        return Repeat(atom, least, most, greedy)

    def _read_counts(self) -> tuple[int, int | None] | None:
        mark = self.text[self.at : self.at + 1]
        if mark in _QUANTIFIERS and mark:
            self.at += 1
            return _QUANTIFIERS[mark]
        found = _COUNT.match(self.text, self.at)
        # As in Python, braces without a number in them stand for themselves.
        if found is None or found[0] == "{}" or len(found[0]) > 12:
            return None
        self.at = found.end()
        least = int(found[1] or 0)
        return (least, least) if not found[2] else (least, int(found[3]) if found[3] else None)

    def _read_atom(self) -> Node:
        text, at = self.text, self.at
        match text[at]:
            case "(":
                return self._read_group()
            case "[":
                return self._read_class()
            case "\\":
                return self._read_escape()
            case "*" | "+" | "?":
                self.refuse("has a quantifier with nothing before it")
            case "^" | "$":
                self.at += 1
                return Edge(text[at])
            case ".":
                self.at += 1
                return Char(".")
        self.at += 1
        return Char(re.escape(text[at]), text[at])

    def _read_group(self) -> Node:
        captures = not self.text.startswith("(?", self.at)
        if not captures and not self.text.startswith("(?:", self.at):
            self.refuse("must have no look-around, no named group and no flag but (?i) and (?s) at its beginning")
        self.groups += captures
        if self.groups > 1:
            self.refuse("must have one group at most: write (?:…) for the others")
        self._depth += 1
        if self._depth > 50:
            self.refuse("must be nested at most 50 deep")
        self.at += 1 if captures else 3
        inner = self.read_choice()
        if not self.text.startswith(")", self.at):
            self.refuse("has a ( without its )")
        self._depth -= 1
        self.at += 1
        return Group(inner) if captures else inner

    def _read_class(self) -> Node:
        found = _CLASS.match(self.text, self.at)
        if found is None or _UNCLEAR.search(found[0]):
            self.refuse("must have classes such as [a-z], in which [ and doubled - & ~ | are written with a backslash")
        self.at = found.end()
        return Char(found[0])

    def _read_escape(self) -> Node:
        if self.text[self.at : self.at + 2] in ("\\A", "\\Z"):
            self.at += 2
            return Edge(self.text[self.at - 2 : self.at])
        found = _ESCAPE.match(self.text, self.at)
        if found is None:
            self.refuse(r"must have no reference to a group, no \b, and no other unknown escape")
        self.at = found.end()
        return Char(found[0], found[0][1] if len(found[0]) == 2 and not found[0][1].isalpha() else None)


def may_be_empty(node: Node) -> bool:
    """Whether ``node`` can match without a character."""
    match node:
        case Char():
            return False
        case Edge():
            return True
        case Sequence():
            return all(map(may_be_empty, node.of))
        case Choice():
            return any(map(may_be_empty, node.of))
        case Group():
            return may_be_empty(node.of)
        case Repeat():
            return node.least == 0 or may_be_empty(node.of)
