"""A request as bytes: encoded once where nothing in it differs from job to job, else rendered for each job."""

# Sent by default, in this order, unless the specification says otherwise:
#
#     Host               of the URL, the port where it is not the scheme's own
#     User-Agent         aurea/VERSION
#     Accept             */*
#     Accept-Encoding    gzip, deflate     with ``decompress`` only
#     Content-Type       by the kind of the body
#     Content-Length     with a body, and with POST, PUT and PATCH (RFC 9110, section 8.6)
#     Expect             100-continue      with ``expect_continue`` only
#     Connection         close             with ``reuse`` false only
#
# Nothing else, so that two runs of the same specification send the same bytes. A request is made from here alone: whatever
# ends a line of the head was refused before (`headers`), or is refused as it is rendered (`templates`).

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.version import engine_version
from aurea_engine.targets.http.escaping import Place, encode_form
from aurea_engine.targets.http.headers import CREDENTIALS
from aurea_engine.targets.http.members import HttpMembers
from aurea_engine.targets.http.templates import (
    JobContext,
    Names,
    Part,
    Template,
    compile_json,
    compile_template,
)

CONTENT_TYPES = {
    "body": "text/plain; charset=utf-8",
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "file": "application/octet-stream",
}
"""What a body is, by the member that gives it, unless ``headers`` says."""

WITH_LENGTH = ("POST", "PUT", "PATCH")
"""Methods whose requests say that they have no body."""

Encoded = bytes | tuple[bytes, bytes]
"""A whole request, or its head and a body that waits until the server has said 100."""


@dataclass(frozen=True)
class HeaderLine:
    """One header. ``secret``: it goes to the origin of the URL only; ``of_body``: it goes with the body only."""

    name: str
    value: Template
    secret: bool = False
    of_body: bool = False


class Request:
    """One request. ``body``: None where none is sent; ``waits``: the body waits for 100.

    ``fixed`` is the whole request, encoded, if it is the same for all jobs.
    """

    def __init__(
        self,
        method: str,
        target: Template,
        lines: Sequence[HeaderLine],
        body: Template | bytes | None,
        waits: bool = False,
    ) -> None:
        self.method, self.target, self.lines, self.body = method, target, tuple(lines), body
        self.waits = waits and body is not None
        self._fixed_body = _encode_literal(body)
        self._head = self._compile_head()
        literal = self._head.is_literal and not isinstance(self._fixed_body, Template)
        self.fixed = self.encode(JobContext()) if literal else None

    def _compile_head(self) -> Template:
        """All of the head but what a body that differs makes differ: its length, which is rendered last."""
        parts: list[Part] = [f"{self.method} ", *self.target.parts, " HTTP/1.1\r\n"]
        for line in self.lines:
            parts += [f"{line.name}: ", *line.value.parts, "\r\n"]
        if self.waits:
            parts.append("Expect: 100-continue\r\n")
        if isinstance(self._fixed_body, bytes):
            parts.append(f"Content-Length: {len(self._fixed_body)}\r\n")
        elif self.body is None and self.method in WITH_LENGTH:
            parts.append("Content-Length: 0\r\n")
        return Template(parts)

    def encode(self, context: JobContext, cookie: str = "") -> Encoded:
        """The request for the job of ``context``, which also sends ``cookie``. Raises `RequestFailed`."""
        body, end = self._fixed_body, "\r\n"
        if isinstance(body, Template):
            body = body.render(context).encode()
            end = f"Content-Length: {len(body)}\r\n\r\n"
        head = f"{self._head.render(context)}{end}".encode()
        if cookie:
            # Its bytes go back as they came (RFC 6265, section 5.4), and they were read as Latin-1.
            line = f"Cookie: {cookie}\r\n".encode("latin-1", "replace")
            head = head[:-2] + line + head[-2:]
        if body is None:
            return head
        return (head, body) if self.waits else head + body

    def redirected(self, method: str, target: str, authority: str, *, keeps_body: bool, same_origin: bool) -> Request:
        """The request that follows a redirect: without a body if it became a GET, without secrets at another origin."""
        lines = [
            # A Host that was set by hand stays with the origin that it was set for.
            replace(line, value=Template([authority])) if line.name.lower() == "host" and not same_origin else line
            for line in self.lines
            if (keeps_body or not line.of_body) and (same_origin or not line.secret)
        ]
        return Request(method, Template([target]), lines, self.body if keeps_body else None, self.waits)


def _encode_literal(body: Template | bytes | None) -> Template | bytes | None:
    """A body that is the same for all jobs as its bytes."""
    return body.render(JobContext()).encode() if isinstance(body, Template) and body.is_literal else body


def compile_request(
    members: HttpMembers, names: Names, secrets: Mapping[str, str] | None = None, file: bytes = b""
) -> Request:
    """The request that ``members`` describe. ``secrets``: header → its value, ``file``: the content of the member ``file``.

    Raises `SpecError` with every placeholder that names nothing.
    """
    compiler = _Compiler(names)
    target = compiler.compile_target(members.split_url.target)
    lines = compiler.compile_headers(members, secrets or {})
    body = compiler.compile_body(members, file)
    if compiler.problems:
        raise SpecError(compiler.problems)
    return Request(members.method, target, lines, body, members.expect_continue)


class _Compiler:
    """Compiles the members of one request, and collects what is wrong."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.problems: list[Problem] = []

    def compile(self, text: str, place: Place, path: str) -> Template:
        try:
            return compile_template(text, place, self._names)
        except SpecError as error:
            self.problems += [problem.within(path) for problem in error.problems]
            return Template([])

    def compile_target(self, target: str) -> Template:
        # What is inserted cannot hold a "?", so the first one that is written is where the query begins.
        path, mark, query = target.partition("?")
        parts = [self.compile(path, "path", "url"), Template([mark]), self.compile(query, "query", "url")]
        return Template([part for template in parts for part in template.parts])

    def compile_headers(self, members: HttpMembers, secrets: Mapping[str, str]) -> list[HeaderLine]:
        given = {name.lower(): name for name in members.headers}
        lines = [
            HeaderLine(name, Template([text])) for name, text in _default_headers(members) if name.lower() not in given
        ]
        for name, text in members.headers.items():
            secret = name.lower() in CREDENTIALS or not isinstance(text, str)
            # A secret's text is never a template: whoever could choose it could read other values with it.
            value = (
                self.compile(text, "header", f"headers.{name}")
                if isinstance(text, str)
                else Template([secrets.get(name.lower(), "")])
            )
            lines.append(HeaderLine(name, value, secret, name.lower().startswith("content-")))
        if members.auth is not None:
            lines.append(HeaderLine("Authorization", Template([secrets.get("authorization", "")]), secret=True))
        # Host is first, as RFC 9112, section 3.2, recommends.
        lines.sort(key=lambda line: line.name.lower() != "host")
        kind = next((name for name in CONTENT_TYPES if getattr(members, name) is not None), None)
        if kind is not None and "content-type" not in given:
            lines.append(HeaderLine("Content-Type", Template([CONTENT_TYPES[kind]]), of_body=True))
        if not members.reuse:
            lines.append(HeaderLine("Connection", Template(["close"])))
        return lines

    def compile_body(self, members: HttpMembers, file: bytes) -> Template | bytes | None:
        if members.body is not None:
            return self.compile(members.body, "text", "body")
        if members.form is not None:
            return self._compile_form(members.form)
        if members.json is not None:
            try:
                return compile_json(members.json, self._names)
            except SpecError as error:
                self.problems += [problem.within("json") for problem in error.problems]
        return None if members.file is None else file

    def _compile_form(self, form: Mapping[str, str]) -> Template:
        parts: list[Part] = []
        for i, (name, text) in enumerate(form.items()):
            path = f"form.{name}"
            value = self.compile(text, "form", path)
            key = self.compile(name, "form", path)
            # Literals are encoded like the values: a form is written as it is meant, not as it is sent.
            pairs = ["&" if i else "", *_encode_literals(key), "=", *_encode_literals(value)]
            parts += pairs
        return Template(parts)


def _encode_literals(template: Template) -> list[Part]:
    return [encode_form(part) if isinstance(part, str) else part for part in template.parts]


def _default_headers(members: HttpMembers) -> list[tuple[str, str]]:
    headers = [
        ("Host", members.split_url.authority),
        ("User-Agent", f"aurea/{engine_version()}"),
        ("Accept", "*/*"),
    ]
    return [*headers, ("Accept-Encoding", "gzip, deflate")] if members.decompress else headers
