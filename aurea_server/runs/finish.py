"""How a run's end is written: for the ledger, and for whoever waits."""

from __future__ import annotations

from aurea_server.history import FinishedRun
from aurea_server.runner.messages import End, Figures, Reason
from aurea_server.runs.active_run import ActiveRun, RunAnswer, encode, now_ms
from aurea_server.runs.views import view_without_result


def with_result(end: End, records: bytes) -> tuple[FinishedRun, RunAnswer, Figures]:
    """The end of a run that came to a result."""
    status = end.figures.status
    reason = None if end.reason is None else encode(end.reason)
    ending = FinishedRun(status, now_ms(), encode(end.figures), reason, encode(end.last), end.head, records)
    return ending, RunAnswer(status, end.answer(), end.reason), end.figures


def without_result(live: ActiveRun, state: str, reason: Reason | None) -> tuple[FinishedRun, RunAnswer, Figures]:
    """The end of a run that came to none: its last figures are kept."""
    ended_ms = now_ms()
    figures = live.so_far(state, ended_ms)
    last = None if live.last is None else encode(live.last)
    ending = FinishedRun(state, ended_ms, encode(figures), None if reason is None else encode(reason), last)
    answer = view_without_result(live.id, live.document, figures, reason)
    return ending, RunAnswer(state, encode(answer), reason), figures


def why(live: ActiveRun, reason: Reason) -> tuple[str, Reason]:
    """(state, reason) of a run whose process is gone: a stop that had been asked for is why, even where it took a kill."""
    if live.stopping is None:
        return "failed", reason
    if reason.code == "runner_died":
        code = "server_stopped" if live.stopping == "interrupted" else "runner_unresponsive"
        detail = f"asked to stop ({live.stopping}); {reason.detail}"
        reason = Reason(code=code, detail=detail, output=reason.output)
    return live.stopping, reason
