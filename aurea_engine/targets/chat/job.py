"""The job kind ``chat``: one request to a language model, and its answer, which usually comes as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta

from aurea_engine.closed_sets import ExecutorName
from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Name, PositiveSeconds, non_empty
from aurea_engine.fields.local_files import SECRET_HEADERS, TARGET_URL
from aurea_engine.records.measures import GroupName, Mark, Measure
from aurea_engine.targets.chat.columns import FRAME_GAP, MARKS, MEASURES
from aurea_engine.targets.chat.endpoints import Endpoint, find_endpoint
from aurea_engine.targets.chat.prompt_lines import ListedPrompts, MaxTokens, PromptLine
from aurea_engine.targets.chat.prompt_source import PromptSource
from aurea_engine.targets.chat.request_body import BUILT, PLACEHOLDER_BODY
from aurea_engine.targets.http.connection_options import MOST_CONNECTIONS
from aurea_engine.targets.http.member_rules import HeadersRule, JsonRule, UrlRule
from aurea_engine.targets.http.members import Auth, HttpMembers
from aurea_engine.targets.http.tls import TlsOptions
from aurea_engine.workload.access import Reach
from aurea_engine.workload.job_setup import JobSetup
from aurea_engine.workload.jobs import Job, OpenedJob

if TYPE_CHECKING:
    from aurea_engine.targets.chat.chat_jobs import ChatJobs

DEFAULT_PROMPT = PromptLine(prompt="Tell me in a few sentences what a load test is.")


class ParametersRule:
    """Members of the request's body that the server is given as they are."""

    words = "object of JSON values"
    schema: ClassVar[Mapping[str, Any]] = {"type": "object"}

    def coerce(self, value: object) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise SpecError([Problem("", 'must be an object, such as {"temperature": 0}')])
        problems = [
            Problem(name, f"cannot be given here: {name} is not a parameter, and has a member of its own")
            for name in BUILT
            if name in value
        ]
        if problems:
            raise SpecError(problems)
        copied = JsonRule().coerce(value)
        assert isinstance(copied, dict)
        return copied


@dataclass(frozen=True)
class Chat(Job):
    """Asks a language model over the OpenAI-compatible interface at ``url``, with or without ``/v1``. In real time only.

    Tokens are counted by the server alone: ``usage`` asks it to tell in a stream. ``max_tokens`` holds where a prompt has no
    limit of its own. ``parameters`` go into the body of every request as they are.
    """

    # What is asked.
    url: Annotated[str, UrlRule(), TARGET_URL]
    endpoint: Endpoint = "chat"
    stream: bool = True
    usage: bool = True
    model: Name | None = None
    prompts: Annotated[tuple[PromptLine, ...], non_empty("must hold at least one prompt")] | None = None
    max_tokens: MaxTokens = 128
    parameters: Annotated[Mapping[str, Any], ParametersRule()] = field(default_factory=dict, hash=False)
    headers: Annotated[Mapping[str, Any], HeadersRule(), SECRET_HEADERS] = field(default_factory=dict, hash=False)
    auth: Auth | None = None
    # Two minutes: a long answer of a busy server takes longer than any page.
    timeout: PositiveSeconds = 120.0
    connect_timeout: PositiveSeconds = 10.0
    connections: Annotated[int, Meta(ge=1, le=MOST_CONNECTIONS)] | None = None
    reuse: bool = True
    idle: PositiveSeconds | None = None
    warm: bool = True
    tls: TlsOptions = field(default_factory=TlsOptions)
    name: GroupName | None = None

    marks: ClassVar[tuple[Mark, ...]] = MARKS
    measures: ClassVar[tuple[Measure, ...]] = MEASURES
    run_measures: ClassVar[tuple[Measure, ...]] = (FRAME_GAP,)
    executor: ClassVar[ExecutorName] = "callbacks"
    real_time_only: ClassVar[bool] = True

    def check(self) -> list[Problem]:
        problems = list[Problem]()
        try:
            find_endpoint(self.url, self.endpoint)
            self.members()
        except SpecError as error:
            problems += error.problems
        problems += [
            Problem(f"headers.{name}", "must have no template: the headers of all requests are the same")
            for name, text in self.headers.items()
            if isinstance(text, str) and "{{" in text
        ]
        return problems

    def members(self) -> HttpMembers:
        """The request that carries it, with a body that stands for all. Raises `SpecError`."""
        return HttpMembers(
            find_endpoint(self.url, self.endpoint),
            "POST",
            self.headers,
            json=PLACEHOLDER_BODY,
            timeout=self.timeout,
            connect_timeout=self.connect_timeout,
            connections=self.connections,
            reuse=self.reuse,
            idle=self.idle,
            warm=self.warm,
            tls=self.tls,
            auth=self.auth,
        )

    async def open_prompts(self, setup: JobSetup) -> PromptSource:
        """What its jobs ask. Raises `SpecError` for what cannot be read."""
        return ListedPrompts.of(self.prompts or (DEFAULT_PROMPT,))

    def groups(self) -> tuple[str, ...]:
        return () if self.name is None else (self.name,)

    def pool_limits(self) -> tuple[int, ...]:
        return () if self.connections is None else (self.connections,)

    def reach(self) -> Reach:
        return self.members().reach()

    async def run(self, demand: float) -> None:
        raise NotImplementedError("the pool of connections does the jobs: see opened_in")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenedJob]:
        async with self.opened_in(JobSetup()) as pool:
            yield pool

    @asynccontextmanager
    async def opened_in(self, setup: JobSetup) -> AsyncIterator[ChatJobs]:
        # Late, as in `Http.open_pool`: most commands send nothing.
        from aurea_engine.targets.chat.chat_jobs import open_chats  # noqa: PLC0415

        pool = await open_chats(self, setup)
        try:
            yield pool
        finally:
            await pool.close()
