"""What observers are told of a run, made from its parts as everything else is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs import Cost, RunInfo
from aurea_engine.costs.metering import estimate_bill
from aurea_engine.records.batch import NS
from aurea_engine.results.checks import check_progress
from aurea_engine.results.figures import work_out_figures_so_far
from aurea_engine.results.findings import Finding
from aurea_engine.results.objective_figures import RunSoFar, judge_objective
from aurea_engine.results.observers import Progress
from aurea_engine.results.result import ObjectiveResult, RunResult
from aurea_engine.results.run_state import RunState, is_heavy_tailed
from aurea_engine.run.parts import RunParts
from aurea_engine.spec import RunSpec


@dataclass(frozen=True)
class ProgressReports:
    """Makes the reports of one run of ``spec``. ``heavy_tailed`` follows from ``spec``, and takes a while to find out."""

    spec: RunSpec
    heavy_tailed: bool

    @classmethod
    def of(cls, spec: RunSpec) -> ProgressReports:
        """For a run of ``spec``, which has its seed."""
        return cls(spec, is_heavy_tailed(spec))

    def report(self, parts: RunParts, *, recorded: bool) -> Progress:
        """The run as it stands. ``recorded``: records are kept so far."""
        # First the bill, since a cost model without a price is a finding too.
        bill = self._estimate_bill(parts)
        elapsed = parts.elapsed_ns / NS
        state = RunState(self.spec, parts, elapsed, bill.problem, recorded, self.heavy_tailed)
        progress = _describe(self.spec, parts, bill, check_progress(state), self._share_done(parts))
        return replace(progress, objectives=self._judge(parts, bill))

    def report_end(self, parts: RunParts, result: RunResult) -> Progress:
        """The last report, with the bill and the findings of the result."""
        # Of a run by duration that ended with its last job the share of time would stay below 1.
        share = 1.0 if result.status == "completed" else self._share_done(parts)
        progress = _describe(self.spec, parts, result.cost, result.findings, share)
        return replace(progress, objectives=result.objectives)

    def _judge(self, parts: RunParts, bill: Cost) -> tuple[ObjectiveResult, ...]:
        """By histograms, since an exact quantile takes as long as there are jobs, and the generator waits meanwhile."""
        if not self.spec.objectives:
            return ()
        figures = work_out_figures_so_far(self.spec, parts)
        run = RunSoFar.of(figures, bill)
        return tuple(judge_objective(each, run, figures, is_lost=False) for each in self.spec.objectives)

    def _estimate_bill(self, parts: RunParts) -> Cost:
        slots, counts = self.spec.scheduler.slots, dict(parts.meters.counts)
        run = RunInfo(parts.elapsed_ns, slots, counts, started_at=parts.started_at)
        return estimate_bill(parts.metered.usage(run), self.spec.cost)

    def _share_done(self, parts: RunParts) -> float | None:
        """The share of the workload that was released, by jobs or by time, times the share of those jobs that have ended."""
        workload, elapsed, arrived = self.spec.workload, parts.elapsed_ns / NS, parts.arrived
        planned = parts.count_planned(workload.jobs)
        # By jobs or by time, whichever is further: the first of the two limits that is reached ends the releasing.
        released = [arrived / planned] if planned else []
        released += [elapsed / end for end in (workload.duration, workload.stop_at) if end]
        if not released:
            return None
        ended = parts.meters.counts.total() / arrived if arrived else 1.0
        return min(max(released), 1.0) * min(ended, 1.0)


def _describe(
    spec: RunSpec, parts: RunParts, bill: Cost, found: tuple[Finding, ...], share_done: float | None
) -> Progress:
    meters, slots = parts.meters, spec.scheduler.slots
    response, service = meters.times["response_time"], meters.times["service_time"]
    # Since the window opened, warm-up included: the display must move from the first second on.
    elapsed = parts.elapsed_ns / NS
    return Progress(
        elapsed=elapsed,
        arrived=parts.arrived,
        in_flight=parts.in_service,
        queued=parts.waiting,
        counts=dict(meters.counts),
        throughput=meters.counts[Outcome.COMPLETED] / elapsed if elapsed else 0.0,
        mean_latency=service.mean if service.count else None,
        p99=response.quantile(0.99) if response.count else None,
        utilization=parts.in_service / slots if slots else None,
        cost=bill.total,
        bill=bill,
        fraction_done=share_done,
        time_left=elapsed * (1 - share_done) / share_done if share_done else None,
        findings=found,
        meters=meters,
        pool=parts.pool,
    )
