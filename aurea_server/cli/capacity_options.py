"""Options of ``aurea capacity``: what is varied and within which bounds, and what is changed of the specification."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, NamedTuple

from cyclopts import Parameter

from aurea_engine import (
    Catalog,
    CostModel,
    NotSimulable,
    Problem,
    RunSpec,
    SpecError,
    parse_rate,
    simulate,
    spec_from_dict,
)
from aurea_engine.closed_sets import CapacityVariable
from aurea_engine.codec.specifications import cost_to_dict
from aurea_engine.shards.split import Sharding, count_cores, count_processes
from aurea_engine.studies.capacity_checks import check_length
from aurea_engine.studies.search_plan import SearchLimits
from aurea_server.cli.objective_option import parse_objective
from aurea_server.cli.reprice import name_model, read_model
from aurea_server.cli.run_options import parse_quantity, parse_whole

MOST_TRIALS = SearchLimits().trials


class Search(NamedTuple):
    """What is searched: the variable, its bounds, or the one value to verify."""

    variable: CapacityVariable
    low: float | None = None
    high: float | None = None
    require: float | None = None


@Parameter(name="*")
@dataclass(frozen=True)
class SearchOptions:
    """What to search for, and how."""

    rate: str | None = None
    "Search the largest rate within LOW..HIGH, such as 100..2000/s; either end may be missing. One rate: the slots' rate."

    slots: str | None = None
    "Search the fewest slots within LOW..HIGH, such as 1..64, at the rate of the file. One number: search the rate on it."

    require: str | None = None
    "Only verify that the objectives hold at this rate, such as 500/s, and search for no other."

    objective: Annotated[list[str], Parameter(negative=())] = field(default_factory=list)
    "What must hold, such as 'p99 <= 100ms', in place of the file's objectives. Give it more than once for several."

    cost: Annotated[list[str], Parameter(negative=())] = field(default_factory=list)
    "A cost model beside the file's, as for aurea reprice. Give it more than once to compare."

    confirm: str | None = None
    "With real: verify what was found in virtual time on the real clock, too."

    real: Annotated[bool, Parameter(negative=())] = False
    "Search on the real clock also where jobs can be simulated."

    seed: int | None = None
    "Seed of all trials."

    processes: str | None = None
    "So many trials at once in virtual time, in as many processes; one for each core if not given. For real: shards of each."

    trial_jobs: Annotated[int | None, Parameter(converter=parse_whole)] = None
    "The most jobs in one trial; 1,000,000 if not given."

    trials: Annotated[int, Parameter(converter=parse_whole)] = MOST_TRIALS
    "The most trials; a search that has not ended by then is undecided."

    def read_search(self) -> Search:
        """What is searched. Raises SpecError."""
        if self.confirm not in (None, "real"):
            raise SpecError([Problem("--confirm", "must be real", ascii(self.confirm)[:40])])
        counts = {"--trials": self.trials, "--trial-jobs": self.trial_jobs}
        if few := [
            Problem(name, "must be at least 1", str(n)) for name, n in counts.items() if n is not None and n < 1
        ]:
            raise SpecError(few)
        rates, slots = _parse_range(self.rate, "--rate"), _parse_range(self.slots, "--slots")
        if rates is not None and slots is not None:
            raise SpecError([Problem("--slots", "and --rate cannot both be ranges: one is searched at a time")])
        variable: CapacityVariable = "rate" if slots is None else "slots"
        if self.require is None:
            return Search(variable, *(rates or slots or (None, None)))
        if rates is not None or slots is not None:
            raise SpecError([Problem("--require", "is one value to verify: leave out LOW..HIGH")])
        return Search("rate", require=_parse_number(self.require, "--require"))

    def read_models(self, catalog: Catalog) -> dict[str, CostModel]:
        """The cost models, by their kind or the name of their file; numbered from the second of a name on."""
        models: dict[str, CostModel] = {}
        for text in self.cost:
            base = name_model(text, 0).partition(": ")[2]
            numbered = (base, *(f"{base}_{i}" for i in range(2, len(self.cost) + 1)))
            models[next(name for name in numbered if name not in models)] = read_model(text, catalog)
        return models

    def count_processes(self, spec: RunSpec, written: Sharding | None) -> int:
        """Processes for the trials of ``spec``; ``written``: what the file says. Raises SpecError."""
        if self.processes is not None:
            text = self.processes
            try:
                return count_processes(int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text)
            except SpecError as error:
                raise SpecError([problem._replace(path="--processes") for problem in error.problems]) from None
        if written is not None and not written.is_auto:
            return written.processes
        return count_cores() if spec.clock == "virtual" else 1

    def apply(self, data: Any) -> Any:
        """``data``, a specification, with the one rate, the slots and the objectives that were given. Raises SpecError."""
        if not isinstance(data, dict):
            return data
        if self.objective:
            data = {**data, "objectives": [parse_objective(each) for each in self.objective]}
        if self.slots is not None and ".." not in self.slots:
            data = {**data, "scheduler": {**_find_object(data, "scheduler"), "slots": _parse_slots(self.slots)}}
        if self.rate is not None and ".." not in self.rate:
            workload = _find_object(data, "workload")
            arrivals = {**_find_object(workload, "arrivals"), "rate": parse_quantity(self.rate)}
            data = {**data, "workload": {**workload, "arrivals": arrivals}}
        return data

    def make_document(self, data: Any, search: Search, catalog: Catalog) -> Any:
        """The body of a search on a server: ``data`` and the members of the search. Raises SpecError."""
        here = {"--processes": self.processes, "--trial-jobs": self.trial_jobs, "--trials": self.trials != MOST_TRIALS}
        text = "goes with a search on this machine: leave out --server"
        if problems := [Problem(name, text) for name, given in here.items() if given]:
            raise SpecError(problems)
        data = self.apply(data)
        if not isinstance(data, dict):
            return data  # the server says what is wrong with it
        # A file may name what only the server has; then the clock is as the file says.
        with suppress(SpecError):
            data = {**data, "clock": self.make_spec(data, catalog).clock}
        if self.seed is not None:
            data = {**data, "seed": self.seed}
        costs = {name: cost_to_dict(model, catalog) for name, model in self.read_models(catalog).items()}
        members = {**search._asdict(), "confirm": self.confirm == "real", "costs": costs}
        return {**data, **{name: value for name, value in members.items() if value not in (None, False, {})}}

    def make_spec(self, data: Any, catalog: Catalog) -> RunSpec:
        """The specification, in virtual time where its jobs can be simulated. Raises SpecError."""
        spec = spec_from_dict(data, catalog)
        if self.seed is not None:
            spec = replace(spec, seed=self.seed)
        asked = isinstance(data, dict) and "clock" in data
        self._check_length(spec)
        if self.real:
            return replace(spec, clock="real")
        return spec if asked or not _can_be_simulated(spec) else replace(spec, clock="virtual")

    def _check_length(self, spec: RunSpec) -> None:
        """Raises SpecError, by the option's name, if trials are too short for an objective."""
        if problems := [problem._replace(path="--trial-jobs") for problem in check_length(spec, self.trial_jobs)]:
            raise SpecError(problems)


def _can_be_simulated(spec: RunSpec) -> bool:
    """Whether every job says beforehand how long it takes."""
    try:
        # The plan of one job asks all of its strategies.
        simulate(replace(spec, workload=replace(spec.workload, jobs=1), objectives=(), warmup=0.0))
    except NotSimulable:
        return False
    return True


def _parse_slots(text: str) -> object:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text


def _find_object(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _parse_range(text: str | None, flag: str) -> tuple[float | None, float | None] | None:
    """LOW..HIGH, either of which may be missing; None where ``text`` is one value, or nothing was given."""
    if text is None or ".." not in text:
        return None
    low, _, high = (part.strip() for part in text.partition(".."))
    if not low and not high:
        raise SpecError(
            [Problem(flag, "needs LOW, HIGH, or both around the dots, such as 100..2000", ascii(text)[:40])]
        )
    # A unit behind HIGH is meant for both: 100..2000/s.
    unit = high[high.index("/") :] if "/" in high and "/" not in low else ""
    ends = (f"{low}{unit}" if low else "", high)
    return tuple(_parse_number(each, flag) if each else None for each in ends)  # type: ignore[return-value]


def _parse_number(text: str, flag: str) -> float:
    rate = parse_rate(text)
    try:
        return float(text) if rate is None else float(rate)
    except ValueError:
        raise SpecError([Problem(flag, "must be a number, or a rate such as 500/s", ascii(text)[:40])]) from None
