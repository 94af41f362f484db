"""``aurea selftest``: the known answers on the user's own machine, and what that machine can carry."""

from __future__ import annotations

import asyncio

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aurea_engine import loop_factory
from aurea_engine.selftest import Check, Machine, machine, real_checks, virtual_checks
from aurea_server.terminal import number, seconds


def selftest() -> int:
    """Check known answers in virtual and in real time, and measure this machine. Exit code 1 if one is wrong."""
    console = Console()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        with Console(stderr=True).status("virtual time: schedules and queues with known answers"):
            checks = list(virtual_checks())
        with Console(stderr=True).status("real time: sleeps, and what this machine can do"):
            checks += runner.run(real_checks())
            found = runner.run(machine())
    console.print(_checks(checks))
    console.print(_machine(found))
    wrong = [check for check in checks if not check.passed]
    passed = len(checks) - len(wrong)
    console.print(f"{passed} of {len(checks)} known answers came out right.", style="red" if wrong else "green")
    return 1 if wrong else 0


def _checks(checks: list[Check]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", "known answer", "expected", "measured", "tolerance", "source"):
        table.add_column(name, justify="right" if name in ("expected", "measured", "tolerance") else "left")
    for check in checks:
        mark = Text("✓", "green") if check.passed else Text("✗", "bold red")
        figures = (f"{check.expected:.6g}", f"{check.measured:.6g}", f"± {check.tolerance:.2g}" if check.tolerance else "exact")
        table.add_row(mark, check.name, *figures, Text(check.source, "dim"))
    return table


def _machine(found: Machine) -> Table:
    table = Table(box=None, padding=(1, 2, 0, 0), show_header=False)
    table.add_row("event loop", found.loop)
    table.add_row("clock resolution", seconds(found.clock_resolution))
    table.add_row("timer error", f"{seconds(found.timer_error_median)} median, {seconds(found.timer_error_worst)} worst")
    table.add_row("dispatch floor", f"{seconds(found.dispatch_floor)} a job")
    table.add_row("highest honest rate", f"{number(found.highest_honest_rate)} jobs/s (p99 lag within 1 ms)")
    return table
