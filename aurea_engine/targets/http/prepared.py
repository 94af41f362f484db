"""A request made ready for a run: files and secrets are read, templates compiled, and all that could be wrong is known."""

# Secrets are read here, when the run is set up, and live on in the bytes of the request alone: not in the specification,
# which is stored and shown, and in no value that has a representation. What cannot be read ends the run before its window.

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import show_value
from aurea_engine.fields.local_files import read_file
from aurea_engine.records.batch import NS
from aurea_engine.targets.http.checks import Verdict, compile_check
from aurea_engine.targets.http.connection_options import ConnectionOptions
from aurea_engine.targets.http.members import Auth, HttpMembers
from aurea_engine.targets.http.origin import Origin
from aurea_engine.targets.http.replies import ReplyRules
from aurea_engine.targets.http.requests import Request, compile_request
from aurea_engine.targets.http.templates import Names
from aurea_engine.targets.http.urls import SplitUrl
from aurea_engine.targets.secrets import SecretReference, read_secret
from aurea_engine.workload.access import Access

MOST_FILE_BYTES = 64 * 1024**2
"""Of a file that is a request's body: it is in memory as a whole."""


@dataclass(frozen=True)
class PreparedRequest:
    """What is sent, over which connections, and how the reply is judged."""

    members: HttpMembers
    url: SplitUrl
    options: ConnectionOptions
    request: Request
    rules: ReplyRules
    verdict: Verdict

    @property
    def timeout_ns(self) -> int:
        """The longest that its service may last."""
        return round(self.members.timeout * NS)


def prepare_request(
    members: HttpMembers, names: Names, access: Access, *, keep_headers: bool = False
) -> PreparedRequest:
    """``members`` made ready. ``keep_headers``: the caller looks at the headers of replies.

    Raises `SpecError` for a file or a secret that cannot be read, and for templates that name nothing.
    """
    url = members.split_url
    origin = origin_of(url)
    secrets = _read_secrets(members, origin, access)
    request = compile_request(members, names, secrets, _read_body(members))
    expect = members.expect
    return PreparedRequest(
        members,
        url,
        ConnectionOptions(
            origin,
            limit=members.connections,
            reuse=members.reuse,
            idle_ns=None if members.idle is None else round(members.idle * NS),
            warm=members.warm,
            connect_timeout_ns=round(members.connect_timeout * NS),
            tls=members.tls,
        ),
        request,
        ReplyRules(
            head=members.method == "HEAD",
            # Both cost at every reply, so only where somebody looks.
            keep_headers=keep_headers or members.redirects > 0 or members.cookies,
            keep_body=expect.looks_at_body,
            most_body=expect.max_bytes,
            expect_continue=members.expect_continue,
            decompress=members.decompress,
        ),
        Verdict(expect.codes, compile_check(expect)),
    )


def origin_of(url: SplitUrl) -> Origin:
    """Where a URL's requests go."""
    return Origin("https" if url.scheme == "https" else "http", url.host, url.port, url.unix)


def _read_body(members: HttpMembers) -> bytes:
    if members.file is None:
        return b""
    try:
        return read_file(members.file, MOST_FILE_BYTES)
    except ValueError as error:
        raise SpecError([Problem("file", str(error), show_value(members.file))]) from None
    except OSError as error:
        raise SpecError(
            [Problem("file", f"cannot be read: {error.strerror or error}", show_value(members.file))]
        ) from None


def _read_secrets(members: HttpMembers, origin: Origin, access: Access) -> Mapping[str, str]:
    """Header, in lower case → the value of the secret that it sends. Raises `SpecError` with all problems."""
    found, problems = dict[str, str](), list[Problem]()
    wanted = {
        f"headers.{name}": (name.lower(), value)
        for name, value in members.headers.items()
        if isinstance(value, SecretReference)
    }
    if members.auth is not None:
        wanted["auth"] = ("authorization", members.auth.reference)
    # All missing secrets are reported at once: otherwise a user would set one variable after the other.
    for path, (header, reference) in wanted.items():
        try:
            found[header] = read_secret(reference, origin, access)
        except SpecError as error:
            problems += [problem.within(path) for problem in error.problems]
    if members.auth is not None and "authorization" in found:
        try:
            found["authorization"] = _write_authorization(members.auth, found["authorization"])
        except SpecError as error:
            problems += [problem.within("auth") for problem in error.problems]
    if problems:
        raise SpecError(problems)
    return found


def _write_authorization(auth: Auth, value: str) -> str:
    if auth.bearer is not None:
        return f"Bearer {value}"
    # RFC 7617: a user's name cannot hold a colon, so the first one ends it.
    if ":" not in value:
        raise SpecError([Problem("basic", "must be a secret of the form user:password")])
    return f"Basic {b64encode(value.encode()).decode()}"
