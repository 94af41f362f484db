"""Ctrl-C, SIGTERM and SIGHUP: a command first writes what it has, and then ends by that very signal.

A shell looks at how a command died. After a plain ``exit 130`` a loop goes on to its next round, since the command seems to
have handled Ctrl-C itself; the loop ends too only if SIGINT killed the command (Martin Cracauer, "Proper handling of
SIGINT/SIGQUIT"). So at the end the default action is restored, and the signal sent once more: `end_by_signal`.

A command without a handler of its own ends by `Interrupted`, so that its files are cleaned up. SIGHUP that was ignored at
the start (nohup) stays ignored.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal ends the command; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _do_nothing() -> None: ...


def _list_signals() -> list[signal.Signals]:
    return [number for number in SIGNALS if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN]


def raise_at_signals() -> None:
    """From now on the first signal raises `Interrupted` in the main thread; the next ends the process at once."""

    def interrupted(number: int, _: object) -> NoReturn:
        restore_signals()
        raise Interrupted(number)

    for number in _list_signals():
        signal.signal(number, interrupted)


@contextmanager
def say_when_stopped(what: str) -> Iterator[None]:
    """A line on stderr where a signal ends the block, of a command that has nothing to show by then."""
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"aurea: {what} was stopped before there was an answer\n")
        raise


def restore_signals() -> None:
    """The default action: the process ends at once. Raises `Interrupted` where one has come just now."""
    for number in _list_signals():
        signal.signal(number, signal.SIG_DFL)


def end_by_signal(number: int) -> NoReturn:
    """End this process by the signal, without any clean-up: everything must be written by now."""
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # the first process of a container is spared by signals that it sends itself


@contextmanager
def handle_signals(first: Callable[[], None] | None = None, last: Callable[[], object] = _do_nothing) -> Iterator[None]:
    """The first signal calls ``first``, the next ends the process at once; where there is no ``first``, the first does.

    ``last`` is called before the process ends. Once the block is left, the first signal is sent again, to whom it would have
    gone without the block: the command ends as if it came only now, with everything written. No exception is raised into the
    block, whose frames may be those of an event loop or of a job.
    """
    came: list[int] = []

    def interrupted(number: int, _: object) -> None:
        # Runs between two bytecodes of whatever the main thread is at: it may set flags, and must not raise.
        if came or first is None:
            last()
            end_by_signal(number)
        came.append(number)
        first()

    before = {number: signal.signal(number, interrupted) for number in _list_signals()}
    try:
        yield
    finally:
        # Before the signal is sent once more, so that it reaches who had it before; None is a handler that is not Python's.
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if came:
            signal.raise_signal(came[0])
