"""Log lines: one line each, with ids, and nothing in them that a terminal or a parser would obey."""

from __future__ import annotations

import json
import logging

import pytest

from aurea_server.context import request_id
from aurea_server.logs import JsonFormatter, TextFormatter, escape_unprintable

HOSTILE = ["\x1b[31mred", "a\nlevel=error b", "\r\x00", "\u202eevil", "\ud800", "x" * 10_000]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_escaped_in_both_forms(text: str) -> None:
    record = logging.LogRecord("a", logging.INFO, "f", 1, "%s", (text,), None)
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(record)
        assert "\n" not in line
        assert line.encode().decode().isprintable()
        assert len(line) < 5000
    assert escape_unprintable(text).isprintable()


def test_json_lines_have_run_and_request_ids() -> None:
    """Json lines carry the ids of run and request."""
    token = request_id.set("r-1")
    try:
        record = logging.LogRecord("aurea", logging.WARNING, "f", 1, "ended: %s", ("failed",), None)
        record.run_id = "benchmark-1"
        said = json.loads(JsonFormatter().format(record))
    finally:
        request_id.reset(token)
    assert said.pop("ts").endswith("Z")
    assert said == {
        "level": "warning", "logger": "aurea", "event": "ended: failed", "run_id": "benchmark-1", "request_id": "r-1",
    }  # fmt: skip
