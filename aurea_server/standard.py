"""The three standard streams: they are there whatever the caller did with them, and nobody waits for whoever reads them."""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import sys
import threading

OUT, ERR = 1, 2
_NAMES = ("stdin", "stdout", "stderr")
_SPELT = {"–": "-", "−": "-", "…": "...", "µ": "u", "×": "x", "✓": "+", "✗": "!"}


def settle() -> None:
    """Put the null device where a stream is closed, and have every text shown, whatever the encoding.

    A descriptor that is left closed is soon a socket's or the loop's own, and what is written to the stream goes there.
    """
    for number, name in enumerate(_NAMES):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    codecs.register_error("spelt", _spell)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="spelt")


def _spell(error: UnicodeError) -> tuple[str, int]:
    """What an encoding does not have, in ASCII."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_SPELT.get(c, "?") for c in error.object[error.start : error.end]), error.end


def write(descriptor: int, text: str) -> None:
    """Write all of it, and wait as long as that takes. Past Python's streams: who waits must not hold one at the exit."""
    content = text.encode("utf-8", "backslashreplace")
    while content:
        try:
            content = content[os.write(descriptor, content) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


def say(descriptor: int, text: str, patience: float = 0.5) -> None:
    """Write it on a thread, and wait for that no longer than ``patience`` seconds: nobody has to be there to read it."""

    def told() -> None:
        with contextlib.suppress(OSError):
            write(descriptor, text)

    thread = threading.Thread(target=told, daemon=True, name="say")
    with contextlib.suppress(RuntimeError):  # no thread to be had
        thread.start()
        thread.join(patience)


def forget(descriptor: int) -> None:
    """What its stream still holds goes nowhere: it could not be written, and Python would try once more at the exit."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)
