"""``python -m aurea_server`` is ``aurea serve``."""

import sys

from aurea_server.cli import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
