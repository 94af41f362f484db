"""The figures of the charts over time as a table, for those who read figures rather than curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aurea_engine.report.markup import Markup, element
from aurea_engine.report.number_format import format_seconds
from aurea_engine.report.over_time import COUNTED, Steps, count_occupancy, find_worst_lags
from aurea_engine.report.tables import write_table
from aurea_engine.results.result import RunResult


def tabulate_steps(result: RunResult, steps: Steps) -> Markup:
    """A row for each step."""
    columns: list[tuple[str, Sequence[object], Callable[[object], str]]] = [("from, s", steps.begins, _write_number)]
    columns += [
        (name, steps.counts[name], _write_number) for name in COUNTED if name in COUNTED[:2] or any(steps.counts[name])
    ]
    if result.jobs is not None:
        found = count_occupancy(result.jobs, steps.edges)
        columns += [("in service", found.in_service, _write_number), ("waiting", found.waiting, _write_number)]
    else:
        columns.append(("in system", steps.in_system, _write_number))
    columns += [(name, getattr(steps, name), _write_seconds) for name in ("p50", "p90", "p99")]
    if result.jobs is not None and result.spec.clock == "real":
        columns.append(("worst lag", find_worst_lags(result.jobs, steps.edges), _write_seconds))
    # The columns are those of the charts, from the same steps: nobody has to see to read them.
    rows = zip(*([write(value) for value in values] for _, values, write in columns), strict=True)
    table = write_table("Figures over time", [head for head, *_ in columns], [list(row) for row in rows], texts=0)
    return element("details", element("summary", "The same figures as a table"), table)


def _write_number(value: object) -> str:
    return f"{value:,.10g}" if isinstance(value, int | float) else "–"


def _write_seconds(value: object) -> str:
    return format_seconds(value if isinstance(value, int | float) else None)
