"""How each process of a run fared, as a table of its report."""

from __future__ import annotations

from rich.text import Text

from aurea_engine import RunResult, ShardResult
from aurea_server.cli.number_format import format_number, format_percent, format_seconds, make_printable
from aurea_server.cli.tables import LABEL_WIDTH, Column, Table

NUMBERS = ("jobs", "late", "worst lag", "CPU", "busy")


def tabulate_shards(result: RunResult) -> Table:
    """A line for each: where it ran, what it released and how late, and how busy it was."""
    numbers = (Column(head, right=True) for head in NUMBERS)
    table = Table(Column("shard", least=LABEL_WIDTH), *numbers, Column("process", prose=True))
    for shard in result.shards:
        table.add_row(_name(shard), *_list_numbers(shard), f"{shard.process} on {make_printable(shard.host) or '–'}")
    return table


def _name(shard: ShardResult) -> Text:
    if shard.loss is None:
        return Text(f"{shard.shard}")
    return Text(f"{shard.shard}, lost", "bold red")


def _list_numbers(shard: ShardResult) -> list[str]:
    return [
        format_number(shard.jobs),
        "–" if shard.late_share is None else format_percent(shard.late_share),
        format_seconds(shard.worst_lag),
        format_seconds(shard.cpu),
        format_percent(shard.busy),
    ]
