"""The lines of a run's report about requests to a target: statuses, failures, the floor."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from aurea_engine import Floor, RunResult
from aurea_server.cli.histogram_chart import HistogramChart
from aurea_server.cli.number_format import format_number, format_seconds


def sends_requests(result: RunResult) -> bool:
    """Whether its jobs were requests to a target: then the spread of times is looked at first, as other tools show it."""
    status = result.spec.workload.schema.measure("status")
    return status is not None and status.unit == "code" and result.response_time.count > 0


def has_times(result: RunResult) -> bool:
    """Whether there are response times to draw a chart of: of one job it would be one bar."""
    histogram = result.histograms.get("response_time")
    return histogram is not None and histogram.count > 1


def chart_response_times(result: RunResult) -> RenderableType:
    """The histogram of response times; nothing where the result was read from a file without one."""
    histogram = result.histograms.get("response_time")
    return Text() if histogram is None or not histogram.count else HistogramChart(histogram)


def describe_floor(floor: Floor) -> Text:
    """What the same client reached against a target that answers at once. Its response times are a row of the times."""
    users = "" if floor.users is None else f" with {floor.users:,} {'user' if floor.users == 1 else 'users'}"
    line = Text(f"{format_number(floor.throughput, ' jobs/s')} at most{users}")
    if floor.service_time.count:
        line.append(f", and {format_seconds(floor.service_time.mean)} at least")
    return line.append(", against a null target")
