"""Stored runs as values again, compared or drawn as a page: in a process where reading a million jobs holds up nobody."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from aurea_engine import (
    DamagedParts,
    RunParts,
    RunResult,
    SpecError,
    compare,
    comparison_to_dict,
    encode_json,
    parse_json,
    result_from_dict,
)
from aurea_engine.codec.capacity_reading import capacity_from_dict
from aurea_engine.codec.parsing import RESULT_DEPTH
from aurea_engine.processes.messages import Failure, Reason
from aurea_engine.records import column_file
from aurea_engine.report.capacity_page import render_capacity
from aurea_engine.report.comparison_page import render_comparison
from aurea_engine.report.page import render_html
from aurea_engine.report.series_columns import make_columns
from aurea_engine.results.capacity import CapacityAnswer
from aurea_server.runner.third_party import describe_failure

Message = dict[str, Any]


class StoredRunUnreadable(Exception):
    """What is stored of a run cannot be read: the history's fault, not the client's."""


def join_parts(stored: bytes, content: bytes | None) -> RunParts:
    """Parts with their records, which are kept in a file of their own. Raises `DamagedParts`."""
    parts = RunParts.from_bytes(stored)
    jobs = None if content is None else column_file.decode(content).jobs
    # A run that keeps no records has a file without rows, whatever the number of its jobs.
    return replace(parts, records=jobs if jobs is not None and len(jobs) == parts.meters.counts.total() else None)


def read_stored_run(head: bytes, parts: bytes, records: bytes) -> RunResult:
    """The result of a stored run with its jobs. ``parts``, ``records``: empty where none are stored.

    Raises `StoredRunUnreadable`.
    """
    try:
        # No package is loaded and no file opened for it: it is read, and never run.
        document = parse_json(head, max_depth=RESULT_DEPTH)
        result = result_from_dict(document, local=False, keep_unknown=True)
        if parts:
            joined = join_parts(parts, records or None)
            return replace(result, parts=joined, jobs=joined.records)
        # A run of a version before parts.
        jobs = column_file.Reader(io.BytesIO(records)).read(10**9).jobs if records else None
        return replace(result, jobs=jobs if jobs is not None and len(jobs) == result.counts.arrived else None)
    except (SpecError, DamagedParts) as error:
        raise StoredRunUnreadable(str(error)) from None


def compare_runs(order: Message, attached: Callable[[str], bytes]) -> Message:
    """The comparison of two stored runs, as plain data, or as a ``page``. ``order``: that, ``tolerance`` and ``anyway``."""

    def compared() -> Message:
        a, b = (_read_attached(f"{run} ", attached) for run in "ab")
        comparison = compare(a, b, order["tolerance"], anyway=order["anyway"])
        if order["page"]:
            return {"drawn": render_comparison(comparison).encode()}
        return {"compared": comparison_to_dict(comparison)}

    return _answer(compared)


def draw(what: str, attached: Callable[[str], bytes]) -> Message:
    """The ``report`` of a stored run, a page; or its ``series``, JSON; or the report of a ``search``."""

    def drawn() -> Message:
        if what == "search":
            return {"drawn": render_capacity(_read_answer(attached("answer"))).encode()}
        result = _read_attached("", attached)
        return {"drawn": render_html(result).encode() if what == "report" else encode_json(make_columns(result))}

    return _answer(drawn)


def _read_answer(stored: bytes) -> CapacityAnswer:
    try:
        return capacity_from_dict(parse_json(stored, max_depth=RESULT_DEPTH))
    except SpecError as error:
        raise StoredRunUnreadable(str(error)) from None


def _read_attached(prefix: str, attached: Callable[[str], bytes]) -> RunResult:
    return read_stored_run(*(attached(f"{prefix}{piece}") for piece in ("head", "parts", "records")))


def _answer(work: Callable[[], Message]) -> Message:
    try:
        return work()
    except StoredRunUnreadable as error:
        return {
            "failure": msgspec.to_builtins(Failure(reason=Reason(code="storage", detail=ascii(str(error))[1:-1][:500])))
        }
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer to this request
        return describe_failure(error)
