"""A run as the history or a server gives it: a JSON document, with a result in it or without.

A result becomes a `RunResult`, so that the code that shows a run of this process shows it too. A run without one (it is
queued or running, or its process died) has a short table of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from aurea_engine import AureaError, RunResult, SpecError, parse_json, result_from_dict
from aurea_engine.closed_sets import ExitCode
from aurea_engine.codec.parsing import RESULT_DEPTH
from aurea_server.cli.exit_codes import choose_exit_code
from aurea_server.cli.number_format import format_money, format_number, format_seconds, make_printable
from aurea_server.cli.report import render_report
from aurea_server.cli.tables import Column, Table


class UnreadableRun(AureaError, ValueError):
    """The document is not that of a run."""


@dataclass(frozen=True)
class RunDocument:
    """``members`` are those of the document; ``result`` is None if the run came to none, or not yet."""

    members: Mapping[str, Any]
    result: RunResult | None

    @classmethod
    def parse(cls, document: bytes) -> RunDocument:
        """Raises `UnreadableRun`."""
        try:
            members = parse_json(document, max_depth=RESULT_DEPTH)
            is_object = isinstance(members, dict)
            # A run without a result has no counts; whatever else it has is only known so far.
            if is_object and "benchmark_id" in members and "counts" not in members:
                return cls(members, None)
            # It may be of a machine with other packages, or name a file of this one: nothing is loaded or read for it.
            return cls(members if is_object else {}, result_from_dict(members, local=False, keep_unknown=True))
        except SpecError as error:
            more = f", and {len(error.problems) - 1} more" if len(error.problems) > 1 else ""
            raise UnreadableRun(f"this is not the result of a run: {error.problems[0]}{more}") from None

    def render(self, *, charted: bool = False) -> RenderableType:
        """The report of the result (``charted``: as `render_report`), or what is known of a run without one."""
        if self.result is None:
            return render_without_result(self.members)
        return render_report(self.result, charted=charted)

    @property
    def exit_code(self) -> ExitCode:
        """How a command ends that made this run."""
        if self.result is None:
            return choose_exit_code(str(self.members.get("status")), self.members.get("verdict"), ())
        outcomes = [judged.outcome for judged in self.result.objectives]
        return choose_exit_code(self.result.status, self.result.verdict, outcomes)


def render_without_result(run: Mapping[str, Any]) -> Table:
    """A run that is queued or running, or that came to no result."""
    table = Table(Column(), Column(prose=True))
    reason, progress = run.get("reason") or {}, run.get("progress") or {}
    # A run that waits or runs has its figures in `progress`; one that died has the last of them at the top.
    completed = run.get("completed_jobs", (progress.get("counts") or {}).get("completed"))
    arrived = run.get("num_jobs", progress.get("arrived"))
    rows = {
        "run": run.get("benchmark_id") or "–",
        "status": ": ".join(filter(None, (run.get("status"), reason.get("detail")))),
        "label": run.get("label") or "–",
        "started": format_when(run.get("start_time")),
        "ended": format_when(run.get("end_time")),
        "verdict": run.get("verdict") or "–",
        "jobs": f"{format_number(completed)} of {format_number(arrived)} completed",
        "throughput": format_number(run.get("throughput", progress.get("throughput")), " jobs/s"),
        "service time": f"mean {format_seconds(run.get('mean_latency', progress.get('mean_latency')))}",
        "cost": format_money(run.get("total_cost"), run.get("currency") or ""),
        "findings": ", ".join(finding["code"] for finding in run.get("findings") or ()) or "none",
    }
    for name, value in rows.items():
        table.add_row(Text(name, "dim"), make_printable(str(value)))
    return table


def format_when(text: str | None) -> str:
    """An instant of a document for people, such as 2026-11-22 10:00:00.000 UTC; a dash where it has not come yet."""
    return "–" if text is None else text.replace("T", " ").replace("Z", " UTC")
