"""Comparisons of two runs ↔ JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aurea_engine.closed_sets import COMPARED_FIGURES, COMPARISON_REMARKS, ComparisonWord
from aurea_engine.codec.figure_reading import Text
from aurea_engine.codec.member_reading import Members
from aurea_engine.errors import Problem, SpecError
from aurea_engine.results.comparison import (
    ComparedFigure,
    Comparison,
    Effect,
    LeftOut,
    Remark,
    ShiftInterval,
)


def comparison_to_dict(comparison: Comparison) -> dict[str, Any]:
    """``comparison`` as JSON values: what ``aurea compare --json`` prints. No NaN or Infinity is in it."""
    return {
        "word": comparison.word,
        "comparable": comparison.comparable,
        "reasons": [asdict(each) for each in comparison.reasons],
        "notes": [asdict(each) for each in comparison.notes],
        "tolerance": comparison.tolerance,
        "a": comparison.names[0],
        "b": comparison.names[1],
        "figures": [asdict(each) for each in comparison.figures],
        "left_out": [asdict(each) for each in comparison.left_out],
        "effect": None if comparison.effect is None else asdict(comparison.effect),
        "currency": comparison.currency,
    }


def comparison_from_dict(data: object) -> Comparison:
    """The comparison that `comparison_to_dict` wrote as ``data``. Raises `SpecError` with every problem."""
    problems: list[Problem] = []
    members = Members(data, "", problems)
    if problems:
        raise SpecError(problems)
    effect = members.read_object("effect")
    comparison = Comparison(
        word=members.require("word", ComparisonWord),
        comparable=members.require("comparable", bool),
        reasons=_read_remarks(members, "reasons"),
        notes=_read_remarks(members, "notes"),
        tolerance=members.require("tolerance", float),
        names=(members.require("a", Text), members.require("b", Text)),
        figures=tuple(_read_figure(each) for each in members.read_objects("figures")),
        left_out=tuple(each.fill(LeftOut) for each in members.read_objects("left_out")),
        effect=None if members.data.get("effect") is None else effect.fill(Effect),
        currency=members.read("currency", Text | None),
    )
    if problems:
        raise SpecError(problems)
    return comparison


def _read_remarks(members: Members, name: str) -> tuple[Remark, ...]:
    found = []
    for each in members.read_objects(name):
        code = each.require("code", str)
        if code in COMPARISON_REMARKS:
            found.append(Remark(code, each.read("detail", Text, "")))
        else:
            each.report("code", f"must be one of {', '.join(COMPARISON_REMARKS)}")
    return tuple(found)


def _read_figure(members: Members) -> ComparedFigure:
    if members.require("figure", str) not in COMPARED_FIGURES:
        members.report("figure", f"must be one of {', '.join(COMPARED_FIGURES)}")
    interval = members.read_object("interval")
    return ComparedFigure(
        members.read("figure", str),
        members.require("a", float),
        members.require("b", float),
        members.require("shift", float),
        None if members.data.get("interval") is None else interval.fill(ShiftInterval),
        members.require("word", ComparisonWord),
    )
