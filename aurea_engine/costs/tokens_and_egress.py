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
from aurea_engine.costs.quantities import Jobs, MeterTotal, Quantity, Reported
from aurea_engine.costs.rates import Flat
from aurea_engine.costs.reported_meters import (
    CACHED_LEFT_OUT,
    ReportedAmount,
    TokenCount,
    do_share_tokens,
    leave_out_cached,
)
from aurea_engine.costs.started_jobs import STARTED, Billed
from aurea_engine.costs.step_billing import Per
from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Checked, Name, non_empty
from aurea_engine.records.measures import ColumnName, Schema

# Vendors price tokens per million.
MILLION = 1_000_000


@dataclass(frozen=True)
class TokenClass(Checked):
    """One class of tokens at ``price`` per million. Classes do not overlap: a cached token is not also an input token.

    ``prompt``: the class counts towards the length of the prompt. ``long_price``: its price in requests with a long prompt.
    ``measure``: what jobs report of it; ``input``, ``cached`` and ``output`` stand for the counts of a chat's usage, where
    the input is what was not cached. So ``input`` needs ``cached`` beside it; ``input_tokens`` is the whole prompt.
    """

    name: Name
    price: Price
    prompt: bool = False
    long_price: Price | None = None
    measure: ColumnName | None = None


@dataclass(frozen=True)
class TokenRequest(Checked):
    """One shape of request: how many ``tokens`` of each class it takes. ``weight``: its share of all requests."""

    tokens: tuple[Amount, ...]
    weight: Size = 1


@dataclass(frozen=True, kw_only=True)
class Tokens(CostModel):
    """Language model tokens: as many as each job reported of the ``measure`` of each class.

    ``requests`` is for jobs that report none: it states the shapes of request that they stand for, by weight.

    If ``long_over`` is given, a *request* with a longer prompt (``above`` it, or ``from`` it on) pays each class's
    ``long_price``. This is decided for each request: forty short calls are not one long one.
    """

    classes: Annotated[tuple[TokenClass, ...], non_empty("must hold at least one class of tokens")]
    requests: Annotated[tuple[TokenRequest, ...], non_empty("must hold at least one shape of request")] | None = None
    long_over: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    long_rule: Literal["above", "from"] = "above"
    billed: Billed = STARTED
    per: Per = "job"
    currency: Currency = "USD"

    def check(self) -> Iterator[Problem]:
        # All three checks report everything they find: a specification is corrected once, not mistake by mistake.
        names = [each.name for each in self.classes]
        if len(set(names)) < len(names):
            yield Problem("classes", "must have different names: a token belongs to one class", ", ".join(names))
        for i, each in enumerate(self.classes):
            # One or the other: what is billed as reported cannot be assumed too.
            if (each.measure is None) == (self.requests is None):
                yield Problem(
                    f"classes[{i}].measure", "must be given, or else requests: tokens are reported or assumed"
                )
        yield from self._check_kinds_of_tokens()
        for i, request in enumerate(self.requests or ()):
            if len(request.tokens) != len(self.classes):
                yield Problem(f"requests[{i}].tokens", f"must hold {len(names)} numbers, one for each class",
                              f"{len(request.tokens)}")  # fmt: skip
        for i, each in enumerate(self.classes):
            if self.long_over is not None and each.long_price is None:
                yield Problem(f"classes[{i}].long_price", "must be given if long_over is: a missing price is not 0")

    def _check_kinds_of_tokens(self) -> Iterator[Problem]:
        """Tokens that have two prices, or none. A missing price is not 0."""
        measures = [each.measure for each in self.classes]
        for i, measure in enumerate(measures):
            for other in measures[:i]:
                if do_share_tokens(measure, other):
                    text = f"must not count tokens that {other} counts too: they would be billed twice"
                    yield Problem(f"classes[{i}].measure", text, str(measure))
        if leave_out_cached(measures):
            yield Problem("classes", CACHED_LEFT_OUT)

    def _is_long(self, request: TokenRequest) -> bool:
        if self.long_over is None:
            return False
        pairs = zip(self.classes, request.tokens, strict=True)
        prompt = sum((Fraction(count) for each, count in pairs if each.prompt), Fraction(0))
        return prompt >= self.long_over if self.long_rule == "from" else prompt > self.long_over

    def components(self) -> Iterator[Component]:
        for component in self._make_components():
            yield component.billed_per(self.per)

    def _make_components(self) -> Iterator[Component]:
        if self.requests is None:
            yield from self._make_reported_components()
            return
        # A mix of shapes costs per job what its weighted mean of tokens costs. Requests with long prompts are priced apart,
        # since whether a prompt is long is a property of one request, and not of a mean.
        total = sum((Fraction(request.weight) for request in self.requests), Fraction(0))
        for is_long in (False, True):
            requests = [request for request in self.requests if self._is_long(request) is is_long]
            for i, each in enumerate(self.classes if requests else ()):
                share = sum((Fraction(r.weight) * Fraction(r.tokens[i]) for r in requests), Fraction(0))
                yield _price_class(each, is_long, Jobs(self.billed).times(share / total / MILLION))

    def _make_reported_components(self) -> Iterator[Component]:
        # Two meters of one class, for short and for long requests: they split its tokens, so none is billed twice.
        for is_long in (False, True) if self.long_over is not None else (False,):
            for each in self.classes:
                meter = self._make_meter(each, is_long)
                yield _price_class(each, is_long, MeterTotal(meter, self.billed, MILLION))

    def _make_meter(self, each: TokenClass, is_long: bool) -> TokenCount:
        assert each.measure is not None
        if self.long_over is None:
            return TokenCount(each.measure)
        prompts = tuple(other.measure for other in self.classes if other.prompt and other.measure is not None)
        return TokenCount(each.measure, prompts, self.long_over, self.long_rule == "from", is_long)

    def check_measures(self, schema: Schema) -> list[Problem]:
        if self.requests is not None:
            return []
        found = [self._make_meter(each, False).find_problem(schema) for each in self.classes]
        problems = [
            Problem(f"classes[{i}].measure", f"{text}, or give requests") for i, text in enumerate(found) if text
        ]
        if self.long_over is not None and schema.steps and self.per == "job":
            # Of a job of several requests there is only the sum of their prompts.
            problems.append(
                Problem("per", 'must be "step": whether a prompt is long is decided for each request of a job')
            )
        return problems


def _price_class(each: TokenClass, is_long: bool, tokens: Quantity) -> Component:
    """Tokens of one class, in millions, at the price for requests of that length."""
    price = each.long_price if is_long and each.long_price is not None else each.price
    return Component(f"{each.name}, long" if is_long else each.name, tokens, Flat(price), "1M Tokens")


BYTE_UNITS = ("B", "byte", "bytes")


@dataclass(frozen=True, kw_only=True)
class Egress(CostModel):
    """``price`` per ``unit`` of data that leaves the cloud. A GB is 10⁹ bytes, a GiB 2³⁰.

    Billed is what jobs reported as ``measure``: by default what a client received, since a server sent it. With
    ``bytes_per_job`` that many bytes are assumed of each job instead, and no job need report any.
    """

    price: Price
    bytes_per_job: Amount | None = None
    unit: Literal["GB", "GiB"]
    measure: ColumnName = "bytes_received"
    billed: Billed = STARTED
    per: Per = "job"
    currency: Currency = "USD"

    def components(self) -> Iterator[Component]:
        per_byte = PRICED_UNITS["data"][self.unit]
        if self.bytes_per_job is None:
            data: Quantity = Reported(self.measure, billed=self.billed).times(per_byte)
        else:
            data = Jobs(self.billed).times(Fraction(self.bytes_per_job) * per_byte)
        yield Component("egress", data, Flat(self.price), self.unit).billed_per(self.per)

    def check_measures(self, schema: Schema) -> list[Problem]:
        if self.bytes_per_job is not None:
            return []
        problem, declared = ReportedAmount(self.measure).find_problem(schema), schema.measure(self.measure)
        if problem is None and declared is not None and declared.unit not in BYTE_UNITS:
            problem = f"the measure {self.measure} must be in bytes: its unit is {declared.unit}"
        return [] if problem is None else [Problem("measure", f"{problem}, or give bytes_per_job")]
