"""Colours of texts that are drawn too often to be laid out by rich each time."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.text import Text

Paint = Callable[[str], str]


class Painter:
    """``paint["bold"](text)`` is the text as the terminal of ``console`` shows it bold. Styles are rich's."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._known: dict[str, Paint] = {}

    def __getitem__(self, style: str) -> Paint:
        if style not in self._known:
            with self._console.capture() as captured:
                self._console.print(Text("x", style), end="")
            before, _, after = captured.get().partition("x")
            self._known[style] = lambda text: f"{before}{text}{after}" if text else ""
        return self._known[style]
