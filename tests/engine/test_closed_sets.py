"""The closed sets beside what they stand for: the catalog's classes, the units that models bill, the fields of a result."""

from __future__ import annotations

import dataclasses

from aurea_engine import Counts, Free, PerJob, default_catalog
from aurea_engine.closed_sets import (
    BILLED_UNITS,
    BUILT_IN_KINDS,
    FINDING_CODES,
    OBJECTIVE_OUTCOMES,
    OUTCOMES,
    REASONS,
    STATES,
    STATUSES,
    USUAL_REASON,
    VERDICTS,
    ExitCode,
    Reason,
    ServeExitCode,
    Severity,
)
from aurea_engine.costs import shipped_sheet, shipped_sheets


def test_kinds_are_those_of_the_catalog() -> None:
    """A new kind has to be listed, or a label would fold it into "other" and nobody would notice."""
    kinds = default_catalog().kinds
    assert {group: tuple(sorted(known)) for group, known in kinds.items()} == BUILT_IN_KINDS


def test_outcomes_are_the_counts_of_a_result() -> None:
    """Each outcome has its own counter, and ``arrived`` is their sum."""
    assert {field.name for field in dataclasses.fields(Counts)} == {"arrived", *OUTCOMES}


def test_units_of_sheets_and_models_are_listed() -> None:
    """A unit that is billed and not listed would be counted under "other"."""
    units = {price.unit for name in shipped_sheets() for price in shipped_sheet(name).prices}
    units |= {component.unit for model in (Free(), PerJob("1")) for component in model.components()}
    assert units <= set(BILLED_UNITS)


def test_severities_lead_to_verdicts() -> None:
    """The number of a severity is the place of its verdict."""
    assert [VERDICTS[severity] for severity in Severity] == ["valid", "degraded", "invalid"]


def test_every_status_but_completed_has_a_reason() -> None:
    """A run that completed needs no reason; every other end has one, with a meaning."""
    assert set(USUAL_REASON) == set(STATUSES) - {"completed"}
    assert set(USUAL_REASON.values()) <= set(REASONS)
    assert Reason.usual("completed") is None
    assert Reason.usual("aborted") == Reason("objective_lost", REASONS["objective_lost"])


def test_words_are_fit_for_labels() -> None:
    """Lower case ASCII words with underscores: fit for labels, file names and URLs as they are."""
    for word in (*STATES, *OUTCOMES, *VERDICTS, *OBJECTIVE_OUTCOMES, *REASONS, *FINDING_CODES):
        assert word.replace("_", "").isalpha(), word
        assert word.isascii()
        assert word == word.lower()


def test_exit_codes_are_those_published() -> None:
    """Scripts depend on the numbers: they never change."""
    assert {code.name: code.value for code in ExitCode} == {
        "MET": 0, "FAILED": 1, "BAD_INPUT": 2, "MISSED": 3, "NOT_DECIDED": 6,
    }  # fmt: skip
    assert {code.name: code.value for code in ServeExitCode} == {
        "STOPPED": 0, "UNSAFE": 2, "CANNOT_BIND": 3, "LEDGER_UNUSABLE": 4, "LEDGER_NEWER": 5, "INTERNAL": 70,
    }  # fmt: skip
