"""How figures are written for people, and the colours of judgements in a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from aurea_engine.closed_sets import ObjectiveOutcome, Verdict
from aurea_engine.report.number_format import (
    format_amount,
    format_digits,
    format_money,
    format_number,
    format_percent,
    format_seconds,
    name_unit,
)

__all__ = [
    "OUTCOME_STYLE",
    "SEVERITY_STYLE",
    "VERDICT_STYLE",
    "format_amount",
    "format_digits",
    "format_money",
    "format_number",
    "format_percent",
    "format_seconds",
    "make_printable",
    "name_unit",
]

VERDICT_STYLE: Mapping[Verdict, str] = {"valid": "bold green", "degraded": "bold yellow", "invalid": "bold red"}
OUTCOME_STYLE: Mapping[ObjectiveOutcome, str] = {"met": "green", "missed": "bold red", "inconclusive": "yellow"}
SEVERITY_STYLE = {"NOTE": "dim", "DEGRADED": "yellow", "INVALID": "bold red"}


def make_printable(text: str) -> str:
    """``text`` without what would move a cursor or change a colour."""
    return "".join(character if character.isprintable() else "?" for character in text)
