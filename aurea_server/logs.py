"""Log lines: text or JSON, with the ids of run and request, and nothing in them that a terminal or a parser would obey.

Lines go to stderr by a thread of their own: a pipe that nobody reads must not stop the server.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from datetime import UTC, datetime

import msgspec

from aurea_server.context import request_id
from aurea_server.stdio import standard_streams

MOST_WAITING = 10_000
MOST_LENGTH = 4096


def escape_unprintable(text: str) -> str:
    """Printable, one line: control characters, escape sequences and odd Unicode are spelt out."""
    if text.isascii() and text.isprintable():
        return text[:MOST_LENGTH]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:MOST_LENGTH])
    return shown.encode("utf-8", "backslashreplace").decode()


class _Formatter(logging.Formatter):
    def members(self, record: logging.LogRecord) -> dict[str, str]:
        """What there is to say, in order."""
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {
            "ts": stamp.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": escape_unprintable(record.getMessage()),
        }
        for name in ("run_id", "request_id"):
            if value := getattr(record, name, None) or (request_id.get() if name == "request_id" else None):
                said[name] = escape_unprintable(str(value))
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return said


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return msgspec.json.encode(self.members(record)).decode()


class TextFormatter(_Formatter):
    """For people."""

    def format(self, record: logging.LogRecord) -> str:
        said = self.members(record)
        ids = "".join(f" {name}={said[name]}" for name in ("run_id", "request_id") if name in said)
        trace = "\n" + said["exception"] if "exception" in said else ""
        return f"{said['ts']} {said['level']:<7} {said['event']}{ids}{trace}"


class _ThreadedHandler(logging.Handler):
    """Formats at once, writes from a thread; what cannot be written in time is dropped and counted."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: queue.Queue[str] = queue.Queue(MOST_WAITING)
        self.dropped = 0
        threading.Thread(target=self._write, daemon=True, name="log").start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.put_nowait(self.format(record))
        except queue.Full:
            self.dropped += 1
        except Exception:  # noqa: BLE001 - a line that cannot be formatted must not hurt whoever logs it
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
        """Wait until all is written, but not for ever: stderr may be a pipe that nobody reads."""
        until = time.monotonic() + 0.5
        while self._waiting.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.005)


def configure_logging(style: str, level: str) -> None:
    """For a program's edge: send everything that is logged to stderr."""
    handler = _ThreadedHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
