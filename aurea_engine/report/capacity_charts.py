"""The charts of a capacity search: its trials one after the other, and what other rates would cost."""

from __future__ import annotations

from aurea_engine.report.chart import Chart, Plot, label_ticks, rule_across, trace_line
from aurea_engine.report.markup import element
from aurea_engine.report.scales import (
    Linear,
    Logarithmic,
    Scale,
    label_amount,
    label_number,
    scale_around,
    scale_from_zero,
)
from aurea_engine.results.capacity import CapacityAnswer

FEWEST = 2
"""Points from which on a curve is one."""

COLOURS = ("one", "two", "three", "four", "five", "six")
"""Classes of the curves of models; a seventh model has the first one's colour again, and its name beside it."""


def draw_trials(answer: CapacityAnswer) -> Chart | None:
    """Each trial at its value, by whether the objectives held. None without trials."""
    tried = [(at, trial) for at, trial in enumerate(answer.trials, 1) if trial.value is not None]
    if not tried:
        return None
    values = [trial.value or 0.0 for _, trial in tried]
    # One more on either side, so that the first and the last dot do not lie on the edge.
    x = Linear(0.0, len(answer.trials) + 1.0)
    y = scale_around(values) if answer.variable == "rate" else scale_from_zero(values)
    ticks = [(tick, f"{tick:g}") for tick in x.ticks(8) if tick == int(tick) and 0 < tick <= len(answer.trials)]
    plot = Plot(x, y, ticks, label_ticks(y.ticks(5), label_number))
    # A ring is told from a dot without colours.
    words = {"passed": "met", "failed": "missed"}
    dots = [
        element("circle", cx=plot.percent(at), cy=plot.down(trial.value or 0.0), r=5,
                class_=f"dot trial {words.get(trial.outcome, 'inconclusive')}")
        for at, trial in tried
    ]  # fmt: skip
    ends = [rule_across(plot, answer.value, "the answer", "quiet")] if answer.value is not None else []
    unit = "jobs per second" if answer.variable == "rate" else "slots"
    return Chart(
        "trial-chart",
        "The search",
        f"Trials in their order, at their {unit}: full where the objectives held, a ring where they did not.",
        f"{len(tried)} trials.",
        plot,
        [],
        over=[*ends, *dots],
        data={"trials": [at for at, _ in tried], "values": values},
        flush=True,
    )


def draw_curves(answer: CapacityAnswer) -> Chart | None:
    """What a million good jobs cost under each model over the rate. None where no model has a price at two rates."""
    lines = {
        line.model: [(rate, float(money)) for rate, money in line.points if money is not None] for line in answer.curves
    }
    lines = {model: points for model, points in lines.items() if len(points) >= FEWEST}
    # On a logarithmic axis a rate of 0 has no place, and a single one no length.
    rates = [rate for points in lines.values() for rate, _ in points if rate > 0]
    if not rates or min(rates) == max(rates):
        return None
    x: Scale = Logarithmic(min(rates), max(rates))
    y = scale_around([money for points in lines.values() for _, money in points])
    plot = Plot(x, y, label_ticks(x.ticks(6), label_number), label_ticks(y.ticks(5), label_amount))
    curves = [
        trace_line(plot, [rate for rate, _ in points], [money for _, money in points], COLOURS[at % len(COLOURS)])
        for at, points in enumerate(lines.values())
    ]
    # Cut: a model may be named by its whole JSON, and the table beneath has it.
    labels = [
        (plot.down(points[-1][1]), model[:14], COLOURS[at % len(COLOURS)])
        for at, (model, points) in enumerate(lines.items())
    ]
    return Chart(
        "price-chart",
        "What other rates would cost",
        f"{answer.priced_in} per million good jobs, over jobs per second, with as many systems as it takes.",
        f"{len(lines)} models.",
        plot,
        curves,
        labels,
        data={f"model-{at}": [money for _, money in points] for at, points in enumerate(lines.values())},
    )
