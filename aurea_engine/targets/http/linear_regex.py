"""Regular expressions whose time is bounded, whatever text a target sends."""

# Theory of operation
# -------------------
# Python's `re` backtracks: it follows one way through an expression at a time, and comes back where that fails. For some
# pairs of expression and text the number of ways is exponential. For many that look harmless, such as ``(\d+) items``, it is
# the square of the text's length. The text comes from a target, and `re` holds the interpreter while it works: 64 KiB of
# digits would hold up a run for seconds, and every other job would be late by them.
#
# So expressions are matched here as Thompson did it in 1968 ("Regular expression search algorithm", CACM 11:6), with Pike's
# registers for the group (Cox, "Regular expression matching: the virtual machine approach", 2009; RE2 works like this). The
# expression is a little program. All ways through it are followed at once, one character after the other, and two ways that
# come to one place are one way from there on. A text of n characters takes at most n × m steps, m being the length of the
# program. What cannot be had like that is refused: references back to a group, and looking around.
#
# Ways stand in the order in which a backtracking matcher would try them, so the match, and the group in it, are those that
# `re` finds; a property test compares the two. A step takes some tenths of a microsecond here. So a search skips to where a
# match can begin, by `str.find` or by a class of one character, which is fast; and it gives up after `MOST_STEPS`, which
# take a tenth of a second at most.

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from aurea_engine.errors import SpecError
from aurea_engine.targets.http.regex_parsing import Char, Choice, Edge, Group, Node, Repeat, Sequence, parse_regex

MOST_STEPS = 250_000
"""Of one search: instructions that it comes to, summed over the characters."""

MOST_INSTRUCTIONS = 1_000
"""Of one program: counted quantifiers copy what they repeat."""


class _Tests(dict[str, bool]):
    """Character → whether it matches. Filled as characters are met; those beyond the first 256 are asked for each time."""

    def __init__(self, char: Char, flags: int) -> None:
        self._matches = re.compile(char.source, flags).fullmatch
        self.literal = char.literal if not flags & re.IGNORECASE else None
        self.source = char.source

    def __missing__(self, character: str) -> bool:
        found = self._matches(character) is not None
        if character < "\u0100":  # a text of all characters that there are must not fill the memory
            self[character] = found
        return found


class _Instruction(NamedTuple):
    """``tests``: go on with the next instruction and the next character, if it passes. ``ways``: go on with each of these,
    the first before the others. ``edge``: go on at this edge of the text. ``save``: note the place as 1 the beginning, 2
    the end of the group. None of them: the expression has matched.
    """

    tests: _Tests | None = None
    ways: tuple[int, ...] = ()
    edge: str = ""
    save: int = 0


Place = tuple[int, int, int]
"""Where the match began, and where the group in it began and ended; -1 where it did not."""


class LinearRegex:
    """A compiled expression. Raises `SpecError` for one that cannot be matched in linear time."""

    def __init__(self, text: str) -> None:
        tree = parse_regex(text)
        self._has_group = tree.has_group
        self._program: list[_Instruction] = []
        # Of equal characters, such as the copies that a counted quantifier makes, one table is enough.
        self._tests: dict[Char, _Tests] = {}
        self._compile(tree.root, tree.flags)
        self._program.append(_Instruction())
        self._skip = self._find_skip(tree.flags)

    def find(self, text: str, most_steps: int = MOST_STEPS) -> str | None:
        """The group of the first match in ``text``, or the whole match if there is no group; None if there is none."""
        found = self._search(text, most_steps)
        if found is None:
            return None
        (began, group_began, group_ended), ended = found
        if not self._has_group:
            return text[began:ended]
        # The group may stand in a branch that the match did not take.
        return None if group_ended < 0 else text[group_began:group_ended]

    # --- Compiling ---------------------------------------------------------------------------------------------------

    def _add(self, instruction: _Instruction) -> int:
        if len(self._program) >= MOST_INSTRUCTIONS:
            raise SpecError(f"must be shorter: with its repetitions it has more than {MOST_INSTRUCTIONS:,} characters")
        self._program.append(instruction)
        return len(self._program) - 1

    def _compile(self, node: Node, flags: int) -> None:
        """Add what matches ``node`` and goes on with whatever is added next."""
        match node:
            case Char():
                if node not in self._tests:
                    self._tests[node] = _Tests(node, flags)
                self._add(_Instruction(tests=self._tests[node]))
            case Edge():
                self._add(_Instruction(edge=node.source))
            case Sequence():
                for each in node.of:
                    self._compile(each, flags)
            case Group():
                self._add(_Instruction(save=1))
                self._compile(node.of, flags)
                self._add(_Instruction(save=2))
            case Choice():
                self._compile_choice(node, flags)
            case Repeat():
                self._compile_repeat(node, flags)

    def _compile_choice(self, node: Choice, flags: int) -> None:
        fork = self._add(_Instruction())
        begins, ends = [], []
        for way in node.of:
            begins.append(len(self._program))
            self._compile(way, flags)
            ends.append(self._add(_Instruction()))
        self._program[fork] = _Instruction(ways=tuple(begins))
        for end in ends:
            self._program[end] = _Instruction(ways=(len(self._program),))

    def _compile_repeat(self, node: Repeat, flags: int) -> None:
        for _ in range(node.least):
            self._compile(node.of, flags)
        if node.most is None:
            fork = self._add(_Instruction())
            self._compile(node.of, flags)
            self._add(_Instruction(ways=(fork,)))
            self._set_fork(fork, node.greedy)
            return
        forks = []
        for _ in range(node.most - node.least):
            forks.append(self._add(_Instruction()))
            self._compile(node.of, flags)
        for fork in forks:
            self._set_fork(fork, node.greedy)

    def _set_fork(self, fork: int, greedy: bool) -> None:
        """Another repetition, or on to what follows: in this order if it is greedy."""
        ways = (fork + 1, len(self._program))
        self._program[fork] = _Instruction(ways=ways if greedy else ways[::-1])

    def _find_skip(self, flags: int) -> Callable[[str, int], int]:
        """What finds the next place at which a match may begin, from a place on; -1 for none."""
        prefix = ""
        for instruction in self._program:
            if instruction.tests is not None and instruction.tests.literal is not None:
                prefix += instruction.tests.literal
            elif not instruction.save:
                break
        if prefix:
            return lambda text, at: text.find(prefix, at)
        first: list[tuple[int, Place]] = []
        # As if in the middle of a text; an edge, or an end, at the beginning means that a match may begin anywhere.
        self._follow(first, set(), 0, (0, -1, -1), 1, "   ")
        starts = [self._program[place].tests for place, _ in first]
        if any(each.edge for each in self._program) or any(tests is None for tests in starts):
            return lambda text, at: at if at <= len(text) else -1
        search = re.compile("|".join(tests.source for tests in starts if tests is not None), flags).search
        return lambda text, at: -1 if (found := search(text, at)) is None else found.start()

    # --- Matching ----------------------------------------------------------------------------------------------------

    def _search(self, text: str, left: int) -> tuple[Place, int] | None:
        """The first match and where it ends. None also where the search was given up."""
        program, at = self._program, 0
        ways: list[tuple[int, Place]] = []
        seen: set[int] = set()
        found: tuple[Place, int] | None = None
        while True:
            if found is None:
                # A match that begins here comes after those that began before. Where there are none, the rest is skipped.
                if not ways and (at := self._skip(text, at)) < 0:
                    return None
                self._follow(ways, seen, 0, (at, -1, -1), at, text)
            elif not ways:
                return found
            # All that was come to at this character, ways without a character too: `(?:||…|)` has hundreds of those.
            left -= len(seen)
            if left < 0:
                return None
            character = text[at] if at < len(text) else None
            following: list[tuple[int, Place]] = []
            seen = set()
            for place, where in ways:
                tests = program[place].tests
                if tests is None:
                    found = where, at
                    break  # the ways after it would only have been tried if it had failed
                if character is not None and tests[character]:
                    self._follow(following, seen, place + 1, where, at + 1, text)
            ways, at = following, at + 1
            if at > len(text) and not ways:
                return found

    def _follow(
        self, ways: list[tuple[int, Place]], seen: set[int], place: int, where: Place, at: int, text: str
    ) -> None:
        """Add the instructions to ``ways`` that wait for a character, and are come to from ``place`` without one."""
        pending = [(place, where)]
        while pending:
            place, where = pending.pop()
            if place in seen:
                continue
            seen.add(place)
            instruction = self._program[place]
            if instruction.ways:
                # A stack: what comes first is put on it last.
                pending += [(way, where) for way in reversed(instruction.ways)]
            elif instruction.save:
                began, group, ended = where
                pending.append((place + 1, (began, at, ended) if instruction.save == 1 else (began, group, at)))
            elif instruction.edge:
                if _is_at_edge(instruction.edge, at, text):
                    pending.append((place + 1, where))
            else:
                ways.append((place, where))


def _is_at_edge(edge: str, at: int, text: str) -> bool:
    if edge in ("^", "\\A"):
        return at == 0
    # As in Python, $ is also before a line end that is the last character.
    return at == len(text) or (edge == "$" and at == len(text) - 1 and text[at] == "\n")
