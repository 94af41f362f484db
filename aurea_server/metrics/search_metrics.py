"""The metrics of capacity searches: how many, how they ended, and the capacity that the latest one found, with its bounds.

While a search is on, its bracket is shown, and no value: there is none yet. A capacity that was found stays until the next
search begins. Rates and slots have families of their own, since a gauge has one unit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from aurea_engine.closed_sets import (
    CAPACITY_STATUSES,
    CAPACITY_VARIABLES,
    CapacityVariable,
    RunClock,
)
from aurea_engine.results.capacity import Bracket

BOUNDS = ("low", "value", "high")
FAMILIES: Mapping[CapacityVariable, tuple[str, str]] = {
    "rate": ("benchmark_capacity_jobs_per_second", "Largest rate at which the objectives hold, by the latest search."),
    "slots": ("benchmark_capacity_slots", "Fewest slots at which the objectives hold, by the latest search."),
}
OUTCOMES = (*CAPACITY_STATUSES, "failed", "cancelled", "timed_out", "interrupted")
"""How searches end: by an answer, or without one."""

SHOWN_ANSWERS = ("found", "at_least", "at_most")
"""Answers whose value is one."""


class SearchMetrics:
    """Searches of one app. At most one is active."""

    def __init__(self) -> None:
        self._started = self._in_progress = 0
        self._ends: Counter[str] = Counter()
        self._clock: RunClock = "real"
        self._variable: CapacityVariable = "rate"
        self._bounds: dict[str, float] = {}

    def start_search(self, clock: RunClock, variable: CapacityVariable) -> None:
        """A search has begun; all that follows is about it."""
        self._started += 1
        self._in_progress += 1
        self._clock, self._variable, self._bounds = clock, variable, {}

    def update_search(self, bracket: Bracket) -> None:
        """Between which values the answer lies now."""
        self._set_bounds({"low": bracket.low, "high": bracket.high})

    def finish_search(self, status: str, answer: Mapping[str, Any] | None) -> None:
        """The current search has ended; ``answer`` as JSON values, None if it came to none."""
        self._in_progress -= 1
        # What a search knew when it was stopped is no answer that it came to.
        outcome = status if answer is None or status != "completed" else answer["status"]
        self._ends[outcome if outcome in OUTCOMES else "failed"] += 1
        if answer is not None:
            value = answer["value"] if answer["status"] in SHOWN_ANSWERS else None
            self._set_bounds({**answer["interval"], "value": value})

    def _set_bounds(self, bounds: Mapping[str, float | None]) -> None:
        # What is not known is no sample: 0 jobs per second would be the worst capacity there is.
        self._bounds = {name: bound for name, bound in bounds.items() if bound is not None}

    def families(self) -> Iterator[Metric]:
        """All of them, each with every value of its labels, but for figures that do not exist."""
        yield CounterMetricFamily("benchmark_searches", "Capacity searches started.", value=self._started)
        ends = CounterMetricFamily(
            "benchmark_search_outcomes", "Capacity searches by how they ended.", labels=["status"]
        )
        for status in OUTCOMES:
            ends.add_metric([status], self._ends[status])
        yield ends
        yield GaugeMetricFamily("benchmark_searches_in_progress", "Active capacity searches.", value=self._in_progress)
        for variable in CAPACITY_VARIABLES:
            gauge = GaugeMetricFamily(*FAMILIES[variable], labels=["clock", "bound"])
            for bound in BOUNDS:
                if variable == self._variable and bound in self._bounds:
                    gauge.add_metric([self._clock, bound], self._bounds[bound])
            yield gauge
