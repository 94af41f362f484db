"""A client of an Aurea server, for the command line: standard library, one request at a time."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from aurea_engine import AureaError, Problem, SpecError
from aurea_engine.text_files import read_text

_ENCODER = msgspec.json.Encoder(decimal_format="number")


class RemoteError(AureaError, ConnectionError):
    """The server cannot be reached, or refused; the text is one sentence."""


def token(environ: Mapping[str, str] = os.environ) -> str | None:
    """From AUREA_TOKEN, else from the file that AUREA_TOKEN_FILE names. Raises SpecError for what no header may hold."""
    name, text = "AUREA_TOKEN", environ.get("AUREA_TOKEN", "")
    if not text and (path := environ.get("AUREA_TOKEN_FILE")):
        name = "AUREA_TOKEN_FILE"
        try:
            text = read_text(path)
        except (OSError, SpecError) as error:
            raise SpecError(f"{name}: {path}: {getattr(error, 'strerror', None) or error}") from None
    if not text:
        return None
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise SpecError(f"{name}: the token must be printable ASCII characters without spaces")
    return text


class Remote:
    """``url``: where the server is, such as http://localhost:5000."""

    def __init__(self, url: str) -> None:
        try:
            parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        except ValueError:
            parts = urllib.parse.urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.username is not None:
            raise SpecError(f"--server: must be a URL such as http://localhost:5000, got {ascii(url)[:60]}")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._token = token()
        # No proxies: what is meant for a server of ours does not go through anybody's.
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl.create_default_context())]
        self._opener = urllib.request.build_opener(*handlers)

    @contextmanager
    def open(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[Any]:
        """The response, to be read. Raises `RemoteError`, or `SpecError` where the server found the body wrong."""
        data = None if body is None else _ENCODER.encode(body)
        request = urllib.request.Request(self.url + path, data, dict(headers or {}), method=method)  # noqa: S310 - http(s) only
        if method != "GET":
            request.add_header("Content-Type", "application/json")
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with self._opener.open(request, timeout=60) as response:
                yield response
                if response.length:  # it is not an error to the library
                    raise http.client.IncompleteRead(b"", response.length)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(self.url, error.code, error.read(1 << 20)) from None
        except (OSError, http.client.HTTPException) as error:
            raise RemoteError(f"{self.url}: {getattr(error, 'reason', error) or type(error).__name__}") from None
        except ValueError:  # no JSON, or what no URL and no header may hold
            raise RemoteError(f"{self.url}: it did not answer as an Aurea server does") from None

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
        """The decoded JSON answer, None where there is none."""
        with self.open(method, path, body, headers) as response:
            content = response.read()
            return json.loads(content) if content else None

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """(kind, data) of each server-sent event, until the stream ends."""
        kind, data = "message", ""
        with self.open("GET", path, headers={"Accept": "text/event-stream"}) as response:
            for raw in response:
                line = raw.decode("utf-8").rstrip("\r\n")
                if not line and data:
                    yield kind, json.loads(data)
                    kind, data = "message", ""
                name, _, value = line.partition(":")
                if name == "event":
                    kind = value.strip()
                elif name == "data":
                    data += value.strip()


def _refusal(url: str, status: int, content: bytes) -> AureaError:
    try:
        problem = json.loads(content)
        sentence = str(problem["error"])
        problems = [Problem(each["path"], each["problem"], each.get("got", "")) for each in problem.get("problems", [])]
    except (ValueError, KeyError, TypeError):
        return RemoteError(f"{url}: it answered {status}, and not as an Aurea server does")
    if status == 400 and problems:
        return SpecError(problems)
    return RemoteError(f"{url}: {sentence} ({status})")
