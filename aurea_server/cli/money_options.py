"""The options of ``aurea chat`` about money: what tokens cost, and how much may be spent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from aurea_engine import Problem, SpecError
from aurea_server.cli.reprice import read_model_document
from aurea_server.cli.run_options import parse_quantity

_AMOUNT = r"[0-9]{1,12}(?:\.[0-9]{1,18})?"
_PRICES = re.compile(rf"{_AMOUNT}(?:[,/]{_AMOUNT}){{1,2}}", re.ASCII)
CLASSES = {2: ("input", "output"), 3: ("input", "cached", "output")}


@Parameter(name="*")
@dataclass(frozen=True)
class MoneyOptions:
    """What tokens cost, and how much may be spent."""

    price: str | None = None
    "Prices in USD per million tokens: INPUT,OUTPUT or INPUT,CACHED,OUTPUT, such as 0.25,0.025,2."

    sheet: str | None = None
    "A price sheet that comes with Aurea, such as openai-gpt-5-mini; aurea prices list shows them."

    cost: str | None = None
    "Any cost model: JSON, a file, or the name of a kind."

    budget: Annotated[str | None, Parameter(show_default=False)] = None
    "End the run as soon as its answers have cost more than this, such as 0.50."

    def add_to(self, document: dict[str, Any]) -> dict[str, Any]:
        """``document`` with its cost model, and the budget among its objectives. Raises SpecError."""
        given = [
            flag for flag, value in (("--price", self.price), ("--sheet", self.sheet), ("--cost", self.cost)) if value
        ]
        if len(given) > 1:
            raise SpecError([Problem(given[1], f"cannot stand beside {given[0]}: a run has one bill")])
        if self.budget is not None and not given:
            raise SpecError([Problem("--budget", "needs prices: give --price, --sheet or --cost")])
        document = {**document, "cost": self._make_cost()}
        if self.budget is not None:
            limit = {"metric": "cost", "at_most": parse_quantity(self.budget), "abort": True}
            document["objectives"] = [*document.get("objectives", []), limit]
        return document

    def _make_cost(self) -> Any:
        if self.sheet is not None:
            return {"kind": "sheet", "name": self.sheet}
        if self.price is not None:
            return {"kind": "tokens", "classes": _read_prices(self.price)}
        # Without a price nothing is billed: the default of other runs, by the second, would be nonsense here.
        return {"kind": "free"} if self.cost is None else read_model_document(self.cost)


def _read_prices(text: str) -> list[dict[str, str]]:
    if _PRICES.fullmatch(text.replace(" ", "")) is None:
        problem = "must be INPUT,OUTPUT or INPUT,CACHED,OUTPUT in USD per million tokens, such as 0.25,0.025,2"
        raise SpecError([Problem("--price", problem, ascii(text)[:60])])
    prices = re.split("[,/]", text.replace(" ", ""))
    # Without a price of its own, what came from the cache is paid for as input.
    names, measures = CLASSES[len(prices)], ("input_tokens", "output") if len(prices) == 2 else CLASSES[3]
    return [
        {"name": name, "price": price, "measure": measure}
        for name, price, measure in zip(names, prices, measures, strict=True)
    ]
