"""``python -m aurea_server`` is ``aurea serve``."""

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the server takes the signals: no traceback while it is loading
    from aurea_server.cli import main

    sys.exit(main(["serve", *sys.argv[1:]]))
