"""Runs one specification in a process of its own, under limits that a test sets for that process alone.

    python -m tests.targets.run_here [DESCRIPTORS [SECONDS]] < specification.json > result.json

SECONDS: the limit of descriptors is set only after that time, when the run has begun.
"""

from __future__ import annotations

import json
import resource
import sys
import threading

from aurea_engine import result_to_dict, run_sync, spec_from_dict


def set_limit(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    if len(sys.argv) > 1:
        most = int(sys.argv[1])
        limit = threading.Timer(float(sys.argv[2]), set_limit, [most]) if len(sys.argv) > 2 else None
        set_limit(most) if limit is None else limit.start()
    result = run_sync(spec_from_dict(json.load(sys.stdin)))
    json.dump(result_to_dict(result), sys.stdout)


if __name__ == "__main__":
    main()
