"""The frame of a chart: its axes, lines, bands and labels, as SVG that is as wide as the page allows.

A picture that is scaled as a whole has letters of four pixels on a phone. So the outer SVG is not scaled: what lies sideways
is given in percent and what lies upright in pixels, and letters keep their size. Curves are in an inner SVG, a thousand
units wide, that is stretched; its strokes are not. Axes are drawn in the outer SVG's padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aurea_engine.report.markup import Markup, element, join
from aurea_engine.report.scales import Scale

UNITS = 1000
"""How wide the inner SVG is."""

LABEL_GAP = 14.0
"""Pixels between the feet of two labels of curves."""

BEFORE, AFTER = 12, 30
"""Pixels of padding above a plot, and below it, where the ticks are."""

Values = Sequence[float | None]


@dataclass(frozen=True)
class Plot:
    """Maps figures to places. ``x_ticks``, ``y_ticks``: (figure, its label), ``height``: pixels."""

    x: Scale
    y: Scale
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    height: int = 190

    def across(self, value: float) -> float:
        """In units of the inner SVG."""
        return self.x.place(value) * UNITS

    def percent(self, value: float) -> str:
        """Of the outer SVG's width."""
        return f"{self.x.place(value) * 100:.2f}%"

    def down(self, value: float) -> float:
        """Pixels from the top."""
        return (1 - self.y.place(value)) * self.height


@dataclass(frozen=True)
class Chart:
    """A chart of the report. ``note``: what is in it and what is not; ``summary``: the same in words for those who cannot
    see it; ``curves``: markup of the inner SVG; ``labels``: (pixels from the top, text, class) at the right end; ``over``:
    markup of the outer SVG, above the curves; ``data``: figures that are drawn, by name; ``flush``: no labels.
    """

    ident: str
    title: str
    note: Markup | str
    summary: str
    plot: Plot
    curves: Sequence[Markup]
    labels: Sequence[tuple[float, str, str]] = ()
    over: Sequence[Markup] = ()
    data: Mapping[str, Iterable[object]] = field(default_factory=dict)
    flush: bool = False

    def draw(self) -> Markup:
        """The chart as a figure of a page."""
        plot, ident = self.plot, self.ident
        # Stretched to whatever width there is, without a script that measures the page.
        inner = element(
            "svg", *self.curves, viewBox=f"0 0 {UNITS} {plot.height}", preserveAspectRatio="none", width="100%",
            height=plot.height, class_="curves",
        )  # fmt: skip
        # An image with a name and a description: screen readers do not read hundreds of coordinates.
        picture = element(
            "svg",
            element("title", self.title, id=f"{ident}-title"),
            element("desc", self.summary, id=f"{ident}-desc"),
            _draw_grid(plot),
            inner,
            *self.over,
            _write_labels(self.labels, plot.height),
            class_="plot flush" if self.flush else "plot",
            height=plot.height + BEFORE + AFTER,
            role="img",
            aria_labelledby=f"{ident}-title {ident}-desc",
            **{f"data-{name}": " ".join(map(_write, values)) for name, values in self.data.items()},
        )
        caption = element("figcaption", element("h3", self.title), element("p", self.note))
        return element("figure", caption, picture, id=ident, class_="chart")


def _write(value: object) -> str:
    return "-" if value is None else str(value)


def _draw_grid(plot: Plot) -> Markup:
    marks = []
    for value, label in plot.y_ticks:
        y = plot.down(value)
        marks.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
        marks.append(element("text", label, x="-8", y=y + 4, class_="tick end"))
    marks.append(element("line", x1="0", x2="100%", y1=plot.height, y2=plot.height, class_="axis"))
    for position, (value, label) in enumerate(plot.x_ticks):
        # Every other one is left out on a phone.
        narrow = " spare" if position % 2 else ""
        x = plot.percent(value)
        marks.append(element("line", x1=x, x2=x, y1=plot.height, y2=plot.height + 5, class_="axis"))
        marks.append(element("text", label, x=x, y=plot.height + 19, class_=f"tick middle{narrow}"))
    return element("g", *marks, aria_hidden="true")


def _write_labels(labels: Sequence[tuple[float, str, str]], height: int) -> Markup:
    """The names of curves at their right ends, moved apart where they would lie on each other."""
    placed, least = [], -LABEL_GAP
    # Of two at one height the later one comes first: quantiles are given from the lowest.
    order = sorted(range(len(labels)), key=lambda position: (labels[position][0], -position))
    for y, text, class_ in (labels[position] for position in order):
        least = max(y, least + LABEL_GAP)
        placed.append((least, text, class_))
    # What was pushed out at the bottom pushes the others up again.
    most = float(height)
    for position in range(len(placed) - 1, -1, -1):
        y, text, class_ = placed[position]
        placed[position] = (min(y, most), text, class_)
        most = placed[position][0] - LABEL_GAP
    return join(write_label(text, "100%", y + 4, class_, 8) for y, text, class_ in placed)


def write_label(text: str, x: str, y: float, class_: str, dx: int = 0) -> Markup:
    """Text in a plot, with a rim of the paper's colour: it can be read on whatever lies beneath."""
    return element("text", text, x=x, y=y, dx=dx or None, class_=f"label {class_}", paint_order="stroke")


def trace_line(plot: Plot, xs: Sequence[float], values: Values, class_: str) -> Markup:
    """A curve. A value that is None leaves a gap, and one between two gaps is a dot."""
    # Pieces of a line are not bridged over a gap: nothing was measured there.
    pieces, pen = [], "M"
    for position, (x, value) in enumerate(zip(xs, values, strict=True)):
        if value is None:
            pen = "M"
            continue
        pieces.append(f"{pen}{plot.across(x):.1f} {plot.down(value):.1f}")
        last = position + 1 == len(xs) or values[position + 1] is None
        # A line of no length is drawn by its round ends.
        if pen == "M" and last:
            pieces.append("h.01")
        pen = "L"
    if not pieces:
        return Markup()
    return element("path", d="".join(pieces), class_=f"curve {class_}", vector_effect="non-scaling-stroke")


def trace_band(plot: Plot, xs: Sequence[float], lows: Values, highs: Values, class_: str) -> Markup:
    """The area between two curves, in as many pieces as there are gaps."""
    pieces, run = [], list[tuple[float, float, float]]()
    for x, low, high in [*zip(xs, lows, highs, strict=True), (0.0, None, None)]:
        if low is not None and high is not None:
            run.append((plot.across(x), plot.down(low), plot.down(high)))
            continue
        if len(run) > 1:
            there = "L".join(f"{x:.1f} {high:.1f}" for x, _, high in run)
            back = "L".join(f"{x:.1f} {low:.1f}" for x, low, _ in reversed(run))
            pieces.append(f"M{there}L{back}Z")
        run = []
    return element("path", d="".join(pieces), class_=f"band {class_}") if pieces else Markup()


def rule_across(plot: Plot, value: float, text: str, class_: str = "objective") -> Markup:
    """A horizontal line at ``value`` with what it means written above it; nothing if it lies outside."""
    # At an edge it would be taken for a figure that is just reached.
    if not plot.y.low <= value <= plot.y.high:
        return Markup()
    y = plot.down(value)
    # Beneath the line where there is no room above it.
    above = y - 5 if y > 14 else y + 14
    return join(
        (
            element("line", x1="0", x2="100%", y1=y, y2=y, class_=f"rule {class_}"),
            write_label(text, "4", above, class_),
        )
    )


def label_ticks(ticks: Iterable[float], write: Callable[[float], str]) -> list[tuple[float, str]]:
    return [(tick, write(tick)) for tick in ticks]
