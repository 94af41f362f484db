"""Cost models of what a request consumes besides time: language model tokens, and bytes that leave the cloud."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

from msgspec import Meta

from aurea_engine.closed_sets import PRICED_UNITS
from aurea_engine.costs.bill_lines import Currency
from aurea_engine.costs.cost_model import Component, CostModel
from aurea_engine.costs.decimals import Amount, Price, Size
from aurea_engine.costs.quantities import Jobs
from aurea_engine.costs.rates import Flat
from aurea_engine.costs.started_jobs import STARTED, Billed
from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Checked, Name, non_empty

MILLION = 1_000_000


@dataclass(frozen=True)
class TokenClass(Checked):
    """One class of tokens at ``price`` per million. Classes do not overlap: a cached token is not also an input token.

    ``prompt``: the class counts towards the length of the prompt. ``long_price``: its price in requests with a long prompt.
    """

    name: Name
    price: Price
    prompt: bool = False
    long_price: Price | None = None


@dataclass(frozen=True)
class TokenRequest(Checked):
    """One shape of request: how many ``tokens`` of each class it takes. ``weight``: its share of all requests."""

    tokens: tuple[Amount, ...]
    weight: Size = 1


@dataclass(frozen=True, kw_only=True)
class Tokens(CostModel):
    """Language model tokens. Jobs carry no token counts, so ``requests`` states the shapes that they have, by weight.

    If ``long_over`` is given, a *request* with a longer prompt (``above`` it, or ``from`` it on) pays each class's
    ``long_price``. This is decided for each request: forty short calls are not one long one.
    """

    classes: Annotated[tuple[TokenClass, ...], non_empty("must hold at least one class of tokens")]
    requests: Annotated[tuple[TokenRequest, ...], non_empty("must hold at least one shape of request")]
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


@dataclass(frozen=True, kw_only=True)
class Egress(CostModel):
    """``price`` per ``unit`` of data that leaves the cloud: ``bytes_per_job`` for each job. A GB is 10⁹ bytes, a GiB 2³⁰."""

    price: Price
    bytes_per_job: Amount
    unit: Literal["GB", "GiB"]
    billed: Billed = STARTED
    currency: Currency = "USD"

    def components(self) -> Iterator[Component]:
        data = Jobs(self.billed).times(Fraction(self.bytes_per_job) * PRICED_UNITS["data"][self.unit])
        yield Component("egress", data, Flat(self.price), self.unit)
