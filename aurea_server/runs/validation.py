"""Whether a specification can be run here, before anything is written or queued.

The server's own process calls only classes that are built in. A document that names kinds of installed packages is checked
in a process of its own (`runner.pool`), because importing such a package, constructing its strategies and asking them
anything may raise, hang, or end the process. What comes back is plain data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from aurea_engine import Problem, SpecError, cost_from_dict, parse_json
from aurea_engine.processes.messages import Reason
from aurea_engine.processes.supervisor import ProcessFailed
from aurea_engine.shards.split import Sharding
from aurea_server.runner.kinds import Kinds
from aurea_server.runner.pool import RunnerPool
from aurea_server.runner.submissions import Submission, check_size, judge_built_in
from aurea_server.runner.turns import Busy
from aurea_server.runs.errors import QueueFull, RunError, Stopping, StrategyFailed
from aurea_server.runs.finish import raise_spec_error
from aurea_server.settings.limits import Limits, share_limits, take_sharding

T = TypeVar("T")

SHORT_BODY = 8 * 1024
"""Bytes of a body that is checked at once, which takes about a millisecond; longer ones go into a thread."""


class SpecificationValidator:
    """``kinds``: which kinds clients may name; ``limits``: how large a run may be; the pool says what it may reach."""

    def __init__(self, kinds: Kinds, pool: RunnerPool, limits: Limits) -> None:
        self._kinds, self._pool, self._limits = kinds, pool, limits

    async def validate(self, content: bytes) -> Submission:
        """The specification in a body, whole and as plain data, as it will run: with its seed, within the limits.

        Raises SpecError, `StrategyFailed`, `QueueFull` if too many such checks wait, or `Stopping`.
        """
        submission, sharding = await run_off_loop(content, lambda: self._validate_built_in(content))
        if submission is not None:
            return submission
        try:
            judged = check_size(await self._pool.judge(content, share_limits(self._limits, sharding)))
            return replace(judged, sharding=sharding)
        except Busy:
            text = "Too many specifications with kinds of installed packages are being checked; try again later."
            raise QueueFull(text) from None
        except ProcessFailed as failed:
            raise_spec_error(failed.reason)
            raise _strategy_error(failed.reason) from None

    def _validate_built_in(self, content: bytes) -> tuple[Submission | None, Sharding | None]:
        """(the submission, None if the document names kinds that this process must not load; in how many processes)."""
        document, sharding = take_sharding(parse_document(content), self._limits)
        if self._kinds.is_foreign(document):
            return None, sharding
        judged = judge_built_in(document, self._kinds.built_in, self._limits, self._pool.access, sharding)
        return check_size(judged), sharding

    async def validate_cost(self, content: bytes) -> None:
        """Raises SpecError if a body is not ``{"cost": …}`` with a cost model that can be used."""
        await run_off_loop(content, lambda: self._validate_cost(content))

    def _validate_cost(self, content: bytes) -> None:
        data = parse_document(content)
        # Exactly one member: a whole specification posted here by mistake would otherwise seem to be repriced.
        if not isinstance(data, dict) or set(data) != {"cost"}:
            raise SpecError([Problem("", 'must be an object with one member, "cost"')])
        # A model of an installed package is constructed only by the process that prices with it.
        if not self._kinds.is_foreign(data):
            cost_from_dict(data["cost"], self._kinds.built_in)


def parse_document(content: bytes) -> Any:
    """JSON as it is sent: UTF-8 without a byte order mark (RFC 8259, 8.1), which files may have. Raises SpecError."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"must be UTF-8: {error.reason} at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise SpecError("must be UTF-8 without a byte order mark")
    return parse_json(text)


async def run_off_loop(content: bytes, work: Callable[[], T]) -> T:
    """``work``, which goes through a body, in a thread where that takes longer than the event loop may be blocked."""
    # A short body is the usual one, and a thread would cost it more than the work itself.
    return work() if len(content) <= SHORT_BODY else await asyncio.to_thread(work)


def _strategy_error(reason: Reason) -> RunError:
    return Stopping() if reason.code == "server_stopped" else StrategyFailed(reason.detail)
