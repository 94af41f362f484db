"""The ways in: the ``aurea`` command, and ``python -m aurea_server``, which is ``aurea serve``."""

import signal
import sys

from aurea_server import standard


def aurea(*before: str) -> int:
    """The command line, with the arguments ``before`` those of the process. Returns the exit code.

    An interrupt while things are loading just ends the process: there is nothing to clean up yet, and a traceback through
    half an import helps nobody. The server takes the signals itself; the other commands end by KeyboardInterrupt.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    standard.settle()
    from aurea_server.cli import main  # noqa: PLC0415 - loaded with the signal in place

    arguments = [*before, *sys.argv[1:]]
    if arguments[:1] != ["serve"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = main(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said: what is taken down now need not hear of it
    return code


if __name__ == "__main__":
    sys.exit(aurea("serve"))
