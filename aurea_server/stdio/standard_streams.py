"""The three standard streams: they exist whatever the caller did with them, and every byte that is written to them arrives.

A single write to a pipe may be short: the pipe may be non-blocking, or the process may be stopped and continued in the
middle. Python's buffered streams continue with the rest, but give up when a non-blocking pipe is full. Unbuffered ones
(``python -u``, PYTHONUNBUFFERED) return the short count, which ``print`` ignores. So everything that a command writes goes
through `write_all`, either directly or by the streams that `replace_streams` puts in place of Python's.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

OUT, ERR = 1, 2
_NAMES = ("stdin", "stdout", "stderr")
# A terminal or a pipe that knows only ASCII gets these in place of question marks.
_SPELT = {"–": "-", "−": "-", "…": "...", "µ": "u", "×": "x", "✓": "+", "✗": "!", "≤": "<="}
_SPELT |= dict.fromkeys("█▉▊▋▌", "#") | dict.fromkeys("▍▎▏", "-") | dict.fromkeys("“”", '"')


def prepare_streams() -> None:
    """Put the null device in place of a closed stream, and make every text printable, whatever the encoding.

    A descriptor that is left closed is soon that of a socket or of the event loop, and what is written to the stream goes
    there.
    """
    for number, name in enumerate(_NAMES):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    # Libraries read these without judging them: they take a number of any length, and lay out lines of 0 columns.
    for name in ("COLUMNS", "LINES"):
        if not 0 < len(said := os.environ.get(name, "80")) < 5 or not said.isdecimal() or int(said) == 0:
            del os.environ[name]
    codecs.register_error("spelt", _spell_in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="spelt")


def _spell_in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Characters that the encoding lacks, in ASCII."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_SPELT.get(c, "?") for c in error.object[error.start : error.end]), error.end


def write_all(descriptor: int, content: ReadableBuffer) -> None:
    """Write every byte, and wait as long as that takes, also where the descriptor is non-blocking. Raises OSError."""
    # By bytes, since `os.write` says how many of them it took, whatever the items of the buffer are. Nothing is copied.
    left = memoryview(content).cast("B")
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            waiting = select.poll()  # select() knows no descriptor above 1023
            waiting.register(descriptor, select.POLLOUT)
            waiting.poll()  # it also returns where the reader is gone: the next write says so


class _WholeWriter(io.RawIOBase):
    """A raw stream that never writes less than it is given. ``lossy``: what cannot be written is dropped, never raised."""

    def __init__(self, descriptor: int, name: str, *, lossy: bool) -> None:
        self._descriptor, self.name, self.mode, self._lossy = descriptor, name, "wb", lossy
        self.dropping = False

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, content: ReadableBuffer, /) -> int:
        if not self.dropping:
            try:
                write_all(self._descriptor, content)
            except OSError:
                # stderr: nobody can be told of it, and the run's result must not be lost for a warning.
                if not self._lossy:
                    raise
        return memoryview(content).nbytes


@contextlib.contextmanager
def replace_streams() -> Iterator[None]:
    """Within the block stdout and stderr write all that they are given, also what a job prints.

    What stdout cannot write is raised, as usual. What stderr cannot write is dropped: it must not cost a result. A stream
    without a descriptor, such as a test's, is left alone.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _make_whole(sys.stdout, lossy=False), _make_whole(sys.stderr, lossy=True)
    ours = [stream.buffer for stream in (sys.stdout, sys.stderr) if isinstance(stream.buffer, _WholeWriter)]
    try:
        yield
    finally:
        for raw in ours:
            raw.dropping = True  # what is left could not be written, and must not be tried again at the exit
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        sys.stdout, sys.stderr = before
        for raw in ours:
            raw.dropping = False


def _make_whole(stream: TextIO, *, lossy: bool) -> TextIO:
    try:
        descriptor = stream.fileno()
        stream.flush()
    except (OSError, ValueError, AttributeError):
        return stream
    raw = _WholeWriter(descriptor, stream.name, lossy=lossy)
    return io.TextIOWrapper(
        raw,  # without a buffer between, as Python itself does for `-u`
        stream.encoding,
        stream.errors,
        line_buffering=raw.isatty() or lossy,
        write_through=getattr(stream, "write_through", False),
    )


def write_out(content: bytes) -> None:
    """Write all of it to stdout, after what is there already. Raises OSError."""
    # What was printed before must stand before: it may still wait in the stream.
    sys.stdout.flush()
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # a test captures it within this process
        sys.stdout.buffer.write(content)
    else:
        write_all(descriptor, content)


def write_text(descriptor: int, text: str) -> None:
    """`write_all` of a text. Past Python's streams, which a waiting thread would hold locked when the interpreter exits."""
    write_all(descriptor, text.encode("utf-8", "backslashreplace"))


def write_briefly(descriptor: int, text: str, patience: float = 0.5) -> None:
    """Write on a thread, and wait for it no longer than ``patience`` seconds: a pipe without a reader must not block."""

    def write() -> None:
        with contextlib.suppress(OSError):
            write_text(descriptor, text)

    # A daemon: one that still waits for its reader must not hold up the exit either.
    thread = threading.Thread(target=write, daemon=True, name="write-briefly")
    with contextlib.suppress(RuntimeError):  # no thread to be had
        thread.start()
        thread.join(patience)
