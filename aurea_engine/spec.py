"""The specification of a run: everything that decides what is run, and how it is judged. Frozen, and checked when made."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from msgspec import Meta

from aurea_engine.closed_sets import RunClock
from aurea_engine.costs import CostModel, PerSecond
from aurea_engine.costs.safe_call import call_safely
from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, Invalid, Name, Ratio, Seconds, format_number
from aurea_engine.fields.units import BOUND, DURATION, RATE
from aurea_engine.records.batch import NS
from aurea_engine.records.measures import Schema
from aurea_engine.records.status_codes import STATUS
from aurea_engine.workload.schedulers import Fifo, Scheduler
from aurea_engine.workload.workload import Workload

KEPT_JOBS = 1_000_000
"""Up to this many jobs records are kept, and quantiles are exact. Beyond, histograms, meters and series remain."""

TIMES = ("response_time", "waiting_time", "service_time")
BuiltInMetric = Literal[
    "response_time", "waiting_time", "service_time", "failure_ratio", "throughput", "goodput", "cost_per_job", "cost"
]
RATES = ("throughput", "goodput")
OF_GROUPS = (*TIMES, "failure_ratio")
"""The built-in metrics that a group has, too."""


class _ReportedMetricRule:
    """The name of a mark or a measure, or ``group:GROUP:METRIC``. Only the specification knows whether it exists."""

    pattern = r"^(group:[^:=+@\s-][^:]{0,127}:)?[a-z][a-z0-9_]{0,63}$"

    def coerce(self, value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value) or value.endswith("\n"):
            raise Invalid("must be a metric, a mark, a measure, or group:NAME:METRIC")
        return value


Metric = BuiltInMetric | Annotated[str, _ReportedMetricRule()]
Bound = Annotated[float, Meta(ge=0, le=1e15), BOUND]


@dataclass(frozen=True)
class Objective(Checked):
    """What must hold. Times in seconds (their mean, or a ``quantile``), rates in jobs per second, cost in the currency.

    ``metric`` may also be a mark (the time from the intended start), a measure (an amount in its unit), or
    ``group:NAME:METRIC`` for the jobs of one group. ``abort`` ends a run as soon as the objective can no longer be met.
    """

    metric: Metric
    at_most: Bound | None = None
    at_least: Bound | None = None
    quantile: Annotated[float, Meta(gt=0, lt=1)] | None = None
    abort: bool = False

    def __post_init__(self) -> None:
        # As written, before the fields are converted: whether a bound was text decides which unit is right.
        written = {name: getattr(self, name) for name in ("at_most", "at_least")}
        super().__post_init__()
        texts = {name: text for name, text in written.items() if isinstance(text, str)}
        self._check_texts(texts)
        # A mark is bounded by "250ms", a measure by a number. Which of them the name is, the specification will know.
        object.__setattr__(self, "_is_written_as_time", bool(texts))

    def _check_texts(self, texts: Mapping[str, str]) -> None:
        unit = RATE if self.figure in RATES else DURATION if self.figure not in get_args(BuiltInMetric) else None
        unit = DURATION if self.figure in TIMES else unit
        problems = [
            Problem(
                name, f"must be {f'a number or {unit.form}' if unit else 'a number'}: it bounds {self.metric}", text
            )
            for name, text in texts.items()
            if unit is None or unit.read(text) is None
        ]
        if problems:
            raise SpecError(problems)

    @property
    def group(self) -> str | None:
        """The group whose jobs it judges, None for all jobs."""
        return split_metric(self.metric)[0]

    @property
    def figure(self) -> str:
        """The metric without the group."""
        return split_metric(self.metric)[1]

    @property
    def is_of_jobs(self) -> bool:
        """Whether its metric is a time or an amount of single jobs, and so has a mean and quantiles."""
        return self.figure in TIMES or self.figure not in get_args(BuiltInMetric)

    def check(self) -> list[Problem]:
        problems = []
        # One bound only: an objective with two could be lost on one side and inconclusive on the other.
        if (self.at_most is None) == (self.at_least is None):
            problems.append(Problem("at_most", "give either at_most or at_least"))
        if self.quantile is not None and not self.is_of_jobs:
            problems.append(
                Problem("quantile", f"only times have quantiles, {self.metric} has none", str(self.quantile))
            )
        return problems

    def check_metric(self, schema: Schema) -> list[Problem]:
        """The reasons why it cannot be judged in a run whose records have the columns of ``schema``."""
        # Here and not in `check`: only the workload knows what its jobs declare.
        group, figure = split_metric(self.metric)
        built_in = get_args(BuiltInMetric) if group is None else OF_GROUPS
        reported = [each.name for each in (*schema.declared, *schema.run_measures)]
        # Names are checked against what the jobs declare, so a misspelt mark is refused before a run of an hour, and not
        # "inconclusive" after it.
        if group is not None and group not in (*schema.groups, *schema.steps):
            known = ", ".join((*schema.groups, *schema.steps)) or "none: groups are the branches of a mix"
            return [Problem("metric", f"must name a group of the workload: known are {known}", ascii(group))]
        if figure not in (*built_in, *reported):
            return [Problem("metric", f"must be one of {', '.join((*built_in, *reported))}", ascii(figure))]
        if schema.measure(figure) == STATUS:
            remedy = "bound failure_ratio, and say which ones are expected"
            return [
                Problem("metric", f"cannot be {figure}: it is the name of an answer and no quantity. Instead, {remedy}")
            ]
        if group in schema.steps and self.abort:
            return [Problem("abort", "cannot be used on a step: set it to false; it is judged when the run has ended")]
        measure = schema.amount(figure)
        if measure in schema.run_measures and self.abort:
            return [
                Problem("abort", f"cannot be used on {figure}: set it to false; it is judged when the run has ended")
            ]
        is_time = measure is None or measure.unit.partition("/")[0] == "s"
        if not is_time and getattr(self, "_is_written_as_time", False):
            name = "at_most" if self.at_most is not None else "at_least"
            return [Problem(name, f"must be a number: it bounds the measure {figure}, which is not a time")]
        return []

    def __str__(self) -> str:
        group, figure = split_metric(self.metric)
        # One sentence for people, the same in reports, events and pages.
        what = figure.replace("_", " ")
        if self.is_of_jobs:
            what = f"{'mean' if self.quantile is None else f'p{self.quantile * 100:g}'} {what}"
        bound = (
            f"<= {format_number(self.at_most)}"
            if self.at_most is not None
            else f">= {format_number(self.at_least or 0)}"
        )
        unit = " s" if figure in TIMES else ""
        return f"{what}{'' if group is None else f' of {group}'} {bound}{unit}"


def split_metric(metric: str) -> tuple[str | None, str]:
    """``group:NAME:FIGURE`` → (NAME, FIGURE); any other metric → (None, metric). No group's name has a colon."""
    if not metric.startswith("group:"):
        return None, metric
    # A group's name cannot contain a colon, so the split is unambiguous.
    # The rule of group names has no colon for this very reason.
    _, group, figure = metric.split(":", 2)
    return group, figure


@dataclass(frozen=True)
class Thresholds(Checked):
    """The limits above which findings are raised. The defaults suit runs that will be published; loosen them knowingly.

    Times in seconds. ``late_ratio``: share of releases that may be later than ``lag``. ``rate_shortfall``: by how much the
    released rate may fall below the specified one. ``cpu``: share of the window for which the generator may be busy.
    ``loop_lag``: longest time for which the event loop may be blocked. ``floor``: a mean service time below it is mostly the
    engine's own. ``significance``: chance of a false alarm of each test of the arrivals. ``gc_pause``: longest collection.
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
    """One complete run. The same specification runs in real time (``clock="real"``) and in virtual time (``"virtual"``).

    With ``seed`` None a seed is drawn, and the result contains it. ``warmup`` leaves the jobs of the first so many seconds
    out of every statistic (but not out of ``counts`` and cost); ``"auto"`` finds its end by MSER-5. ``keep_jobs`` False
    keeps memory flat.
    """

    workload: Workload
    scheduler: Scheduler = field(default_factory=Fifo)
    cost: CostModel = field(default_factory=lambda: PerSecond("0.001"))
    clock: RunClock = "real"
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    warmup: Seconds | Literal["auto"] = 0.0
    objectives: tuple[Objective, ...] = ()
    label: Name | None = None
    keep_jobs: bool = True
    thresholds: Thresholds = field(default_factory=Thresholds)

    def check(self) -> list[Problem]:
        warmup = self.warmup
        # What is known to end the run before the warm-up does. The number of jobs says nothing about time.
        for name in ("duration", "stop_at"):
            end = getattr(self.workload, name)
            if end is not None and not isinstance(warmup, str) and warmup >= end:
                problem = f"must be shorter than workload.{name}: nothing would be measured"
                return [Problem("warmup", problem, f"{warmup:g}")]
        if warmup == "auto" and not self.keep_jobs:
            return [Problem("warmup", '"auto" looks at the records of jobs, so it needs keep_jobs')]
        return self._check_reports()

    def _check_reports(self) -> list[Problem]:
        """Problems of objectives and a cost model that need what no job reports. Reported now, not with the result."""
        schema = self.workload.schema
        metrics = [
            problem.within(f"objectives[{i}]")
            for i, objective in enumerate(self.objectives)
            for problem in objective.check_metric(schema)
        ]
        # A third-party model may raise anything here. Then the run's finding reports it, as for every other failure of it.
        unpriced, _ = call_safely(self.cost.check_measures, schema)
        return metrics + [problem.within("cost") for problem in unpriced or ()]

    @property
    def warmup_ns(self) -> int:
        """The warm-up that is known before the run, in ns."""
        return 0 if isinstance(self.warmup, str) else round(self.warmup * NS)

    def good_within(self) -> tuple[tuple[str, int], ...]:
        """(metric, most) of every objective that limits single jobs. A *good* job is within all of them.

        In the whole numbers of the columns: ns, or value × scale of a measure. An objective on a step, or on an
        amount of the run as a whole, limits no job.
        """
        steps, of_run = self.workload.schema.steps, {each.name for each in self.workload.schema.run_measures}
        return tuple(
            (each.metric, self._most_of(each))
            for each in self.objectives
            if each.is_of_jobs and each.quantile is not None and each.at_most is not None
            and each.group not in steps and each.figure not in of_run
        )  # fmt: skip

    def good_from(self) -> tuple[tuple[str, int], ...]:
        """(metric, least) of every objective that asks for so much of a measure of single jobs, as its column has it."""
        schema = self.workload.schema
        return tuple(
            # Rounded up: from 10.5 rows on are 11.
            (each.metric, math.ceil(each.at_least * measure.scale))
            for each in self.objectives
            if each.quantile is not None and each.at_least is not None and each.group not in schema.steps
            and (measure := schema.measure(each.figure)) is not None
        )  # fmt: skip

    @property
    def binds_jobs(self) -> bool:
        """Whether an objective binds single jobs, so that one that completed can be no good one."""
        return bool(self.good_within() or self.good_from())

    def _most_of(self, objective: Objective) -> int:
        assert objective.at_most is not None
        # A bound on a measure is rounded down: 10.5 rows allow 10, and the column holds whole numbers.
        measure = self.workload.schema.measure(objective.figure)
        return round(objective.at_most * NS) if measure is None else math.floor(objective.at_most * measure.scale)
