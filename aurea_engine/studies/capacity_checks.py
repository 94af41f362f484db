"""What can be searched at all: everything that is wrong with a search, before its first trial."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Real

from aurea_engine.closed_sets import CAPACITY_VARIABLES
from aurea_engine.errors import Problem
from aurea_engine.records.quantiles import count_samples_needed
from aurea_engine.spec import RunSpec
from aurea_engine.studies.search_plan import MOST_SLOTS
from aurea_engine.studies.trial_specs import WARMUP_SHARE

LEAST_RATE, MOST_RATE = 1e-3, 1e9
"""Jobs per second. A trial has up to a million jobs, and instants of the engine reach some 290 years."""


def check_search(
    spec: RunSpec,
    variable: str = "rate",
    low: float | None = None,
    high: float | None = None,
    require: float | None = None,
    jobs_of_trial: int | None = None,
) -> list[Problem]:
    """All that `capacity` would refuse, as problems of its arguments and of the specification."""
    problems = [*_check_spec(spec, variable), *check_length(spec, jobs_of_trial)]
    if variable not in CAPACITY_VARIABLES:
        return [*problems, Problem("variable", f"must be one of {', '.join(CAPACITY_VARIABLES)}", repr(variable)[:60])]
    for name, value in (("low", low), ("high", high), ("require", require)):
        if value is not None and (wrong := _check_value(variable, value)):
            problems.append(Problem(name, wrong, f"{value}"))
    if require is not None and (low is not None or high is not None):
        problems.append(Problem("require", "is one value to verify: leave out low and high"))
    if not problems and low is not None and high is not None and low >= high:
        problems.append(Problem("high", "must be above low; to verify one value, require it", f"{high:g}"))
    return problems


def _check_spec(spec: RunSpec, variable: str) -> list[Problem]:
    problems = []
    if not spec.objectives:
        remedy = "capacity is the most at which they hold, such as a p99 response time of at most 0.1 s"
        problems.append(Problem("objectives", f"must hold at least one: {remedy}"))
    if any(each.figure == "cost" for each in spec.objectives):
        problems.append(Problem("objectives", "must not bound the cost of a whole run, which grows with its length: "
                                "bound cost_per_job"))  # fmt: skip
    if variable == "rate" and spec.workload.arrivals.at_rate(1.0) is None:
        remedy = "use poisson, constant, gamma, sine, ramp or stages"
        problems.append(Problem("workload.arrivals", f"must have a rate, which the search varies: {remedy}"))
    if spec.workload.arrivals.ends == "with jobs":
        problems.append(Problem("workload.arrivals", "must not all come at once: a capacity is of a steady state"))
    return problems


def check_length(spec: RunSpec, jobs_of_trial: int | None) -> Iterator[Problem]:
    """Trials that are too short for a quantile: none of them could pass, whatever the system does."""
    quantiles = [max(each.quantile, 1 - each.quantile) for each in spec.objectives if each.quantile is not None]
    needed = max((count_samples_needed(q) for q in quantiles), default=1)
    fewest = math.ceil(needed / (1 - WARMUP_SHARE))
    if jobs_of_trial is not None and jobs_of_trial < fewest:
        text = f"must be at least {fewest:,}: an objective needs {needed:,} jobs after the warm-up of a trial"
        yield Problem("jobs_of_trial", text, str(jobs_of_trial))


def _check_value(variable: str, value: object) -> str | None:
    # NaN is within no bounds.
    number = float(value) if not isinstance(value, bool) and isinstance(value, Real) else math.nan
    if variable == "slots" and not (1 <= number <= MOST_SLOTS and number.is_integer()):
        return f"must be a whole number of slots, 1 to {MOST_SLOTS:,}"
    if not LEAST_RATE <= number <= MOST_RATE:
        return f"must be a rate from {LEAST_RATE:g} to {MOST_RATE:g}/s"
    return None
