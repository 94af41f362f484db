"""The metrics of cost: counters from exact sums, so a billionth of a dollar is never lost.

While a run is active its bill is an estimate, which may fall: a commitment is used up, a tier is reached. A counter that
falls looks like a restart of the server to Prometheus. So of an active run only what cannot fall any more is counted
(`monotone`), and what was shown once is never shown less; the rest is counted when the run has ended.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import chain

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

from aurea_engine.closed_sets import OTHER
from aurea_engine.processes.messages import Bill
from aurea_server.metrics.exemplars import Exemplars, ExemplarSource, Key
from aurea_server.metrics.money_labels import (
    CURRENCIES,
    billed_key,
    billed_keys,
    currency_label,
    spent_key,
    spent_keys,
)

MOST_SHEETS = 20
"""Price sheets that are shown: those that were used last."""

SHARES = ("attempt", "success", "good")
Amounts = dict[Key, Fraction]
Family = CounterMetricFamily | GaugeMetricFamily | InfoMetricFamily


class ExactSums:
    """Exact sums over runs by key, each there from the start: of the active run, and of all that have ended.

    What was shown once is never shown less. ``settle``: the total over all keys is exact all the same.
    """

    def __init__(self, keys: Iterable[Key], *, settle: bool = False) -> None:
        self._ended: Amounts = dict.fromkeys(keys, Fraction(0))
        self._active: Amounts = {}
        self._shown: Amounts = dict(self._ended)
        self._settle, self._changed = settle, False

    def update_run(self, amounts: Amounts) -> None:
        """The active run has come to ``amounts``."""
        self._active, self._changed = amounts, True

    def end_run(self, amounts: Amounts | None) -> Amounts:
        """The run has ended with ``amounts``; None keeps what it had come to. Returns what was added."""
        added = self._active if amounts is None else amounts
        # Only what this run moved: most of some hundred keys are 0, and each sum of fractions takes microseconds.
        self._ended.update({key: self._ended.get(key, Fraction(0)) + amount for key, amount in added.items()})
        self._active, self._changed = {}, True
        return added

    def show(self) -> Amounts:
        """All sums, none below what was shown before."""
        # Worked out when it is shown, once per change: most scrapes come while nothing runs.
        if self._changed:
            before, due = self._shown, _sums(self._ended.items(), self._active.items())
            self._shown = {key: max(amount, before[key]) for key, amount in due.items()}
            if self._settle:
                self._balance(before, sum(due.values(), Fraction(0)))
            self._changed = False
        return self._shown

    def _balance(self, before: Amounts, total: Fraction) -> None:
        """Where some keys are shown above their sum, show others below theirs, as far as they have grown: the total is
        exact.
        """
        over = sum(self._shown.values(), Fraction(0)) - total
        for key, amount in self._shown.items():
            # Not below what it showed before, so no counter falls; `over` is what is still shown too much.
            less = min(over, amount - before[key])
            self._shown[key] -= less
            over -= less


class CostMetrics:
    """Sums over all bills: of the active run, what is certain already; of each run that has ended, its exact total.

    Of the active run only a bill that cannot fall any more is counted. A credit is taken off the component it belongs to.
    ``prefix``: of the metrics' names.
    """

    def __init__(self, prefix: str, exemplars: Exemplars) -> None:
        self._dollars, self._billed = ExactSums(spent_keys(), settle=True), ExactSums(billed_keys())
        self._currencies = ExactSums((currency,) for currency in (*CURRENCIES, OTHER))
        self._per_job: dict[str, float] = {}
        self._sheets: dict[tuple[str, str, str, str], None] = {}
        self._exemplars = exemplars
        self._cost, self._quantity, self._by_currency = (
            f"{prefix}_{name}" for name in ("cost_usd", "billed_quantity", "cost_by_currency")
        )

    def update_run(self, bill: Bill, run: ExemplarSource) -> None:
        """The active run has come to ``bill``."""
        if bill.priced and bill.monotone:
            parts = _dollars(bill), _quantities(bill), _money(bill)
            self._dollars.update_run(parts[0])
            self._billed.update_run(parts[1])
            self._currencies.update_run(parts[2])
            self._record_exemplars(*parts, run)

    def end_run(self, bill: Bill | None, run: ExemplarSource) -> None:
        """The run has ended with ``bill``, or without a result. Where it has no price, what was sure to be spent stays."""
        # A bill without a price still has quantities: they were billed, whatever they would have cost.
        priced = bill is not None and bill.priced
        # Without a price the estimate stays: what was certain to be spent was spent.
        usd = self._dollars.end_run(_dollars(bill) if bill is not None and priced else None)
        money = self._currencies.end_run(_money(bill) if bill is not None and priced else None)
        billed = self._billed.end_run(_quantities(bill) if bill is not None and bill.quantities else None)
        self._record_exemplars(usd, billed, money, run)
        self._per_job = {}
        if bill is not None:
            self._last(bill)

    def _record_exemplars(self, usd: Amounts, billed: Amounts, money: Amounts, run: ExemplarSource) -> None:
        for metric, amounts in ((self._cost, usd), (self._quantity, billed), (self._by_currency, money)):
            self._exemplars.record(metric, amounts, run)
        self._exemplars.record(self._cost, {(): sum(usd.values(), Fraction(0))}, run)

    def _last(self, bill: Bill) -> None:
        self._per_job = {per: bill.per_job[per] for per in SHARES if per in bill.per_job and bill.currency == "USD"}
        for sheet in bill.sheets:
            self._sheets.pop(sheet, None)
            self._sheets[sheet] = None
        # A dict keeps the order of insertion, so its first key is the sheet that was used longest ago.
        while len(self._sheets) > MOST_SHEETS:
            del self._sheets[next(iter(self._sheets))]

    def families(self) -> Iterator[Family]:
        """Counters, which include the active run, and what is known of the last one."""
        text = "What the runs cost in US dollars, by cost model and component."
        yield self._counter(self._cost, text, ("model", "component"), self._dollars.show())
        text = "What the runs cost, by currency: never converted. Whatever is no legal tender is other, and no amount."
        yield self._counter(self._by_currency, text, ("currency",), self._currencies.show())
        text = "What was billed, by component and the unit of its price: for pricing it another way."
        yield self._counter(self._quantity, text, ("component", "unit"), self._billed.show())
        per_job = GaugeMetricFamily(
            "benchmark_last_run_cost_usd_per_job", "Cost of the last run by job.", labels=["per"]
        )
        for per, share in self._per_job.items():
            per_job.add_metric([per], share)
        yield per_job
        labels = ["sheet", "version", "currency", "checked"]
        sheets = InfoMetricFamily("benchmark_price_sheet", "Price sheets behind the costs.", labels=labels)
        for sheet in self._sheets:
            sheets.add_metric(list(sheet), {})
        yield sheets

    def total_family(self) -> Iterator[Family]:
        """One counter of all dollars, for simulated runs: by model and component they would be some hundred series more."""
        total = sum(self._dollars.show().values(), Fraction(0))
        yield self._counter(self._cost, "What simulated runs would have cost in US dollars.", (), {(): total})

    def _counter(self, name: str, text: str, labels: Key, amounts: Mapping[Key, Fraction]) -> CounterMetricFamily:
        family = CounterMetricFamily(name, text, labels=labels)
        for key, amount in amounts.items():
            family.add_metric(list(key), _float(amount), exemplar=self._exemplars.of(name, key))
        return family


def _float(amount: Fraction) -> float:
    try:
        return float(amount)
    except OverflowError:  # a sum of amounts of which each still was a number
        return math.inf


def _dollars(bill: Bill) -> Amounts:
    """(model, component) → what it came to; nothing in other currencies, or without a price."""
    # Other currencies are counted by `_money`; no rate of exchange is assumed.
    lines = bill.lines if bill.priced and bill.currency == "USD" else []
    return _sums((spent_key(bill.model, component), Fraction(amount)) for component, amount in lines)


def _money(bill: Bill) -> Amounts:
    """(currency,) → what it came to, nothing without a price."""
    lines = bill.lines if bill.priced else []
    return _sums(((currency_label(bill.currency),), Fraction(amount)) for _, amount in lines)


def _quantities(bill: Bill) -> Amounts:
    """(component, unit) → quantity, whatever the currency."""
    given = ((component, unit, Fraction(quantity)) for component, unit, quantity in bill.quantities)
    return _sums((billed_key(component, unit), quantity) for component, unit, quantity in given if quantity > 0)


def _sums(*parts: Iterable[tuple[Key, Fraction]]) -> Amounts:
    sums: Amounts = {}
    for key, amount in chain(*parts):
        sums[key] = sums[key] + amount if key in sums else amount
    return sums
