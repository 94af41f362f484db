"""The figures of language models that the line of a run shows: p99 of the first token, and tokens per second."""

from __future__ import annotations

from aurea_engine import Progress
from aurea_server.cli.number_format import format_number, format_seconds


def list_tokens(first_token_p99: float | None, output_tokens: int | None, elapsed: float) -> list[str]:
    """What is known of both; nothing of runs whose jobs report none."""
    figures = [] if first_token_p99 is None else [f"first token p99 {format_seconds(first_token_p99)}"]
    if output_tokens is None or not elapsed:
        return figures
    return [*figures, format_number(output_tokens / elapsed, " tokens/s")]


def list_tokens_of(progress: Progress) -> list[str]:
    """The same of a run in this process."""
    meters = progress.meters
    first = meters.reported.get("first_token")
    p99 = first.quantile(0.99) if first is not None and first.count else None
    return list_tokens(p99, meters.totals.get("output_tokens"), progress.elapsed)
