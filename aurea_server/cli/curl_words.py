r"""A command line as text → its words, as the shell that it was written for would split it.

Browsers copy a request as a command for one of two shells, whose quoting has nothing in common:

- **POSIX** (bash): ``'…'`` is literal; ``"…"`` knows ``\`` before ``$ ` " \`` and the end of a line; ``$'…'`` has the
  escapes of C (bash manual, "ANSI-C Quoting"); a backslash at the end of a line joins it with the next.
- **Windows** (cmd.exe): first cmd takes carets away, ``^x`` being ``x`` outside of quotes, and a caret at the end of a line
  joining it with the next. Then the program's own start-up code splits what is left: ``"…"`` may hold blanks, ``\"`` is a
  quote, and backslashes count only before one (Microsoft, "Parsing C command-line arguments").

Nothing is ever executed or expanded. A variable such as ``$TOKEN`` becomes `VARIABLE` + name + `VARIABLE`, so that whoever
reads the word can use its name, and nobody takes it for the text. Command substitution is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from aurea_engine import SpecError

VARIABLE = "\0"
"""Stands before and after the name of a shell variable in a word. No word has one of its own: it is refused."""

MOST_CHARACTERS = 4 * 1024**2
"""Of a command: a body that was pasted into one is seldom longer than some kilobytes."""

_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}
_ESCAPE = re.compile(
    r"x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|[abeEfnrtv]|.", re.DOTALL | re.ASCII
)
_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_BACKSLASHES = re.compile(r"\\*")
_CMD = re.compile(r"\^\r?\n|^\s*curl(\.exe)?\s[^'\n]*?\^\"", re.IGNORECASE)


def split_commands(text: str) -> list[list[str]]:
    """The words of each command in ``text``. Raises SpecError for what no shell would take, or only by executing it."""
    if len(text) > MOST_CHARACTERS:
        raise SpecError(f"the command is longer than {MOST_CHARACTERS:,} characters: give its body in a file")
    # It would be taken for our own mark; and no shell hands one to a program.
    if VARIABLE in text:
        raise SpecError("the command holds a NUL, which no shell passes on: copy it again")
    return list(_split_cmd(text) if _CMD.search(text) else _PosixReader(text).commands())


class _PosixReader:
    """Reads a text as a POSIX shell does, one character after the other."""

    def __init__(self, text: str) -> None:
        # Copied on Windows, or sent by mail: a backslash before CR LF would escape the CR alone.
        self._text, self._at = text.replace("\r\n", "\n"), 0
        # None between words: '' is a word, and nothing is not.
        self._word: list[str] | None = None

    def commands(self) -> Iterator[list[str]]:
        """The words of one command after the other."""
        words: list[str] = []
        while (char := self._take()) != "":
            if char in " \t\n;&|":
                self._end_word(words)
                if char not in " \t" and words:
                    yield words
                    words = []
            elif char == "#" and self._word is None:
                self._until("\n", needed=False)
            elif char == "\\" and self._text.startswith("\n", self._at):
                self._at += 1  # the command goes on in the next line; this is no word, not even an empty one
            else:
                self._word = self._word or []
                self._word.append(self._read_piece(char))
        self._end_word(words)
        if words:
            yield words

    def _take(self) -> str:
        char = self._text[self._at : self._at + 1]
        self._at += 1
        return char

    def _end_word(self, words: list[str]) -> None:
        if self._word is not None:
            words.append("".join(self._word))
            self._word = None

    def _read_piece(self, char: str) -> str:
        """What ``char`` begins: a quoted text, an escape, a variable, or just itself."""
        if char == "'":
            return self._until("'")
        if char == '"':
            return self._read_double()
        if char == "\\":
            return self._take()
        return self._read_expansion(char) if char in "$`" else char

    def _until(self, end: str, *, needed: bool = True) -> str:
        stop = self._text.find(end, self._at)
        if stop < 0 and needed:
            raise SpecError(f"the command has a quote {end} that is never closed: copy all of it")
        begin, self._at = self._at, len(self._text) if stop < 0 else stop + needed
        return self._text[begin : self._at - needed]

    def _read_double(self) -> str:
        pieces = []
        while (char := self._take()) != '"':
            if char == "":
                raise SpecError('the command has a quote " that is never closed: copy all of it')
            if char == "\\":
                after = self._take()
                # Within double quotes a backslash is literal before everything else.
                pieces.append("" if after == "\n" else after if after in '$`"\\' else char + after)
            else:
                pieces.append(self._read_expansion(char, quoted=True) if char in "$`" else char)
        return "".join(pieces)

    def _read_expansion(self, char: str, *, quoted: bool = False) -> str:
        following = self._text[self._at : self._at + 1]
        if char == "`" or following == "(":
            raise SpecError("the command runs another one, by $(…) or `…`: put its output there, in single quotes")
        if following == "'" and not quoted:
            self._at += 1
            return self._read_ansi_c()
        name = _NAME.match(self._text, self._at)
        if name is None:
            return char  # a dollar sign with nothing behind it is one
        # Not the variable of this process: the command may come from anywhere, and must not read our environment.
        self._at = name.end()
        return f"{VARIABLE}{name[1] or name[2]}{VARIABLE}"

    def _read_ansi_c(self) -> str:
        pieces = []
        while (char := self._take()) != "'":
            if char == "":
                raise SpecError("the command has a quote $' that is never closed: copy all of it")
            pieces.append(self._read_ansi_escape() if char == "\\" else char)
        # Browsers write \u escapes of UTF-16, so that an emoji is two of them.
        return "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _read_ansi_escape(self) -> str:
        found = _ESCAPE.match(self._text, self._at)
        if found is None:
            return "\\"
        self._at = found.end()
        said = found[0]
        if said in _LETTERS:
            return _LETTERS[said]
        if said[0] in "xuU" and len(said) > 1:
            return _character(int(said[1:], 16))
        # An unknown escape is a backslash and what follows it (bash manual, "ANSI-C Quoting").
        return _character(int(said, 8)) if said[0] in "01234567" else said if said in "\\'\"?" else f"\\{said}"


def _character(code: int) -> str:
    # NUL is our mark, and ends an argument in C; half of a surrogate pair is let through, since its other half follows.
    if not 0 < code < 0x110000:
        raise SpecError(f"the command has an escape for the character {code:#x}, which does not exist")
    return chr(code)


def _split_cmd(text: str) -> Iterator[list[str]]:
    """The words of the commands in a text for cmd.exe."""
    for command in _remove_carets(text):
        if words := list(_split_arguments(command)):
            yield words


def _remove_carets(text: str) -> Iterator[str]:
    """What cmd.exe hands to the programs: a text for each command."""
    pieces: list[str] = []
    quoted, escaped = False, ""
    for char in text.replace("\r\n", "\n"):
        if escaped == "caret" and char == "\n":
            # The end of a line goes away, and the character after it is escaped in its place: two of them are one.
            escaped = "line"
        elif escaped:
            pieces.append(char)
            escaped = ""
        elif char == "^" and not quoted:
            escaped = "caret"
        elif char in "&|\n" and not quoted:
            yield "".join(pieces)
            pieces = []
        else:
            quoted ^= char == '"'
            pieces.append(char)
    yield "".join(pieces)


def _split_arguments(line: str) -> Iterator[str]:
    """What a program of Windows makes of its command line."""
    word: list[str] | None = None
    quoted, at = False, 0
    while at < len(line):
        char = line[at]
        if char in " \t\n" and not quoted:
            if word is not None:
                yield "".join(word)
            word, at = None, at + 1
            continue
        word = word or []
        backslashes = _count_backslashes(line, at)
        at += backslashes
        if line[at : at + 1] != '"':
            word.append("\\" * backslashes or char)
            at += not backslashes
            continue
        # Two backslashes before a quote are one; an odd one makes the quote a character.
        word.append("\\" * (backslashes // 2))
        doubled = quoted and not backslashes and line[at + 1 : at + 2] == '"'
        if backslashes % 2 or doubled:
            word.append('"')
        else:
            quoted = not quoted
        at += 1 + doubled
    if word is not None:
        yield "".join(word)


def _count_backslashes(line: str, at: int) -> int:
    found = _BACKSLASHES.match(line, at)
    return 0 if found is None else found.end() - at
