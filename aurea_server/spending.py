"""What the runs cost, as Prometheus sees it: counters from exact sums, so a billionth of a dollar is never lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain

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
    | {"commitment"}
)
"""Names of a bill's lines that may be a label's value; a client can make up others, which fold to ``other``."""

UNITS = frozenset(
    {"Jobs", "Requests", "Seconds", "Hours", "Minutes", "Periods", "1M Tokens", "GB", "GiB", "GB-Seconds", "GB-Hours"}
    | {"GiB-Seconds", "GiB-Hours", "vCPU-Seconds", "vCPU-Hours", "Instance-Seconds", "Instance-Hours"}
)
"""Units of billed quantities that may be a label's value; others fold to ``other``."""

SHARES = ("attempt", "success", "good")
Amounts = dict[tuple[str, str], Fraction]


class Spending:
    """Sums over all bills: of the run that is on, what is sure (`progressed`); of each that has `ended`, its exact total.

    A counter that falls looks like a restart to Prometheus, which would then count the whole sum again. So while a run is on
    only a bill that can but grow is counted, and a credit is taken off the component that it belongs to.
    """

    def __init__(self) -> None:
        self._usd: Amounts = {}
        self._billed: Amounts = {}
        self._usd_on: Amounts = {}
        self._billed_on: Amounts = {}
        self._usd_shown: Amounts = {}
        self._billed_shown: Amounts = {}
        self._per_job: dict[str, float] = {}
        self._sheets: dict[tuple[str, str, str, str], None] = {}

    def progressed(self, bill: Bill) -> None:
        """The run that is on has come to ``bill``."""
        if bill.priced and bill.monotone:
            self._usd_on, self._billed_on = _dollars(bill), _quantities(bill)

    def ended(self, bill: Bill | None) -> None:
        """The run has ended with ``bill``, or without a result. Where it has no price, what was sure to be spent stays."""
        usd = _dollars(bill) if bill is not None and bill.priced else self._usd_on
        billed = _quantities(bill) if bill is not None and bill.quantities else self._billed_on
        self._usd, self._billed = _sums(self._usd.items(), usd.items()), _sums(self._billed.items(), billed.items())
        self._usd_on, self._billed_on = {}, {}
        if bill is not None:
            self._last(bill)

    def _last(self, bill: Bill) -> None:
        self._per_job = {per: bill.per_job[per] for per in SHARES if per in bill.per_job and bill.currency == "USD"}
        for sheet in bill.sheets:
            self._sheets.pop(sheet, None)
            self._sheets[sheet] = None
        while len(self._sheets) > MOST_SHEETS:
            del self._sheets[next(iter(self._sheets))]

    def families(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | InfoMetricFamily]:
        """Counters, which include the run that is on, and what is known of the last."""
        self._usd_shown = _settled(_sums(self._usd.items(), self._usd_on.items()), self._usd_shown)
        self._billed_shown = _raised(_sums(self._billed.items(), self._billed_on.items()), self._billed_shown)
        text = "What the runs cost, by cost model and component."
        yield _counter("benchmark_cost_usd", text, ("model", "component"), self._usd_shown)
        text = "What was billed, by component and the unit of its price: for pricing it another way."
        yield _counter("benchmark_billed_quantity", text, ("component", "unit"), self._billed_shown)
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


def _counter(name: str, text: str, labels: tuple[str, str], amounts: Amounts) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, amount in amounts.items():
        family.add_metric(list(key), float(amount))
    return family


def _component(bill: Bill, name: str) -> str:
    """A client can make up names of lines; those of shipped sheets are a closed set."""
    return name if name in COMPONENTS or bill.model == "sheet" else "other"


def _dollars(bill: Bill) -> Amounts:
    """(model, component) → what it came to; nothing in other currencies, or without a price."""
    model = bill.model if bill.model in MODELS else "other"
    lines = bill.lines if bill.priced and bill.currency == "USD" else []
    return _sums(((model, _component(bill, component)), Fraction(amount)) for component, amount in lines)


def _quantities(bill: Bill) -> Amounts:
    """(component, unit) → quantity, whatever the currency."""
    given = ((component, unit, Fraction(quantity)) for component, unit, quantity in bill.quantities)
    return _sums(
        ((_component(bill, component), unit if unit in UNITS else "other"), quantity)
        for component, unit, quantity in given
        if quantity > 0
    )


def _sums(*parts: Iterable[tuple[tuple[str, str], Fraction]]) -> Amounts:
    sums: Amounts = {}
    for key, amount in chain(*parts):
        sums[key] = sums.get(key, Fraction(0)) + amount
    return sums


def _raised(due: Amounts, shown: Amounts) -> Amounts:
    """``due``, but nothing below what was ``shown``."""
    return {key: max(due.get(key, Fraction(0)), shown.get(key, Fraction(0))) for key in {**shown, **due}}


def _settled(due: Amounts, shown: Amounts) -> Amounts:
    """The same with the sum of ``due``: what one component shows too much, others wait for, as far as they have grown."""
    now = _raised(due, shown)
    over = sum(now.values(), Fraction(0)) - sum(due.values(), Fraction(0))
    for key in now:
        less = min(over, now[key] - shown.get(key, Fraction(0)))
        now[key] -= less
        over -= less
    return now
