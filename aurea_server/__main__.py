"""The ways in: the ``aurea`` command, and ``python -m aurea_server``, which is ``aurea serve``."""

import os
import signal
import sys

NARROWEST, WIDEST = 4, 10_000
"""Columns of a terminal that texts can be laid out in: help never comes to an end in one, and fails in none."""


def aurea(*before: str) -> int:
    """The command line, with the arguments ``before`` those of the process. Returns the exit code.

    An interrupt while things are loading just ends the process: there is nothing to clean up yet, and a traceback through
    half an import helps nobody. The server takes the signals itself; the other commands end by them.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from aurea_server.stdio import standard_streams  # noqa: PLC0415 - loaded with the signal in place

    standard_streams.prepare_streams()
    drop_absurd_width()
    from aurea_server.cli import main  # noqa: PLC0415 - loaded with the streams in place

    arguments = [*before, *sys.argv[1:]]
    if arguments[:1] == ["serve"]:
        code = main(arguments)
        # The server has stopped and said so; a Ctrl-C while the interpreter closes would only add a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return code
    from aurea_server.cli.signals import SIGNALS, Interrupted, end_by_signal, raise_at_signals, restore_signals  # noqa: PLC0415

    try:
        raise_at_signals()
        code = main(arguments)
        restore_signals()
    except Interrupted as late:  # after the last line, or before the first
        end_by_signal(late.number)
    if code - 128 in SIGNALS:
        end_by_signal(code - 128)
    return code


def drop_absurd_width() -> None:
    """Without a COLUMNS that no terminal has, the terminal itself is asked; some editors and runners export 0."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and not (len(columns) < 10 and NARROWEST <= int(columns) <= WIDEST):
        del os.environ["COLUMNS"]


if __name__ == "__main__":
    sys.exit(aurea("serve"))
