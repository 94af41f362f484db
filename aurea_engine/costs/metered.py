"""Cost models for what jobs consume besides time: tokens, bytes, a period's fee, and quantities priced in tiers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

from msgspec import Meta

from aurea_engine.costs.billable import STARTED, Billed
from aurea_engine.costs.cloud import Megabytes
from aurea_engine.costs.decimals import Amount, Price, Size
from aurea_engine.costs.meters import BilledTime, Jobs, Quantity, Window
from aurea_engine.costs.model import Component, CostModel, Currency
from aurea_engine.costs.rates import Flat, Mode, Tier, Tiers, tier_problems
from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Checked, Name, Seconds, some

MILLION = 1_000_000


@dataclass(frozen=True)
class TokenClass(Checked):
    """One class of tokens at ``price`` per million. Classes are disjoint: a cached token is not an input token too.

    ``prompt``: it counts towards the size of the prompt. ``long_price``: the price in requests whose prompt is long.
    """

    name: Name
    price: Price
    prompt: bool = False
    long_price: Price | None = None


@dataclass(frozen=True)
class TokenRequest(Checked):
    """One shape of request: how many ``tokens`` of each class it takes, and what part of all requests has this shape."""

    tokens: tuple[Amount, ...]
    weight: Size = 1


@dataclass(frozen=True, kw_only=True)
class Tokens(CostModel):
    """Language model tokens. Jobs carry no token counts, so ``requests`` states the shapes that they have, by weight.

    Where ``long_over`` is given, a *request* whose prompt is longer (``above`` it, or ``from`` it on) pays each class's
    ``long_price``. It is decided request by request: forty short calls are not one long one.
    """

    classes: Annotated[tuple[TokenClass, ...], some("must hold at least one class of tokens")]
    requests: Annotated[tuple[TokenRequest, ...], some("must hold at least one shape of request")]
    long_over: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    long_rule: Literal["above", "from"] = "above"
    billed: Billed = STARTED
    currency: Currency = "USD"

    def check(self) -> Iterator[Problem]:
        names = [each.name for each in self.classes]
        if len(set(names)) < len(names):
            yield Problem("classes", "must have different names: a token belongs to one class", ", ".join(names))
        for i, request in enumerate(self.requests):
            if len(request.tokens) != len(self.classes):
                yield Problem(f"requests[{i}].tokens", f"must hold {len(names)} numbers, one for each class",
                              f"{len(request.tokens)}")  # fmt: skip
        for i, each in enumerate(self.classes):
            if self.long_over is not None and each.long_price is None:
                yield Problem(
                    f"classes[{i}].long_price", "must be given where long_over is: no price is not a price of 0"
                )

    def _is_long(self, request: TokenRequest) -> bool:
        if self.long_over is None:
            return False
        pairs = zip(self.classes, request.tokens, strict=True)
        prompt = sum((Fraction(count) for each, count in pairs if each.prompt), Fraction(0))
        return prompt >= self.long_over if self.long_rule == "from" else prompt > self.long_over

    def components(self) -> Iterator[Component]:
        total = sum((Fraction(request.weight) for request in self.requests), Fraction(0))
        for is_long in (False, True):
            requests = [request for request in self.requests if self._is_long(request) is is_long]
            for i, each in enumerate(self.classes if requests else ()):
                share = sum((Fraction(r.weight) * Fraction(r.tokens[i]) for r in requests), Fraction(0))
                tokens = Jobs(self.billed).times(share / total / MILLION)
                price = each.long_price if is_long and each.long_price is not None else each.price
                yield Component(f"{each.name}, long" if is_long else each.name, tokens, Flat(price), "1M Tokens")


BYTES = {"GB": 10**9, "GiB": 2**30}


@dataclass(frozen=True, kw_only=True)
class Egress(CostModel):
    """``price`` per ``unit`` of data that leaves, ``bytes_per_job`` with each job. A GB is 10⁹ bytes, a GiB 2³⁰."""

    price: Price
    bytes_per_job: Amount
    unit: Literal["GB", "GiB"]
    billed: Billed = STARTED
    currency: Currency = "USD"

    def components(self) -> Iterator[Component]:
        data = Jobs(self.billed).times(Fraction(self.bytes_per_job) / BYTES[self.unit])
        yield Component("egress", data, Flat(self.price), self.unit)


@dataclass(frozen=True)
class FlatPeriod(CostModel):
    """A fee of ``price`` for each ``hours``, in proportion to the measured window: a licence, hardware, a cluster."""

    price: Price
    hours: Size = 730
    currency: Currency = "USD"

    def components(self) -> Iterator[Component]:
        periods = Window().times(Fraction(1, 3600) / Fraction(self.hours))
        yield Component("period", periods, Flat(self.price), "Periods", "fixed")


@dataclass(frozen=True, kw_only=True)
class Tiered(CostModel):
    """A quantity whose price depends on how much of it there is: the run's own, or a month's in a projection.

    ``mode`` must be said: ``graduated`` prices each tier's units at its price, ``cliff`` prices all at the tier reached.
    ``quantity``: ``jobs``, ``seconds`` of service, or ``gb_seconds`` at ``memory_mb``; times are rounded to ``step``, at
    least ``minimum``, job by job.
    """

    mode: Mode
    tiers: tuple[Tier, ...]
    quantity: Literal["jobs", "seconds", "gb_seconds"] = "jobs"
    memory_mb: Megabytes | None = None
    step: Seconds = 0
    minimum: Seconds = 0
    billed: Billed = STARTED
    currency: Currency = "USD"

    def check(self) -> Iterator[Problem]:
        if (self.quantity == "gb_seconds") != (self.memory_mb is not None):
            got = "null" if self.memory_mb is None else str(self.memory_mb)
            yield Problem("memory_mb", "must be given with gb_seconds, and only with it", got)
        yield from tier_problems(self.tiers)

    def components(self) -> Iterator[Component]:
        rate = Tiers(self.mode, self.tiers)
        if self.quantity == "jobs":
            yield Component("jobs", Jobs(self.billed), rate, "Jobs")
            return
        size = Fraction(self.memory_mb or 1024, 1024)
        unit = "GB-Seconds" if self.quantity == "gb_seconds" else "Seconds"
        billed: Quantity = BilledTime(self.step, self.minimum, billed=self.billed).times(size)
        yield Component("time", billed, rate, unit, consumed=BilledTime(billed=self.billed).times(size))
