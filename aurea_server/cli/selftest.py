"""``aurea selftest``: known answers checked on the user's own machine, and what that machine can do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from itertools import groupby

from rich.console import Console
from rich.text import Text

from aurea_engine import loop_factory
from aurea_engine.closed_sets import ExitCode
from aurea_engine.testing.selftest import (
    LOWEST_RATE,
    Check,
    Machine,
    measure_machine,
    run_real_checks,
    run_virtual_checks,
)
from aurea_server.cli.number_format import format_digits, format_number, format_seconds
from aurea_server.cli.signals import handle_signals
from aurea_server.cli.tables import Column, Table, show


def selftest() -> int:
    """Check known answers in virtual and in real time, and measure this machine. Exit code 1 if one is wrong."""
    # It hides the cursor while it waits, so a signal has to bring it back. In a file it does nothing, also with FORCE_COLOR.
    waiting = Console(stderr=True, force_terminal=None if sys.stderr.isatty() else False)
    with handle_signals(last=waiting.show_cursor), asyncio.Runner(loop_factory=loop_factory()) as runner:
        # Virtual time first: it takes a second, and where it is wrong the machine need not be measured.
        with waiting.status("virtual time: schedules and queues with known answers"):
            checks = list(run_virtual_checks())
        with waiting.status("real time: sleeps, and what this machine can do"):
            checks += runner.run(run_real_checks())
            found = runner.run(measure_machine())
    show(tabulate_checks(checks), "", tabulate_machine(found))
    wrong = [check for check in checks if not check.passed]
    verdict = f"{len(checks) - len(wrong)} of {len(checks)} known answers came out right."
    show("", Text(verdict, "bold red" if wrong else "green"))
    return ExitCode.FAILED if wrong else ExitCode.MET


def tabulate_checks(checks: Iterable[Check]) -> Table:
    """One line for each check, beneath the source of its answer: it fits on 80 columns."""
    table = Table(Column(), Column("known answer", prose=True), Column("measured", right=True), Column("allowed"))
    for source, group in groupby(checks, key=lambda check: check.source):
        table.add_line(Text(f"   {source}", "dim"))
        for check in group:
            mark = Text("✓", "green") if check.passed else Text("✗", "bold red")
            table.add_row(mark, check.name, f"{check.measured:.4g}", describe_allowed(check))
    return table


def describe_allowed(check: Check) -> str:
    """Between what the figure must be: one number where nothing but rounding may lie between."""
    # Virtual time gives the exact answer: an interval of nothing but rounding would only puzzle.
    if check.tolerance <= 1e-9 * abs(check.expected):
        return f"{check.expected:g}"
    low, high = check.expected - check.tolerance, check.expected + check.tolerance
    return f"{format_digits(low)} to {format_digits(high)}"


def tabulate_machine(found: Machine) -> Table:
    """What this machine can do."""
    table = Table(Column(), Column(prose=True))
    for label, figure in (
        ("event loop", found.loop),
        ("clock resolution", format_seconds(found.clock_resolution)),
        (
            "timer error",
            f"{format_seconds(found.timer_error_median)} median, {format_seconds(found.timer_error_worst)} worst",
        ),
        ("dispatch floor", f"{format_seconds(found.dispatch_floor)} a job"),
        (
            "highest honest rate",
            f"{format_number(found.highest_honest_rate)} jobs/s (99 % of them released within 1 ms)"
            if found.highest_honest_rate
            else f"none: even at {format_number(LOWEST_RATE)} jobs/s, fewer than 99 % were released within 1 ms",
        ),
    ):
        table.add_row(Text(label, "dim"), figure)
    return table
