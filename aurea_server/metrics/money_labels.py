"""The labels of money and of billed quantities: closed sets, so that each series exists at 0 from the start.

A series that is born with its first value never increases in the eyes of Prometheus: the first run of each cost model would
be missing from ``increase(benchmark_cost_usd_total[…])``. Names from outside fold into a member, `OTHER`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from aurea_engine.closed_sets import BILLED_UNITS, OTHER
from aurea_engine.costs import shipped_sheet, shipped_sheets

_LINES_OF_MODELS: dict[str, tuple[tuple[str, str], ...]] = {
    "free": (),
    "per_second": (("time", "Seconds"),),
    "per_job": (("jobs", "Jobs"),),
    "serverless": (("duration", "GB-Seconds"), ("requests", "Requests")),
    "container_task": (("vcpu", "vCPU-Hours"), ("memory", "GB-Hours")),
    "instance_busy": (("instances", "Instance-Seconds"), ("requests", "Requests")),
    "packed": (("instances", "Instance-Seconds"), ("requests", "Requests")),
    "fleet": (("instances", "Instance-Hours"),),
    "egress": (("egress", "GB"), ("egress", "GiB")),
    "flat_period": (("period", "Periods"),),
    "tiered": (("jobs", "Jobs"), ("time", "Seconds"), ("time", "GB-Seconds")),
    "tokens": (("input", "1M Tokens"), ("cached", "1M Tokens"), ("output", "1M Tokens"), (OTHER, "1M Tokens")),
}
"""Cost model → the (component, unit) of the lines of its bills; clients may name classes of tokens otherwise."""

_LINES_OF_OTHERS = (("minutes", "Minutes"), ("formula", OTHER), ("commitment", "Hours"))
"""Lines of a formula, of the documented example of a model of one's own, and of a commitment."""

_MIXED_MODELS = ("composite", "discounts", OTHER)
"""Models whose bills hold any line: of other models, or of a package's own."""

# A currency that is newer than this list counts as `OTHER` until it is added here.
_TENDER = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG "
    "HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA "
    "MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD "
    "RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX "
    "USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"
)
CURRENCIES = tuple(_TENDER.split())
"""Legal tender by ISO 4217, without funds and metals."""


def _sheet_lines() -> Iterator[tuple[str, str]]:
    # Fictional sheets are for trials: each name is several series, and there is a promise of how many there are.
    for name in shipped_sheets():
        prices = () if name.startswith("example-") else shipped_sheet(name).prices
        yield from ((price.sku, price.unit) for price in prices)


@functools.cache
def spent_keys() -> tuple[tuple[str, str], ...]:
    """Every (model, component) that money is counted by."""
    pairs = [(model, component) for model, lines in _LINES_OF_MODELS.items() for component, _ in lines]
    # A mixed model's bill may have a line of any other model, so it has all of their components.
    mixed = [component for _, component in pairs] + [component for component, _ in _LINES_OF_OTHERS] + [OTHER]
    pairs += [(model, component) for model in _MIXED_MODELS for component in mixed]
    pairs += [("sheet", component) for component, _ in _sheet_lines()] + [("sheet", OTHER)]
    return tuple(dict.fromkeys(pairs))


@functools.cache
def billed_keys() -> tuple[tuple[str, str], ...]:
    """Every (component, unit) that quantities are counted by; ``other`` has every unit, so that units are never mixed."""
    pairs = [line for lines in _LINES_OF_MODELS.values() for line in lines] + [*_LINES_OF_OTHERS, *_sheet_lines()]
    return tuple(dict.fromkeys([*pairs, *((OTHER, unit) for unit in sorted(BILLED_UNITS)), (OTHER, OTHER)]))


@functools.cache
def _known() -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]], frozenset[str]]:
    return frozenset(spent_keys()), frozenset(billed_keys()), frozenset(CURRENCIES)


def spent_key(model: str, component: str) -> tuple[str, str]:
    """The member of `spent_keys` that a line of a bill is counted by."""
    # The most specific key that exists; a component of one's own is counted under its model, then under its name.
    known = _known()[0]
    for key in ((model, component), (model, OTHER), (OTHER, component)):
        if key in known:
            return key
    return OTHER, OTHER


def billed_key(component: str, unit: str) -> tuple[str, str]:
    """The member of `billed_keys` that a quantity is counted by."""
    # A unit is never dropped: quantities of different units must not be added.
    known = _known()[1]
    for key in ((component, unit), (OTHER, unit)):
        if key in known:
            return key
    return OTHER, OTHER


def currency_label(currency: str) -> str:
    """``currency``, or ``other`` where it is no legal tender of ISO 4217."""
    return currency if currency in _known()[2] else OTHER
