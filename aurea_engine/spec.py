"""The specification of a run: everything that decides what is run, and how it is judged. Frozen, checked when made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from aurea_engine.costs import CostModel, PerSecond
from aurea_engine.costs.safe_call import call_safely
from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, Name, Ratio, Seconds, format_number
from aurea_engine.fields.units import BOUND, DURATION, RATE
from aurea_engine.records.batch import NS
from aurea_engine.workload.schedulers import Fifo, Scheduler
from aurea_engine.workload.workload import Workload

KEPT_JOBS = 1_000_000
"""Records are kept, and quantiles are exact, up to this many jobs; beyond it histograms, meters and series remain."""

TIMES = ("response_time", "waiting_time", "service_time")
Metric = Literal[
    "response_time", "waiting_time", "service_time", "failure_ratio", "throughput", "goodput", "cost_per_job", "cost"
]
RATES = ("throughput", "goodput")


Bound = Annotated[float, Meta(ge=0, le=1e15), BOUND]


@dataclass(frozen=True)
class Objective(Checked):
    """What must hold. Times in seconds (their mean, or a ``quantile``), rates in jobs per second, cost in the currency.

    ``abort`` ends a run as soon as the objective can no longer be met.
    """

    metric: Metric
    at_most: Bound | None = None
    at_least: Bound | None = None
    quantile: Annotated[float, Meta(gt=0, lt=1)] | None = None
    abort: bool = False

    def __post_init__(self) -> None:
        written = {name: getattr(self, name) for name in ("at_most", "at_least")}
        super().__post_init__()
        unit = DURATION if self.metric in TIMES else RATE if self.metric in RATES else None
        problems = [
            Problem(
                name, f"must be {f'a number or {unit.form}' if unit else 'a number'}: it bounds {self.metric}", text
            )
            for name, text in written.items()
            if isinstance(text, str) and (unit is None or unit.read(text) is None)
        ]
        if problems:
            raise SpecError(problems)

    def check(self) -> list[Problem]:
        problems = []
        if (self.at_most is None) == (self.at_least is None):
            problems.append(Problem("at_most", "give either at_most or at_least"))
        if self.quantile is not None and self.metric not in TIMES:
            problems.append(
                Problem("quantile", f"only times have quantiles, {self.metric} has none", str(self.quantile))
            )
        return problems

    def __str__(self) -> str:
        what = self.metric.replace("_", " ")
        if self.metric in TIMES:
            what = f"{'mean' if self.quantile is None else f'p{self.quantile * 100:g}'} {what}"
        bound = (
            f"<= {format_number(self.at_most)}"
            if self.at_most is not None
            else f">= {format_number(self.at_least or 0)}"
        )
        unit = " s" if self.metric in TIMES else ""
        return f"{what} {bound}{unit}"


@dataclass(frozen=True)
class Thresholds(Checked):
    """When a finding is raised. The defaults suit runs that will be quoted; loosen them knowingly.

    Times in seconds. ``late_ratio``: share of releases that may be later than ``lag``; ``rate_shortfall``: by how much the
    released rate may stay under the asked one; ``cpu``: share of the window in which the generator may be at work;
    ``loop_lag``: longest time the event loop may have been away; ``floor``: a mean service time below it is mostly the
    engine's own; ``significance``: chance of a false alarm of each arrivals test; ``gc_pause``: longest collection.
    """

    lag: Seconds = 0.005
    late_ratio: Ratio = 0.01
    loop_lag: Seconds = 0.1
    cpu: Ratio = 0.95
    rate_shortfall: Ratio = 0.02
    floor: Seconds = 0.00002
    significance: Annotated[float, Meta(gt=0, lt=0.5)] = 0.0001
    gc_pause: Seconds = 0.02


@dataclass(frozen=True)
class RunSpec(Checked):
    """One run, whole: the same specification runs in real time (``clock="real"``) and in virtual time (``"virtual"``).

    ``seed`` None draws one, and the result carries it. ``warmup`` leaves the jobs of the first so many seconds out of every
    statistic (never out of ``counts`` or cost); ``"auto"`` finds them by MSER-5. ``keep_jobs`` False keeps memory flat.
    """

    workload: Workload
    scheduler: Scheduler = field(default_factory=Fifo)
    cost: CostModel = field(default_factory=lambda: PerSecond("0.001"))
    clock: Literal["real", "virtual"] = "real"
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    warmup: Seconds | Literal["auto"] = 0.0
    objectives: tuple[Objective, ...] = ()
    label: Name | None = None
    keep_jobs: bool = True
    thresholds: Thresholds = field(default_factory=Thresholds)

    def check(self) -> list[Problem]:
        warmup = self.warmup
        for name in ("duration", "stop_at"):
            end = getattr(self.workload, name)
            if end is not None and not isinstance(warmup, str) and warmup >= end:
                problem = f"must be shorter than workload.{name}: nothing would be measured"
                return [Problem("warmup", problem, f"{warmup:g}")]
        if warmup == "auto" and not self.keep_jobs:
            return [Problem("warmup", '"auto" looks at the records of jobs, so it needs keep_jobs')]
        return self._check_bill()

    def _check_bill(self) -> list[Problem]:
        """What the cost model reads and no job reports: told now, and not with the bill."""
        # A model of somebody else's may raise whatever it likes here too: then it is a finding of the run, as ever.
        problems, _ = call_safely(self.cost.check_measures, self.workload.schema)
        return [problem.within("cost") for problem in problems or ()]

    @property
    def warmup_ns(self) -> int:
        """The warm-up that is known before the run, ns."""
        return 0 if isinstance(self.warmup, str) else round(self.warmup * NS)

    def good_within_ns(self) -> list[tuple[str, int]]:
        """(metric, ns) of every objective that binds a single job: a *good* job is within all of them."""
        return [
            (objective.metric, round(objective.at_most * NS))
            for objective in self.objectives
            if objective.metric in TIMES and objective.quantile is not None and objective.at_most is not None
        ]
