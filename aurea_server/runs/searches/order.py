"""What a body asks for: a specification, and beside it the members of the search itself.

| member | what it says |
|---|---|
| `variable` | `rate` (the default): the largest rate is searched; `slots`: the fewest slots |
| `low`, `high` | bounds of the search, jobs per second or slots; none: the search finds its own |
| `rate`, `slots` | both in one, as on the command line: `"100..500/s"`, `"1..8"`, `"100/s.."`; they name the variable, too |
| `require` | verify this one value instead of searching |
| `confirm` | verify what was found in virtual time for real, too |
| `costs` | cost models to price the answer with, a list of them or an object with names of your own |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from aurea_engine import Catalog, Problem, SpecError, cost_from_dict
from aurea_engine.closed_sets import CapacityVariable
from aurea_engine.fields.checked import Rate, convert, show_value

MEMBERS = ("variable", "low", "high", "rate", "slots", "require", "confirm", "costs")
MOST_COSTS = 16
"""Cost models beside that of the specification; each prices every trial."""


@dataclass(frozen=True)
class SearchOrder:
    """The members of a search, checked. ``costs``: name → model, as plain data."""

    variable: CapacityVariable = "rate"
    low: float | None = None
    high: float | None = None
    require: float | None = None
    confirm: bool = False
    costs: Mapping[str, Any] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """As it is stored and shown."""
        return asdict(self)


def take_order(document: object, catalog: Catalog) -> tuple[object, SearchOrder | None, list[Problem]]:
    """(``document`` without the members of the search, what they say or None where they are wrong, what is wrong)."""
    if not isinstance(document, Mapping):
        return document, None, []  # the reader of specifications says so
    rest = {name: value for name, value in document.items() if name not in MEMBERS}
    given = {name: document[name] for name in MEMBERS if document.get(name) is not None}
    problems: list[Problem] = []
    variable, low, high = _read_range(given, problems)
    order = SearchOrder(
        variable,
        low,
        high,
        _read_value(given, "require", problems),
        bool(convert(given.get("confirm", False), bool, "confirm", problems)),
        _read_costs(given.get("costs", {}), catalog, problems),
    )
    return rest, None if problems else order, problems


def _read_range(
    given: Mapping[str, Any], problems: list[Problem]
) -> tuple[CapacityVariable, float | None, float | None]:
    variable: CapacityVariable = (
        convert(given.get("variable", "rate"), CapacityVariable, "variable", problems) or "rate"
    )
    ranges = [name for name in ("rate", "slots") if name in given]
    if not ranges:
        return variable, _read_value(given, "low", problems), _read_value(given, "high", problems)
    beside = f"cannot stand beside {ranges[0]}: give one or the other"
    problems += [Problem(bound, beside) for bound in ("low", "high") if bound in given]
    if len(ranges) > 1:
        problems.append(Problem("slots", "cannot stand beside rate: a search varies one of them"))
    name = ranges[0]
    if given.get("variable", name) != name:
        problems.append(Problem("variable", f"says something else than {name}: leave it out", show_value(variable)))
    low, dots, high = (part.strip() for part in str(given[name]).partition(".."))
    varied: CapacityVariable = "rate" if name == "rate" else "slots"
    if not isinstance(given[name], str) or not dots or not (low or high):
        form = "100..500/s" if name == "rate" else "1..8"
        problems.append(Problem(name, f'must be a range such as "{form}"', show_value(given[name])))
        return varied, None, None
    # A unit behind the upper end is meant for both, as on the command line.
    unit = high[high.index("/") :] if "/" in high and low and "/" not in low else ""
    return varied, _read_bound(low + unit, name, problems), _read_bound(high, name, problems)


def _read_bound(text: str, path: str, problems: list[Problem]) -> float | None:
    """A bound of a range: a number, or of a rate also ``500/s``; None where that end is open."""
    if not text:
        return None
    is_plain = len(text) <= 40 and text.isascii() and text.replace(".", "", 1).isdigit()
    hint = Rate if is_plain or path == "rate" else float
    value: float | None = convert(float(text) if is_plain else text, hint, path, problems)
    return value


def _read_value(given: Mapping[str, Any], name: str, problems: list[Problem]) -> float | None:
    value: float | None = convert(given[name], Rate, name, problems) if name in given else None
    return value


def _read_costs(given: object, catalog: Catalog, problems: list[Problem]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    if isinstance(given, list):
        for i, model in enumerate(given[: MOST_COSTS + 1]):
            named[_name_model(model, i, named)] = model
    elif isinstance(given, Mapping):
        named = {str(name): model for name, model in list(given.items())[: MOST_COSTS + 1]}
    else:
        problems.append(Problem("costs", "must be a list of cost models, or an object of them", show_value(given)))
    if len(named) > MOST_COSTS:
        problems.append(Problem("costs", f"must be at most {MOST_COSTS} models", f"{len(given)}"))  # type: ignore[arg-type]
        return {}
    for i, (name, model) in enumerate(named.items()):
        path = f"costs[{i}]" if isinstance(given, list) else f"costs.{name[:60]}"
        if len(name) > 256:
            problems.append(Problem("costs", "must have names of at most 256 characters"))
        try:
            cost_from_dict(model, catalog)
        except SpecError as error:
            problems += [each._replace(path=path + each.path.removeprefix("cost")) for each in error.problems]
    return named


def _name_model(model: object, index: int, taken: Mapping[str, Any]) -> str:
    """A model of a list is called by its kind; a second one of a kind gets a number."""
    kind = str(model.get("kind", index)) if isinstance(model, Mapping) else str(index)
    return kind if kind not in taken else f"{kind}_{index + 1}"
