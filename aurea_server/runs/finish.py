"""A run's end as values: the row for the history, the answer for the client that waits, the figures for the metrics."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from aurea_engine import Problem, SpecError
from aurea_engine.closed_sets import ReasonCode
from aurea_engine.processes.messages import Reason
from aurea_server.history import FinishedRun, StoreError
from aurea_server.runner.messages import ExecutedRun, Figures
from aurea_server.runs.active_run import ActiveRun, RunAnswer, encode, now_ms
from aurea_server.runs.views import view_without_result


class Finish(NamedTuple):
    """The same end, three times."""

    row: FinishedRun
    answer: RunAnswer
    figures: Figures

    def with_storage_error(self, storage_error: StoreError | None) -> Finish:
        """The same, where the row could not be stored."""
        return self._replace(answer=replace(self.answer, storage_error=storage_error))

    def summary(self) -> dict[str, object]:
        """What the last event of the run says."""
        reason = self.answer.reason
        return {
            # A follower gets what a list of runs would show, so it need not ask for the whole result.
            "status": self.answer.status,
            "verdict": self.figures.verdict,
            "throughput": self.figures.throughput,
            "reason": None if reason is None else reason.code,
        }


def finish_with_result(run: ActiveRun, executed: ExecutedRun) -> Finish:
    """The end of a run that came to a result."""
    figures, reason = executed.figures, executed.reason
    row = FinishedRun(
        figures.status,
        now_ms(),
        encode(figures),
        None if reason is None else encode(reason),
        encode(executed.last),
        executed.head,
        executed.records if run.keeps_records else b"",
        executed.parts,
    )
    return Finish(row, RunAnswer(figures.status, executed.result, reason), figures)


def finish_without_result(run: ActiveRun, status: str, reason: Reason | None) -> Finish:
    """The end of a run that came to no result: the figures of its last snapshot are kept."""
    ended_ms = now_ms()
    # What was seen last is kept and shown, as far as it goes: a run of an hour that died is not a run of nothing.
    figures = run.last_figures(status, ended_ms)
    last = None if run.last is None else encode(run.last)
    row = FinishedRun(status, ended_ms, encode(figures), None if reason is None else encode(reason), last)
    body = encode(view_without_result(run.id, run.document, figures, reason))
    return Finish(row, RunAnswer(status, body, reason), figures)


def judge_failure(run: ActiveRun, reason: Reason) -> tuple[str, Reason]:
    """(status, reason) of a run whose process ended without a result.

    Where a stop had been asked for, the run ended because of it, even if the process had to be killed: the status is the
    one that was asked for, and the reason says that the process did not obey.
    """
    if run.stopping is None:
        return "failed", reason
    if reason.code == "runner_died":
        # The process died of the kill that followed the stop: to report that it died would hide why.
        code: ReasonCode = "server_stopped" if run.stopping == "interrupted" else "runner_unresponsive"
        detail = f"asked to stop ({run.stopping}); {reason.detail}"
        reason = Reason(code=code, detail=detail, output=reason.output)
    return run.stopping, reason


def raise_spec_error(reason: Reason | None) -> None:
    """Raises SpecError if the specification proved impossible only in the runner process; else does nothing."""
    if reason is not None and reason.code == "invalid_spec":
        raise SpecError([Problem(*each) for each in reason.problems] or reason.detail)
