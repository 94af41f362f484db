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
from typing import Any, NoReturn

import msgspec

from aurea_engine import AureaError, Problem, SpecError
from aurea_engine.fields.text_files import read_text
from aurea_server.settings.settings import SettingsError

_ENCODER = msgspec.json.Encoder(decimal_format="number")


class ServerError(AureaError, ConnectionError):
    """The server cannot be reached, or refused; the text is one sentence."""


def read_token(environ: Mapping[str, str] = os.environ) -> str | None:
    """From AUREA_TOKEN, else from the file that AUREA_TOKEN_FILE names. Raises SettingsError for what no header may hold."""
    # Never a flag: arguments are seen by everybody who lists processes.
    name, text = "AUREA_TOKEN", environ.get("AUREA_TOKEN", "")
    if not text and (path := environ.get("AUREA_TOKEN_FILE")):
        name = "AUREA_TOKEN_FILE"
        try:
            text = read_text(path)
        except (OSError, SpecError) as error:
            raise SettingsError(f"{name}: {path}: {getattr(error, 'strerror', None) or error}") from None
    if not text:
        return None
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise SettingsError(f"{name}: the token must be printable ASCII characters without spaces")
    return text


def parse_server_url(url: str, name: str) -> str:
    """``url`` without a slash at its end, and with http:// where it has no scheme. Raises SettingsError, naming ``name``."""

    def refuse(problem: str) -> NoReturn:
        raise SettingsError(str(Problem(name, problem, ascii(url)[:60])))

    text = url if "://" in url else f"http://{url}"
    try:
        parts = urllib.parse.urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that are none
        usable = False
    if not usable or not url.isprintable() or " " in url:
        refuse("must be a URL such as http://localhost:5000 or http://localhost:5000/prefix")
    # Python would send a name and password to the proxy's log and to redirects; the token has a header of its own.
    if "@" in parts.netloc:
        refuse("must be a URL without a name or password: the token goes into AUREA_TOKEN or AUREA_TOKEN_FILE")
    if "?" in text or "#" in text:
        refuse("must be a URL without a query or fragment")
    path = urllib.parse.quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
    return f"{parts.scheme}://{parts.netloc}{path}"


class _RedirectBelow(urllib.request.HTTPRedirectHandler):
    """Follows redirects that stay below the server's URL, and no other: the token goes along, and must not go elsewhere."""

    def __init__(self, url: str) -> None:
        self._url = url

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        there = ascii(newurl)[1:-1][:200]
        if not newurl.startswith(f"{self._url}/") or "/../" in f"{urllib.parse.unquote(newurl)}/":
            fp.close()
            raise ServerError(
                f"{self._url}: it redirects to {there}, which is not followed; give --server the right address"
            )
        if req.get_method() != "GET":  # the library would send a GET in its place
            fp.close()
            raise ServerError(f"{self._url}: it redirects a {req.get_method()} to {there}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class ServerClient:
    """``url``: where the server is, such as http://localhost:5000, or http://example.org/aurea behind a proxy.

    ``name``: what gave the URL, for complaints. Raises SettingsError if it is none.
    """

    def __init__(self, url: str, name: str = "--server") -> None:
        self.url = parse_server_url(url, name)
        self._token = read_token()
        # No proxies: what is meant for a server of ours does not go through anybody's.
        handlers = [
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context()),
            _RedirectBelow(self.url),
        ]
        self._opener = urllib.request.build_opener(*handlers)

    @contextmanager
    def open(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[Any]:
        """The response, to be read. Raises `ServerError`, or `SpecError` where the server found the body wrong."""
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
                raise _read_refusal(self.url, error.code, error.read(1 << 20)) from None
        except ServerError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"{self.url}: {getattr(error, 'reason', error) or type(error).__name__}") from None
        except ValueError:  # no JSON, or what no URL and no header may hold
            raise ServerError(f"{self.url}: it did not answer as an Aurea server does") from None

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
        """The decoded JSON answer, None if there is none."""
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


def _read_refusal(url: str, status: int, content: bytes) -> AureaError:
    try:
        problem = json.loads(content)
        sentence = str(problem["error"])
        problems = [Problem(each["path"], each["problem"], each.get("got", "")) for each in problem.get("problems", [])]
    except (ValueError, KeyError, TypeError):
        return ServerError(f"{url}: it answered {status}, and not as an Aurea server does")
    if status == 400 and problems:
        return SpecError(problems)
    return ServerError(f"{url}: {sentence} ({status})")
