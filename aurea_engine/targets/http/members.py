"""The members of a request in a specification: what `Http`, and each step of a flow, may say. Checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NoReturn

from msgspec import Meta

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, PositiveSeconds
from aurea_engine.fields.local_files import RUN_FILE, SECRET_HEADERS, TARGET_URL, FileName
from aurea_engine.records.measures import GroupName
from aurea_engine.targets.http.connection_options import MOST_CONNECTIONS
from aurea_engine.targets.http.expectations import Expect
from aurea_engine.targets.http.member_rules import FormRule, HeadersRule, JsonRule, MethodRule, UrlRule
from aurea_engine.targets.http.tls import TlsOptions
from aurea_engine.targets.http.urls import SplitUrl, split_url
from aurea_engine.targets.secrets import SecretReference
from aurea_engine.workload.access import Reach

MOST_REDIRECTS = 20
BODIES = ("body", "json", "form", "file")
"""The members that give a request a body: one of them at most."""

FORMS_OF_AUTH = 'must be {"bearer": SECRET} or {"basic": SECRET}, where SECRET is a reference such as {"env": VARIABLE}'
Body = Annotated[str, Meta(max_length=16 * 1024**2)]


@dataclass(frozen=True)
class Auth(Checked):
    """Who the client is: a ``bearer`` token, or ``basic`` with ``user:password``. Both are references to a secret."""

    bearer: SecretReference | None = None
    basic: SecretReference | None = None

    @classmethod
    def coerce(cls, _: object) -> NoReturn:
        """Refuses what is no object: it may be a secret, so it is not shown."""
        raise SpecError([Problem("", FORMS_OF_AUTH)])

    def check(self) -> list[Problem]:
        return [Problem("", FORMS_OF_AUTH)] if (self.bearer is None) == (self.basic is None) else []

    @property
    def reference(self) -> SecretReference:
        """The one that is given."""
        reference = self.bearer or self.basic
        assert reference is not None
        return reference


@dataclass(frozen=True)
class HttpMembers(Checked):
    """One request, and how it is sent and judged. Its texts are templates: see `aurea_engine.targets.http.templates`."""

    # What is sent.
    url: Annotated[str, UrlRule(), TARGET_URL]
    method: Annotated[str, MethodRule()] = "GET"
    headers: Annotated[Mapping[str, Any], HeadersRule(), SECRET_HEADERS] = field(default_factory=dict, hash=False)
    body: Body | None = None
    json: Annotated[Any, JsonRule()] = field(default=None, hash=False)
    form: Annotated[Mapping[str, str] | None, FormRule()] = field(default=None, hash=False)
    file: Annotated[FileName | None, RUN_FILE] = None
    # What a right reply is like, and how long it may take. Half a minute is more than any user waits, and less than it takes
    # a dead target to hold up the end of a run.
    expect: Expect = field(default_factory=Expect)
    timeout: PositiveSeconds = 30.0
    connect_timeout: PositiveSeconds = 10.0
    # The connections. Requests that are equal in these members, and in their origin, can share a pool.
    connections: Annotated[int, Meta(ge=1, le=MOST_CONNECTIONS)] | None = None
    reuse: bool = True
    idle: PositiveSeconds | None = None
    warm: bool = True
    tls: TlsOptions = field(default_factory=TlsOptions)
    # All that a browser does unasked is off: it would be sent and paid for without being seen.
    redirects: Annotated[int, Meta(ge=0, le=MOST_REDIRECTS)] = 0
    auth: Auth | None = None
    cookies: bool = False
    expect_continue: bool = False
    decompress: bool = False
    name: GroupName | None = None

    @property
    def split_url(self) -> SplitUrl:
        """The URL in its parts."""
        return split_url(self.url)

    def pool_limits(self) -> tuple[int, ...]:
        """The limit of its pool, if it names one."""
        return () if self.connections is None else (self.connections,)

    def reach(self) -> Reach:
        """What the request goes to, and which published secrets it sends there."""
        url = self.split_url
        if url.unix is not None:
            return Reach(connections=self.connections)
        references = [self.auth.reference] if self.auth is not None else []
        references += [value for value in self.headers.values() if isinstance(value, SecretReference)]
        names = dict.fromkeys(each.secret for each in references if each.secret is not None)
        secrets = tuple((name, url.host, url.port) for name in names)
        return Reach(((url.host, url.port),), secrets, self.connections)

    def check(self) -> list[Problem]:
        # Members that contradict each other are refused, and none is silently preferred.
        given = [name for name in BODIES if getattr(self, name) is not None]
        problems = [Problem(name, f"cannot stand beside {given[0]}: a request has one body") for name in given[1:]]
        if self.expect_continue and not given:
            problems.append(Problem("expect_continue", "needs a body: the server is asked whether to send it"))
        if self.method == "HEAD" and self.expect.looks_at_body:
            problems.append(Problem("expect", "must look at no body: a reply to HEAD has none"))
        if self.auth is not None and any(name.lower() == "authorization" for name in self.headers):
            problems.append(Problem("auth", "cannot stand beside headers.authorization: it sends that header"))
        if self.cookies and any(name.lower() == "cookie" for name in self.headers):
            problems.append(Problem("cookies", "cannot stand beside headers.cookie: it sends that header"))
        return problems + self._check_connection()

    def _check_connection(self) -> list[Problem]:
        problems = []
        if not self.reuse and self.idle is not None:
            problems.append(Problem("idle", "goes with reuse true: no connection is kept otherwise"))
        if self.tls != TlsOptions() and self.split_url.scheme != "https" and not self.redirects:
            problems.append(Problem("tls", "goes with https:// URLs, or with redirects that may lead to one"))
        return problems
