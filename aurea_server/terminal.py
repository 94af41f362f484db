"""What a person sees: a live line while a run is on, and a table of what came of it."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, Progress as Bar, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from aurea_engine import Observer, Progress, RunResult, RunSpec, Timing

VERDICT_STYLE = {"valid": "bold green", "degraded": "bold yellow", "invalid": "bold red"}
OUTCOME_STYLE = {"met": "green", "missed": "bold red", "inconclusive": "yellow"}
SEVERITY_MARK = {"NOTE": ("·", "dim"), "DEGRADED": ("!", "yellow"), "INVALID": ("✗", "bold red")}


def seconds(value: float | None) -> str:
    """A time to three or four digits, with its unit."""
    if value is None:
        return "–"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.4g} {unit}"
    return f"{value / 1e-9:.3g} ns" if value else "0 s"


def number(value: float | None, unit: str = "") -> str:
    """A count or a rate: whole when it is large, four digits when it is small."""
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:,.4g}"
    return f"{text}{unit}"


def money(value: float | None, currency: str) -> str:
    """An amount that can be read: never in powers of ten."""
    if value is None:
        return "unpriced"
    if value == 0:
        return f"0 {currency}"
    places = 2 if abs(value) >= 100 else 4 if abs(value) >= 0.01 else 8
    text = f"{value:,.{places}f}"
    if float(text.replace(",", "")) == 0:
        text = f"{value * 1e6:,.4g}"
        return f"{text} {currency} per million"
    return f"{text} {currency}"


class LiveLine(Observer):
    """A progress bar on stderr with rate, p99, cost so far and the time left."""

    def __init__(self, console: Console) -> None:
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=28),
            _Share(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            transient=True,
            refresh_per_second=4,
        )
        self._task = self._bar.add_task("running", total=None, figures="")
        self._currency = "USD"

    def __enter__(self) -> LiveLine:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def on_start(self, spec: RunSpec) -> None:
        self._currency = spec.cost.currency
        self._bar.update(self._task, description=spec.label or "running")

    def on_progress(self, progress: Progress) -> None:
        parts = [f"{number(progress.throughput, '/s')}", f"p99 {seconds(progress.p99)}"]
        if progress.cost is not None:
            parts.append(money(float(progress.cost), self._currency))
        if progress.time_left is not None:
            parts.append(f"{progress.time_left:.0f} s left")
        share = progress.fraction_done
        self._bar.update(
            self._task,
            total=None if share is None else 1.0,
            completed=0.0 if share is None else share,
            figures="  ".join(parts),
        )


class _Share(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{task.percentage:3.0f} %")


def report(result: RunResult) -> RenderableType:
    """Everything a person wants to know of a result, on one screen."""
    parts: list[RenderableType] = [_headline(result), _times(result), _load(result)]
    if result.objectives:
        parts.append(_objectives(result))
    if result.theory:
        parts.append(_theory(result))
    if result.findings:
        parts.append(_findings(result))
    title = f"[bold]{result.spec.label or result.benchmark_id}[/]"
    return Panel(Group(*parts), title=title, title_align="left", border_style="dim", expand=False)


def _headline(result: RunResult) -> Text:
    line = Text()
    line.append(result.verdict, VERDICT_STYLE[result.verdict])
    total = None if result.cost.total is None else float(result.cost.total)
    line.append(f"   {number(result.throughput, ' jobs/s')}", "bold")
    line.append(f"   {money(total, result.cost.currency)}", "bold")
    per = result.cost.per_success
    if per is not None:
        line.append(f"   {money(float(per * 1_000_000), result.cost.currency)} per million jobs")
    if result.status != "completed":
        line.append(f"   {result.status}", "bold yellow")
    return line


def _times(result: RunResult) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"):
        table.add_column(name, justify="left" if not name else "right")
    rows: list[tuple[str, Timing]] = [
        ("response time", result.response_time),
        ("  waiting", result.waiting_time),
        ("  service", result.service_time),
    ]
    if result.failure_time.count:
        rows.append(("failures", result.failure_time))
    if result.spec.clock == "real" and result.spec.workload.arrivals.ends != "with jobs":
        rows.append(("lag", result.lag))
    for name, timing in rows:
        figures = (timing.mean, timing.p50, timing.p90, timing.p95, timing.p99, timing.p999, timing.max)
        style = "bold" if name == "response time" else ""
        table.add_row(Text(name, style), *(Text(seconds(figure), style) for figure in figures))
    return table


def _load(result: RunResult) -> Text:
    counts = result.counts
    parts = [f"{counts.arrived:,} jobs in {seconds(result.duration)}"]
    for name in ("failed", "timed_out", "rejected", "cancelled"):
        if amount := getattr(counts, name):
            parts.append(f"{amount:,} {name.replace('_', ' ')}")
    if result.offered_rate is not None:
        parts.append(f"offered {number(result.offered_rate, '/s')}")
    if result.utilization is not None:
        parts.append(f"utilization {result.utilization:.1%}")
    parts.append(f"concurrency {number(result.concurrency.mean)} mean, {result.concurrency.peak:,} peak")
    parts.append(f"seed {result.spec.seed}")
    return Text("\n" + "   ".join(parts), "dim")


def _objectives(result: RunResult) -> Table:
    table = Table(box=None, pad_edge=False, padding=(1, 2, 0, 0), show_header=False)
    for judged in result.objectives:
        mark = Text(judged.outcome, OUTCOME_STYLE[judged.outcome])
        table.add_row(Text(str(judged.objective)), mark, Text(judged.detail, "dim"))
    return table


def _theory(result: RunResult) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name, justify in ((f"\n{result.theory[0].model}", "left"), ("\ntheory", "right"), ("\nmeasured", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("\nstandard errors off", justify="right")
    for row in result.theory:
        show = seconds if "_time" in row.figure else number
        off = "" if row.z is None else f"{row.z:+.1f}"
        table.add_row(row.figure.replace("_", " ").replace(".", " "), show(row.expected), show(row.measured), off)
    return table


def _findings(result: RunResult) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_header=False)
    table.add_row("", "")
    for finding in result.findings:
        mark, style = SEVERITY_MARK[finding.severity.name]
        table.add_row(Text(mark, style), Text(f"{finding.code}: {finding.detail}. {finding.advice}", style))
    return table
