"""``python -m benchmarks``: runs the rows, prints their tables, and on a full and quiet run writes them down."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import (
    chat_streams,
    closed_loop,
    comparison,
    http_client,
    http_processes,
    http_scale,
    http_stall,
    machine,
    memory,
    open_loop,
    processes,
    pytest_start,
    report,
    sleeps_at_once,
    virtual_time,
)
from benchmarks.contest import Row, add_before
from benchmarks.side_by_side import Outcome, measure

ROWS = (
    *closed_loop.ROWS,
    *processes.ROWS,
    *sleeps_at_once.ROWS,
    *open_loop.ROWS,
    *http_client.ROWS,
    *http_processes.ROWS,
    *http_stall.ROWS,
    *http_scale.ROWS,
    *chat_streams.ROWS,
    *virtual_time.ROWS,
    *memory.ROWS,
    *comparison.ROWS,
    *pytest_start.ROWS,
)


def main() -> int:
    """Exit code 1 where something asked for was missed."""
    options = _parse_options()
    rows = [row for row in ROWS if not options.rows or row.key in options.rows]
    if options.against:
        rows = [add_before(row, options.against) for row in rows]
    # Before the first trial, since afterwards it would be ours. It is told and kept, not judged: machines differ.
    busy = machine.measure_load()
    _say(f"the machine was {busy:.0%} busy before the start" if busy is not None else "it is unknown how busy this is")
    outcomes = [_measure(row, options.rounds, options.quick) for row in rows]
    described = machine.describe()
    print(report.render_summary(outcomes))
    if options.against:
        print("\n" + report.render_ratios(outcomes))
    if options.results:
        report.write_results(outcomes, described, busy, options.results)
    if options.page:
        report.write_page(report.render_page(outcomes, described, options.rounds))
    return int(any(judgement.met is False for outcome in outcomes for judgement in outcome.judge()))


def _parse_options() -> argparse.Namespace:
    # Not argparse's ``choices``: with them, an empty list of rows is refused as well.
    keys = [row.key for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"which rows; all by default: {', '.join(keys)}")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each row (default 5)")
    parser.add_argument(
        "--quick", action="store_true", help="small tasks, to try the scripts; its figures mean nothing"
    )
    parser.add_argument(
        "--results",
        type=Path,
        nargs="?",
        const=report.RESULTS,
        metavar="FOLDER",
        help="write JSON (benchmarks/results)",
    )
    parser.add_argument(
        "--page", action="store_true", help="put the figures into docs/performance.md: all rows, in full"
    )
    parser.add_argument(
        "--against",
        metavar="FOLDER",
        help="a checkout of another version, whose engine takes part in every round; prints the ratios to it",
    )
    options = parser.parse_args()
    if unknown := set(options.rows) - set(keys):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if options.page and (options.quick or options.rows or options.against):
        parser.error("--page is for a full run: neither --quick, --against nor single rows")
    if options.against and not (Path(options.against) / "aurea_engine").is_dir():
        parser.error(f"{options.against} is no checkout of Aurea")
    return options


def _measure(row: Row, rounds: int, quick: bool) -> Outcome:
    outcome = measure(row, rounds, quick, _say)
    print(f"\n{row.title}\n\n{report.render_details(outcome)}\n")
    for name, why in outcome.absent.items():
        print(f"{name}: {why}")
    # A full run takes a quarter of an hour: each table shows as soon as it is known, through a pipe too.
    sys.stdout.flush()
    return outcome


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
