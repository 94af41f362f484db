"""Which ``kind`` in JSON means which strategy. A catalog is an immutable value: importing a module registers nothing.

Third-party strategies come in by `Catalog.add`, or by entry points of the groups ``aurea.jobs``, ``aurea.arrivals``,
``aurea.schedulers``, ``aurea.cost_models`` and ``aurea.distributions`` when a program's edge asks for them with
`Catalog.with_entry_points`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from aurea_engine.closed_sets import BUILT_IN_KINDS
from aurea_engine.costs import KINDS, CostModel
from aurea_engine.errors import SpecError, StrategyError
from aurea_engine.targets.chat.job import Chat
from aurea_engine.targets.http.flow import Flow
from aurea_engine.targets.http.job import Http
from aurea_engine.workload import arrivals, combinations, distributions, jobs, recorded, schedulers
from aurea_engine.workload.arrivals import Arrivals
from aurea_engine.workload.distributions import Distribution
from aurea_engine.workload.jobs import JobSource
from aurea_engine.workload.schedulers import Scheduler

log = logging.getLogger(__name__)

RECORDED = "recorded"
"""The kind of job that stands in the specification of a what-if's answer. It is in no catalog: service times of thousands of
jobs are no specification, so the answer is asked for again with ``aurea what-if``, and not run.
"""

GROUPS: Mapping[str, type] = MappingProxyType(
    {
        "jobs": JobSource,
        "arrivals": Arrivals,
        "schedulers": Scheduler,
        "cost_models": CostModel,
        "distributions": Distribution,
    }
)
"""Name of a group of kinds → the contract that its classes fulfil."""


@dataclass(frozen=True)
class Catalog:
    """``kinds[group][kind]`` is a class."""

    kinds: Mapping[str, Mapping[str, type]]

    def add(self, group: str, kind: str, strategy: type) -> Catalog:
        """A catalog that also knows ``kind``. Raises SpecError for a name that is taken or a class of another group."""
        if group not in GROUPS:
            raise SpecError(f"there is no group {group!r}: one of {', '.join(GROUPS)}")
        if not (isinstance(strategy, type) and issubclass(strategy, GROUPS[group])):
            raise SpecError(f"{kind!r} must be a class that derives from {GROUPS[group].__name__}, not {strategy!r}")
        if kind in self.kinds[group]:
            raise SpecError(f"the kind {kind!r} is taken by {self.kinds[group][kind].__qualname__}: use another name")
        # Frozen inside too: a catalog is handed to every reader of a process, and one that changed under them would be a bug
        # that is hard to find.
        return Catalog(MappingProxyType({**self.kinds, group: MappingProxyType({**self.kinds[group], kind: strategy})}))

    def with_entry_points(self, kinds: Collection[str] | None = None) -> Catalog:
        """Also knows what installed packages offer. One that cannot be loaded is logged and left out.

        ``kinds``: load only what has such a name; then one that cannot be loaded raises StrategyError.
        """
        known = self
        for group, entry in _list_entry_points():
            if kinds is not None and entry.name not in kinds:
                continue
            if entry.name in self.kinds[group]:
                _log_taken(group, entry)
                continue
            try:
                # This imports the package: it may raise anything, print, or exit. A caller that cannot afford that does it
                # in a process of its own (`aurea_engine.processes`).
                known = known.add(group, entry.name, entry.load())
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - a package that exits while it is imported must not end the program
                text = f"the entry point {entry.name} of aurea.{group} cannot be loaded: {_describe_error(error)}"
                if kinds is not None:
                    raise StrategyError(text) from None
                log.error("%s; it was left out", text)  # noqa: TRY400 - one line: the traceback is the package's own affair
        return known

    def group_of(self, contract: type) -> str | None:
        """The group whose contract ``contract`` is."""
        return next((group for group, base in GROUPS.items() if base is contract), None)

    def find(self, group: str, kind: str) -> type | None:
        """The class of ``kind``."""
        return self.kinds[group].get(kind)

    def suggestion(self, group: str, kind: str) -> str:
        """What to say about a kind that is not known."""
        if (group, kind) == ("jobs", RECORDED):
            return "stands in a what-if's answer for the jobs of a stored run: replay that run with aurea what-if"
        near = get_close_matches(kind, self.kinds[group], n=1)
        hint = f' (did you mean "{near[0]}"?)' if near else ""
        return f"must be one of {', '.join(sorted(self.kinds[group]))}{hint}"

    def kind_of(self, strategy: Any) -> str:
        """The name of a strategy's class here; for one without a name its Python path, which no JSON can make again."""
        for kinds in self.kinds.values():
            for kind, cls in kinds.items():
                # By identity: a subclass of a built-in strategy is another strategy, and has no name yet.
                if cls is type(strategy):
                    return kind
        return f"{type(strategy).__module__}:{type(strategy).__qualname__}"


def list_offered_kinds() -> dict[str, tuple[str, ...]]:
    """Group → names of kinds that installed packages offer, built-in names left out. No package is loaded to find out."""
    offered: dict[str, list[str]] = {group: [] for group in GROUPS}
    for group, entry in _list_entry_points():
        if entry.name in BUILT_IN_KINDS[group]:
            _log_taken(group, entry)
        elif entry.name not in offered[group]:
            offered[group].append(entry.name)
    return {group: tuple(sorted(names)) for group, names in offered.items()}


def _list_entry_points() -> Iterator[tuple[str, EntryPoint]]:
    """(group, entry point) of every installed package, as its metadata says. Metadata that cannot be read offers nothing."""
    for group in GROUPS:
        try:
            found = tuple(entry_points(group=f"aurea.{group}"))
        except Exception as error:  # noqa: BLE001 - any package's damaged metadata, also of one that has nothing to do with us
            # One damaged file makes the whole look-up fail, and so it would for the other groups: once is enough.
            log.error("entry points of aurea.%s cannot be read: %s", group, _describe_error(error))  # noqa: TRY400
            return
        for entry in found:
            yield group, entry


def _log_taken(group: str, entry: EntryPoint) -> None:
    log.error("the entry point %s of aurea.%s was left out: the name is taken", entry.name, group)


def _describe_error(error: BaseException) -> str:
    """The error in one line, whatever its class does when it is asked for a text."""
    # In ASCII, since the text goes into logs and answers and may hold line breaks, terminal codes or half a character.
    try:
        return ascii(f"{type(error).__name__}: {error}")[1:-1][:300]
    except BaseException:  # noqa: BLE001 - a third-party class may do anything
        return "an error that cannot be shown"


def default_catalog() -> Catalog:
    """The built-in kinds."""
    # Names stand here, beside the classes. A class that named itself would need a registry that imports fill, and then what
    # is known would depend on what was imported. `closed_sets.BUILT_IN_KINDS` has the names alone; a test compares the two.
    kinds: dict[str, dict[str, type]] = {
        "jobs": {
            "chat": Chat,
            "cpu": jobs.Cpu,
            "faulty": combinations.Faulty,
            "flow": Flow,
            "http": Http,
            "limited": combinations.Limited,
            "mix": combinations.Mix,
            "replay": recorded.Replay,
            "sleep": jobs.Sleep,
        },
        "arrivals": {
            "all_at_once": arrivals.AllAtOnce,
            "closed": arrivals.Closed,
            "constant": arrivals.Constant,
            "gamma": arrivals.Gamma,
            "poisson": arrivals.Poisson,
            "ramp": arrivals.Ramp,
            "sine": arrivals.Sine,
            "stages": arrivals.Stages,
            "trace": recorded.Trace,
        },
        "schedulers": {
            "fifo": schedulers.Fifo,
            "lifo": schedulers.Lifo,
            "priority": schedulers.Priority,
            "shortest_first": schedulers.ShortestFirst,
        },
        "cost_models": dict(KINDS),
        "distributions": {
            "constant": distributions.Constant,
            "empirical": distributions.Empirical,
            "exponential": distributions.Exponential,
            "gamma": distributions.Gamma,
            "lognormal": distributions.LogNormal,
            "mixture": distributions.Mixture,
            "pareto": distributions.Pareto,
            "uniform": distributions.Uniform,
        },
    }
    return Catalog(MappingProxyType({group: MappingProxyType(known) for group, known in kinds.items()}))


def find_kinds(document: object) -> Iterator[str]:
    """Every ``kind`` that a decoded document names, at any depth; parsing has bounded the depth."""
    if isinstance(document, dict):
        if isinstance(kind := document.get("kind"), str):
            yield kind
        for member in document.values():
            # Looked at before the call, since most of a large document is numbers.
            if isinstance(member, (dict, list)):
                yield from find_kinds(member)
    elif isinstance(document, list):
        for item in document:
            if isinstance(item, (dict, list)):
                yield from find_kinds(item)


def load_catalog_for(document: object) -> Catalog:
    """The built-in kinds, and those of installed packages that ``document`` names: no other package is loaded.

    Raises `StrategyError` if one cannot be loaded.
    """
    return default_catalog().with_entry_points(set(find_kinds(document)))
