"""What the runs cost, as Prometheus sees it: counters from exact sums, so a billionth of a dollar is never lost."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

from aurea_server.reports import Bill

MOST_SHEETS = 20
"""Price sheets that are shown: the ones that priced something last."""

MODELS = frozenset(
    {"free", "per_second", "per_job", "serverless", "container_task", "instance_busy", "packed", "fleet", "tokens"}
    | {"egress", "flat_period", "tiered", "composite", "discounts", "sheet"}
)
"""Names of cost models that may be a label's value; others fold to ``other``."""

COMPONENTS = frozenset(
    {"duration", "requests", "instances", "egress", "period", "jobs", "time", "minutes", "formula", "vcpu", "memory"}
    | {"credit", "discount", "commitment"}
)
"""Names of a bill's lines that may be a label's value; a client can make up others, which fold to ``other``."""

UNITS = frozenset(
    {"Jobs", "Requests", "Seconds", "Hours", "Minutes", "Periods", "1M Tokens", "GB", "GiB", "GB-Seconds", "GB-Hours"}
    | {"GiB-Seconds", "GiB-Hours", "vCPU-Seconds", "vCPU-Hours", "Instance-Seconds", "Instance-Hours"}
)
"""Units of billed quantities that may be a label's value; others fold to ``other``."""

SHARES = ("attempt", "success", "good")
Sums = dict[tuple[str, str], Fraction]


class Spending:
    """Sums over all bills: `add` takes that of a run that has ended, `families` is asked with that of the current one."""

    def __init__(self) -> None:
        self._usd: Sums = {}
        self._billed: Sums = {}
        self._shown: dict[str, Sums] = {"usd": {}, "billed": {}}
        self._per_job: dict[str, float] = {}
        self._sheets: dict[tuple[str, str, str, str], None] = {}

    def add(self, bill: Bill) -> None:
        """A run has ended with ``bill``."""
        _sum(self._usd, _dollars(bill))
        _sum(self._billed, _quantities(bill))
        self._per_job = {per: bill.per_job[per] for per in SHARES if per in bill.per_job and bill.currency == "USD"}
        for sheet in bill.sheets:
            self._sheets.pop(sheet, None)
            self._sheets[sheet] = None
        while len(self._sheets) > MOST_SHEETS:
            del self._sheets[next(iter(self._sheets))]

    def families(self, current: Bill | None) -> Iterator[CounterMetricFamily | GaugeMetricFamily | InfoMetricFamily]:
        """Counters that include the ``current`` run so far, and what is known of the last."""
        usd, billed = dict(self._usd), dict(self._billed)
        if current is not None:
            _sum(usd, _dollars(current))
            _sum(billed, _quantities(current))
        text = "What the runs cost, by cost model and component."
        yield self._counter("usd", "benchmark_cost_usd", text, ("model", "component"), usd)
        text = "What was billed, by component and the unit of its price: for pricing it another way."
        yield self._counter("billed", "benchmark_billed_quantity", text, ("component", "unit"), billed)
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

    def _counter(self, which: str, name: str, text: str, labels: tuple[str, str], sums: Sums) -> CounterMetricFamily:
        family, shown = CounterMetricFamily(name, text, labels=labels), self._shown[which]
        for key, amount in sums.items():
            # The bill of a run that is on is an estimate: a counter may wait for the truth, but never step back.
            shown[key] = max(amount, shown.get(key, Fraction(0)))
            family.add_metric(list(key), float(shown[key]))
        return family


def _sum(sums: Sums, more: Iterator[tuple[tuple[str, str], Fraction]]) -> None:
    for key, amount in more:
        sums[key] = sums.get(key, Fraction(0)) + amount


def _component(bill: Bill, name: str) -> str:
    """A client can make up names of lines; those of shipped sheets are a closed set."""
    return name if name in COMPONENTS or bill.model == "sheet" else "other"


def _dollars(bill: Bill) -> Iterator[tuple[tuple[str, str], Fraction]]:
    """((model, component), amount) of each line; nothing in other currencies."""
    model = bill.model if bill.model in MODELS else "other"
    for component, amount in bill.lines if bill.priced and bill.currency == "USD" else []:
        yield (model, _component(bill, component)), Fraction(amount)


def _quantities(bill: Bill) -> Iterator[tuple[tuple[str, str], Fraction]]:
    """((component, unit), quantity) of each line, whatever its currency. A credit's is no quantity of work."""
    for component, unit, quantity in bill.quantities:
        if Fraction(quantity) > 0:
            yield (_component(bill, component), unit if unit in UNITS else "other"), Fraction(quantity)
