"""What happens to a run, from its acceptance to its end.

    submit ──▶ (history) ──▶ queue ──▶ turn ──▶ runner process ──▶ end: history, metrics, events
                                └──── stop ────────┘

A run belongs to the server, not to the request that asked for it: it is accepted when its row is committed, waits for its
turn, is executed in a runner process, and its end is published in a fixed order. The **history first**: a client that
learns of the end may ask for the result at once, and must find it. Then the metrics, then the events, then the waiting
client. A run ends exactly once, whichever of its result, its process, a client, the time limit and the server's stop comes
first: `_finish` is called from its turn, or, for a run that never had one, from `stop`.

A trial of a search is a run like any other, but for its turn: it has that of its search (`execute_trial`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging

from aurea_engine.processes.messages import Reason, Snapshot
from aurea_engine.processes.supervisor import ProcessFailed
from aurea_server.context import in_trace
from aurea_server.history import AcceptedRun, History, IdempotencyKey, KeyReused
from aurea_server.metrics.registry import BenchmarkMetrics
from aurea_server.runner.messages import ExecutedRun
from aurea_server.runner.pool import RunnerPool
from aurea_server.runner.submissions import Submission
from aurea_server.runs.active_run import ActiveRun, ActiveRuns, Ids, encode, now_ms
from aurea_server.runs.ending import Ends
from aurea_server.runs.errors import AlreadyEnded, NotEnded, NotFound, PartOfSearch
from aurea_server.runs.finish import Finish, finish_with_result, finish_without_result, judge_failure, raise_spec_error
from aurea_server.runs.queue import RunQueue
from aurea_server.runs.tasks import Tasks, ignore_storage_errors

log = logging.getLogger(__name__)


class RunLifecycle:
    """Accepts runs, executes the one whose turn it is, and ends them. ``seconds``: how long a run may last."""

    def __init__(
        self,
        history: History,
        metrics: BenchmarkMetrics,
        pool: RunnerPool,
        queue: RunQueue,
        active: ActiveRuns,
        seconds: float,
    ) -> None:
        self._history, self._metrics, self._pool = history, metrics, pool
        self._queue, self._active, self._seconds = queue, active, seconds
        self._ends = Ends(active, "run")
        self._tasks = Tasks()
        self._ids = Ids("benchmark")
        self._executing: ActiveRun | None = None
        self._interrupted = False

    def start(self, newest_id: str | None) -> None:
        """Accept runs. Ids go on above ``newest_id``, the last one in the history."""
        self._ids = Ids("benchmark", newest_id)

    async def close(self) -> None:
        """Execute nothing any more."""
        await self._tasks.close()

    # --- Acceptance ------------------------------------------------------------------------------------------------

    def check_ready(self) -> None:
        """Raises `Stopping` or `StoreError` where no run could be accepted, whatever the queue."""
        self._queue.check_open()
        self._history.check_writable()

    async def submit(
        self, submission: Submission, key: tuple[str, str] | None = None, *, detached: bool = False
    ) -> ActiveRun:
        """Accept a run: when this returns, it is in the history and waits for its turn.

        ``key``: an Idempotency-Key and the digest of the body. ``detached``: the run goes on without the client that asked
        for it; otherwise it ends where the client leaves before this returns. Raises `Stopping`, `QueueFull`, `KeyReused` or
        another `StoreError`.
        """
        if key is not None and (taken := await self._history.find_key(key[0], now_ms())) is not None:
            raise KeyReused(taken)  # also while the queue is full: the run that it stands for is there already
        # In this order: what cannot be stored must not take a place, and a full queue is the answer that changes
        # soonest.
        self.check_ready()
        self._queue.check_room()
        run = self._make_run(submission)
        if self._queue.is_idle:
            # It starts at once, so its row says so from the beginning: one transaction instead of two before a short run.
            run.started_ms = run.created_ms
        row = _make_row(run)
        known = None if key is None else IdempotencyKey(key[0], key[1], run.id, run.created_ms)
        with self._queue.reserve():
            try:
                # Shielded: a client that leaves now must not leave a row behind that no queue knows.
                await self._tasks.run_shielded(self._commit(run, row, known))
            except asyncio.CancelledError:
                if not detached:
                    self.stop(run, self._status_of_leaving())
                raise
        return run

    def _make_run(self, submission: Submission) -> ActiveRun:
        document, label = submission.document, submission.label
        run_id = self._ids.new()
        run = ActiveRun(run_id, document, label, submission.foreign, self._active.new_log(run_id))
        run.sharding = submission.sharding
        return run

    async def _commit(self, run: ActiveRun, row: AcceptedRun, key: IdempotencyKey | None) -> None:
        await self._history.add(row, key)
        self._active.add(run)
        run.events.publish("state", {"status": "queued"})
        self._queue.enter(run)
        log.info("run accepted", extra={"run_id": run.id})
        # A stop may have come while the row was being written. It found no run in the queue, so it is obeyed here.
        if self._interrupted or run.stopping is not None:
            self.stop(run, run.stopping or "interrupted")

    async def wait(self, run: ActiveRun, *, detached: bool) -> bytes:
        """The result as JSON. A client that leaves ends its run, unless it may come back for it (``detached``).

        Raises `StoreError` if the result could not be stored, `SpecError` if the run turned out to be impossible.
        """
        try:
            # Many may wait for one run: cancelling one of them must not cancel the future of the others.
            answer = await asyncio.shield(run.ended)
        except asyncio.CancelledError:
            if not detached:
                self.stop(run, self._status_of_leaving())
            raise
        if answer.storage_error is not None:
            raise answer.storage_error
        raise_spec_error(answer.reason)
        return answer.body

    def _status_of_leaving(self) -> str:
        """A connection that is cut because the server stops was not the client's wish."""
        return "cancelled" if self._queue.is_open else "interrupted"

    # --- Execution -------------------------------------------------------------------------------------------------

    async def execute(self, run: ActiveRun) -> ExecutedRun | None:
        """Bring a run to its end, which `ActiveRun.ended` then has; None where it came to no result. One at a time."""
        self._executing = run
        try:
            return await self._execute(run)
        except Exception:
            # A defect of ours must cost one run and not the server: without this no run would ever start again.
            log.exception("a run could not be brought to its end", extra={"run_id": run.id})
            run.last = None  # what could not be handled the first time is not tried again
            with contextlib.suppress(Exception):
                await self._fail(run, Reason(code="runner_died", detail="the server failed; its log says why"))
            return None
        finally:
            self._executing = None

    def make_trial(self, submission: Submission, search_id: str) -> ActiveRun:
        """A run of a search, to be handed to `execute_trial`. It can be stopped from now on."""
        run = self._make_run(submission)
        run.search_id, run.started_ms = search_id, run.created_ms
        return run

    async def execute_trial(self, run: ActiveRun) -> ExecutedRun | None:
        """Accept a trial and bring it to its end: its search has the turn, so it never waits in the queue.

        Raises `StoreError` where it cannot be accepted.
        """
        self._history.check_writable()
        await self._history.add(_make_row(run), None)
        self._active.add(run)
        log.info("trial accepted", extra={"run_id": run.id})
        return await self.execute(run)

    async def _execute(self, run: ActiveRun) -> ExecutedRun | None:
        run.state = "running"
        trace_id = "" if run.trace is None else run.trace.trace_id
        self._metrics.start_run(run.id, str(run.document["clock"]), trace_id)
        if run.started_ms is None:  # it had to wait, so its row does not say yet that it is running
            run.started_ms = now_ms()
            # Nobody waits for this write: the history does one thing after the other, so it is done before the run's end.
            self._tasks.start(ignore_storage_errors(self._history.begin(run.id, run.started_ms)))
        run.events.publish("state", {"status": "running"})

        def report(snapshot: Snapshot, *, is_last: bool = False) -> None:
            self._metrics.update_run(snapshot)
            run.report(snapshot, is_last=is_last)

        try:
            expire = functools.partial(self.stop, run, "timed_out")
            executed = await self._pool.execute(run, report, self._seconds, expire)
        except ProcessFailed as failed:
            await self._fail(run, failed.reason)
            return None
        report(executed.last, is_last=True)
        # The history before the metrics, and the metrics before the events: see the top of this file.
        finish = await self._store(run, finish_with_result(run, executed))
        self._metrics.finish_run(finish.figures)
        self._ends.publish(run, finish)
        return executed

    # --- End -------------------------------------------------------------------------------------------------------

    async def _fail(self, run: ActiveRun, reason: Reason) -> None:
        status, reason = judge_failure(run, reason)
        finish = await self._store(run, finish_without_result(run, status, reason))
        self._metrics.fail_run(status)
        self._ends.publish(run, finish)

    async def _drop(self, run: ActiveRun, status: str, reason: Reason | None) -> None:
        """End a run that never had its turn: the metrics have not heard of it."""
        with in_trace(run.trace):  # not in that of the request that cancels it
            self._ends.publish(run, await self._store(run, finish_without_result(run, status, reason)))

    async def _store(self, run: ActiveRun, finish: Finish) -> Finish:
        return await self._ends.store(run, finish, self._history.end(run.id, finish.row))

    # --- Stops and deletion ----------------------------------------------------------------------------------------

    def stop(self, run: ActiveRun, status: str) -> None:
        """End a run with what it has; one that waits ends at once. The first stop of a run is the one that counts."""
        run.stopping = run.stopping or status
        if self._queue.withdraw(run):
            reason = None if status == "cancelled" else Reason(code="server_stopped", detail="the run had not started")
            self._tasks.start(self._drop(run, status, reason))
        elif run is self._executing:
            self._pool.stop(run)

    async def cancel(self, run_id: str) -> ActiveRun:
        """`stop` for a client. Asked again, it changes nothing. Raises `NotFound`, `AlreadyEnded` or `PartOfSearch`."""
        run = self._active.get_unended(run_id)
        if run is None:
            row = await self._history.get(run_id)
            raise NotFound if row is None else AlreadyEnded(row.state)
        if run.search_id is not None:
            raise PartOfSearch(run.search_id)
        self.stop(run, "cancelled")
        return run

    async def delete(self, run_id: str) -> None:
        """Delete a run that has ended, and all that is kept of it. Raises `NotFound`, `NotEnded` or `PartOfSearch`."""
        if self._active.get(run_id) is not None:
            raise NotEnded("The run has not ended: cancel it first.")
        # Looked for first: where nothing can be written, what does not exist is still answered with that.
        row = await self._history.get(run_id)
        if row is not None and row.search_id is not None:
            raise PartOfSearch(row.search_id)
        if row is None or not await self._history.remove([run_id]):
            raise NotFound
        self._active.forget_events(run_id)

    def forget_events(self, run_id: str) -> None:
        """The run was deleted with others: by retention, or with the search that it is a trial of."""
        self._active.forget_events(run_id)

    def interrupt(self) -> bool:
        """Stop every run as interrupted, those that are being accepted included; False if that was done before."""
        if self._interrupted:
            return False
        self._interrupted = True
        for run in self._queue.entries():
            if isinstance(run, ActiveRun):
                self.stop(run, "interrupted")
        return True


def _make_row(run: ActiveRun) -> AcceptedRun:
    return AcceptedRun(run.id, run.created_ms, run.label, encode(run.document), run.started_ms, run.search_id)
