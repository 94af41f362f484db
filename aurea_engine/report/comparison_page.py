"""The report of a comparison of two runs: how far each figure shifted, how sure that is, and what to say of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aurea_engine.closed_sets import ComparisonWord
from aurea_engine.report.chart import Chart, Plot
from aurea_engine.report.document import write_document, write_section
from aurea_engine.report.judgement import badge
from aurea_engine.report.markup import Markup, datum, element, foreign, join
from aurea_engine.report.number_format import format_money, format_number, format_percent, format_seconds
from aurea_engine.report.scales import Linear
from aurea_engine.report.tables import Limits, Row, write_table
from aurea_engine.results.comparison import ComparedFigure, Comparison, Remark

NAMES = {"failure_ratio": "failure ratio", "cost_per_million": "cost"}
ABSOLUTE = "failure_ratio"
"""The figure whose shift is not relative to A: it is in percentage points."""

MEANING: Mapping[ComparisonWord, str] = {
    "same": "Every figure of B is within the tolerance of A.",
    "better": "B is better than A by more than the tolerance, and in no figure worse.",
    "worse": "B is worse than A by more than the tolerance.",
    "inconclusive": "The runs do not decide it: a difference within the tolerance and one beyond it are both possible.",
}
TITLES: Mapping[ComparisonWord, str] = {
    "same": "Run B is the same as run A",
    "better": "Run B is better than run A",
    "worse": "Run B is worse than run A",
    "inconclusive": "It is not decided whether run B differs from run A",
}
ROW = 30
"""Pixels of a figure in the chart."""


def render_comparison(comparison: Comparison) -> str:
    """The report of ``comparison`` as one HTML document, as `render_html` makes of a run."""
    a, b = comparison.names
    header = [
        element("p", "Aurea comparison of two runs", class_="eyebrow"),
        element("h1", TITLES[comparison.word]),
        element("p", "A: ", foreign(a), ". B: ", foreign(b), ".", class_="quiet"),
        element("p", badge(comparison.word), " ", *_explain(comparison), class_="verdict"),
    ]
    return write_document(
        f"{b[:80]} against {a[:80]}: {comparison.word}",
        header,
        lambda limits: _write_sections(comparison, limits),
        f"from {a} and {b}",
    )


def _explain(comparison: Comparison) -> Iterator[Markup | str]:
    if not comparison.comparable:
        yield "The two cannot be compared: see the reasons below."
        return
    yield MEANING[comparison.word]
    named = [name_figure(each.figure) for each in comparison.figures if each.word == comparison.word]
    if named and comparison.word != "same":
        yield f" That is so of: {', '.join(named)}."


def _write_sections(comparison: Comparison, limits: Limits) -> Iterator[Markup]:
    if comparison.figures:
        chart = element("div", draw_shifts(comparison).draw(), class_="charts")
        yield write_section("shifts", "Shifts", chart, _tabulate_figures(comparison))
    if comparison.effect is not None:
        share = datum(format_percent(comparison.effect.b_slower), comparison.effect.b_slower, "/effect/b_slower")
        text = element("p", "A job of B takes longer than one of A in ", share, f" of pairs: {comparison.effect.size}.")
        yield write_section("effect", "Effect", text)
    remarks = (*comparison.reasons, *comparison.notes)
    if remarks or comparison.left_out:
        yield write_section("remarks", "Remarks", _list_remarks(comparison, remarks, limits))


def _list_remarks(comparison: Comparison, remarks: tuple[Remark, ...], limits: Limits) -> Markup:
    items = [
        element("li", element("p", element("code", each.code)), element("p", foreign(each.detail, limits.text)))
        for each in remarks[: limits.rows]
    ]
    items += [
        element("li", element("p", f"{name_figure(each.figure)} is left out: ", foreign(each.why, limits.text)))
        for each in comparison.left_out
    ]
    return element("ol", *items, class_="findings")


def name_figure(name: str) -> str:
    """``response_time.p99`` → ``p99``, as on the chart's axis."""
    return NAMES.get(name, name.removeprefix("response_time."))


def write_shift(figure: str, shift: float) -> str:
    """A relative shift in percent of A, with its sign; that of a ratio in percentage points."""
    # As it is, and not turned so that up is worse: the word beside it says what is good.
    sign = "+" if shift > 0 else "−" if shift < 0 else ""
    return f"{sign}{abs(shift) * 100:.2f} {'points' if figure == ABSOLUTE else '%'}"


def _tabulate_figures(comparison: Comparison) -> Markup:
    rows = [_write_figure(each, comparison.currency, f"/figures/{at}") for at, each in enumerate(comparison.figures)]
    return write_table("Figures", ["figure", "B is", "A", "B", "shift", "interval"], rows, texts=2)


def _write_figure(compared: ComparedFigure, currency: str | None, place: str) -> Row:
    figure = compared.figure
    ends: Markup | str = "–"
    if compared.interval is not None:
        low, high = (
            datum(write_shift(figure, value), value, f"{place}/interval/{end}")
            for end, value in (("low", compared.interval.low), ("high", compared.interval.high))
        )
        ends = join((low, " to ", high))
    return [
        figure.replace("_", " ").replace(".", " "),
        badge(compared.word),
        datum(_write_value(figure, compared.a, currency), compared.a, f"{place}/a"),
        datum(_write_value(figure, compared.b, currency), compared.b, f"{place}/b"),
        datum(write_shift(figure, compared.shift), compared.shift, f"{place}/shift"),
        ends,
    ]


def _write_value(figure: str, value: float, currency: str | None) -> str:
    if "_time" in figure:
        return format_seconds(value)
    if figure == ABSOLUTE:
        return format_percent(value)
    return format_money(value, currency or "") if figure.startswith("cost") else format_number(value, "/s")


def draw_shifts(comparison: Comparison) -> Chart:
    """A row for each figure: its shift as a dot, its interval as a bar, and the tolerance as a stripe behind them all."""
    figures, tolerance = comparison.figures, comparison.tolerance
    shifted = max(3 * tolerance, 1.2 * max(abs(each.shift) for each in figures), 0.01)
    ends = [abs(end) for each in figures if each.interval for end in (each.interval.low, each.interval.high)]
    # All of the intervals, unless one that is far too wide would press the others together.
    reach = max(shifted, min(1.05 * max(ends, default=0.0), 4 * shifted))
    x = Linear(-reach, reach)
    ticks = [(tick, f"{tick * 100:+.4g} %".replace("-", "−") if tick else "0") for tick in x.ticks(7)]
    # Rows are drawn from above in the order of the figures, and an axis counts from below.
    rows = Linear(0.0, float(len(figures)))
    names = [(len(figures) - at - 0.5, name_figure(each.figure)) for at, each in enumerate(figures)]
    plot = Plot(x, rows, ticks, names, ROW * len(figures))
    stripe = _draw_span(plot, -tolerance, tolerance, 0, plot.height, "warmup")
    marks = [part for at, each in enumerate(figures) for part in _draw_shift(each, plot, at)]
    zero = element("line", x1="50%", x2="50%", y1=0, y2=plot.height, class_="axis")
    level = next((each.interval.level for each in figures if each.interval is not None), None)
    of = "" if level is None else f", their {level * 100:.4g} % intervals"
    return Chart(
        "shift-chart",
        "From A to B",
        f"Relative shifts{of}, and the tolerance of ±{tolerance * 100:g} % as a stripe.",
        f"B is {comparison.word}.",
        plot,
        [],
        over=[stripe, zero, *marks],
        data={"shift": [each.shift for each in figures]},
        flush=True,
    )


def _draw_span(plot: Plot, low: float, high: float, y: float, height: float, class_: str) -> Markup:
    left, right = plot.x.place(low) * 100, plot.x.place(high) * 100
    # An interval of nothing is still to be seen.
    width = f"{max(right - left, 0.2):.2f}%"
    return element("rect", x=f"{left:.2f}%", y=y, width=width, height=height, class_=class_)


def _draw_shift(compared: ComparedFigure, plot: Plot, row: int) -> Iterator[Markup]:
    middle = ROW * (row + 0.5)
    if compared.interval is not None:
        low, high = compared.interval.low, compared.interval.high
        yield _draw_span(plot, low, high, middle - 5, 10, f"interval {compared.word}")
    yield element("circle", cx=plot.percent(compared.shift), cy=middle, r=4.5, class_=f"dot {compared.word}")
