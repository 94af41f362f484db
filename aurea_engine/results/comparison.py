"""What a comparison of two runs answers: a word for each figure, and one for the whole."""

from __future__ import annotations

from dataclasses import dataclass

from aurea_engine.closed_sets import COMPARISON_REMARKS, ComparisonWord


@dataclass(frozen=True)
class Remark:
    """``code`` is one of `COMPARISON_REMARKS`; ``detail`` says it of these two runs."""

    code: str
    detail: str

    def __post_init__(self) -> None:
        # The set is closed, as that of findings is: programs tell remarks apart by their codes.
        assert self.code in COMPARISON_REMARKS, self.code


@dataclass(frozen=True)
class ShiftInterval:
    """How far a shift may be from the observed one, at confidence ``level``; the correction for many figures is in it."""

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class ComparedFigure:
    """One figure of both runs. ``shift`` is (b − a) ÷ a, and b − a of the failure ratio, with its sign as it is: more
    throughput is a positive shift. ``interval`` is None where nothing tells how far it may be off.
    """

    figure: str
    a: float
    b: float
    shift: float
    interval: ShiftInterval | None
    word: ComparisonWord


@dataclass(frozen=True)
class LeftOut:
    """A figure that is not compared, and why."""

    figure: str
    why: str


@dataclass(frozen=True)
class Effect:
    """The effect size: how likely a job of B takes longer than one of A, a tie being half.

    It is ½ where nothing has changed (Vargha and Delaney 2000). ``size`` is their word for it: negligible, small (from 0.56,
    or down to 0.44), medium (0.64), large (0.71).
    """

    b_slower: float
    size: str

    @classmethod
    def of(cls, b_slower: float) -> Effect:
        """The effect with its word."""
        distance = abs(b_slower - 0.5)
        sizes = {0.21: "large", 0.14: "medium", 0.06: "small"}
        return cls(b_slower, next((word for least, word in sizes.items() if distance >= least), "negligible"))


@dataclass(frozen=True)
class Comparison:
    """Run B against run A. ``tolerance``: the shift, relative to A, up to which a figure counts as the same.

    ``comparable`` is False where the two measure different things, whatever they show; ``reasons`` say why, and what else
    is not decided. ``notes`` say what differs and where intervals come from. ``names`` are the ids of both runs.
    """

    word: ComparisonWord
    comparable: bool
    reasons: tuple[Remark, ...]
    notes: tuple[Remark, ...]
    tolerance: float
    names: tuple[str, str]
    figures: tuple[ComparedFigure, ...]
    left_out: tuple[LeftOut, ...] = ()
    effect: Effect | None = None
    currency: str | None = None

    def figure(self, name: str) -> ComparedFigure | None:
        """The figure of this name; None if it is left out."""
        return next((each for each in self.figures if each.figure == name), None)
