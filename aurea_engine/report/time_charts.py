"""The charts over time: rates, response times, jobs in the system, the generator's lag, and money."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aurea_engine.report.chart import Chart, Plot, label_ticks, rule_across, trace_band, trace_line, write_label
from aurea_engine.report.markup import Markup, element, join
from aurea_engine.report.number_format import format_money, format_number, format_seconds
from aurea_engine.report.over_time import Column, Steps, count_occupancy, find_worst_lags, list_known, sum_costs
from aurea_engine.report.scales import (
    Linear,
    Scale,
    label_amount,
    label_number,
    label_seconds,
    scale_around,
    scale_from_zero,
    time_ticks,
)
from aurea_engine.results.result import RunResult
from aurea_engine.spec import Objective

X_TICKS, Y_TICKS = 8, 5
RATES = {
    "offered": "arrived",
    "completed": "completed",
    "failed": "failed",
    "rejected": "rejected",
    "left": "abandoned",
}
"""Label → count of a step, in the order in which they are drawn."""


def draw_over_time(result: RunResult, steps: Steps) -> Iterator[Chart]:
    """Every chart that the result has the figures for."""
    yield draw_rates(result, steps)
    if list_known(steps.p50):
        yield draw_response_times(result, steps)
    yield draw_in_system(result, steps)
    # In virtual time nothing is late, and jobs that are all due at once cannot be released at once.
    if result.jobs is not None and result.spec.clock == "real" and result.spec.workload.arrivals.ends != "with jobs":
        yield draw_lag(result, steps)
    if (costs := sum_costs(result, steps.edges)) is not None:
        yield draw_cost(result, steps, costs)


def _plot(steps: Steps, y: Scale, labels: Sequence[tuple[float, str]]) -> Plot:
    x = Linear(0.0, steps.end or 1.0)
    return Plot(x, y, time_ticks(x.low, x.high, X_TICKS), labels)


def _shade_warmup(result: RunResult, plot: Plot) -> list[Markup]:
    """The part of the run that no figure has."""
    until = result.window[0]
    if not until:
        return []
    return [element("rect", x="0", y="0", width=plot.percent(until), height=plot.height, class_="warmup")]


def _name_warmup(result: RunResult, plot: Plot) -> list[Markup]:
    """On the first chart, where its foot is free: the others have the same shade."""
    return [write_label("warm-up", "4", plot.height - 6, "quiet")] if result.window[0] else []


def _data(steps: Steps, **columns: Sequence[object]) -> dict[str, Sequence[object]]:
    return {"begins": steps.begins, **columns}


def _describe_steps(steps: Steps) -> str:
    return f"{label_seconds(steps.width)} a step" if steps.width != 1 else "second by second"


def draw_rates(result: RunResult, steps: Steps) -> Chart:
    """Jobs per second: those that arrived, and what became of jobs."""
    shown = {
        label: (count, steps.rates(count))
        for label, count in RATES.items()
        if label in ("offered", "completed") or any(steps.counts[count])
    }
    y = scale_from_zero(list_known(*(column for _, column in shown.values())))
    plot = _plot(steps, y, label_ticks(y.ticks(Y_TICKS), label_number))
    # Offered lies beneath: where all is well the two are one line.
    curves = [trace_line(plot, steps.middles, column, label) for label, (_, column) in shown.items()]
    offered, completed = format_number(result.offered_rate, "/s"), format_number(result.throughput, "/s")
    return Chart(
        "rates",
        "Jobs per second",
        f"Offered and what became of them, {_describe_steps(steps)}.",
        f"Over the run {offered} were offered and {completed} completed.",
        plot,
        curves,
        [(plot.down(column[-1] or 0.0), label, label) for label, (_, column) in shown.items()],
        [*_shade_warmup(result, plot), *_name_warmup(result, plot)],
        _data(steps, **{count: steps.counts[count] for count, _ in shown.values()}),
    )


def draw_response_times(result: RunResult, steps: Steps) -> Chart:
    """The band of the response time between p50 and p99, with the bounds of objectives."""
    bounds = list(_list_bounds(result))
    # A bound far above all that was measured would press it flat; it is said beneath instead.
    top = max(list_known(steps.p99))
    near = [(value, text) for value, text in bounds if value <= 4 * top]
    y = scale_around([*list_known(steps.p50, steps.p99), *(value for value, _ in near)])
    plot, middles = _plot(steps, y, label_ticks(y.ticks(Y_TICKS), label_seconds)), steps.middles
    has_p90 = bool(list_known(steps.p90))
    quantiles = (
        {"p50": steps.p50, "p90": steps.p90, "p99": steps.p99} if has_p90 else {"p50": steps.p50, "p99": steps.p99}
    )
    curves = [trace_band(plot, middles, steps.p50, steps.p99, "outer")]
    curves += [trace_band(plot, middles, steps.p50, steps.p90, "inner")] if has_p90 else []
    curves += [trace_line(plot, middles, column, name) for name, column in quantiles.items()]
    far = [text for value, text in bounds if value > 4 * top]
    note = f"From the intended start, {'p50–p90–p99' if has_p90 else 'p50 and p99'}, {_describe_steps(steps)}."
    if steps.width > result.series_width:
        note += " Of each step the interval with the highest p99."
    if far:
        note += f" Beyond the chart: {', '.join(far)}."
    whole = result.response_time
    return Chart(
        "response-times",
        "Response time",
        note,
        f"Over the run p50 was {format_seconds(whole.p50)}, p99 {format_seconds(whole.p99)}.",
        plot,
        curves,
        [(plot.down(known[-1]), name, name) for name, column in quantiles.items() if (known := list_known(column))],
        [*_shade_warmup(result, plot), *(rule_across(plot, value, text) for value, text in near)],
        _data(steps, **quantiles),
    )


def _list_bounds(result: RunResult) -> Iterator[tuple[float, str]]:
    """(seconds, what it bounds) of objectives on response times of all jobs."""
    for objective in result.spec.objectives:
        if objective.metric == "response_time" and objective.at_most is not None:
            yield objective.at_most, f"{_name_figure(objective)} ≤ {label_seconds(objective.at_most)}"


def _name_figure(objective: Objective) -> str:
    return "mean" if objective.quantile is None else f"p{objective.quantile * 100:g}"


def draw_in_system(result: RunResult, steps: Steps) -> Chart:
    """Jobs in service and waiting where records tell them apart; else how many were in the system."""
    columns: dict[str, Sequence[int]] = {"in system": steps.in_system}
    note = "Jobs that had arrived and not ended, at the end of each step."
    if result.jobs is not None:
        found = count_occupancy(result.jobs, steps.edges)
        columns = {"in service": found.in_service, "waiting": found.waiting}
        note = "At the end of each step."
    # Slots that are far from filled would press the curves flat.
    slots = result.spec.scheduler.slots
    top = max(max(column) for column in columns.values())
    shows_slots = slots is not None and slots <= 4 * top
    y = scale_from_zero([top, float(slots or 0) if shows_slots else 0.0])
    plot = _plot(steps, y, label_ticks(y.ticks(Y_TICKS), label_number))
    ends = [min(begin + length, steps.end) for begin, length in zip(steps.begins, steps.lengths, strict=True)]
    names = {label: label.replace(" ", "-") for label in columns}
    over = _shade_warmup(result, plot)
    if slots is not None and shows_slots:
        over.append(rule_across(plot, slots, f"{slots:,} slot{'s' if slots > 1 else ''}", "quiet"))
    peak = format_number(result.concurrency.peak)
    return Chart(
        "in-system",
        "In service and waiting" if result.jobs is not None else "In the system",
        note,
        f"On average {format_number(result.concurrency.mean)} jobs were in service, at most {peak}.",
        plot,
        [trace_line(plot, ends, [float(each) for each in column], names[label]) for label, column in columns.items()],
        [(plot.down(column[-1]), label, names[label]) for label, column in columns.items()],
        over,
        _data(steps, **{names[label]: column for label, column in columns.items()}),
    )


def draw_lag(result: RunResult, steps: Steps) -> Chart:
    """How late the generator was, with the findings that have an instant."""
    assert result.jobs is not None
    lags, limit = find_worst_lags(result.jobs, steps.edges), result.spec.thresholds.lag
    y = scale_around([*list_known(lags), limit])
    plot = _plot(steps, y, label_ticks(y.ticks(Y_TICKS), label_seconds))
    # The limit above which a release counts as late is always in the picture: 20 µs are no news.
    marked = [(number, each) for number, each in enumerate(result.findings, 1) if each.at is not None]
    note: Markup | str = f"How late the latest release of each step was, {_describe_steps(steps)}."
    if marked:
        note += f" Marks: finding{'s' if len(marked) > 1 else ''} {', '.join(str(number) for number, _ in marked)}."
    return Chart(
        "lag",
        "Lag of the generator",
        note,
        f"The p99 of the lag was {format_seconds(result.lag.p99)}, the worst {format_seconds(result.lag.max)}.",
        plot,
        [trace_line(plot, steps.middles, lags, "lag")],
        [(plot.down(known[-1]), "latest", "lag")] if (known := list_known(lags)) else [],
        [
            *_shade_warmup(result, plot),
            rule_across(plot, limit, f"late from {label_seconds(limit)}", "quiet"),
            *(mark_instant(plot, each.at or 0.0, str(number)) for number, each in marked),
        ],
        _data(steps, lag=lags),
    )


def mark_instant(plot: Plot, at: float, text: str) -> Markup:
    """A numbered mark at an instant of the run."""
    x = plot.percent(at)
    return join(
        (
            element("line", x1=x, x2=x, y1=0, y2=plot.height, class_="rule finding"),
            element("circle", cx=x, cy=0, r=9, class_="mark"),
            element("text", text, x=x, y=4, class_="mark-number"),
        )
    )


def draw_cost(result: RunResult, steps: Steps, costs: Column | list[float]) -> Chart:
    """What the jobs had cost by then, with what the run may cost."""
    currency = result.cost.currency
    budgets = [each.at_most for each in result.spec.objectives if each.metric == "cost" and each.at_most is not None]
    # A budget that is hardly touched is said in words.
    top = max(list_known(costs))
    y = scale_from_zero([top, *(each for each in budgets if each <= 4 * top)])
    plot = _plot(steps, y, label_ticks(y.ticks(Y_TICKS), label_amount))
    ends = [begin + length for begin, length in zip(steps.begins, steps.lengths, strict=True)]
    total = None if result.cost.total is None else float(result.cost.total)
    far = [each for each in budgets if each > 4 * top]
    note = f"In {currency}, by the jobs that had ended."
    if far:
        note += f" The budget of {format_money(min(far), currency)} lies beyond the chart."
    return Chart(
        "cost-over-time",
        "Cost",
        note,
        f"The run cost {format_money(total, currency)}.",
        plot,
        [trace_line(plot, ends, list(costs), "money")],
        [(plot.down(top), "total", "money")],
        [
            *_shade_warmup(result, plot),
            *(rule_across(plot, each, f"budget {format_money(each, currency)}") for each in budgets if each not in far),
        ],
        _data(steps, cost=costs),
    )
