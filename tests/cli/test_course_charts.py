"""The charts of a run that goes on: what they draw, against arithmetic by hand, and that they fit."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from aurea_engine import LatencyHistogram
from aurea_server.cli.course import MOST_POINTS, Course, NewValues
from aurea_server.cli.course_charts import TIMES, VALUES, draw_bars, draw_charts, round_up
from aurea_server.cli.painter import Painter

PLAIN = Painter(Console(file=io.StringIO(), color_system=None))


def course_of(*reports: tuple[float, int, float | None], planned: float | None = None) -> Course:
    course = Course(planned)
    for report in reports:
        course.add(*report)
    return course


def test_a_point_is_what_came_since_the_last() -> None:
    """Ten jobs in the first second, thirty in the next two: rates of 10 and 15 on an axis of four seconds."""
    rates, p99 = course_of((1, 10, 0.1), (3, 40, 0.3)).cut(4.0, 4)
    assert rates == [10.0, 15.0, 15.0, None]
    assert p99 == [0.1, 0.3, 0.3, None]


def test_a_stretch_joins_its_points() -> None:
    """The rate of several points is their mean by time, and the p99 the highest: no peak is lost."""
    course = course_of((1, 10, 0.1), (2, 20, 0.9), (3, 50, None), (4, 60, 0.2))
    rates, p99 = course.cut(8.0, 2)
    assert (rates, p99) == ([15.0, None], [0.9, None])
    rates, p99 = course.cut(12.0, 2)  # two thirds of the first stretch have passed
    assert (rates, p99) == ([15.0, None], [0.9, None])


def test_a_late_report_makes_no_peak() -> None:
    """The last report comes a millisecond after another, with five jobs: 5,000 jobs per second never were."""
    rates, p99 = course_of((1, 10, 0.1), (2, 20, 0.1), (2.001, 25, 0.4)).cut(2.001, 2)
    assert rates[1] is not None
    assert rates[1] < 16
    assert p99[1] == 0.4


def test_what_is_taken_back_is_no_negative_rate() -> None:
    """A lost shard takes its jobs with it, and an instant may be reported twice."""
    rates, _ = course_of((1, 10, None), (2, 5, None), (2, 9, None), (3, 15, None)).cut(3.0, 3)
    assert rates == [10.0, 0.0, 10.0]


def test_a_week_of_reports_takes_no_more_memory() -> None:
    """Points are joined in pairs, and every job stays counted."""
    course = Course()
    for i in range(1, 20_001):
        course.add(i / 2, i * 3, 0.5 if i == 7 else 0.1)
    assert len(course.points) <= MOST_POINTS
    assert sum(point.completed for point in course.points) == 60_000
    rates, p99 = course.cut(10_000, 10)
    # Where a stretch ends inside a point, half a point's jobs may count for its neighbour.
    assert rates == pytest.approx([6.0] * 10, rel=0.01)
    assert p99 == [0.5] + [0.1] * 9


def test_p99_is_of_new_values_alone() -> None:
    """Against numpy on the values themselves, within a bucket of the histogram."""
    rng = np.random.default_rng(3)
    histogram, new = LatencyHistogram(), NewValues()
    assert new.take_p99(histogram) is None
    for mean in (1e6, 5e8, 1e3, 2e7):
        values = rng.exponential(mean, 1000).astype(np.int64)
        histogram.record(values)
        found = new.take_p99(histogram)
        assert found == pytest.approx(np.quantile(values, 0.99, method="inverted_cdf") / 1e9, rel=0.005)
        assert new.take_p99(histogram) is None


def test_p99_of_a_histogram_that_lost_values() -> None:
    """Where a shard is lost, the sum of those that are left has less than before: no figure, and no error."""
    more, less, new = LatencyHistogram(), LatencyHistogram(), NewValues()
    more.record(np.full(100, 1_000_000))
    more.record(np.full(100, 0))
    less.record(np.full(50, 1_000_000))
    less.record(np.full(5, 3_000_000))
    new.take_p99(more)
    assert new.take_p99(less) == pytest.approx(0.003, rel=0.005)
    assert new.take_p99(LatencyHistogram()) is None


@pytest.mark.parametrize(
    ("value", "steps", "top"),
    [(1, TIMES, 1), (1.01, TIMES, 2), (14, TIMES, 20), (0.3 / 0.1, TIMES, 3), (240, VALUES, 250)],
)
def test_axes_end_at_round_numbers(value: float, steps: tuple[float, ...], top: float) -> None:
    assert round_up(value, steps) == pytest.approx(top)


def test_bars_are_as_high_as_their_values() -> None:
    """In eighths of a cell from the bottom; what is not nothing is not drawn as nothing, and no figure is blank."""
    assert draw_bars([0.0, 1e-9, 4.0, 8.0, None, 2.5], 8.0, 2) == ["   █  ", " ▁██ ▅"]
    assert draw_bars([0.0, None], 0.0, 2) == ["  ", "  "]


def blocks(lines: list[str]) -> bool:
    return any(set(line) & set("▁▂▃▄▅▆▇█") for line in lines)


@pytest.mark.parametrize("columns", [60, 61, 80, 100, 151, 400])
@pytest.mark.parametrize("rows", [12, 23, 24, 200])
@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e6, 1e9])
def test_charts_fit_whatever_the_figures(columns: int, rows: int, scale: float) -> None:
    """All in the room that there is, the line above them too, with labels whole, from nanoseconds to years."""
    course = course_of(*((i * scale, i * 1000, i * scale / 9) for i in range(1, 30)))
    lines = draw_charts(course, columns, rows, PLAIN)
    assert len(lines) < rows
    assert max(map(cell_len, lines)) < columns
    assert blocks(lines)
    assert not any("nan" in line.lower() or "inf" in line.lower() for line in lines)
    assert lines[-1].count("0 s") >= 2


@pytest.mark.parametrize(("columns", "rows"), [(59, 50), (200, 11), (0, 0), (1, 1)])
def test_no_charts_without_room(columns: int, rows: int) -> None:
    assert draw_charts(course_of((1, 10, 0.1), (2, 20, 0.1)), columns, rows, PLAIN) == []


def test_a_run_of_one_report_has_no_course() -> None:
    assert draw_charts(course_of((1, 10, 0.1)), 100, 30, PLAIN) == []


def test_nothing_completed_is_an_empty_chart() -> None:
    """A target that answers nothing: no rate, no p99, no division by nothing."""
    lines = draw_charts(course_of((1, 0, None), (2, 0, None), (3, 0, 0.0)), 100, 30, PLAIN)
    assert not blocks(lines)
    assert lines[-2].split()[0] == "0"


def test_the_axis_ends_where_the_run_does() -> None:
    """If that is known; else at a round number, and never before ten seconds of real time."""
    reports = [(1.0, 10, 0.1), (2.0, 20, 0.1), (3.0, 30, 0.1)]
    for planned, said in ((14.0, "14 s"), (None, "10 s"), (2.5, "10 s")):
        assert draw_charts(course_of(*reports, planned=planned), 100, 30, PLAIN)[-1].endswith(said)
    assert draw_charts(course_of((1e-3, 1, 0.1), (2e-3, 2, 0.1)), 100, 30, PLAIN)[-1].endswith("2.00 ms")
    assert math.isclose(course_of(*reports).elapsed, 3.0)
