"""Is the new release slower? Two pairs of runs: one program twice, and one that works 10 % longer. Run it with python.

With the name of a file it also draws the picture of docs/compare.md: python compare_two_runs.py compare.svg
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path

from aurea_engine import Comparison, Fifo, LogNormal, Poisson, RunResult, RunSpec, Sleep, Workload, compare, simulate

SPEC = RunSpec(Workload(Sleep(LogNormal(0.06, 1)), Poisson(40), jobs=40_000), Fifo(slots=4), warmup=10)
COLORS = {"worse": "#b91c1c", "better": "#15803d", "same": "#15803d", "inconclusive": "#a16207"}
PANEL, ROW, LEFT, TOP = 330, 26, 170, 64
LOW, HIGH = -0.15, 0.45


def measure(seed: int, mean: float = 0.06) -> RunResult:
    """A run of 40,000 thumbnails, each of which takes ``mean`` seconds of work on average."""
    return simulate(replace(SPEC, workload=replace(SPEC.workload, job=Sleep(LogNormal(mean, 1))), seed=seed))


def main() -> None:
    last_week = measure(1)
    pairs = {
        "the same program again": compare(last_week, measure(2)),
        "10 % more work for each": compare(last_week, measure(2, 0.066)),
    }
    for title, comparison in pairs.items():
        print(f"{title}: {comparison.word}")
        for each in comparison.figures:
            interval = each.interval
            bounds = "" if interval is None else f"{interval.low:+7.1%} … {interval.high:+7.1%}"
            print(f"  {each.figure:20} {each.shift:+7.1%}  {bounds}  {each.word}")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(draw(pairs), "utf-8")


def draw(pairs: dict[str, Comparison]) -> str:
    """The intervals of every figure, side by side; the tolerance is a grey band."""
    rows = max(len(comparison.figures) for comparison in pairs.values())
    width, height = LEFT + PANEL * len(pairs) + 20, TOP + ROW * rows + 48
    style = 'font-family="system-ui, sans-serif" font-size="13" fill="#334155"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style} role="img">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for panel, (title, comparison) in enumerate(pairs.items()):
        parts += draw_panel(LEFT + PANEL * panel, title, comparison, height, names=panel == 0)
    return "\n".join([*parts, "</svg>\n"])


def draw_panel(left: float, title: str, comparison: Comparison, height: float, *, names: bool) -> Iterator[str]:
    bottom = height - 40

    def place(shift: float) -> float:
        return left + (PANEL - 20) * (min(max(shift, LOW), HIGH) - LOW) / (HIGH - LOW)

    low, high = place(-comparison.tolerance), place(comparison.tolerance)
    yield f'<text x="{left}" y="24" font-weight="600">{escape(title)}</text>'
    yield f'<text x="{left}" y="44" fill="{COLORS[comparison.word]}" font-weight="600">{comparison.word}</text>'
    yield f'<rect x="{low:.1f}" y="{TOP - 8}" width="{high - low:.1f}" height="{bottom - TOP + 8}" fill="#e2e8f0"/>'
    for percent in range(-10, 50, 10):
        x = place(percent / 100)
        yield f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}" stroke="#cbd5e1"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{percent} %</text>'
    for row, each in enumerate(comparison.figures):
        y, color = TOP + ROW * row + 10, COLORS[each.word]
        if names:
            name = escape(each.figure.replace("_", " ").replace(".", " "))
            yield f'<text x="{left - 12}" y="{y + 4}" text-anchor="end">{name}</text>'
        if each.interval is not None:
            begin, end = place(each.interval.low), place(each.interval.high)
            yield f'<line x1="{begin:.1f}" y1="{y}" x2="{end:.1f}" y2="{y}" stroke="{color}" stroke-width="3"/>'
        yield f'<circle cx="{place(each.shift):.1f}" cy="{y}" r="4.5" fill="{color}"/>'


if __name__ == "__main__":
    main()
