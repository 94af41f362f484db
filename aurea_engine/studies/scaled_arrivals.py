"""The same arrivals at another rate: twice as many a second, or so many."""

from __future__ import annotations

import re
from numbers import Real

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.units import RATE
from aurea_engine.workload.arrivals import Arrivals, Ramp, Stages
from aurea_engine.workload.recorded import Trace

_FACTOR = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)x", re.ASCII)
FORM = 'must be a factor such as "2x", or jobs per second such as 320 or "320/s"'


def find_factor(arrivals: Arrivals, rate: float | str) -> float:
    """By what the rates of ``arrivals`` have to be multiplied. ``rate``: jobs per second on average, text such as
    ``"500/s"``, or a factor such as ``"2x"``. Raises `SpecError`.
    """
    # All at once, or whenever a user is free: neither knows a rate.
    if arrivals.ends == "with jobs" or type(arrivals).think_times is not Arrivals.think_times:
        raise SpecError([Problem("rate", "goes with open arrivals, and these come when others end, or all at once")])
    if isinstance(rate, str) and (found := _FACTOR.fullmatch(rate)):
        return _check(float(found[1]), rate)
    wanted = RATE.read(rate) if isinstance(rate, str) else rate
    if isinstance(wanted, bool) or not isinstance(wanted, Real):
        raise SpecError([Problem("rate", FORM, ascii(rate)[:40])])
    asked = find_mean_rate(arrivals)
    if asked is None:
        known = 'must be a factor such as "2x": the rate of these arrivals is not known'
        raise SpecError([Problem("rate", known, str(rate))])
    return _check(float(wanted) / asked, str(rate))


def _check(factor: float, written: str) -> float:
    # "not <" and not ">=": NaN compares as False with everything.
    if not 0 < factor < 1e9:
        raise SpecError([Problem("rate", "must be greater than 0, and no billion times the recorded one", written)])
    return factor


def find_mean_rate(arrivals: Arrivals) -> float | None:
    """Jobs per second, over the whole process where it ends by itself; None if nobody knows."""
    if isinstance(arrivals, Ramp):
        return (arrivals.start + arrivals.end) / 2
    if isinstance(arrivals, Stages):
        return sum(sum(stage.slope) / 2 * stage.duration for stage in arrivals.stages) / arrivals.span()
    return arrivals.asked_rate()


def scale_arrivals(arrivals: Arrivals, factor: float) -> Arrivals:
    """``arrivals`` at ``factor`` times their rate. Raises `SpecError` for a kind that cannot be had at another one."""
    if isinstance(arrivals, Trace):
        # The instants of a file are in the value already: it is not read again, and need not be there any more.
        at = arrivals.at if arrivals.at is not None else tuple((arrivals.recorded_ns / 1e9).tolist())
        return Trace(at=tuple(float(instant) / factor for instant in at))
    rate = find_mean_rate(arrivals)
    scaled = None if rate is None else arrivals.at_rate(rate * factor)
    if scaled is None:
        name = type(arrivals).__name__
        raise SpecError([Problem("rate", f"goes with arrivals that can be had at another rate, and {name} cannot")])
    return scaled
