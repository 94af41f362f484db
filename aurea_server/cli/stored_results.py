"""The result that a command is given: a JSON file, a run file, stdin, or the id of a stored run.

An id is looked up on the server that ``--server`` or AUREA_SERVER names, else in the history of this machine; a file of that
name wins over it. A run file and the history of this machine hold every job, a JSON document at most the first 10,000.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aurea_engine import (
    Catalog,
    DamagedRunFile,
    JobBatch,
    Problem,
    RunFile,
    RunParts,
    RunResult,
    SpecError,
    parse_json,
    records_from_rows,
)
from aurea_engine.closed_sets import RUN_ID_PATTERN
from aurea_engine.codec.parsing import RESULT_DEPTH
from aurea_engine.codec.result_reading import DECLARED
from aurea_engine.codec.run_file import RUN_FILE_ENDING, is_run_file
from aurea_engine.records import column_file
from aurea_engine.records.measures import Measure, Schema
from aurea_engine.records.rows import find_schema
from aurea_server.cli.input_files import name_input, parse_file, read_content

WHAT_RESULTS_ARE = (
    "must be a result, as `aurea run --json`, `aurea run -o` or a server gives it, or the id of a stored run"
)


@dataclass(frozen=True)
class StoredResult:
    """``document``: the result as JSON values; ``parts``: as a `RunFile` has them, none where only the document is there;
    ``records``: all jobs, of a run that was stored without parts.
    """

    name: str
    document: Mapping[str, Any]
    parts: tuple[RunParts, ...] = ()
    records: JobBatch | None = None

    def checked(self) -> StoredResult:
        """The same, if it is a result. Raises SpecError."""
        if not isinstance(self.document, dict) or "benchmark_id" not in self.document:
            raise SpecError(f"{self.name}: {WHAT_RESULTS_ARE}")
        # A run that waits or runs, or came to no result, has a document too.
        if "counts" not in self.document:
            status = self.document.get("status")
            why = WHAT_RESULTS_ARE if status is None else f"this run has no result: it is {status}"
            raise SpecError(f"{self.name}: {why}")
        return self

    def to_file(self) -> RunFile:
        """The run file of it. Where parts have the jobs, the document has them no more."""
        jobs = {"jobs": [], "jobs_truncated": True} if self.parts else {}
        return RunFile({**self.document, **jobs}, self.parts)

    def to_result(self, catalog: Catalog | None = None) -> RunResult:
        """The result, with all of its jobs where they are there. It is never run: kinds that are not known here are kept as
        they are, and no file is opened that its specification names. Raises SpecError.
        """
        try:
            result = RunFile(dict(self.document), self.parts).to_result(catalog, local=False, keep_unknown=True)
            return result if self.records is None else replace(result, jobs=self.records)
        except DamagedRunFile as error:
            raise SpecError(f"{self.name}: {error}") from None
        except SpecError as error:
            problems = [each._replace(path=f"{self.name}: {each.path}") for each in error.problems]
            raise SpecError(problems) from None

    def read_records(self) -> JobBatch | None:
        """All of the run's jobs; None where they are not there. Raises SpecError."""
        if len(self.parts) == 1:
            return self.parts[0].records
        if self.records is not None:
            return self.records
        # A part of the jobs would pass for the whole.
        if self.document.get("jobs_truncated") is not False or not self.document.get("jobs"):
            return None
        return records_from_rows(self.document["jobs"], self._read_schema())

    def _read_schema(self) -> Schema | None:
        """The columns of the jobs, with units and scales, which only the run's measures show; None if nothing names them."""
        rows, told = self.document["jobs"], self.document.get("measures")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not isinstance(told, dict):
            return None
        schema = find_schema(rows)
        declared = {name: each for name, each in told.items() if isinstance(each, dict)}
        measures = [
            Measure(each.name, *(declared.get(each.name, {}).get(member, missing) for member, missing in DECLARED))
            for each in schema.measures
        ]
        return replace(schema, measures=tuple(measures))


def read_stored(name: Path, server: str | None = None, data: Path | None = None) -> StoredResult:
    """The result that ``name`` stands for. ``data``: the folder of this machine's history. Raises SpecError,
    `HistoryError` or `ServerError`.
    """
    return _read(name, server, data).checked()


def read_document(name: Path, server: str | None = None) -> Any:
    """The JSON values of a result or a specification, whatever ``name`` is; a specification may also be TOML."""
    return _read(name, server, None).document


def is_stored_id(name: Path) -> bool:
    """Whether ``name`` is the id of a stored run, and no file."""
    return re.fullmatch(RUN_ID_PATTERN, str(name)) is not None and not name.exists()


def refuse_server_of_files(names: Iterable[Path], server: str | None) -> None:
    """Raises SpecError where --server is given, and nothing that it could be asked for: it would be left out silently."""
    # What does not exist is a complaint of its own.
    are_files = all(str(name) == "-" or name.exists() for name in names)
    if server is not None and are_files:
        raise SpecError([Problem("--server", "goes with the id of a stored run: a file is read here, so leave it out")])


def _read(name: Path, server: str | None, data: Path | None) -> StoredResult:
    if is_stored_id(name):
        return read_history(str(name), server, data)
    content, called = read_content(name), name_input(name)
    if not is_run_file(content) and name.suffix.lower() != RUN_FILE_ENDING:
        return StoredResult(called, parse_file(name, content))
    try:
        file = RunFile.from_bytes(content)
    except DamagedRunFile as error:
        raise SpecError(f"{called}: {error}") from None
    return StoredResult(called, file.document, file.parts)


def read_history(run_id: str, server: str | None, data: Path | None) -> StoredResult:
    """A stored run by its id: of this machine with every job, of a server as JSON.

    Raises `HistoryError` or `ServerError`.
    """
    # Loaded only where an id is given: the ledger's modules would double the start of ``aurea run``.
    from aurea_server.cli.history_access import find_server, open_ledger, read_row, read_run_document  # noqa: PLC0415
    from aurea_server.runner.stored_runs import join_parts  # noqa: PLC0415
    from aurea_server.runs import views  # noqa: PLC0415

    if find_server(server) is not None:
        document = parse_json(read_run_document(run_id, None, server), max_depth=RESULT_DEPTH)
        return StoredResult(run_id, document)
    with open_ledger(data) as ledger:
        row = read_row(ledger, run_id)
        content = ledger.records(run_id) if row.records_bytes else None
        document = parse_json(views.encode_stored(row, content), max_depth=RESULT_DEPTH)
        stored = ledger.parts(run_id)
        if stored is not None:
            return StoredResult(run_id, document, (join_parts(stored, content),))
        # A run of a version before parts has only its records; one that kept none has a file without rows.
        records = None if content is None else column_file.decode(content).jobs
        counts = document.get("counts") or {}
        is_whole = records is not None and len(records) == counts.get("arrived")
        return StoredResult(run_id, document, records=records if is_whole else None)
