"""The same arrivals at another rate: twice as many a second, or so many."""

from __future__ import annotations

import re
from dataclasses import replace

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.units import RATE
from aurea_engine.workload.arrivals import Arrivals, Constant, Gamma, Poisson, Ramp, Sine, Stage, Stages
from aurea_engine.workload.recorded import Trace

_FACTOR = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)x", re.ASCII)
FORM = 'must be a factor such as "2x", or jobs per second such as 320 or "320/s"'


def find_factor(arrivals: Arrivals, rate: float | str) -> float:
    """By what the rates of ``arrivals`` have to be multiplied. ``rate``: jobs per second, text such as ``"500/s"``, or a
    factor such as ``"2x"``. Raises `SpecError`.
    """
    # All at once, or whenever a user is free: neither knows a rate.
    if arrivals.ends == "with jobs" or type(arrivals).think_times is not Arrivals.think_times:
        raise SpecError([Problem("rate", "goes with open arrivals, and these come when others end, or all at once")])
    if isinstance(rate, str) and (found := _FACTOR.fullmatch(rate)):
        return _check(float(found[1]), rate)
    asked = arrivals.asked_rate()
    if asked is None:
        raise SpecError(
            [Problem("rate", 'must be a factor such as "2x": these arrivals have no single rate', str(rate))]
        )
    wanted = RATE.read(rate) if isinstance(rate, str) else rate
    if wanted is None or isinstance(wanted, bool):
        raise SpecError([Problem("rate", FORM, ascii(rate)[:40])])
    return _check(float(wanted) / asked, str(rate))


def _check(factor: float, written: str) -> float:
    # "not >" and not "<=": NaN compares as False with everything.
    if not 0 < factor < 1e9:
        raise SpecError([Problem("rate", "must be greater than 0, and no billion times the recorded one", written)])
    return factor


def scale_arrivals(arrivals: Arrivals, factor: float) -> Arrivals:
    """``arrivals`` at ``factor`` times their rate. Raises `SpecError` for a kind of which nothing is known but its name."""
    if isinstance(arrivals, (Constant, Poisson, Gamma)):
        return replace(arrivals, rate=arrivals.rate * factor)
    if isinstance(arrivals, Ramp):
        return replace(arrivals, start=arrivals.start * factor, end=arrivals.end * factor)
    if isinstance(arrivals, Sine):
        return replace(arrivals, mean=arrivals.mean * factor, amplitude=arrivals.amplitude * factor)
    if isinstance(arrivals, Stages):
        return Stages(tuple(_scale_stage(stage, factor) for stage in arrivals.stages))
    if isinstance(arrivals, Trace):
        # The instants of a file are in the value already: it is not read again, and need not be there any more.
        at = arrivals.at if arrivals.at is not None else tuple((arrivals.recorded_ns / 1e9).tolist())
        return Trace(at=tuple(float(instant) / factor for instant in at))
    name = type(arrivals).__name__
    raise SpecError([Problem("rate", f"goes with the built-in open arrivals, and nothing is known of {name}")])


def _scale_stage(stage: Stage, factor: float) -> Stage:
    rate, start, end = (None if each is None else each * factor for each in (stage.rate, stage.start, stage.end))
    return Stage(stage.duration, rate, start, end)
