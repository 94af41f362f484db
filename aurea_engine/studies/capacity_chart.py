"""A capacity search as one SVG: time against money above, and below it what a million good jobs cost at other rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from html import escape

from aurea_engine.costs import CurvePoint, curve_svg
from aurea_engine.costs.curve_chart import (
    COLORS,
    HEIGHT,
    LEFT,
    RIGHT,
    STYLE,
    TOP,
    WIDTH,
    choose_step,
    draw_grid,
    place_upright,
)
from aurea_engine.results.capacity import CapacityAnswer, FrontierPoint

GREY = "#cbd5e1"


def capacity_svg(answer: CapacityAnswer) -> str:
    """The picture as an SVG document: the frontier, and the curves where a value was verified."""
    panels = [_frontier_panel(answer)]
    if answer.curves:
        panels.append(_curve_panel(answer))
    height = HEIGHT * len(panels)
    title = f"Capacity: {describe_capacity(answer)}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" {STYLE}>',
            f"<title>{escape(title)}</title>",
            *(_place(panel, HEIGHT * i) for i, panel in enumerate(panels)),
            "</svg>\n",
        ]
    )


def describe_capacity(answer: CapacityAnswer) -> str:
    """The answer in a few words, such as ``53.5 jobs/s``."""
    if answer.value is None:
        return answer.status.replace("_", " ")
    unit = "jobs/s" if answer.variable == "rate" else "slots"
    bound = {"at_least": "at least ", "at_most": "at most "}.get(answer.status, "")
    return f"{bound}{answer.value:,.5g} {unit}"


def _place(panel: str, y: int) -> str:
    # A panel is a picture of its own, moved down by where it stands.
    return f'<svg y="{y}" width="{WIDTH}" height="{HEIGHT}">\n{panel}</svg>'


def _curve_panel(answer: CapacityAnswer) -> str:
    curves = {
        line.model: [CurvePoint(Fraction(f"{rate:.9g}"), None, money, None) for rate, money in line.points]
        for line in answer.curves
    }
    title = "What a million good jobs cost at other rates, served by as many such systems as it takes"
    return curve_svg(curves, (), answer.priced_in, title)


class _Axes:
    """Maps figures to the picture; both axes are linear and begin at 0."""

    def __init__(self, points: Sequence[tuple[FrontierPoint, float, float]]) -> None:
        self.right = max((p99 for _, p99, _ in points), default=1.0) * 1.05 or 1.0
        self.top = max((money for _, _, money in points), default=1.0) * 1.08 or 1.0

    def x(self, p99: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * p99 / self.right

    def y(self, money: float) -> float:
        return place_upright(money, self.top)

    def grid(self, currency: str) -> Iterator[str]:
        step = choose_step(self.right)
        seconds = [i * step for i in range(int(self.right / step + 1e-9) + 1)]
        ticks = [(self.x(each), f"{each * 1000:,.10g}") for each in seconds]
        return draw_grid(self.top, ticks, "p99 response time, ms", f"{currency} per million good")


def _frontier_panel(answer: CapacityAnswer) -> str:
    # Far above the capacity the p99 is only as long as the trial was: it would press all else into a corner.
    drawn = [
        (point, point.p99, float(point.per_million_good))
        for point in answer.frontier
        if point.p99 is not None and point.per_million_good is not None
    ]
    passed = [p99 for point, p99, _ in drawn if point.passed]
    most = 3 * max(passed) if passed else float("inf")
    drawn = [each for each in drawn if each[1] <= most]
    axes, names = _Axes(drawn), list(dict.fromkeys(point.model for point in answer.frontier))
    colors = {name: COLORS[i % len(COLORS)] for i, name in enumerate(names)}
    title = "Time against money: each tried value (grey: another is better in both; hollow: it failed)"
    return "\n".join(
        [
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            f'<text x="{LEFT}" y="20" font-size="15" font-weight="600">{escape(title)}</text>',
            *axes.grid(answer.priced_in),
            # Grey ones first, so that none hides one that matters.
            *(_draw_point(each, axes, colors) for each in sorted(drawn, key=lambda each: not each[0].dominated)),
            *_label_answer(answer, drawn, axes),
            *_draw_legend(colors),
            "",
        ]
    )


def _draw_point(drawn: tuple[FrontierPoint, float, float], axes: _Axes, colors: Mapping[str, str]) -> str:
    point, p99, money = drawn
    color = GREY if point.dominated else colors[point.model]
    fill = color if point.passed else "#ffffff"
    place = f'cx="{axes.x(p99):.1f}" cy="{axes.y(money):.1f}"'
    label = f"{point.model}, {point.value:,.5g}: p99 {p99 * 1000:,.4g} ms, {money:,.4g}"
    return f'<circle {place} r="4.5" fill="{fill}" stroke="{color}" stroke-width="2"><title>{escape(label)}</title></circle>'


def _label_answer(
    answer: CapacityAnswer, drawn: Sequence[tuple[FrontierPoint, float, float]], axes: _Axes
) -> Iterator[str]:
    for point, p99, money in drawn:
        if point.value == answer.value:
            text = f"{point.value:,.5g}{'/s' if answer.variable == 'rate' else ' slots'}"
            yield f'<text x="{axes.x(p99) + 9:.1f}" y="{axes.y(money) - 7:.1f}" font-weight="600">{text}</text>'


def _draw_legend(colors: Mapping[str, str]) -> Iterator[str]:
    for i, (name, color) in enumerate(colors.items()):
        x, y = WIDTH - RIGHT + 20, TOP + 16 + 20 * i
        yield f'<circle cx="{x}" cy="{y}" r="4.5" fill="{color}"/>'
        yield f'<text x="{x + 14}" y="{y + 4}">{escape(name[:24])}</text>'
