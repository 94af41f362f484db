"""JSON and TOML values ↔ specifications. All problems of a document are reported at once.

No member is named here: what a strategy takes, and within which bounds, are the annotated fields of its dataclass, and which
kind it is is in the catalog. So a new field or a new strategy needs no line in this file.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Union, cast

from msgspec import Meta

from aurea_engine.codec.catalog import GROUPS, Catalog, default_catalog
from aurea_engine.codec.local_members import admit_members, find_opened, join_path, local_defaults
from aurea_engine.codec.unknown_kinds import StandIns, UnknownKind
from aurea_engine.costs import CostModel, exact_text
from aurea_engine.errors import LOCAL_REFERENCE, Problem, SpecError
from aurea_engine.fields.checked import MAX_SECONDS, MOST_PROBLEMS, Checked, convert, resolve_hints, show_value
from aurea_engine.fields.local_files import DataFile
from aurea_engine.spec import RunSpec
from aurea_engine.workload.arrivals import AllAtOnce
from aurea_engine.workload.distributions import Constant, Weighted
from aurea_engine.workload.jobs import Sleep
from aurea_engine.workload.workload import Workload

DEFAULT_KINDS = {"schedulers": "fifo"}
"""What an object without a ``kind`` is, where there is a default."""

MAX_SEED_JOBS = 10**9
SEED = {
    "num_jobs": Annotated[int, Meta(ge=1, le=MAX_SEED_JOBS)],
    "job_duration_ms": Annotated[float, Meta(ge=0, le=MAX_SECONDS * 1000)],
}


def spec_from_dict(
    data: object, catalog: Catalog | None = None, *, local: bool = True, data_dir: Path | None = None
) -> RunSpec:
    """The specification that ``data`` describes: see docs/spec.md. Raises `SpecError` with every problem.

    ``local`` False is for what came from elsewhere: it may refer to nothing of this machine, and no file is looked at, but
    those in ``data_dir``, by their plain names.
    """
    return read_spec(data, catalog or default_catalog(), local=local, data_dir=data_dir)


def read_spec(
    data: object,
    catalog: Catalog,
    *,
    local: bool,
    data_dir: Path | None = None,
    stand_ins: StandIns | None = None,
    opens: bool = True,
) -> RunSpec:
    """`spec_from_dict`. ``stand_ins`` take the place of kinds that ``catalog`` does not know, which else are a problem.

    ``opens`` False is for a run that is over: it may refer to anything, and a kind that would open a file has a stand-in.
    """
    if not isinstance(data, dict):
        raise SpecError([Problem("", "must be an object", show_value(data))])
    reader = _SpecReader(catalog, local=local, data_dir=data_dir, stand_ins=stand_ins, opens=opens)
    members = dict(data)
    # Two forms: the full one, and the two members of the first version of the interface, which many clients still send.
    if "workload" not in members:
        members["workload"] = reader.make_seed_workload(members)
    else:
        for name in SEED:
            if members.pop(name, None) is not None:
                reader.problems.append(Problem(name, "cannot stand beside workload: give one or the other"))
    built = reader.make_record(RunSpec, members, "")
    reader.raise_problems()
    return cast(RunSpec, built)


def cost_from_dict(data: object, catalog: Catalog | None = None) -> CostModel:
    """The cost model that ``data`` describes, on its own: for pricing a stored run again. Raises `SpecError`."""
    if not isinstance(data, dict):
        raise SpecError([Problem("cost", 'must be an object, as {"kind": "per_job", "price": 1}', show_value(data))])
    reader = _SpecReader(catalog or default_catalog())
    built = reader.make_strategy("cost_models", data, "cost")
    reader.raise_problems()
    return cast(CostModel, built)


_MISSING = object()


class _SpecReader:
    """Turns JSON values into strategies and collects what is wrong on the way."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        local: bool = True,
        data_dir: Path | None = None,
        stand_ins: StandIns | None = None,
        opens: bool = True,
    ) -> None:
        self._catalog, self._opens = catalog, opens
        self._local, self._data_dir, self._stand_ins = local, data_dir, stand_ins
        self.problems: list[Problem] = []

    def stop_if_too_many(self) -> None:
        """Raises `SpecError` with the first problems once there are more than anybody reads."""
        if len(self.problems) >= MOST_PROBLEMS:
            more = Problem("", f"there is more that is wrong: these are the first {MOST_PROBLEMS} problems")
            raise SpecError([*self.problems[:MOST_PROBLEMS], more])

    def raise_problems(self) -> None:
        """Raises `SpecError` if there is any problem."""
        self.stop_if_too_many()
        if self.problems:
            raise SpecError(self.problems)

    def make_seed_workload(self, members: dict[str, Any]) -> object:
        """The two-member form: ``num_jobs`` sleeps of ``job_duration_ms``, all at once."""
        before = len(self.problems)
        if "num_jobs" not in members:
            name, more = ("num_jobs", "") if members.pop("job_duration_ms", None) else ("workload", ", or num_jobs")
            self.problems.append(Problem(name, f"is required{more}"))
            return _MISSING
        jobs = convert(members.pop("num_jobs"), SEED["num_jobs"], "num_jobs", self.problems)
        ms = convert(members.pop("job_duration_ms", 100), SEED["job_duration_ms"], "job_duration_ms", self.problems)
        if len(self.problems) > before:
            return _MISSING
        return Workload(Sleep(Constant(ms / 1000)), AllAtOnce(), jobs=jobs)

    def make_strategy(self, group: str, data: dict[str, Any], path: str) -> object:
        """An object with a ``kind``."""
        self.stop_if_too_many()
        members = dict(data)
        kind = members.pop("kind", DEFAULT_KINDS.get(group))
        where = f"{path}.kind"
        if not isinstance(kind, str):
            text = "is required" if kind is None else "must be a text"
            got = show_value(kind) if kind else ""
            self.problems.append(Problem(where, f"{text}: {self._catalog.suggestion(group, '')}", got))
            return _MISSING
        found = self._catalog.find(group, kind)
        opened = None if found is None or self._opens else find_opened(found, members)
        if found is not None and opened is None:
            before, made = len(self.problems), self.make_record(found, members, path)
            if made is not _MISSING or group != "cost_models" or self._stand_ins is None:
                return made
            # The bill of a run that is over stands as it is written, also where such a model would be refused by now.
            del self.problems[before:]
        if self._stand_ins is not None:
            return self._make_stand_in(self._stand_ins, group, kind, members, path)
        unknown = Problem(where, self._catalog.suggestion(group, kind), show_value(kind))
        self.problems.append(unknown if opened is None else Problem(join_path(path, opened), LOCAL_REFERENCE))
        return _MISSING

    def _make_stand_in(self, stand_ins: StandIns, group: str, kind: str, members: dict[str, Any], path: str) -> object:
        try:
            return stand_ins.make(group, kind, members)
        except SpecError as error:
            self.problems += [problem.within(path) for problem in error.problems]
            return _MISSING

    def make_record(self, cls: type, members: dict[str, Any], path: str) -> object:
        """An object of known class."""
        self.stop_if_too_many()
        # What is wrong with members of other objects does not keep this one from being made.
        before = len(self.problems)
        hints = resolve_hints(cls) if dataclasses.is_dataclass(cls) else {}
        if cls is Weighted and "distribution" not in members:  # the branch's own members are its distribution's
            own = {name: value for name, value in members.items() if name == "weight"}
            members = {**own, "distribution": {name: value for name, value in members.items() if name not in own}}
        # The two short members count as known, so that a slip in one of them is recognised.
        known = [*SEED, *hints] if cls is RunSpec else list(hints)
        # A misspelt member would otherwise silently take its default.
        for name in members.keys() - hints.keys():
            self.stop_if_too_many()
            near = get_close_matches(name, known, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(known) or 'none'}"
            self.problems.append(Problem(join_path(path, show_value(name).strip("'")), f"is not a member: {hint}"))
        for name in _find_required(cls) - members.keys():
            self.problems.append(Problem(join_path(path, name), "is required"))
        # Refused before any constructor runs, since that is what would open the file.
        if not self._local:
            members = admit_members(members, hints, path, self._data_dir, self.problems)
        values = {
            name: self.make_value(hints[name], value, join_path(path, name))
            for name, value in members.items()
            if name in hints
        }
        # With a hole in it the object cannot be made, and its own check of members together would only add to the confusion.
        whole = not any(value is _MISSING or _holds_missing(value) for value in values.values())
        if whole and len(self.problems) == before:
            try:
                return cls(**values)
            except SpecError as error:
                self.problems += [problem.within(path) if path else problem for problem in error.problems]
            return _MISSING
        # Not made, but each member that is there is still checked by itself: all problems at once.
        for name, value in values.items():
            if value is not _MISSING and not _holds_missing(value):
                convert(value, hints[name], join_path(path, name), self.problems)
        return _MISSING

    def make_value(self, hint: Any, value: object, path: str) -> object:
        """A member: objects become strategies or records, everything else is left to the constructor's check."""
        if value is _MISSING or isinstance(value, Checked):
            return value
        # The annotation decides: where it allows a strategy, an object is one, and a bare number is left to the constructor.
        for option in _list_options(hint):
            if typing.get_origin(option) is tuple and isinstance(value, list):
                inner = typing.get_args(option)[0]
                return [self.make_value(inner, item, f"{path}[{i}]") for i, item in enumerate(value)]
            if isinstance(value, dict) and inspect.isclass(option):
                group = self._catalog.group_of(option)
                if group is not None:
                    return self.make_strategy(group, value, path)
                if issubclass(option, Checked):
                    return self.make_record(option, value, path)
        return value


def _holds_missing(value: object) -> bool:
    return isinstance(value, list) and any(item is _MISSING or _holds_missing(item) for item in value)


@functools.cache
def _list_options(hint: Any) -> tuple[Any, ...]:
    """The alternatives of an annotation, without their bounds."""
    origin = typing.get_origin(hint)
    if origin is Annotated:
        return _list_options(typing.get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return tuple(option for each in typing.get_args(hint) for option in _list_options(each))
    return (hint,)


@functools.cache
def _find_required(cls: type) -> frozenset[str]:
    if not dataclasses.is_dataclass(cls):
        return frozenset()
    return frozenset(
        field.name
        for field in dataclasses.fields(cls)
        if field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )


def spec_to_dict(spec: RunSpec, catalog: Catalog | None = None) -> dict[str, Any]:
    """The full form of ``spec``, every default written out: `spec_from_dict` makes it again."""
    return cast("dict[str, Any]", _encode(spec, catalog or default_catalog()))


def cost_to_dict(model: CostModel, catalog: Catalog | None = None) -> object:
    """A cost model as it stands in a specification, which need not report what it prices."""
    return _encode(model, catalog or default_catalog())


def _encode(value: object, catalog: Catalog) -> object:
    if isinstance(value, UnknownKind):
        return {"kind": value.kind, **value.members}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hidden = local_defaults(type(value))
        members = {
            name: _encode(member, catalog)
            for name in resolve_hints(type(value))
            if (member := getattr(value, name)) != hidden.get(name, _MISSING)
        }
        if isinstance(value, Weighted):
            inner = cast("dict[str, Any]", members.pop("distribution"))
            return {**members, **inner}
        return members if _is_record(value) else {"kind": catalog.kind_of(value), **members}
    # A strategy need not be a dataclass: then it has no members, and its kind says all.
    if isinstance(value, Checked):
        return {"kind": catalog.kind_of(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (Decimal, Fraction)):
        # As text: a float would round a price, and a third has no decimal at all.
        return exact_text(Fraction(value))
    if isinstance(value, (tuple, list)):
        return [_encode(item, catalog) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _encode(item, catalog) for name, item in value.items()}
    # The plain name alone: the path of the operator's folder is not shown to clients.
    return str(value) if isinstance(value, DataFile) else value


def _is_record(value: object) -> bool:
    """Whether an object has no ``kind`` in JSON, since its place says what it is."""
    return not isinstance(value, tuple(GROUPS.values()))
