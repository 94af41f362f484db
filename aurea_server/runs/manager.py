"""Runs and their lifetimes: the only place where engine, store, metrics and events meet.

A run belongs to the app, not to the request: it is accepted when its row is committed, waits for its turn, is executed in a
runner process, and ends by store, then metrics, then events, in that order.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from dataclasses import replace

from aurea_server.history import AcceptedRun, FinishedRun, History, IdempotencyKey, StoreError
from aurea_server.http.problems import HttpProblem
from aurea_server.metrics.registry import BenchmarkMetrics
from aurea_server.runner.messages import Figures, Reason, Snapshot
from aurea_server.runner.pool import Workshop
from aurea_server.runner.submissions import Submission
from aurea_server.runner.supervisor import FIRM, POLITE, RunnerFailed
from aurea_server.runs.active_run import ActiveRun, RunAnswer, RunIds, encode, now_ms
from aurea_server.runs.events import EventLog, Followers
from aurea_server.runs.finish import why, with_result, without_result
from aurea_server.runs.tasks import Tasks, regardless
from aurea_server.settings.limits import Limits

log = logging.getLogger(__name__)

SOON = {"Retry-After": "5"}
FORCED = 1.0
"""Seconds that the ledger has in a forced stop."""

LOGS_KEPT = 32
"""Event logs of ended runs that are kept for followers who come back."""


class RunManager:
    """Runs one at a time, in order of arrival: a second one at once would be measured with the first."""

    def __init__(self, metrics: BenchmarkMetrics, history: History, limits: Limits) -> None:
        self._metrics, self.history, self.limits = metrics, history, limits
        self.workshop = Workshop(limits.memory)
        self.followers = Followers(limits.followers)
        self.live: dict[str, ActiveRun] = {}
        self._logs: OrderedDict[str, EventLog] = OrderedDict()
        self._queue: deque[ActiveRun] = deque()
        self._reserved = 0
        self._current: ActiveRun | None = None
        self._news = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._tasks = Tasks()
        self._ids = RunIds()
        self.closing = self.stuck = self._interrupted = False

    async def submit(
        self, submission: Submission, key: tuple[str, str] | None = None, *, stays: bool = False
    ) -> ActiveRun:
        """Accept a run: when this returns, it is in the ledger and waits for its turn.

        ``key``: an Idempotency-Key and the digest of the body. ``stays``: whether the run goes on without whoever asked for
        it; otherwise it ends where they leave before this returns. Raises HttpProblem, `KeyReused` or `StoreError`.
        """
        self._room()
        document, label = submission.document, submission.label
        live = ActiveRun(self._ids.new(), document, label, submission.foreign, EventLog(self.followers))
        encoded = encode(document)
        if self._current is None and not self._queue and not self._reserved:
            live.started_ms = live.created_ms
        entry = AcceptedRun(live.id, live.created_ms, label, encoded, live.started_ms)
        known = None if key is None else IdempotencyKey(key[0], key[1], live.id, live.created_ms)
        self._reserved += 1
        try:
            await self._tasks.through(self._commit(live, entry, known))
        except asyncio.CancelledError:
            if not stays:
                self.stop(live, "interrupted" if self.closing else "cancelled")
            raise
        finally:
            self._reserved -= 1
        return live

    async def _commit(self, live: ActiveRun, entry: AcceptedRun, key: IdempotencyKey | None) -> None:
        """One tracked unit: whoever asked may leave, the row and the queue stay in step."""
        await self.history.ask(self.history.ledger.add, entry, key)
        self.live[live.id] = live
        self._logs[live.id] = live.events
        live.events.publish("state", {"status": "queued"})
        self._queue.append(live)
        self._metrics.waiting = len(self._queue)
        self._quiet.clear()
        self._news.set()
        log.info("run accepted", extra={"run_id": live.id})
        if self._interrupted or live.stopping is not None:  # that came while it was written down
            self.stop(live, live.stopping or "interrupted")

    def _room(self) -> None:
        if self.closing:
            raise HttpProblem(503, "stopping", "The server is stopping and takes no new runs.", headers=SOON)
        if self.history.trouble is not None:
            raise self.history.trouble
        if len(self._queue) + self._reserved - (self._current is None) >= self.limits.queued:
            error = f"{self.limits.queued} runs are waiting already; try again later."
            raise HttpProblem(429, "queue_full", error, headers={"Retry-After": f"{self._wait_hint()}"})

    def _wait_hint(self) -> int:
        left = self._current.last.time_left if self._current and self._current.last else None
        return max(1, min(60, round(left))) if left is not None else 5

    async def take_turns(self) -> None:
        """Execute what is queued, for ever."""
        while True:
            while not self._queue:
                self._news.clear()
                if self._current is None:
                    self._quiet.set()
                await self._news.wait()
            live = self._current = self._queue.popleft()
            self._metrics.waiting = len(self._queue)
            try:
                await self._turn(live)
            except Exception:
                log.exception("a run could not be seen to its end", extra={"run_id": live.id})
                live.last = None
                with contextlib.suppress(Exception):
                    await self._failed(live, Reason(code="runner_died", detail="the server failed; its log says why"))
            finally:
                self._current = None

    async def _turn(self, live: ActiveRun) -> None:
        live.state = "running"
        self._metrics.started(live.id, str(live.document["clock"]))
        if live.started_ms is None:  # it had to wait, so its row does not say yet that it is on
            live.started_ms = now_ms()
            self._tasks.keep(regardless(self.history.ask(self.history.ledger.begin, live.id, live.started_ms)))
        live.events.publish("state", {"status": "running"})

        def progressed(snapshot: Snapshot) -> None:
            live.last = snapshot
            self._metrics.progressed(snapshot)
            live.events.publish("progress", snapshot.figures())
            live.tell(snapshot.findings)

        try:
            late = functools.partial(self.stop, live, "timed_out")
            end, records = await self.workshop.execute(live, progressed, self.limits.seconds, late)
        except RunnerFailed as failed:
            await self._failed(live, failed.reason)
        else:
            progressed(end.last)
            ending, outcome, figures = with_result(end, records)
            trouble = await self._save(live, ending)
            self._metrics.finished(figures)
            self._close(live, figures, replace(outcome, trouble=trouble))

    async def _failed(self, live: ActiveRun, reason: Reason) -> None:
        state, reason = why(live, reason)
        ending, outcome, figures = without_result(live, state, reason)
        trouble = await self._save(live, ending)
        self._metrics.broken(state)
        self._close(live, figures, replace(outcome, trouble=trouble))

    async def _save(self, live: ActiveRun, ending: FinishedRun) -> StoreError | None:
        trouble = await self.history.end(live.id, ending)
        if trouble is not None:
            log.error("a run's end could not be stored yet: %s", trouble, extra={"run_id": live.id})
        return trouble

    def _close(self, live: ActiveRun, figures: Figures, outcome: RunAnswer) -> None:
        live.state = outcome.state
        if outcome.trouble is None:
            self.live.pop(live.id, None)
        summary = {"status": outcome.state, "verdict": figures.verdict, "throughput": figures.throughput}
        live.events.publish("end", {**summary, "reason": None if outcome.reason is None else outcome.reason.code})
        live.events.close()
        ended = [run_id for run_id, events in self._logs.items() if events.closed]
        for run_id in ended[:-LOGS_KEPT]:
            del self._logs[run_id]
        if not live.ended.done():
            live.ended.set_result(outcome)
        log.info("run ended: %s", outcome.state, extra={"run_id": live.id})

    def stop(self, live: ActiveRun, state: str) -> None:
        """End a run with what it has; one that waits ends at once."""
        live.stopping = live.stopping or state
        if live in self._queue:
            self._queue.remove(live)
            self._metrics.waiting = len(self._queue)
            reason = None if state == "cancelled" else Reason(code="server_stopped", detail="it had not begun")
            self._tasks.keep(self._dropped(live, state, reason))
        elif live is self._current:
            self.workshop.stop(live)

    async def _dropped(self, live: ActiveRun, state: str, reason: Reason | None) -> None:
        ending, outcome, figures = without_result(live, state, reason)
        self._close(live, figures, replace(outcome, trouble=await self._save(live, ending)))

    def position(self, live: ActiveRun) -> int:
        """How many runs are before this one, the one that is on included."""
        ahead = 1 if self._current is not None and live is not self._current else 0
        return ahead + (self._queue.index(live) if live in self._queue else 0)

    def log_of(self, run_id: str) -> EventLog | None:
        """The events of a run that is on, or ended not long ago."""
        return self._logs.get(run_id)

    async def delete(self, run_id: str) -> bool:
        """Forget a run that has ended, and all that is kept of it; False where there is none."""
        gone = await self.history.ask(self.history.ledger.remove, [run_id])
        if gone:
            self._logs.pop(run_id, None)
        return bool(gone)

    async def open(self) -> None:
        """Take over the history, and be ready for runs."""
        ledger = self.history.ledger
        crashed = Reason(code="server_crashed", detail="the server ended while the run was waiting or on")
        lost = await self.history.take_over(now_ms(), encode(crashed))
        if lost:
            log.warning("%d runs were interrupted by the end of the last server", len(lost))
        await self.history.ask(ledger.sweep)
        self._ids = RunIds(await self.history.ask(ledger.newest_id))
        self.workshop.warm()
        self._tasks.keep(self.take_turns())
        self._tasks.keep(self._housekeep())

    async def _housekeep(self) -> None:
        """Every second: is there room, is a process warm, can what failed be stored now; every minute: retention."""
        beat = 0
        while True:
            try:
                await self.history.look()
                self.workshop.warm()
                for run_id in await self.history.catch_up():
                    self.live.pop(run_id, None)
                if beat % 60 == 0:
                    await self.history.prune()
            except StoreError as error:
                log.debug("storage: %s", error)
            beat += 1
            await asyncio.sleep(1)

    async def drain(self, seconds: float) -> None:
        """Take no new runs, and give those that were accepted so long to end."""
        self.closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet.wait()

    async def interrupt(self) -> None:
        """End every run as interrupted, and store that: whoever waits is answered, whoever follows hears the end."""
        self.closing = True
        if self._interrupted:
            return
        self._interrupted = True
        self.workshop.wind_down()
        for live in [*self._queue, *([self._current] if self._current else [])]:
            self.stop(live, "interrupted")
        waiting = [live.ended for live in self.live.values() if not live.ended.done()]
        if waiting:
            await asyncio.wait(waiting, timeout=POLITE + FIRM + 0.5)

    async def close(self) -> None:
        """Leave nothing behind. ``stuck`` afterwards: the disk did not answer in time, and a thread still waits for it."""
        await self.interrupt()
        await self.workshop.close()
        await self._tasks.close()
        stopped = Reason(code="server_stopped", detail="the server was stopped while the run was waiting or on")
        try:
            async with asyncio.timeout(FORCED):
                await self.history.interrupt(now_ms(), encode(stopped))
        except (StoreError, TimeoutError) as error:
            log.warning("what was on could not be recorded as interrupted, the next start will: %s", error)
        self.stuck = not await self.history.close(FORCED)

    def kill_now(self) -> None:
        """A forced stop: end the processes, and record what was on as interrupted if the disk answers within a second.

        It holds the loop meanwhile, so nothing new comes in. Where the disk does not answer, the next server finds the rows.
        """
        self.closing = True
        self.workshop.kill_now()
        forced = Reason(code="server_stopped", detail="the server was told to stop at once")
        self.history.interrupt_now(FORCED, now_ms(), encode(forced))


async def lifetime(manager: RunManager) -> AsyncIterator[None]:
    """For the app's ``cleanup_ctx``."""
    await manager.open()
    yield
    await manager.close()
