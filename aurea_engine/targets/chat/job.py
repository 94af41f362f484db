"""The job kind ``chat``: one request to a language model, and its answer, which usually comes as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta

from aurea_engine.closed_sets import ExecutorName
from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Name, PositiveSeconds
from aurea_engine.fields.local_files import SECRET_HEADERS, TARGET_URL
from aurea_engine.records.measures import GroupName, Mark, Measure
from aurea_engine.targets.chat.columns import FRAME_GAP, MARKS, MEASURES
from aurea_engine.targets.chat.conversation import Conversation
from aurea_engine.targets.chat.endpoints import Endpoint, find_endpoint
from aurea_engine.targets.chat.prompt_lines import MaxTokens, PromptLine
from aurea_engine.targets.chat.prompt_source import PromptSource
from aurea_engine.targets.chat.prompts.listed import list_prompts
from aurea_engine.targets.chat.prompts.member import PROMPT_FORMS, Prompts
from aurea_engine.targets.chat.prompts.opening import open_prompts
from aurea_engine.targets.chat.prompts.planned import plan_lengths
from aurea_engine.targets.chat.request_body import BUILT, PLACEHOLDER_BODY
from aurea_engine.targets.chat.simulated import SimulatedChat, plan_simulated
from aurea_engine.targets.http.connection_options import MOST_CONNECTIONS
from aurea_engine.targets.http.member_rules import HeadersRule, JsonRule, UrlRule
from aurea_engine.targets.http.members import Auth, HttpMembers
from aurea_engine.targets.http.tls import TlsOptions
from aurea_engine.workload.access import Reach
from aurea_engine.workload.distributions import find_greatest
from aurea_engine.workload.job_setup import JobSetup
from aurea_engine.workload.jobs import Job, OpenedJob, Plan
from aurea_engine.workload.streams import Streams
from aurea_engine.workload.token_traces import TokenLengths

if TYPE_CHECKING:
    from aurea_engine.targets.chat.chat_jobs import ChatJobs
    from aurea_engine.targets.chat.conversation_jobs import ConversationJobs


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
    """Asks a language model over the OpenAI-compatible interface at ``url``, with or without ``/v1``.

    Tokens are counted by the server alone: ``usage`` asks it to tell in a stream. ``max_tokens`` holds where a prompt has no
    limit of its own. ``parameters`` go into the body of every request as they are. In real time only, but with
    ``simulated``.
    """

    # What is asked.
    url: Annotated[str, UrlRule(), TARGET_URL]
    endpoint: Endpoint = "chat"
    stream: bool = True
    usage: bool = True
    model: Name | None = None
    prompts: Annotated[Prompts, PROMPT_FORMS] = field(default_factory=Prompts)
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
    # One job is a whole conversation; or none is sent at all, in virtual time.
    conversation: Conversation | None = None
    simulated: SimulatedChat | None = None
    lengths: TokenLengths | None = field(init=False, default=None, repr=False, compare=False)
    """Of the trace that its jobs arrive by, where ``prompts`` take them from it: see `bound_to`."""

    marks: ClassVar[tuple[Mark, ...]] = MARKS
    measures: ClassVar[tuple[Measure, ...]] = MEASURES
    run_measures: ClassVar[tuple[Measure, ...]] = (FRAME_GAP,)
    executor: ClassVar[ExecutorName] = "callbacks"

    @property
    def real_time_only(self) -> bool:  # type: ignore[override]
        """Whether it cannot be simulated."""
        return self.simulated is None

    @property
    def counts_turns(self) -> bool:  # type: ignore[override]
        """Only prompts that are used once go by turns."""
        return self.prompts.pick == "once"

    def supply(self) -> int | None:
        if self.prompts.pick != "once":
            return None
        return len(self._lines) // (1 if self.conversation is None else self.conversation.turns)

    @cached_property
    def _lines(self) -> Sequence[PromptLine]:
        """The prompts that are given, none of a shape or a trace. Kept for plans, which ask for them block by block."""
        return list_prompts(self.prompts)

    def step_names(self) -> tuple[str, ...]:
        return () if self.conversation is None else self.conversation.step_names()

    def bound_to(self, lengths: TokenLengths | None) -> Chat:
        if not self.prompts.trace:
            return self
        if lengths is None:
            text = "need arrivals of kind trace that have lengths: format mooncake, azure or burstgpt, or tokens"
            raise SpecError([Problem("prompts", text, "trace")])
        bound = replace(self)
        # The frozen value completes itself once, before anybody else has it.
        object.__setattr__(bound, "lengths", lengths)
        return bound

    def plan(self, streams: Streams, first: int, n: int) -> Plan:
        if self.simulated is None:
            return super().plan(streams, first, n)
        lengths = plan_lengths(self.prompts, self._lines, self.max_tokens, streams, self.lengths)
        return plan_simulated(self.simulated, streams, lengths(first, n))

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
        return problems + self._check_forms()

    def _check_forms(self) -> list[Problem]:
        problems = []
        if self.conversation is not None and self.endpoint != "chat":
            problems.append(Problem("conversation", "goes with the endpoint chat: completions have no turns"))
        if self.conversation is not None and self.prompts.trace:
            problems.append(
                Problem("conversation", "cannot stand beside prompts of a trace: its requests are single ones")
            )
        if self.simulated is not None and self.conversation is not None:
            problems.append(
                Problem("simulated", "cannot stand beside conversation: steps take place in real time only")
            )
        if self.simulated is not None and not self.stream:
            problems.append(Problem("simulated", "goes with stream true: an answer in one piece has no first token"))
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
        turns = 1 if self.conversation is None else self.conversation.turns
        return await open_prompts(self.prompts, setup, self.lengths, turns, self.max_tokens)

    def most_output(self) -> int | None:
        """The most output tokens that one of its requests may ask for, in all its choices; None where there is no limit."""
        limits = [self.parameters[name] for name in ("max_tokens", "max_completion_tokens") if name in self.parameters]
        most = max(limits) if limits and all(type(each) is int for each in limits) else None
        if not limits:
            most = self._find_longest_answer()
        choices = [self.parameters.get(name) or 1 for name in ("n", "best_of")]
        return None if most is None or not all(type(each) is int for each in choices) else most * max(choices)

    def _find_longest_answer(self) -> int | None:
        """The most tokens that its prompts allow an answer, whatever the parameters say."""
        prompts = self.prompts
        if prompts.is_listed:
            try:
                return max(line.max_tokens or self.max_tokens for line in list_prompts(prompts))
            except SpecError:  # of a run elsewhere or long ago, whose file is not here
                return None
        if prompts.trace:
            return None if self.lengths is None else max(1, int(self.lengths.output.max(initial=0)))
        longest = float(self.max_tokens) if prompts.output is None else find_greatest(prompts.output)
        return None if longest is None else max(1, ceil(longest))

    def groups(self) -> tuple[str, ...]:
        return () if self.name is None else (self.name,)

    def pool_limits(self) -> tuple[int, ...]:
        return () if self.connections is None else (self.connections,)

    def reach(self) -> Reach:
        return replace(self.members().reach(), requests=1 if self.conversation is None else self.conversation.turns)

    async def run(self, demand: float) -> None:
        raise NotImplementedError("the pool of connections does the jobs: see opened_in")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenedJob]:
        async with self.opened_in(JobSetup()) as pool:
            yield pool

    @asynccontextmanager
    async def opened_in(self, setup: JobSetup) -> AsyncIterator[ChatJobs | ConversationJobs]:
        # Late, as in `Http.open_pool`: most commands send nothing.
        from aurea_engine.targets.chat.chat_jobs import open_chats  # noqa: PLC0415

        pool = await open_chats(self, setup)
        try:
            yield pool
        finally:
            await pool.close()
