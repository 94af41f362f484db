"""The body of a request that a curl command makes, from its ``-d``, ``--data-…`` and ``--json`` flags."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote_plus

from aurea_engine import Problem
from aurea_server.cli.curl_options import CurlOptions

MOST_BODY = 1024**2
"""Bytes of a file that are put into the specification; a longer one stays in its file."""


def read_body(options: CurlOptions) -> tuple[str | None, str | None]:
    """(text, path of a file): at most one of them. What cannot be read is a problem of ``options``."""
    parts = [(flag, value) for flag, value in options.data if flag != "url-query"]
    if not parts:
        return None, None
    flag, value = parts[0]
    # One file that is sent byte by byte stays one: it may be large, and no text.
    whole = flag in ("data-binary", "json") and value.startswith("@") and value != "@-"
    if whole and len(parts) == 1 and "get" not in options.switches:
        return None, value[1:]
    # Parts of --json follow each other as they are; all others are fields of a form.
    joint = "" if {flag for flag, _ in parts} == {"json"} else "&"
    return joint.join(_read_part(options, flag, value) for flag, value in parts), None


def _read_part(options: CurlOptions, flag: str, value: str) -> str:
    if flag == "data-raw":
        return value
    if flag == "data-urlencode":
        return encode_part(options, value)
    if not value.startswith("@"):
        return value
    text = _read_file(options, flag, value[1:])
    # curl leaves the ends of lines out of -d @FILE, and of nothing else.
    return text.replace("\r", "").replace("\n", "") if flag == "data" else text


def encode_part(options: CurlOptions, value: str) -> str:
    """``CONTENT``, ``=CONTENT``, ``NAME=CONTENT``, ``@FILE`` or ``NAME@FILE``; only the content is encoded.

    A space becomes ``+``, as curl has it since 7.86.
    """
    found = re.fullmatch(r"([^=@]*)([=@])(.*)", value, re.DOTALL)
    if found is None:
        return quote_plus(value)
    name, mark, content = found.groups()
    content = _read_file(options, "data-urlencode", content) if mark == "@" else content
    return (f"{name}=" if name else "") + quote_plus(content)


def _read_file(options: CurlOptions, flag: str, name: str) -> str:
    try:
        if name == "-":
            raise OSError(0, "stdin cannot be read here: name a file")  # noqa: TRY301 - one place that reports
        # One byte more than is allowed, so that a device or a pipe without an end is not read to it.
        with Path(name).open("rb") as file:
            content = file.read(MOST_BODY + 1)
        if len(content) <= MOST_BODY:
            return content.decode()
        problem = f"{name} is longer than 1 MiB: give --data-binary @{name}, which stays a file"
    except OSError as error:
        problem = f"{name}: {error.strerror}"
    except ValueError:
        problem = f"{name} is no text in UTF-8: give --data-binary @{name}, which stays a file"
    options.problems.append(Problem(f"--{flag}", problem))
    return ""
