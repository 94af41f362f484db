"""Log lines: text or JSON, with the ids of run and request, and nothing in them that a terminal or a parser would obey.

What is logged may come from clients and from jobs, so control characters are spelt out: none can forge a line or move a
terminal's cursor. Lines go to stderr from a thread of their own, because a pipe that nobody reads must not stop the server.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from datetime import UTC, datetime

import msgspec

from aurea_server.context import request_id, trace_context
from aurea_server.stdio import standard_streams

MAX_WAITING = 10_000
"""Lines that wait to be written; more are dropped and counted."""

MAX_LENGTH = 4096
"""Characters of a message."""


def escape_unprintable(text: str) -> str:
    """Printable, one line: control characters, escape sequences and odd Unicode are spelt out."""
    if text.isascii() and text.isprintable():
        return text[:MAX_LENGTH]
    # Half of a pair of surrogates is printable to Python and cannot be encoded, so it is escaped as well.
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:MAX_LENGTH])
    return shown.encode("utf-8", "backslashreplace").decode()


IDS = ("run_id", "search_id", "request_id", "trace_id", "span_id")
"""What a line may be about."""


class _Formatter(logging.Formatter):
    def members(self, record: logging.LogRecord) -> dict[str, str]:
        """The members of a line, in order."""
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        found = {
            "ts": stamp.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": escape_unprintable(record.getMessage()),
        }
        # What the caller passes comes first: a background task may log of a run outside of any request.
        for name in ("run_id", "search_id", "request_id"):
            if value := getattr(record, name, None) or (request_id.get() if name == "request_id" else None):
                found[name] = escape_unprintable(str(value))
        if (trace := trace_context.get()) is not None:
            found |= trace._asdict()
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return found


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return msgspec.json.encode(self.members(record)).decode()


class TextFormatter(_Formatter):
    """One line of text, and a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        found = self.members(record)
        ids = "".join(f" {name}={found[name]}" for name in IDS if name in found)
        trace = "\n" + found["exception"] if "exception" in found else ""
        return f"{found['ts']} {found['level']:<7} {found['event']}{ids}{trace}"


class _ThreadedHandler(logging.Handler):
    """Formats at once, writes from a thread; what cannot be written in time is dropped and counted."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: queue.Queue[str] = queue.Queue(MAX_WAITING)
        self.dropped = 0
        threading.Thread(target=self._write, daemon=True, name="log").start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # Formatted here: what the record refers to may have changed by the time it is written.
            self._waiting.put_nowait(self.format(record))
        except queue.Full:
            self.dropped += 1
        except Exception:  # noqa: BLE001 - a line that cannot be formatted must not hurt the code that logs it
            self.dropped += 1

    def _write(self) -> None:
        while True:
            line = self._waiting.get()
            try:
                standard_streams.write_text(standard_streams.ERR, line + "\n")
            except (OSError, ValueError):
                self.dropped += 1
            self._waiting.task_done()

    def flush(self) -> None:
        """Wait until all lines are written, but at most half a second: stderr may be a pipe that nobody reads."""
        until = time.monotonic() + 0.5
        while self._waiting.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.005)


def configure_logging(style: str, level: str) -> None:
    """Send everything that is logged to stderr. Only the program itself does this, never a library."""
    # The root logger, so that libraries' warnings reach the operator too.
    handler = _ThreadedHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
