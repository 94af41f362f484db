"""The flows of one run: the step that each user is at, the next request, and the report to the run."""

# A flow in flight is one `FlowState`, and nothing else: no task, and no timer of its own. It is in one of three places:
#
#     a pool of connections   a step is under way, or waits for a connection    (`ConnectionPool`, `RedirectFollower`)
#     the agenda              the user thinks, or the run's ceiling holds the step back (`Agenda`)
#     nowhere                 only within a call of this module
#
# A step ends in `_end_step`, from where the flow goes on (`_go_on`) or ends. The next step is meant to begin when the
# last byte of the reply had come, plus the think time: what is done with the reply here, and how late the event loop wakes
# the flow, delays the step, and shows as its waiting time and its lag.
#
# The run's bounds are of the flow: a limit counts from the beginning of the first step's service, so from then on it is an
# instant, like a deadline. A flow that thinks when that instant comes has timed out; its next step was not reached.
#
# What the flow reports itself: bytes of all steps, the status of the last step that had one, and the marks of its first
# step: the first connection, the first request and the first byte that the user saw.

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter_ns
from typing import TYPE_CHECKING

from aurea_engine.closed_sets import Outcome
from aurea_engine.errors import Problem, SpecError
from aurea_engine.targets.http.checks import NO_MEMORY
from aurea_engine.targets.http.cookies import CookieJar
from aurea_engine.targets.http.data import read_rows
from aurea_engine.targets.http.draws import Draws
from aurea_engine.targets.http.extraction import Extraction
from aurea_engine.targets.http.flow_state import FlowState
from aurea_engine.targets.http.http_jobs import RowPicker, outcome_of
from aurea_engine.targets.http.pool import ConnectionPool
from aurea_engine.targets.http.pools import Limits, Pools, share_over_pools
from aurea_engine.targets.http.prepared import PreparedRequest, prepare_request
from aurea_engine.targets.http.redirects import CODES as REDIRECTS
from aurea_engine.targets.http.redirects import RedirectFollower
from aurea_engine.targets.http.replies import NEVER, Reply, Unsent
from aurea_engine.targets.http.requests import Encoded
from aurea_engine.targets.http.templates import JobContext
from aurea_engine.targets.http.think_times import Agenda, ThinkTimes
from aurea_engine.workload.callbacks import CallbackPool, PoolState
from aurea_engine.workload.job_setup import JobSetup

if TYPE_CHECKING:
    from aurea_engine.targets.http.flow import Flow

TIMED_OUT, CANCELLED = int(Outcome.TIMED_OUT), int(Outcome.CANCELLED)


@dataclass(frozen=True)
class PreparedStep:
    """One step made ready. ``extraction``: None if it takes nothing out of its replies."""

    request: PreparedRequest
    extraction: Extraction | None
    has_cookies: bool
    has_redirects: bool


class FlowJobs(CallbackPool):
    """Does the jobs of one `Flow` in one run. Made by `open_flows`. It is the `Sender` of all its steps."""

    def __init__(
        self, steps: Sequence[PreparedStep], thinks: ThinkTimes, setup: JobSetup, picker: RowPicker, pools: Pools
    ) -> None:
        self._steps, self._thinks, self._pacer, self._picker = tuple(steps), thinks, setup.pacer, picker
        self._pools = pools
        self._pool_of: list[ConnectionPool] = [pools.get(step.request.options) for step in steps]
        self._last = len(steps) - 1
        self._has_cookies = any(step.has_cookies for step in steps)
        self._context = JobContext(Draws(setup.streams).uuid)
        self._follower = RedirectFollower(pools, self._context_of, self._end_redirects, setup.pacer)
        self._agenda = Agenda(self._read_clock, self._wake)
        self._flows: dict[int, FlowState] = {}

    @property
    def now(self) -> Callable[[], int]:
        """The clock of all stamps. The run sets it, and the pools of connections read it themselves."""
        return self._pools.now

    @now.setter
    def now(self, now: Callable[[], int]) -> None:
        self._pools.now = now

    def _read_clock(self) -> int:
        return self._pools.now()

    async def close(self) -> None:
        """Wake no flow any more, and close all connections."""
        self._agenda.close()
        self._follower.close()
        await self._pools.close()

    # --- A step begins -----------------------------------------------------------------------------------------------

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        flow = self._flows[job] = FlowState(self.number(job), self._picker.pick(self, job), limit, deadline)
        if self._has_cookies:
            flow.jar = CookieJar()
        self._release(job, flow)

    def _release(self, job: int, flow: FlowState) -> None:
        """The time of the flow's step has come."""
        flow.released = self.now()
        if self._pacer is not None:
            at = self._pacer.reserve(flow.released)
            if at > flow.released:
                # A flow that is over before has waited until then, and nothing is sent for it.
                until = self.waits_until(job, flow.end)
                flow.due, flow.held = at if until is None else min(at, until), True
                self._agenda.note(flow.due, job)
                return
        self._send(job, flow)

    def _send(self, job: int, flow: FlowState) -> None:
        request = self._steps[flow.at].request
        limit = None if flow.at else flow.limit
        self._pool_of[flow.at].send(self, job, request.rules, request.timeout_ns, flow.end, limit)

    def waits_until(self, token: int, deadline: int | None) -> int | None:
        # Before its first request the flow is not in service: it may still leave.
        return deadline if self._flows[token].at else self.leaves_at(token)

    def gave_up(self, token: int, instant: int) -> None:
        flow = self._flows[token]
        if flow.at:
            self._end_step(token, flow, self._steps[flow.at], Unsent(instant), "timeout")
        else:
            del self._flows[token]
            self.leave(token)

    def encode(self, token: int) -> Encoded:
        flow = self._flows[token]
        step = self._steps[flow.at]
        request = step.request.request
        cookie = ""
        if step.has_cookies and flow.jar is not None:
            cookie = flow.jar.header(step.request.url._replace(target=request.target.render(self._context_of(token))))
        if request.fixed is not None and not cookie:
            return request.fixed
        return request.encode(self._context_of(token), cookie)

    def _context_of(self, job: int) -> JobContext:
        flow = self._flows[job]
        self._context.begin(flow.number, flow.row, flow.variables)
        return self._context

    # --- A step ends -------------------------------------------------------------------------------------------------

    def replied(self, token: int, reply: Reply, failure: str | None) -> None:
        flow = self._flows[token]
        step = self._steps[flow.at]
        if step.has_redirects and failure is None and reply.status in REDIRECTS:
            limits = Limits(None if flow.at else flow.limit, flow.end)
            self._follower.follow(token, step.request, reply, limits, flow.jar if step.has_cookies else None)
            return
        if step.has_cookies and flow.jar is not None:
            self._store_cookies(token, flow.jar, step.request, reply)
        self._end_step(token, flow, step, reply, failure)

    def _end_redirects(self, job: int, reply: Reply, failure: str | None) -> None:
        """The last reply along the redirects of a step has come; the cookies of all of them are in the jar."""
        flow = self._flows[job]
        self._end_step(job, flow, self._steps[flow.at], reply, failure)

    def _store_cookies(self, job: int, jar: CookieJar, request: PreparedRequest, reply: Reply) -> None:
        given = [value for name, value in reply.headers if name == "set-cookie"]
        if given:
            url = request.url._replace(target=request.request.target.render(self._context_of(job)))
            for value in given:
                jar.store(url, value)

    def _end_step(self, job: int, flow: FlowState, step: PreparedStep, reply: Reply, failure: str | None) -> None:
        if failure is None:
            failure = step.request.verdict.judge(reply.status, reply.body)
        if failure is None and step.extraction is not None:
            try:
                failure = None if step.extraction.take(reply.headers, reply.body, flow.variables) else "extract"
            except MemoryError:
                failure = NO_MEMORY
        outcome, finished = outcome_of(failure), reply.finished
        flow.add(reply)
        self.record_step(
            job,
            flow.at,
            (flow.intended, flow.released, reply.started, finished),
            outcome,
            (reply.connected, reply.sent, reply.first_byte),
            (reply.status, reply.bytes_sent, reply.bytes_received),
            failure,
        )
        if failure is not None or flow.at == self._last:
            del self._flows[job]
            self.done(job, flow.started, finished, outcome, flow.marks, flow.measures, failure)
        else:
            self._go_on(job, flow, finished)

    def _go_on(self, job: int, flow: FlowState, ended: int) -> None:
        """To the next step, at once or when the user has thought. Last in every call: it may send."""
        flow.at += 1
        think = self._thinks.before(flow.at, flow.number)
        flow.intended = ended + think
        if not think:
            self._release(job, flow)
            return
        flow.due = flow.intended if flow.end is None else min(flow.intended, flow.end)
        self._agenda.note(flow.due, job)

    def _wake(self, job: int, due: int) -> None:
        flow = self._flows.get(job)
        # It may have ended meanwhile, or be at another step by now.
        if flow is None or flow.due != due:
            return
        flow.due = NEVER
        if flow.held:
            flow.held = False
            until = self.waits_until(job, flow.end)
            if until is None or due < until:
                self._send(job, flow)
            else:
                self.gave_up(job, self.now())
        elif flow.end is not None and flow.end <= flow.intended:
            # The user was still thinking: no step is under way, and none will be.
            del self._flows[job]
            self.done(job, flow.started, self.now(), TIMED_OUT, flow.marks, flow.measures, "timeout")
        else:
            self._release(job, flow)

    # --- The end of the run ------------------------------------------------------------------------------------------

    def cancel(self, job: int) -> int | None:
        flow = self._flows[job]
        # One that thinks is between two steps, and its next one is not reached.
        if flow.due == NEVER or flow.held:
            began = None if flow.held else self._give_up_step(job, flow)
            started = NEVER if began is None else began
            self.record_step(job, flow.at, (flow.intended, flow.released, started, NEVER), CANCELLED)
            if not flow.at:
                flow.started = started
        del self._flows[job]
        return None if flow.started == NEVER else flow.started

    def _give_up_step(self, job: int, flow: FlowState) -> int | None:
        began = self._follower.cancel(job)
        return self._pool_of[flow.at].cancel(job, self) if began is None else began

    def state(self) -> PoolState:
        return self._pools.state()


async def open_flows(flow: Flow, setup: JobSetup) -> FlowJobs:
    """What does the jobs of ``flow`` in one run: templates compiled, rows, files and secrets read, connections open.

    Raises `SpecError` for what cannot be read, and for templates that name nothing.
    """
    fields, data = flow.row_fields(), flow.data
    if data is not None and data.file is not None:
        fields.known = None
    steps, problems = list[PreparedStep](), list[Problem]()
    for i, step in enumerate(flow.steps):
        try:
            names = flow.names_of(i, fields)
            extraction = Extraction(step.extract, step.name or "") if step.extract else None
            looks = extraction is not None and extraction.looks_at_headers
            request = prepare_request(step, names, setup.access, keep_headers=step.cookies or looks)
            if extraction is not None and extraction.looks_at_body:
                request = replace(request, rules=replace(request.rules, keep_body=True))
            steps.append(PreparedStep(request, extraction, step.cookies, step.redirects > 0))
        except SpecError as error:
            problems += [problem.within(f"steps[{i}]") for problem in error.problems]
    if problems:
        raise SpecError(problems)
    # In a thread, as for single requests: whoever watches this process expects the event loop to answer.
    rows = [] if data is None or not fields.used else await asyncio.to_thread(read_rows, data, fields)
    all_options = list(dict.fromkeys(step.request.options for step in steps))
    follows = any(step.has_redirects for step in steps)
    # Until the run sets its own clock, for what happens before the window.
    pools = Pools(share_over_pools(setup.access, all_options), perf_counter_ns, follows=follows, share=setup.share)
    picker = RowPicker(rows, "in_order" if data is None else data.pick, Draws(setup.streams))
    flows = FlowJobs(steps, ThinkTimes([step.think for step in flow.steps], setup.streams), setup, picker, pools)
    try:
        for options in all_options:
            await pools.open(options, setup)
    except BaseException:
        await flows.close()
        raise
    return flows
