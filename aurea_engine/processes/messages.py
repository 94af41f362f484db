"""What a supervised process reports, as typed plain data: how a run stands, and why it failed.

These are the types that a supervisor decodes messages into. Whatever is read from such a process may have been written by a
job, so each type is strict, and `check_snapshot` also tries what a type cannot say: that each amount is a number, and that
each histogram can be rebuilt. What has passed is safe to publish.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from aurea_engine.closed_sets import ReasonCode
from aurea_engine.costs import Cost
from aurea_engine.processes.so_far import SoFar, make_so_far
from aurea_engine.processes.traffic import NO_REQUESTS, Requests, Traffic, make_traffic
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.results.findings import Finding
from aurea_engine.results.observers import Progress
from aurea_engine.run.parts import RunParts

HISTOGRAMS = {"service": "service_time", "response": "response_time", "waiting": "waiting_time", "lag": "lag"}
"""Histograms that metrics show, with the kind of time of each."""

# ASCII, since `int` would also read the digits of other scripts; no denominator of zeros. At most 2,000 digits: `int` of
# a longer text takes quadratic time, and Python refuses one of more than 4,300 anyway.
_RATIO = re.compile(r"-?[0-9]{1,2000}(?:/0*[1-9][0-9]{0,2000})?", re.ASCII)


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a run did not complete. ``output``: the end of what its jobs printed; ``problems``: of an invalid spec."""

    code: ReasonCode
    detail: str
    output: str = ""
    problems: list[tuple[str, str, str]] = []


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A run that came to no result."""

    reason: Reason


# A bill is part of the figures that histories keep for years: a member may be added, with a default, and none changes its
# meaning.
class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """A cost, as metrics need it. ``lines``: (component, exact ratio), credits taken off, so that they add up to the total;
    ``quantities``: (component, unit, exact ratio). ``monotone``: while the run is on, neither can fall any more.
    """

    currency: str = "USD"
    model: str = "other"
    priced: bool = False
    monotone: bool = False
    lines: list[tuple[str, str]] = []
    quantities: list[tuple[str, str, str]] = []
    per_job: dict[str, float] = {}
    sheets: list[tuple[str, str, str, str]] = []


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """A finding, as people are told of it. ``severity``: ``note``, ``degraded`` or ``invalid``."""

    code: str
    severity: str
    detail: str
    advice: str


# Members that are for metrics: too large, or too exact, to be shown to people.
_INSIDE = ("histograms", "cost", "findings", "bill", "offered_rate", "traffic")


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run at an instant: seconds, jobs per second, jobs. ``cost`` is an exact ratio ``p/q``. ``replication``: the
    number of the one that is under way, of ``replications`` at most; None of a run that is not repeated.
    """

    elapsed: float = 0.0
    arrived: int = 0
    in_flight: int = 0
    queued: int = 0
    counts: dict[str, int] = {}
    throughput: float = 0.0
    mean_latency: float | None = None
    p99: float | None = None
    cost: str | None = None
    fraction_done: float | None = None
    time_left: float | None = None
    histograms: dict[str, dict[str, Any]] = {}
    findings: list[Remark] = []
    utilization: float | None = None
    offered_rate: float | None = None
    bill: Bill = Bill()
    traffic: Traffic = Traffic()
    replication: int | None = None
    replications: int | None = None
    so_far: SoFar = SoFar()

    @property
    def ended(self) -> int:
        """Jobs that have reached an outcome."""
        return sum(self.counts.values())

    def figures(self) -> dict[str, Any]:
        """For people: everything but the histograms."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__ if name not in _INSIDE}
        return {**shown, "cost": self.cost_so_far, "so_far": msgspec.to_builtins(self.so_far)}

    @property
    def cost_so_far(self) -> float | None:
        """What it has cost, None where that is not known."""
        return None if self.cost is None else parse_ratio(self.cost)

    def histogram(self, name: str) -> LatencyHistogram:
        """One of `HISTOGRAMS`, empty if the runner sent none."""
        data = self.histograms.get(name)
        return LatencyHistogram() if data is None else LatencyHistogram.from_dict(data)


def check_snapshot(snapshot: Snapshot) -> Snapshot:
    """The same, if all that will be read from it can be read. Raises ValueError."""
    # Rebuilding is the check: buckets that do not add up, or have no place on the scale, raise.
    for name in HISTOGRAMS:
        snapshot.histogram(name)
    amounts = [each for line in (*snapshot.bill.lines, *snapshot.bill.quantities) for each in line[-1:]]
    for amount in (*amounts, *([] if snapshot.cost is None else [snapshot.cost])):
        if not _RATIO.fullmatch(amount):
            raise ValueError("an amount is no ratio")
        try:
            parse_ratio(amount)
        except OverflowError:  # within the digits allowed, but no float: a gauge could not show it
            raise ValueError("an amount is larger than any number") from None
    return snapshot


def parse_ratio(text: str) -> float:
    """``p/q`` as a float."""
    above, _, below = text.partition("/")
    return int(above) / int(below or 1)


def make_bill(cost: Cost | None, model: str) -> Bill:
    """A cost as metrics need it; ``model`` is the kind of its cost model."""
    if cost is None:
        return Bill(model=model)
    shares = {"attempt": cost.per_attempt, "success": cost.per_success, "good": cost.per_good}
    return Bill(
        currency=cost.currency,
        model=model,
        priced=cost.total is not None,
        monotone=cost.monotone,
        # Exact ratios as text: metrics add amounts up over years, and floats would drift. msgpack's integers end at 64
        # bits.
        lines=[(component, f"{money.numerator}/{money.denominator}") for component, money in cost.by_component],
        quantities=[
            (line.component, line.unit, f"{line.quantity.numerator}/{line.quantity.denominator}")
            for line in cost.lines
            if line.basis != "credit"  # a credit is money, and no quantity of anything
        ],
        per_job={per: float(share) for per, share in shares.items() if share is not None},
        sheets=[(sheet.id, sheet.version, sheet.currency, sheet.checked) for sheet in cost.sheets],
    )


def make_remarks(findings: Iterable[Finding]) -> list[Remark]:
    """Findings as plain data."""
    return [
        Remark(code=each.code, severity=each.severity.name.lower(), detail=each.detail, advice=each.advice)
        for each in findings
    ]


def make_snapshot(
    progress: Progress,
    model: str,
    requests: Requests = NO_REQUESTS,
    parts: RunParts | None = None,
    groups: Sequence[str] = (),
) -> Snapshot:
    """A report as plain data. ``model``: the kind of its cost model; ``requests``: which of its jobs are requests;
    ``parts``: the same as parts, where there are some; ``groups``: the names of its groups, in their order.
    """
    steps = None if parts is None or parts.steps is None else parts.steps.meters.meters
    number, most = progress.replication or (None, None)
    return Snapshot(
        replication=number,
        replications=most,
        elapsed=progress.elapsed,
        arrived=progress.arrived,
        in_flight=progress.in_flight,
        queued=progress.queued,
        counts={outcome.name.lower(): count for outcome, count in progress.counts.items()},
        throughput=progress.throughput,
        mean_latency=progress.mean_latency,
        p99=progress.p99,
        cost=None if progress.cost is None else f"{progress.cost.numerator}/{progress.cost.denominator}",
        fraction_done=progress.fraction_done,
        time_left=progress.time_left,
        histograms={name: progress.meters.times[metric].to_dict() for name, metric in HISTOGRAMS.items()},
        findings=make_remarks(progress.findings),
        utilization=progress.utilization,
        offered_rate=_offered_rate(progress),
        bill=make_bill(progress.bill, model),
        traffic=make_traffic(progress.meters, requests, progress.pool, steps),
        so_far=make_so_far(progress, parts, groups),
    )


def _offered_rate(progress: Progress) -> float | None:
    """Arrivals per second so far; None before a job has ended that did not arrive with the first: all at once is no rate."""
    # The instants of jobs are known once they end, so this is late by one service time, and never a rate of nothing.
    spread = progress.meters.latest_intended_ns > 0
    return progress.arrived / progress.elapsed if spread and progress.elapsed else None
