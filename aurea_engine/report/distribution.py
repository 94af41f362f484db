"""How response times are distributed: as bars on a logarithmic axis, and as the share that took longer, to the p99.9."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aurea_engine.errors import AureaError
from aurea_engine.records.batch import NS
from aurea_engine.records.histogram import LatencyHistogram, bounds_of
from aurea_engine.records.quantiles import QUANTILES
from aurea_engine.report.chart import Chart, Plot, label_ticks, trace_line, write_label
from aurea_engine.report.markup import Markup, element, join
from aurea_engine.report.number_format import format_number, format_percent, format_seconds
from aurea_engine.report.scales import Logarithmic, label_seconds, scale_from_zero
from aurea_engine.results.result import RunResult
from aurea_engine.results.theory import find_response_tail

MOST_BARS = 64
SHORTEST = 0.005
"""Share of the jobs that may be too short for the axis of times."""

LEAST_SHARE = 0.0005
"""Where the picture of the tail ends: a little beyond the p99.9."""
X_TICKS = 7


@dataclass(frozen=True)
class Bar:
    """``count`` jobs took longer than ``low`` seconds and at most ``high``. ``cell``: its place on an axis that is cut into
    `MOST_BARS` equal parts; few buckets of one may be filled.
    """

    low: float
    high: float
    count: int
    cell: int = 0


def list_buckets(histogram: LatencyHistogram) -> list[Bar]:
    """The filled buckets, rising."""
    filled = histogram.to_dict()
    buckets, counts = filled["buckets"], filled["counts"]
    assert isinstance(buckets, list)
    assert isinstance(counts, list)
    return [Bar(*bounds_of(at), count) for at, count in zip(buckets, counts, strict=True)]


def find_shortest(histogram: LatencyHistogram) -> float:
    """Where an axis of times begins, seconds: a few very short ones would take most of it."""
    return max(histogram.quantile(SHORTEST), histogram.maximum / NS / 1e5)


def gather_bars(histogram: LatencyHistogram) -> list[Bar]:
    """At most `MOST_BARS` bars of nearly equal width on a logarithmic axis. Their edges are edges of buckets, so counts are
    exact. The shortest times have no place on it.
    """
    least = find_shortest(histogram)
    buckets = [each for each in list_buckets(histogram) if each.high >= least]
    low, high = buckets[0].low, buckets[-1].high
    step = math.log(high / low) / MOST_BARS
    bars: list[Bar] = []
    number = -1
    for each in buckets:
        # By the middle of a bucket, so that no rounding of an edge decides.
        at = int(math.log(math.sqrt(each.low * each.high) / low) / step) if step > 0 else 0
        if at == number:
            bars[-1] = Bar(bars[-1].low, each.high, bars[-1].count + each.count, at)
        else:
            bars.append(Bar(each.low, each.high, each.count, at))
        number = at
    return bars


def find_histogram(result: RunResult, name: str) -> LatencyHistogram | None:
    """Of a kind of time; None where it is neither stored nor can be made from records."""
    found = result.histograms.get(name)
    if found is not None:
        return found if found.count else None
    if result.jobs is None:
        return None
    counted = result.jobs[result.jobs.was_served & (result.jobs.intended >= round(result.window[0] * 1e9))]
    made = LatencyHistogram()
    made.record(counted.response_ns if name == "response_time" else counted.service_ns)
    return made if made.count else None


def draw_distribution(result: RunResult) -> Iterator[Chart]:
    """The bars, and the tail. Nothing where no job completed, or none took any time."""
    response, service = (find_histogram(result, name) for name in ("response_time", "service_time"))
    if response is None or not response.maximum > 0:
        return
    bars = gather_bars(response)
    low, high = bars[0].low, bars[-1].high
    others = [] if service is None else [each for each in list_buckets(service) if each.high > 0]
    # The same axis for both charts: a bar and the tail above it are at one place.
    middle = math.sqrt(low * high)
    # Times that are all alike would make an axis without a length.
    x = Logarithmic(min(low, middle / 1.3), max(high, middle * 1.3))
    yield draw_bars(result, response, bars, x)
    yield draw_tail(result, response, service if others else None, x)


def draw_bars(result: RunResult, histogram: LatencyHistogram, bars: Sequence[Bar], x: Logarithmic) -> Chart:
    """The share of jobs in each stretch of time."""
    start, nominal = bars[0].low, math.log(bars[-1].high / bars[0].low) / MOST_BARS
    # As wide as its cell, or as its only bucket, which may be wider: the area of a bar is its share.
    edges = [
        (
            min(each.low, start * math.exp(nominal * each.cell)),
            max(each.high, start * math.exp(nominal * (each.cell + 1))),
        )
        for each in bars
    ]
    heights = [
        each.count / histogram.count * nominal / math.log(right / left)
        for each, (left, right) in zip(bars, edges, strict=True)
    ]
    y = scale_from_zero(heights)
    plot = Plot(
        x, y, label_ticks(x.ticks(X_TICKS), label_seconds), label_ticks(y.ticks(4), lambda v: f"{v * 100:.4g} %")
    )
    outlines = [
        f"M{plot.across(left):.1f} {plot.height}V{plot.down(height):.1f}H{plot.across(right):.1f}V{plot.height}Z"
        for (left, right), height in zip(edges, heights, strict=True)
    ]
    note = f"Share of the jobs by response time, on a logarithmic axis; {histogram.count:,} completed"
    note += ", after the warm-up." if result.window[0] else "."
    if shorter := histogram.count - sum(each.count for each in bars):
        note += f" Not shown: {shorter:,} that took less than {format_seconds(bars[0].low)}."
    whole = result.response_time
    return Chart(
        "distribution",
        "Distribution of response times",
        note,
        f"From {format_seconds(whole.min)} to {format_seconds(whole.max)}, half of the jobs within "
        f"{format_seconds(whole.p50)}.",
        plot,
        [element("path", d="".join(outlines), class_="bars")],
        over=[*_mark_quantiles(result, plot, ("p50", "p99")), *_mark_bounds(result, plot)],
        flush=True,
        data={"uppers": [each.high for each in bars], "counts": [each.count for each in bars]},
    )


def _mark_quantiles(result: RunResult, plot: Plot, names: Sequence[str]) -> Iterator[Markup]:
    for name in names:
        value = result.response_time.quantile(name)
        if value:
            yield _rule_up(plot, value, name, "quantile")


def _mark_bounds(result: RunResult, plot: Plot) -> Iterator[Markup]:
    # Bounds outside the axis are in the table of objectives; drawn at its edge they would lie.
    for each in result.spec.objectives:
        bound = each.at_most
        if each.metric == "response_time" and bound is not None and plot.x.low < bound < plot.x.high:
            yield _rule_up(plot, bound, "", "objective")


def _rule_up(plot: Plot, value: float, text: str, class_: str) -> Markup:
    x = plot.percent(value)
    line = element("line", x1=x, x2=x, y1=0, y2=plot.height, class_=f"rule {class_}")
    # On the line's left where its right is the end of the chart.
    is_left = plot.x.place(value) > 0.85
    return join((line, write_label(text, x, 10, f"{class_} end" if is_left else class_, -4 if is_left else 4)))


def trace_tail(histogram: LatencyHistogram, plot: Plot, class_: str) -> Markup:
    """The share of values above each bucket's end, without points that would lie on one pixel."""
    above, xs, shares, last = histogram.count, list[float](), list[float | None](), -1.0
    for each in list_buckets(histogram):
        if not xs and each.low > 0:
            xs.append(each.low)
            shares.append(1.0)
        # Where nothing lies between two buckets, or points were left out, the curve is flat and then falls.
        if xs and each.low > xs[-1]:
            flat = max(above / histogram.count, LEAST_SHARE)
            if each.count * 20 > histogram.count:
                xs.append(each.low)
                shares.append(flat)
        above -= each.count
        share = above / histogram.count
        if each.high <= 0 or abs(plot.down(max(share, LEAST_SHARE)) - last) < 1:
            continue
        last = plot.down(max(share, LEAST_SHARE))
        xs.append(each.high)
        shares.append(max(share, LEAST_SHARE))
        if share < LEAST_SHARE:
            break
    return trace_line(plot, xs, shares, class_)


def draw_tail(result: RunResult, response: LatencyHistogram, service: LatencyHistogram | None, x: Logarithmic) -> Chart:
    """How many jobs took longer, with what theory says of it."""
    # Logarithmic in the share, too: the last job of a thousand is as far from the hundredth as that from the tenth.
    y = Logarithmic(LEAST_SHARE, 1.0)
    y_ticks = [(1.0, "all"), *((1 - q, f"p{q * 100:g}") for name, q in QUANTILES.items() if name != "p95")]
    plot = Plot(x, y, label_ticks(x.ticks(X_TICKS), label_seconds), y_ticks)
    curves, keys = [], [("response", "response time")]
    theory = find_theory(result)
    if theory is not None:
        model, tail = theory
        # The curve of theory lies beneath those that were measured, wide and pale: what is covered agrees.
        times = [x.low * (x.high / x.low) ** (position / 160) for position in range(161)]
        shares = [tail(t) for t in times]
        curves.append(trace_line(plot, times, [s if s >= LEAST_SHARE else None for s in shares], "theory"))
        keys.append(("theory", f"theory, {model}"))
    if service is not None:
        curves.append(trace_tail(service, plot, "service"))
        keys.append(("service", "service time, from the start"))
    curves.append(trace_tail(response, plot, "response"))
    figures = {name: result.response_time.quantile(name) for name in ("p50", "p90", "p99", "p999")}
    dots = [
        _draw_dot(plot, value, 1 - QUANTILES[name])
        for name, value in figures.items()
        if value is not None and value > 0
    ]
    words = ", ".join(f"{format_percent(1 - QUANTILES[name])} took longer than {format_seconds(value)}"
                      for name, value in figures.items() if value is not None)  # fmt: skip
    legend = join(join((" ", element("span", text, class_=f"key {class_}"))) for class_, text in keys)
    return Chart(
        "tail",
        "Tail",
        join(("The share of jobs that took longer, to the p99.9.", legend)),
        words or f"{format_number(result.response_time.count)} jobs are too few for quantiles.",
        plot,
        curves,
        over=dots,
        flush=True,
        data={name: [value] for name, value in figures.items()},
    )


def find_theory(result: RunResult) -> tuple[str, Callable[[float], float]] | None:
    """Where the run was one of its samples. A result of another machine may have kinds that are not known here."""
    with contextlib.suppress(AureaError):
        return find_response_tail(result.spec) if result.theory else None
    return None


def _draw_dot(plot: Plot, value: float, share: float) -> Markup:
    x, y = plot.percent(value), plot.down(share)
    dot = element("circle", cx=x, cy=y, r=3.5, class_="dot")
    # To the left of the curve where there is no room on its right.
    left = plot.x.place(value) > 0.8
    text = write_label(format_seconds(value), x, y - 6, "value end" if left else "value", -6 if left else 6)
    return join((dot, text))
