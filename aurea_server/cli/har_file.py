"""A HAR file → the requests in it, each checked by itself, so that what is wrong is named by its entry.

HAR 1.2 (W3C, "HTTP Archive format", 2012) is what browsers and proxies save. They differ in details: some write a byte
order mark, some leave ``time`` out or make it negative where they did not see the end, some list what never went out.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

import msgspec

from aurea_engine import Problem, SpecError
from aurea_engine.fields.text_files import decode_text

MOST_BYTES = 256 * 1024**2
"""Of a file: replies stand in it, with pictures and all."""
MOST_ENTRIES = 10_000
MOST_PROBLEMS = 20
MOST_MILLISECONDS = 1e9
ASSET_TYPES = (
    *("image/", "font/", "audio/", "video/", "text/css", "text/javascript", "application/javascript"),
    *("application/x-javascript", "application/font", "application/x-font", "application/vnd.ms-fontobject"),
)


@dataclass(frozen=True)
class HarEntry:
    """One request that was sent. ``began`` and ``ended``: seconds since 1970."""

    number: int
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    body_type: str
    status: int
    sets_cookies: bool
    is_asset: bool
    began: float
    ended: float


@dataclass
class HarFile:
    """``skipped``: why entries were left out → how many."""

    entries: list[HarEntry] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def parse_har(content: bytes) -> HarFile:
    """The requests of a HAR file, in the order in which they began. Raises SpecError with each entry that is malformed."""
    if len(content) > MOST_BYTES:
        raise SpecError(f"the file is larger than {MOST_BYTES // 1024**2} MiB: save it without the content of replies")
    try:
        document = msgspec.json.decode(decode_text(content))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise SpecError(f"must be a HAR file, which is JSON: {error}") from None
    log = document.get("log") if isinstance(document, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise SpecError([Problem("log.entries", "must be a list: a HAR file has one; save it by “Save all as HAR”")])
    if len(entries) > MOST_ENTRIES:
        raise SpecError([Problem("log.entries", f"must be at most {MOST_ENTRIES:,} entries", f"{len(entries):,}")])
    return _read_entries(entries)


def _read_entries(entries: list[Any]) -> HarFile:
    har, problems = HarFile(), list[Problem]()
    for number, entry in enumerate(entries):
        try:
            if (reason := _find_reason_to_skip(entry)) is not None:
                har.skipped[reason] += 1
            else:
                har.entries.append(_read_entry(number, entry))
        # One bad entry does not hide the others: all of them are told at once, each by its place in the file.
        except _Malformed as malformed:
            problems.append(Problem(f"log.entries[{number}].{malformed}"[:120], malformed.problem))
    if len(problems) > MOST_PROBLEMS:
        problems[MOST_PROBLEMS:] = [Problem("", f"and {len(problems) - MOST_PROBLEMS} more entries are malformed")]
    if problems:
        raise SpecError(problems)
    # Browsers list a request when its reply has ended. Sorting is stable: what began at once stays in its order.
    har.entries.sort(key=lambda each: each.began)
    return har


class _Malformed(Exception):
    """A member of an entry is missing or of another type."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path)
        self.problem = problem


def _find_reason_to_skip(entry: Any) -> str | None:
    """Why an entry is no request of HTTP that was sent, in words that follow a number; None where it is one."""
    url = _member(entry, "request", "url", kind=str).lower()
    status = _member(entry, "response", "status", kind=(int, float))
    scheme = url.partition(":")[0]
    # Chrome writes wss: URLs, Firefox https: ones that were answered with 101.
    if scheme in ("ws", "wss") or entry.get("_resourceType") == "websocket" or status == 101:
        return "of WebSockets"
    if scheme not in ("http", "https"):
        return f"of {scheme[:20]}: URLs" if scheme in ("data", "blob", "about", "file") else "of other schemes"
    if _member(entry, "request", "method", kind=str).upper() == "CONNECT":
        return "that opened tunnels"
    # A request that the browser blocked or served from its cache never reached a server.
    if status == 0:
        return "that were blocked or never answered"
    cached = entry.get("_fromCache") or entry["response"].get("_fromCache")
    return "that came from the browser's cache" if cached else None


def _read_entry(number: int, entry: Mapping[str, Any]) -> HarEntry:
    request, response = entry["request"], entry["response"]
    began = _read_instant(_member(entry, "startedDateTime", kind=str))
    time = entry.get("time")
    # -1 and null stand for "not known"; so does what is no number, or none that a request can last.
    took = time / 1000 if isinstance(time, (int, float)) and 0 < time < MOST_MILLISECONDS else 0.0
    body, body_type = _read_body(request.get("postData"))
    return HarEntry(
        number=number,
        method=request["method"].upper(),
        url=request["url"].partition("#")[0],
        headers=_read_headers(request, "request"),
        body=body,
        body_type=body_type,
        status=int(response["status"]),
        sets_cookies=any(name.lower() == "set-cookie" for name, _ in _read_headers(response, "response")),
        is_asset=_is_asset(entry),
        began=began,
        ended=began + took,
    )


def _is_asset(entry: Mapping[str, Any]) -> bool:
    """Whether it is a picture, a font, a style or a script, by the browser's word or by the type of the reply."""
    if (kind := entry.get("_resourceType")) is not None:
        return kind in ("image", "font", "stylesheet", "script", "media", "imageset", "texttrack")
    content = entry["response"].get("content")
    mime_type = content.get("mimeType") if isinstance(content, dict) else None
    return isinstance(mime_type, str) and mime_type.lower().startswith(ASSET_TYPES)


def _member(entry: Any, *path: str, kind: Any) -> Any:
    """The member at ``path``. Raises `_Malformed` where it is missing or of another type."""
    found = entry
    for depth, name in enumerate(path):
        found = found.get(name) if isinstance(found, dict) else None
        last = depth == len(path) - 1
        if not isinstance(found, kind if last else dict) or isinstance(found, bool):
            what = {str: "a text", dict: "an object"}.get(kind if last else dict, "a number")
            raise _Malformed(".".join(path[: depth + 1]), f"must be {what}")
    return found


def _read_instant(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):  # also a year that no clock of this machine can tell
        raise _Malformed("startedDateTime", "must be an instant such as 2026-11-30T10:00:00.000Z") from None


def _read_headers(message: Mapping[str, Any], where: str) -> tuple[tuple[str, str], ...]:
    """(name, value) of each."""
    headers = message.get("headers", [])
    if not isinstance(headers, list):
        raise _Malformed(f"{where}.headers", "must be a list")
    pairs = []
    for i, header in enumerate(headers):
        name, value = (header.get(part) for part in ("name", "value")) if isinstance(header, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(value, str):
            raise _Malformed(f"{where}.headers[{i}]", 'must be {"name": …, "value": …}')
        pairs.append((name, value))
    return tuple(pairs)


def _read_body(data: Any) -> tuple[bytes | None, str]:
    """(body, its type). A form may be given by its fields in place of its text."""
    if data is None or data == {}:
        return None, ""
    if not isinstance(data, dict):
        raise _Malformed("request.postData", "must be an object")
    mime_type, text = data.get("mimeType"), data.get("text")
    body_type = mime_type if isinstance(mime_type, str) else ""
    if isinstance(text, str) and text:
        return _decode_body(text, data), body_type
    fields = data.get("params") or []
    if not isinstance(fields, list) or not all(isinstance(each, dict) for each in fields):
        raise _Malformed("request.postData.params", "must be a list of objects")
    if not fields:
        return None, body_type
    if body_type.lower().startswith("multipart/"):
        raise _Malformed(
            "request.postData", "has a multipart body without its text: take the entry out, or record its text"
        )
    encoded = "&".join(
        f"{quote_plus(str(each.get('name', '')))}={quote_plus(str(each.get('value', '')))}" for each in fields
    )
    return encoded.encode(), body_type


def _decode_body(text: str, data: Mapping[str, Any]) -> bytes:
    # HAR 1.2 has `encoding` for replies only. Proxies that record binary requests write it there as well.
    if data.get("encoding") != "base64":
        return text.encode("utf-8", "replace")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _Malformed("request.postData.text", "must be base64, as postData.encoding says") from None
