"""``aurea cost-curve``: the cost under each model at a range of rates, before anything is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from aurea_engine import CostModel, NeedsRecords, Problem, SpecError, default_catalog, parse_duration, parse_rate
from aurea_engine.costs import (
    BreakEven,
    CurvePoint,
    break_even,
    cost_curve,
    curve_svg,
    exact_text,
    one_job,
    rates_between,
)
from aurea_server.cli.number_format import format_number
from aurea_server.cli.reprice import format_amount, name_model, read_model, read_usage
from aurea_server.cli.stored_results import read_stored
from aurea_server.cli.tables import Column, Table, show
from aurea_server.stdio.output_files import check_output, write_output

MOST_POINTS = 10_000


def cost_curve_command(  # noqa: PLR0913 - a command has as many options as it has
    result: Path | None = None,
    /,
    *,
    cost: Annotated[list[str], Parameter(negative=())],
    low: Annotated[str, Parameter(name="--from")] = "1",
    high: Annotated[str, Parameter(name="--to")] = "1000",
    points: int = 101,
    hours: float = 730.0,
    service_time: str | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> int:
    """The cost under each model at a range of rates kept up for a month, and where one becomes cheaper than another.

    Parameters
    ----------
    result
        A result whose jobs are taken as typical; or give --service-time.
    cost
        A cost model, as for ``aurea reprice``. Give it more than once to compare.
    low
        Lowest rate: jobs per second, or such as 30000/m.
    high
        Highest rate.
    points
        How many rates, in equal ratios.
    hours
        Hours in the billing period.
    service_time
        Service time of a typical job, where there is no result: seconds, or such as 100ms.
    output
        Write the picture to an SVG file.
    """
    check_output(output)
    # More points than anybody sees, each of which prices the whole period once for every model.
    if not 2 <= points <= MOST_POINTS:
        raise SpecError([Problem("--points", f"must be 2 to {MOST_POINTS}", str(points))])
    catalog = default_catalog().with_entry_points()
    models = {name_model(text, i): read_model(text, catalog) for i, text in enumerate(cost)}
    if (result is None) == (service_time is None):
        raise SpecError("give either a result or --service-time")
    with _name_flags():
        usage = (
            read_usage(read_stored(result), models.values())
            if result is not None
            else one_job(_parse_plain(service_time or "", parse_duration), *models.values())
        )
        rates = rates_between(_parse_plain(low, parse_rate), _parse_plain(high, parse_rate), points)
        curves = {name: cost_curve(usage, model, rates, str(hours)) for name, model in models.items()}
        # Between each two models: the cheapest of three may change where no neighbouring pair crosses.
        crossings = [
            crossing
            for a, b in combinations(models.values(), 2)
            for crossing in break_even(usage, a, b, rates, str(hours))
        ]
    currency = next(iter(models.values())).currency
    show(_tabulate_curves(curves, currency), *(_describe_crossing(crossing, models) for crossing in crossings))
    if output is not None:
        write_output(output, [curve_svg(curves, crossings, currency).encode()])
    return 0


def _parse_plain(text: str, parse: Callable[[str], Fraction | None]) -> str:
    """A plain number unchanged, a quantity with a unit as the exact number that it means."""
    # Text all the way: a float of "1/3" an hour would already be rounded.
    number = parse(text)
    return text if number is None else exact_text(number)


def _describe_crossing(crossing: BreakEven, models: Mapping[str, CostModel]) -> str:
    # By identity: two models that are given twice are equal, and have two names.
    called = {id(model): name for name, model in models.items()}
    below, above = called[id(crossing.below)], called[id(crossing.above)]
    return f"break-even at {format_number(float(crossing.rate))} jobs/s: below it {below}, above it {above} is cheaper"


@contextmanager
def _name_flags() -> Iterator[None]:
    """Errors name the flags of the command line, and not the parameters of the engine's functions."""
    flags = {"low": "--from", "high": "--to", "hours": "--hours", "service_time": "--service-time"}
    try:
        yield
    except NeedsRecords as error:
        raise SpecError(f"cost: {error}") from None
    except SpecError as error:
        problems = [each._replace(path=flags.get(each.path, each.path)) for each in error.problems]
        raise SpecError(
            [each._replace(problem=each.problem.replace("above low", "above --from")) for each in problems]
        ) from None


def _tabulate_curves(curves: Mapping[str, Sequence[CurvePoint]], currency: str) -> Table:
    # Short heads: two models stand side by side on a terminal of 80 columns.
    heads = ("jobs/s", *(f"{name}/{unit}" for name in curves for unit in ("hour", "million")))
    table = Table(*(Column(head, right=True) for head in heads))
    rows = list(zip(*curves.values(), strict=True))
    # A dozen lines fit on a screen; the picture has all points.
    shown = rows if len(rows) <= 12 else [rows[round(i * (len(rows) - 1) / 11)] for i in range(12)]
    for row in shown:
        figures = [figure for point in row for figure in (point.per_hour, point.per_million)]
        table.add_row(format_number(float(row[0].rate)), *(format_amount(figure, currency) for figure in figures))
    return table
