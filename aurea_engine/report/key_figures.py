"""The first figures of a report: what was run, in a sentence, and what it came to."""

from __future__ import annotations

from collections.abc import Iterator

from aurea_engine.report.bill import MILLION, write_money
from aurea_engine.report.markup import Markup, datum, element, join
from aurea_engine.report.number_format import format_number, format_percent, format_seconds
from aurea_engine.results.result import RunResult

Tile = tuple[str, Markup, Markup | str]
"""(what, the figure, what else there is to say)."""


def describe_run(result: RunResult) -> str:
    """What was run, in a sentence."""
    counts, spec = result.counts, result.spec
    slots = (
        ""
        if spec.scheduler.slots is None
        else f" on {spec.scheduler.slots:,} slot{'s' if spec.scheduler.slots > 1 else ''}"
    )
    time = "in virtual time" if spec.clock == "virtual" else "in real time"
    return f"{counts.arrived:,} job{'' if counts.arrived == 1 else 's'}{slots} in {format_seconds(result.duration)}, {time}."


def list_key_figures(result: RunResult) -> Markup:
    """Throughput, response time, jobs and cost."""
    tiles = [
        element("div", element("dt", what), element("dd", figure, class_="large"), element("dd", more, class_="more"))
        for what, figure, more in _list_tiles(result)
    ]
    return element("dl", *tiles, class_="key-figures")


def _list_tiles(result: RunResult) -> Iterator[Tile]:
    yield (
        "Throughput",
        datum(format_number(result.throughput, " /s"), result.throughput, "/throughput"),
        _offered(result),
    )
    yield _tell_response_time(result)
    yield _tell_jobs(result)
    if result.utilization is not None:
        mean = result.concurrency.mean
        more = join((datum(format_number(mean), mean, "/concurrency/mean"), " in service on average"))
        yield "Utilization", datum(format_percent(result.utilization), result.utilization, "/utilization"), more
    else:
        mean, peak = result.concurrency.mean, result.concurrency.peak
        more = join((datum(format_number(peak), peak, "/concurrency/peak"), " at most"))
        yield "In service on average", datum(format_number(mean), mean, "/concurrency/mean"), more
    yield _tell_cost(result)


def _offered(result: RunResult) -> Markup:
    offered = join((datum(format_number(result.offered_rate, " /s"), result.offered_rate, "/offered_rate"), " offered"))
    # Without an objective on single jobs every completed job is good, and goodput would repeat the throughput.
    if not any(objective.quantile is not None for objective in result.spec.objectives):
        return offered
    return join((offered, ", goodput ", datum(format_number(result.goodput, " /s"), result.goodput, "/goodput")))


def _tell_response_time(result: RunResult) -> Tile:
    """By the finest of these quantiles that the jobs support."""
    # A quantile that too few jobs support is none, and a dash is no figure to begin with.
    times = result.response_time
    name = next((each for each in ("p99", "p95", "p90", "p50") if times.quantile(each) is not None), "max")
    value = times.quantile(name)
    label = "greatest" if name == "max" else name
    more = [("p50", "p50"), ("mean", "mean")] if name not in ("p50", "max") else [("mean", "mean")]
    rest = [
        part
        for word, each in more
        for part in (
            f"{word} ",
            datum(format_seconds(times.quantile(each)), times.quantile(each), f"/response_time/{each}"),
            ", ",
        )
    ]
    return f"Response time, {label}", datum(format_seconds(value), value, f"/response_time/{name}"), join(rest[:-1])


def _tell_jobs(result: RunResult) -> Tile:
    counts = result.counts
    others = [name for name in ("failed", "timed_out", "rejected", "abandoned", "cancelled") if getattr(counts, name)]
    parts: list[Markup | str] = ["of ", datum(f"{counts.arrived:,}", counts.arrived, "/counts/arrived")]
    for name in others:
        amount = getattr(counts, name)
        parts += [", ", datum(f"{amount:,}", amount, f"/counts/{name}"), f" {name.replace('_', ' ')}"]
    return "Jobs completed", datum(f"{counts.completed:,}", counts.completed, "/counts/completed"), join(parts)


def _tell_cost(result: RunResult) -> Tile:
    cost, written = result.cost, result.cost.to_dict()
    total = datum(write_money(cost.total, cost.currency), written["total"], "/cost/total")
    # Of a run in which nothing completed there is a total, and nothing to divide it by.
    if cost.per_success is None:
        return "Cost", total, ""
    million = datum(write_money(cost.per_success * MILLION, cost.currency), written["per_success"], "/cost/per_success")
    return "Cost", total, join((million, " per million completed"))
