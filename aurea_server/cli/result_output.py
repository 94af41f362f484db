"""Writing a result: to the file that --output names, and to stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from aurea_engine import SpecError
from aurea_engine.codec.run_file import RUN_FILE_ENDING
from aurea_server.stdio.output_files import is_stdout, write_output
from aurea_server.stdio.standard_streams import write_out


def write_result(
    encoded: bytes, output: Path | None, *, json: bool, people: Callable[[], None], whole: bytes | None = None
) -> None:
    """The result to ``output`` and to stdout, as JSON or for ``people``. A file that fails costs stdout nothing. ``whole``:
    the run file that ``output`` gets instead of the JSON.
    """
    failed = None
    if output is not None:
        try:
            write_output(output, [encoded if whole is None else whole])
        except SpecError as error:
            failed = error
    if not json:
        people()
    elif not is_stdout(output):  # there it has been written already, and it is all that may be
        write_out(encoded)
    sys.stdout.flush()
    # Reported last, with its exit code: stdout has the result all the same.
    if failed is not None:
        raise failed


def asks_for_run_file(output: Path | None) -> bool:
    """Whether ``--output`` names a run file, by its ending."""
    return output is not None and output.suffix.lower() == RUN_FILE_ENDING
