"""Ctrl-C while an event loop turns: no traceback through its callbacks, and heard even while a job holds it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERRUPTED = 130


def _nothing() -> None: ...


@contextmanager
def interrupts(first: Callable[[], None] | None = None, last: Callable[[], None] = _nothing) -> Iterator[None]:
    """The first SIGINT calls ``first``, the next ends the program at once, with 130; where there is no ``first``, it does.

    ``last`` is called before the program ends.
    """
    asked = first

    def interrupted(*_: object) -> None:
        nonlocal asked
        if asked is None:
            last()
            os._exit(INTERRUPTED)
        ask, asked = asked, None
        ask()

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
