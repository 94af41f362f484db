"""What happens to a search, from its acceptance to its end.

    submit ──▶ (history) ──▶ queue ──▶ turn ──▶ trial ──▶ trial ──▶ … ──▶ end: history, metrics, events
                                └──── stop ────────┘

A search is one entry of the queue, and keeps its turn until its last trial has ended: so trials measure alone, and other
runs wait. The study (`aurea_engine.studies.capacity`) decides in this process; what it decides on is executed in the runner
process, as any run is (`TrialRunner`). A stop is told to both, the study first: it starts no further trial.

No trial outlives its search: a search ends when `capacity` has returned or raised, and by then its trial has ended. Where
the server itself ends, the history interrupts all that is unended, search and trial, in one transaction.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from aurea_engine import SpecError, capacity
from aurea_engine.codec.capacity import search_progress_to_dict
from aurea_engine.processes.messages import Reason
from aurea_engine.results.capacity import CapacityAnswer, SearchProgress
from aurea_engine.studies.search_plan import SearchLimits
from aurea_server.context import in_trace
from aurea_server.history import AcceptedSearch, History, IdempotencyKey, KeyReused, StoreError
from aurea_server.metrics.search_metrics import SearchMetrics
from aurea_server.runs.active_run import Ids, encode, now_ms
from aurea_server.runs.ending import Ends
from aurea_server.runs.errors import NoSuchSearch, SearchEnded, SearchNotEnded
from aurea_server.runs.lifecycle import RunLifecycle
from aurea_server.runs.queue import RunQueue
from aurea_server.runs.searches.active_search import ActiveSearch, ActiveSearches
from aurea_server.runs.searches.finish import STOPPED, SearchFinish, finish_search
from aurea_server.runs.searches.trials import TrialFailed, TrialMaker
from aurea_server.runs.searches.validation import SearchSubmission
from aurea_server.runs.tasks import Tasks, ignore_storage_errors
from aurea_server.settings.limits import Limits

log = logging.getLogger(__name__)

MOST_TRIALS = 200
"""Trials of a search, each a row of the history. A search takes some thirty."""


class SearchLifecycle:
    """Accepts searches, executes the one whose turn it is, and ends them. ``runs`` executes their trials."""

    def __init__(
        self,
        history: History,
        metrics: SearchMetrics,
        runs: RunLifecycle,
        queue: RunQueue,
        active: ActiveSearches,
        limits: Limits,
        trials: TrialMaker,
    ) -> None:
        self._history, self._metrics, self._runs = history, metrics, runs
        self._queue, self._active, self._limits, self._trials = queue, active, limits, trials
        self._ends = Ends(active, "search")
        self._tasks = Tasks()
        self._ids = Ids("search")
        self._interrupted = False

    def start(self, newest_id: str | None) -> None:
        """Accept searches. Ids go on above ``newest_id``, the last one in the history."""
        self._ids = Ids("search", newest_id)

    async def close(self) -> None:
        """Nothing of a search goes on any more."""
        await self._tasks.close()

    # --- Acceptance ------------------------------------------------------------------------------------------------

    async def submit(self, submission: SearchSubmission, key: tuple[str, str] | None = None) -> ActiveSearch:
        """Accept a search: when this returns, it is in the history and waits for its turn.

        ``key``: an Idempotency-Key and the digest of the body. A client that leaves ends nothing: it can come back. Raises
        `Stopping`, `QueueFull`, `KeyReused` or another `StoreError`.
        """
        history = self._history.searches
        if key is not None and (taken := await history.find_key(key[0], now_ms())) is not None:
            raise KeyReused(taken)  # also while the queue is full: the search that it stands for is there already
        # The same checks as for a run, in the same order.
        self._runs.check_ready()
        self._queue.check_room()
        search_id, document, spec = self._ids.new(), submission.document, submission.spec
        search = ActiveSearch(search_id, document, spec, submission.order, self._active.new_log(search_id))
        search.sharding = submission.sharding
        if self._queue.is_idle:
            search.started_ms = search.created_ms
        asked = encode(search.order.to_plain())
        row = AcceptedSearch(search.id, search.created_ms, search.label, encode(document), asked, search.started_ms)
        known = None if key is None else IdempotencyKey(key[0], key[1], search.id, search.created_ms)
        with self._queue.reserve():
            # Shielded: a client that leaves now must not leave a row behind that no queue knows.
            await self._tasks.run_shielded(self._commit(search, row, known))
        return search

    async def _commit(self, search: ActiveSearch, row: AcceptedSearch, key: IdempotencyKey | None) -> None:
        await self._history.searches.add(row, key)
        self._active.add(search)
        search.events.publish("state", {"status": "queued"})
        self._queue.enter(search)
        log.info("search accepted", extra={"search_id": search.id})
        # A stop of the server may have come while the row was being written.
        if self._interrupted:
            self.stop(search, "interrupted")

    # --- Execution -------------------------------------------------------------------------------------------------

    async def execute(self, search: ActiveSearch) -> None:
        """Bring a search to its end. It has the turn meanwhile."""
        search.state = "running"
        self._metrics.start_search(search.spec.clock, search.order.variable)
        if search.started_ms is None:
            search.started_ms = now_ms()
            self._tasks.start(ignore_storage_errors(self._history.searches.begin(search.id, search.started_ms)))
        search.events.publish("state", {"status": "running"})
        expire = partial(self.stop, search, "timed_out")
        deadline = asyncio.get_running_loop().call_later(self._limits.search_seconds, expire)
        try:
            finish = await self._search(search)
        except Exception:
            # A defect of ours must cost one search and not the server.
            log.exception("a search could not be brought to its end", extra={"search_id": search.id})
            reason = Reason(code="runner_died", detail="the server failed; its log says why")
            finish = finish_search(search, "failed", reason)
        finally:
            deadline.cancel()
        await self._end(search, finish)

    async def _search(self, search: ActiveSearch) -> SearchFinish:
        order, limits = search.order, self._limits
        try:
            answer: CapacityAnswer = await capacity(
                search.spec,
                order.variable,
                order.low,
                order.high,
                costs=self._trials.make_models(order),
                require=order.require,
                confirm=order.confirm,
                runner=self._trials.make_runner(search),
                on_progress=partial(self._report, search),
                stop=search.stop,
                limits=SearchLimits(trials=MOST_TRIALS, jobs=limits.search_jobs, jobs_of_trial=limits.jobs),
            )
        except TrialFailed as failed:
            status = search.stopping or failed.status
            return finish_search(search, status, STOPPED.get(status, failed.reason))
        except SpecError as error:
            return finish_search(search, "failed", Reason(code="invalid_spec", detail=f"{error}"))
        except StoreError as error:
            log.error("a trial could not be stored: %s", error, extra={"search_id": search.id})  # noqa: TRY400
            return finish_search(search, "failed", Reason(code="storage", detail="a trial could not be stored"))
        # A study that was stopped answers with what it knows, as undecided.
        status = search.stopping or "completed"
        return finish_search(search, status, STOPPED.get(status), answer)

    def _report(self, search: ActiveSearch, progress: SearchProgress) -> None:
        told = search_progress_to_dict(progress)
        latest = told.pop("latest")
        search.progress = told
        self._metrics.update_search(progress.bracket)
        if latest is not None:
            search.trials.append(latest)
            search.events.publish("trial", latest)
            # After a crash this is all that is known of the search. Nobody waits for it.
            self._tasks.start(ignore_storage_errors(self._history.searches.report(search.id, encode(search.report()))))
        search.events.publish("bracket", told)

    # --- End -------------------------------------------------------------------------------------------------------

    async def _end(self, search: ActiveSearch, finish: SearchFinish) -> None:
        """In the order of a run's end: the history, the metrics, the events, whoever waits."""
        finish = await self._store(search, finish)
        self._metrics.finish_search(finish.answer.status, finish.found)
        self._ends.publish(search, finish)

    async def _drop(self, search: ActiveSearch, status: str) -> None:
        """End a search that never had its turn: the metrics have not heard of it."""
        with in_trace(search.trace):
            self._ends.publish(search, await self._store(search, finish_search(search, status, STOPPED.get(status))))

    async def _store(self, search: ActiveSearch, finish: SearchFinish) -> SearchFinish:
        return await self._ends.store(search, finish, self._history.searches.end(search.id, finish.row))

    # --- Stops and deletion ----------------------------------------------------------------------------------------

    def stop(self, search: ActiveSearch, status: str) -> None:
        """End a search with what it knows; one that waits ends at once. The first stop is the one that counts."""
        search.stopping = search.stopping or status
        search.stop.now("cancelled")
        if self._queue.withdraw(search):
            self._tasks.start(self._drop(search, search.stopping))
        elif search.trial is not None:
            self._runs.stop(search.trial, search.stopping)

    async def cancel(self, search_id: str) -> ActiveSearch:
        """`stop` for a client. Asked again, it changes nothing. Raises `NoSuchSearch` or `SearchEnded`."""
        search = self._active.get_unended(search_id)
        if search is None:
            row = await self._history.searches.get(search_id)
            raise NoSuchSearch if row is None else SearchEnded(row.state)
        self.stop(search, "cancelled")
        return search

    async def delete(self, search_id: str) -> list[str]:
        """Delete a search that has ended, and its trials; returns their ids. Raises `NoSuchSearch` or `SearchNotEnded`."""
        if self._active.get(search_id) is not None:
            raise SearchNotEnded
        history = self._history.searches
        trials = None if await history.get(search_id) is None else await history.remove(search_id)
        if trials is None:
            raise NoSuchSearch
        for trial in trials:
            self._runs.forget_events(trial)
        self._active.forget_events(search_id)
        return trials

    def interrupt(self) -> None:
        """Stop every search as interrupted, those that are being accepted included."""
        self._interrupted = True
        for entry in self._queue.entries():
            if isinstance(entry, ActiveSearch):
                self.stop(entry, "interrupted")
