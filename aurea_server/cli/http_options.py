"""The options of ``aurea http`` → a specification as plain data. Names are those of curl where curl has them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from aurea_engine import Problem, SpecError, parse_json
from aurea_server.cli.imported_requests import FORM_TYPE, MOST_REDIRECTS
from aurea_server.cli.input_files import read_file
from aurea_server.cli.run_options import parse_quantity, parse_whole

_Whole = Annotated[int | None, Parameter(converter=parse_whole)]
FLAG = Parameter(negative=(), show_default=False)
MANY = Parameter(negative=(), consume_multiple=False, allow_leading_hyphen=True, show_default=False)


@Parameter(name="*")
@dataclass(frozen=True)
class RequestOptions:
    """What is sent, and what must come back."""

    method: Annotated[str | None, Parameter(name=["--method", "-X", "--request"])] = None
    "Method of the request; GET, or POST where there is a body."

    header: Annotated[list[str], Parameter(name=["--header", "-H"]), MANY] = field(default_factory=list)
    "A header, NAME: VALUE; may be given more than once. Credentials are kept out of results and files."

    data: Annotated[list[str], Parameter(name=["--data", "-d", "--data-binary"]), MANY] = field(default_factory=list)
    "Body of the request, or @FILE, which is sent as it is; several texts are joined by &."

    data_raw: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    "Body of the request, also where it begins with @."

    data_json: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    "Body of the request as JSON, or @FILE."

    form: Annotated[list[str], MANY] = field(default_factory=list)
    "A field of a form, NAME=VALUE; may be given more than once."

    user: Annotated[str | None, Parameter(name=["--user", "-u"])] = None
    "USER:PASSWORD for basic authentication."

    cookie: Annotated[str | None, Parameter(name=["--cookie", "-b"])] = None
    "Cookies to send, NAME=VALUE; NAME=VALUE."

    user_agent: Annotated[str | None, Parameter(name=["--user-agent", "-A"])] = None
    "Value of the header User-Agent."

    head: Annotated[bool, Parameter(name=["--head", "-I"]), FLAG] = False
    "Send the method HEAD."

    location: Annotated[bool, Parameter(name=["--location", "-L"]), FLAG] = False
    "Follow up to 10 redirects."

    redirects: _Whole = None
    "How many redirects to follow at most."

    compressed: Annotated[bool, FLAG] = False
    "Ask for compressed replies, and decompress them."

    unix_socket: str | None = None
    "Connect to this Unix socket in place of the URL's host."

    insecure: Annotated[bool, Parameter(name=["--insecure", "-k"]), FLAG] = False
    "Do not check the server's certificate."

    cacert: str | None = None
    "File with the certificate authorities by which the server's certificate is checked."

    cert: Annotated[str | None, Parameter(name=["--cert", "-E"])] = None
    "File with the client's certificate."

    key: str | None = None
    "File with the key of the client's certificate."

    timeout: Annotated[str | None, Parameter(name=["--timeout", "-m", "--max-time"])] = None
    "How long a request may take, such as 2s; 30s if not given."

    connect_timeout: str | None = None
    "How long opening a connection may take, within --timeout; 10s if not given."

    connections: _Whole = None
    "How many connections may be open at once; as many as are needed if not given."

    no_reuse: Annotated[bool, Parameter(name=["--no-reuse", "--disable-keepalive"]), FLAG] = False
    "Open a connection for each request."

    expect_status: Annotated[str | None, Parameter()] = None
    "Statuses that a reply may have: codes or classes, separated by commas, such as 200,404; 2xx,3xx if not given."

    expect_contains: str | None = None
    "A text that the body of a reply must contain."

    def make_job(self, url: str) -> dict[str, Any]:
        """The members of the job. Raises SpecError with the problems of body, headers and settings together."""
        problems: list[Problem] = []
        body = collect(problems, self._make_body)
        headers = collect(problems, lambda: self._make_headers(body))
        settings = collect(problems, self._make_settings)
        if problems:
            raise SpecError(problems)
        job: dict[str, Any] = {
            "kind": "http",
            "url": self._complete_url(url),
            "method": self._choose_method(bool(body)),
        }
        job |= {"headers": headers} if headers else {}
        job |= body
        job |= {"auth": {"basic": self.user if ":" in self.user else f"{self.user}:"}} if self.user is not None else {}
        return job | settings

    def _choose_method(self, has_body: bool) -> str:
        return self.method or ("HEAD" if self.head else "POST" if has_body else "GET")

    def _complete_url(self, url: str) -> str:
        url = url if "://" in url or url.startswith("unix:") else f"http://{url}"
        if self.unix_socket is None:
            return url
        path = re.sub(r"^[a-zA-Z]+://[^/?#]*", "", url)
        return f"unix:{self.unix_socket}:{path if path.startswith('/') else f'/{path}'}"

    def _make_headers(self, body: dict[str, Any]) -> dict[str, str]:
        headers: dict[str, str] = {}
        for line in self.header:
            name, colon, value = line.partition(":")
            if not colon:
                raise SpecError([Problem("--header", "must be NAME: VALUE", ascii(name)[:40])])
            if name.strip().lower() in {each.lower() for each in headers}:
                raise SpecError([Problem("--header", "must be given once for each name", ascii(name)[:40])])
            headers[name.strip()] = value.strip()
        given = {name.lower() for name in headers}
        # Never the value beside a problem with a header: it may be a secret.
        # What curl sends for -d; other bodies have their type from the engine.
        implied = {"Content-Type": FORM_TYPE} if "body" in body or "file" in body else {}
        implied |= {"Cookie": self.cookie} if self.cookie is not None else {}
        implied |= {"User-Agent": self.user_agent} if self.user_agent is not None else {}
        return headers | {name: value for name, value in implied.items() if name.lower() not in given}

    def _make_body(self) -> dict[str, Any]:
        # `wrk -d 10s` is a duration. Nobody means a form whose only field is called "10s".
        if self.method is None and len(self.data) == 1 and re.fullmatch(r"[0-9]+(\.[0-9]+)?(ms|s|m|h)", self.data[0]):
            problem = "is a body here, as with curl: the time is --duration (or -z), and a body like that is --data-raw"
            raise SpecError([Problem("-d", problem, self.data[0])])
        kinds = [
            flag
            for flag, given in (
                ("--data", self.data or None),
                ("--data-raw", self.data_raw),
                ("--data-json", self.data_json),
                ("--form", self.form or None),
            )
            if given is not None
        ]
        if len(kinds) > 1:
            raise SpecError([Problem(kinds[1], f"cannot stand beside {kinds[0]}: a request has one body")])
        if len(self.data) == 1 and self.data[0].startswith("@"):
            return {"file": self.data[0][1:]}
        if any(each.startswith("@") for each in self.data):
            raise SpecError([Problem("--data", "must be one @FILE or texts: a file is sent as it is, and not joined")])
        if self.data or self.data_raw is not None:
            return {"body": "&".join(self.data) if self.data_raw is None else self.data_raw}
        if self.data_json is not None:
            from_file = self.data_json.startswith("@")
            return {"json": read_file(Path(self.data_json[1:])) if from_file else _read_json(self.data_json)}
        if self.form:
            return {"form": dict(_split_field(each) for each in self.form)}
        return {}

    def _make_settings(self) -> dict[str, Any]:
        """Members of how requests are sent and judged: those that are given."""
        if self.timeout is not None and self.timeout.isalpha():
            raise SpecError([Problem("-m", f"is the timeout, as with curl: the method is -X {self.timeout[:10]}")])
        tls = {"ca": self.cacert, "cert": self.cert, "key": self.key} | ({"verify": False} if self.insecure else {})
        redirects = self.redirects if self.redirects is not None else MOST_REDIRECTS if self.location else None
        status = None if self.expect_status is None else _read_statuses(self.expect_status)
        members = {
            "timeout": maybe_quantity(self.timeout),
            "connect_timeout": maybe_quantity(self.connect_timeout),
            "connections": self.connections,
            "reuse": False if self.no_reuse else None,
            "redirects": redirects,
            "decompress": True if self.compressed else None,
            "tls": without_none(tls) or None,
            "expect": without_none({"status": status, "contains": self.expect_contains}) or None,
        }
        return without_none(members)


def collect(problems: list[Problem], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``make`` returns. Where it raises SpecError, its problems are added to ``problems`` and the result is empty."""
    try:
        return make()
    except SpecError as error:
        problems += error.problems
        return {}


def without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def maybe_quantity(text: str | None) -> Any:
    return None if text is None else parse_quantity(text)


def _read_json(text: str) -> Any:
    try:
        return parse_json(text)
    except SpecError as error:
        raise SpecError([problem._replace(path="--data-json") for problem in error.problems]) from None


def _split_field(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark:
        raise SpecError([Problem("--form", "must be NAME=VALUE", ascii(text)[:40])])
    return name, value


def _read_statuses(text: str) -> list[Any]:
    # What is neither a code nor a class is left as it is: the engine says what is right, under the flag's name.
    return [
        int(each) if each.isascii() and each.isdecimal() else each.lower() for each in re.split(r"[,\s]+", text) if each
    ]
