"""The figures of language models that the line of a run shows: p99 of the first token, tokens per second, and money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aurea_engine import Progress
from aurea_server.cli.number_format import format_money, format_number, format_seconds, make_printable


def list_tokens(first_token_p99: float | None, output_tokens: int | None, elapsed: float) -> list[str]:
    """What is known of both; nothing of runs whose jobs report none."""
    figures = [] if first_token_p99 is None else [f"first token p99 {format_seconds(first_token_p99)}"]
    if output_tokens is None or not elapsed:
        return figures
    return [*figures, format_number(output_tokens / elapsed, " tok/s")]


def list_tokens_of(progress: Progress) -> list[str]:
    """Of a run in this process."""
    meters = progress.meters
    first = meters.reported.get("first_token")
    p99 = first.quantile(0.99) if first is not None and first.count else None
    return list_tokens(p99, meters.totals.get("output_tokens"), progress.elapsed)


def list_tokens_there(data: Mapping[str, Any]) -> list[str]:
    """Of a run on a server, from the event of its progress: and what it has cost. An older server says nothing of either."""
    so_far = data.get("so_far") or {}
    figures = list_tokens(so_far.get("first_token_p99"), so_far.get("output_tokens"), data["elapsed"])
    if figures and data.get("cost") is not None:
        figures.append(format_money(data["cost"], make_printable(str(so_far.get("currency", "USD")))))
    return figures
