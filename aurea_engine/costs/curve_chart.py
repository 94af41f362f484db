"""The cost curve as a plain SVG: cost per million jobs over the rate, one line for each model, crossings marked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from aurea_engine.costs.projection import BreakEven, CurvePoint

WIDTH, HEIGHT = 860, 480
STYLE = 'font-family="system-ui, sans-serif" font-size="12" fill="#334155"'
LEFT, RIGHT, TOP, BOTTOM = 80, 200, 48, 56
# Dark enough for white paper. With more than eight curves they start again, so the legend also names each curve.
COLORS = ("#0b6e99", "#c2410c", "#4d7c0f", "#7e22ce", "#b91c1c", "#0f766e", "#a16207", "#334155")


@dataclass(frozen=True)
class _Axes:
    """Maps figures to the picture. Rates are on a logarithmic axis, costs on a linear one that begins at 0."""

    low: float
    high: float
    top: float

    def x(self, rate: float) -> float:
        # One rate only has no span, and everything is drawn at the left edge.
        span = math.log(self.high / self.low) or 1.0
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(rate / self.low) / span

    def y(self, cost: float) -> float:
        return place_upright(cost, self.top)

    def grid(self, currency: str) -> Iterator[str]:
        # The small number keeps a bound that is itself a power of ten inside the range, whatever log10 rounds to.
        powers = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
        ticks = [(self.x(10.0**power), f"{10.0**power:,.10g}") for power in powers]
        return draw_grid(self.top, ticks, "arrivals per second", f"{currency} per million jobs")


def place_upright(value: float, top: float) -> float:
    """Where ``value`` lies on a linear axis that begins at 0 and ends at ``top``."""
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def draw_grid(top: float, ticks: Iterable[tuple[float, str]], across: str, upright: str) -> Iterator[str]:
    """The lines behind a picture, with what they stand for. ``ticks``: (place, label) of the axis that lies ``across``."""
    step = choose_step(top)
    for i in range(int(top / step + 1e-9) + 1):
        y = place_upright(i * step, top)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#e2e8f0"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{i * step:,.10g}</text>'
    for x, label in ticks:
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#e2e8f0"/>'
        yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle:.1f}" y="{HEIGHT - 14}" text-anchor="middle">{escape(across)}</text>'
    yield f'<text x="{LEFT}" y="{TOP - 10}" text-anchor="middle">{escape(upright)}</text>'


def choose_step(top: float) -> float:
    """A round step (1, 2 or 5 × 10ⁿ) of which about five fit into ``top``."""
    power = 10.0 ** math.floor(math.log10(top / 5))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= top / 5 - 1e-12)


def curve_svg(
    curves: Mapping[str, Sequence[CurvePoint]],
    crossings: Sequence[BreakEven] = (),
    currency: str = "USD",
    title: str = "Cost per million jobs",
) -> str:
    """The picture as an SVG document. Points without a price leave a gap. A model without any is named in the legend."""
    # Without any price there is still a picture, with axes from 1 to 10 and a legend that says which models are unpriced.
    points = [point for curve in curves.values() for point in curve if point.per_million is not None]
    rates = [float(point.rate) for point in points] or [1.0, 10.0]
    costs = [float(point.per_million or 0) for point in points]
    axes = _Axes(min(rates), max(*rates, min(rates) * 1.01), (max(costs, default=0.0) or 1.0) * 1.08)
    body = [*axes.grid(currency), *_draw_curves(curves, axes), *_draw_crossings(crossings, axes)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" {STYLE}>',
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            f'<text x="{LEFT}" y="20" font-size="15" font-weight="600">{escape(title)}</text>',
            *body,
            "</svg>\n",
        ]
    )


def _draw_curves(curves: Mapping[str, Sequence[CurvePoint]], axes: _Axes) -> Iterator[str]:
    for i, (name, curve) in enumerate(curves.items()):
        color = COLORS[i % len(COLORS)]
        # After a gap the pen moves without drawing, so a missing price is never bridged by a line.
        pieces: list[str] = []
        pen = "M"
        for point in curve:
            if point.per_million is None:
                pen = "M"
                continue
            pieces.append(f"{pen}{axes.x(float(point.rate)):.1f} {axes.y(float(point.per_million)):.1f}")
            pen = "L"
        y = TOP + 16 + 20 * i
        label = name if pieces else f"{name} (unpriced)"
        if pieces:
            yield f'<path d="{"".join(pieces)}" fill="none" stroke="{color}" stroke-width="2"/>'
        x = WIDTH - RIGHT + 12
        yield f'<line x1="{x}" y1="{y}" x2="{x + 22}" y2="{y}" stroke="{color}" stroke-width="3"/>'
        yield f'<text x="{x + 28}" y="{y + 4}">{escape(label[:24])}</text>'


def _draw_crossings(crossings: Sequence[BreakEven], axes: _Axes) -> Iterator[str]:
    for crossing in crossings:
        if axes.low <= crossing.rate <= axes.high:
            x = axes.x(float(crossing.rate))
            dashed = 'stroke="#64748b" stroke-dasharray="4 4"'
            yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" {dashed}/>'
            yield f'<text x="{x + 4:.1f}" y="{TOP + 12}">{float(crossing.rate):,.4g}/s</text>'
