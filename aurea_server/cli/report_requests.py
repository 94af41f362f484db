"""The lines of a run's report about requests to a target: statuses, failures, the floor."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from aurea_engine import Floor, RunResult
from aurea_engine.fields.hosts import join_host_port
from aurea_server.cli.histogram_chart import HistogramChart
from aurea_server.cli.number_format import format_number, format_seconds, make_printable


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


def explain_failures(result: RunResult) -> str:
    """What stands behind the failures where the target was never there; nothing where some of it answered, or is unknown."""
    targets = {leaf.reach().targets for leaf in result.spec.workload.job.leaves()}
    sent = result.measures.get("bytes_sent")
    # Where something was sent it was there, for a time at least, or led elsewhere.
    if len(targets) != 1 or len(result.failures) != 1 or sent is None or sent.total:
        return ""
    [reached], [failure] = targets, result.failures
    if len(reached) != 1:
        return ""
    [(host, port)] = reached
    if failure == "refused":
        return make_printable(f": nothing listened at {join_host_port(host, port)}")
    return make_printable(f": no address was found for {host}") if failure == "dns" else ""


def describe_floor(floor: Floor) -> Text:
    """What the same client reached against a target that answers at once. Its response times are a row of the times."""
    users = "" if floor.users is None else f" with {floor.users:,} {'user' if floor.users == 1 else 'users'}"
    line = Text(f"{format_number(floor.throughput, ' jobs/s')} at most{users}")
    if floor.service_time.count:
        line.append(f", and {format_seconds(floor.service_time.mean)} at least")
    return line.append(", against a null target")
