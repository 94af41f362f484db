"""JSON Schema of specifications, from the engine's own dataclasses: their annotations are what the codec checks.

So the description cannot differ from the check; a test draws values and compares the two. Every kind of the catalog becomes
a component, every group of kinds one that chooses among them by ``kind``.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Annotated, Any, Literal, Union

from msgspec import Meta

from aurea_engine import Constant, RunSpec
from aurea_engine.fields.local_files import Local, NotFromElsewhere
from aurea_engine.shards.split import OnLoss
from aurea_engine.studies.repetition import MOST_REPLICATIONS
from aurea_server.runner.kinds import Kinds
from aurea_server.settings.limits import Limits

Schema = dict[str, Any]

GROUP_NAMES = {
    "jobs": "Job",
    "arrivals": "Arrivals",
    "schedulers": "Scheduler",
    "cost_models": "CostModel",
    "distributions": "Distribution",
}
NUMBER_TEXT = r"^\s*([+]?[0-9]{1,40}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,3})?|[+]?[0-9]{1,60}/0*[1-9][0-9]*)\s*$"
"""A number of the cost models as text: a decimal, or a ratio. Digits are bounded, as the codec bounds them."""
DEFAULT_LIMITS = Limits()
"""Of a server with the default settings."""
_PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number"}


class Schemas:
    """Builds components as they are referred to. ``files``: the server's operator has published some."""

    def __init__(self, kinds: Kinds, limits: Limits = DEFAULT_LIMITS, *, files: bool = False) -> None:
        self._catalog, self._others = kinds.built_in, kinds.others
        self._max_jobs, self._max_processes = limits.jobs, limits.processes
        self._files = files
        self.components: dict[str, Schema] = {}

    def specification(self) -> Schema:
        """What ``POST /benchmark/run`` takes: the full form, or the seed's two members in place of ``workload``."""
        full = self._record(RunSpec, None)
        properties = dict(full["properties"])
        # The seed's two members stand in place of `workload`, and only there: so the two forms are two schemas rather
        # than one in which everything is optional, and an error names what is really missing.
        full["required"] = ["workload"]
        del properties["workload"]
        properties["num_jobs"] = {
            "type": "integer",
            "minimum": 1,
            "maximum": self._max_jobs,
            "description": "Jobs, all at once.",
        }
        properties["job_duration_ms"] = {
            "type": "number", "minimum": 0, "maximum": 1e12, "default": 100, "description": "How long each sleeps.",
        }  # fmt: skip
        # The engine's own bound is what a number can be; this server's is what it accepts.
        self.components["Workload"]["properties"]["jobs"]["anyOf"][0]["maximum"] = self._max_jobs
        full["properties"] |= self._describe_sharding()
        properties |= self._describe_sharding()
        seed = {**full, "properties": properties, "required": ["num_jobs"]}
        self.components["FullSpecification"] = full
        self.components["SeedSpecification"] = seed
        return {"anyOf": [_ref("SeedSpecification"), _ref("FullSpecification")]}

    def _describe_sharding(self) -> Schema:
        """What stands beside a specification and is no part of it."""
        number = {"type": "integer", "minimum": 1, "maximum": self._max_processes}
        about = (
            "In how many processes the run is executed at once; auto is one for each core, or for each worker of the Dask "
            "cluster that the operator chose. Of virtual replications, how many are executed at once."
        )
        return {
            "processes": {"anyOf": [number, {"const": "auto"}], "default": 1, "description": about},
            "on_loss": {
                "enum": list(typing.get_args(OnLoss)),
                "default": "fail",
                "description": "What happens when one of them is lost.",
            },
            "repeat": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_REPLICATIONS,
                "description": "Replications with derived seeds. All of them together may have the jobs of one run.",
            },
            "until": {
                "anyOf": [
                    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                    {"type": "string", "pattern": "^[0-9.]+ *%$"},
                ],
                "description": "Relative half-width of the interval of the mean response time at which fewer are enough.",
            },
        }

    def group(self, group: str) -> Schema:
        """A reference to the choice among all kinds of a group."""
        name = GROUP_NAMES.get(group, group)
        if name not in self.components:
            # Set before its kinds are described, which may refer to this very group: a mix has jobs in it.
            self.components[name] = {}
            kinds = self._catalog.kinds[group]
            mapping = {kind: self._kind(name, kind, cls) for kind, cls in sorted(kinds.items())}
            mapping |= {kind: self._other(name, kind) for kind in self._others.get(group, ())}
            choice: Schema = {
                "oneOf": [{"$ref": ref} for ref in mapping.values()],
                # With it, a client's generator makes a choice by `kind` instead of trying each schema.
                "discriminator": {"propertyName": "kind", "mapping": mapping},
            }
            if group == "distributions":
                seconds = self.describe(typing.get_type_hints(Constant, include_extras=True)["value"])
                # A plain number stands for a constant distribution, with the bounds of its `value`.
                choice = {"anyOf": [*seconds["anyOf"], choice]}
            self.components[name] = choice
        return _ref(name)

    def _kind(self, group: str, kind: str, cls: type) -> str:
        name = f"{group}.{kind}"
        self.components[name] = self._record(cls, kind, optional_kind=group == "Scheduler" and kind == "fifo")
        return f"#/components/schemas/{name}"

    def _other(self, group: str, kind: str) -> str:
        """A kind of an installed package, which is not loaded here: only its name is known."""
        name = f"{group}.{re.sub(r'[^A-Za-z0-9._-]', '_', kind)}"
        self.components[name] = {
            "type": "object",
            "description": "A strategy of an installed package; its documentation names its members.",
            "properties": {"kind": {"const": kind}},
            "required": ["kind"],
        }
        return f"#/components/schemas/{name}"

    def _is_refused(self, rule: object) -> bool:
        """Whether a member with this annotation is refused over HTTP, and so not described."""
        if isinstance(rule, NotFromElsewhere) and not rule.publishable:
            return rule.local
        # Files, and members that only make sense beside one, are for servers whose operator publishes some.
        return isinstance(rule, Local) and rule.local and not self._files

    def _record(self, cls: type, kind: str | None, *, optional_kind: bool = False) -> Schema:
        properties: dict[str, Schema] = {}
        # Only `fifo`, the default scheduler, may leave its kind out: `{"slots": 4}` is a scheduler by itself.
        required = [] if kind is None or optional_kind else ["kind"]
        if kind is not None:
            properties["kind"] = {"const": kind}
        hints = typing.get_type_hints(cls, include_extras=True) if dataclasses.is_dataclass(cls) else {}
        for field in dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ():
            rules = typing.get_args(hints[field.name])
            if not field.init or any(self._is_refused(rule) for rule in rules):
                continue
            # Where no file is published, the value has to be there itself.
            if not self._files and any(hasattr(rule, "or_file") for rule in rules):
                properties[field.name] = self.describe(
                    next(each for each in typing.get_args(rules[0]) if each is not type(None))
                )
                required.append(field.name)
                continue
            schema = self.describe(hints[field.name])
            if field.default is not dataclasses.MISSING and isinstance(field.default, (str, int, float, type(None))):
                schema = {**schema, "default": field.default}
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                required.append(field.name)
            properties[field.name] = schema
        about = inspect.getdoc(cls) or ""
        schema = {
            "type": "object",
            "description": about.partition("\n\n")[0].replace("\n", " "),
            "properties": properties,
        }
        return {**schema, "required": required, "additionalProperties": False}

    def describe(self, hint: Any) -> Schema:
        """The schema of an annotation."""
        origin = typing.get_origin(hint)
        if origin is Annotated:
            return self._annotated(*typing.get_args(hint))
        if origin in (Union, types.UnionType):
            return self._union(list(typing.get_args(hint)))
        if origin is Literal:
            return {"enum": list(typing.get_args(hint))}
        if origin in (tuple, list):
            return self._list(typing.get_args(hint))
        if origin is not None and inspect.isclass(origin) and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.describe(typing.get_args(hint)[1])}
        if hint is type(None):
            return {"type": "null"}
        if hint in _PLAIN:
            return {"type": _PLAIN[hint]}
        return self._class(hint)

    def _list(self, inner: tuple[Any, ...]) -> Schema:
        if len(inner) == 1 or inner[-1] is ...:
            return {"type": "array", "items": self.describe(inner[0])}
        items = [self.describe(each) for each in inner]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}

    def _class(self, hint: Any) -> Schema:
        if not inspect.isclass(hint):
            return {}
        # Before classes in general: both have members of their own, which are no part of any document.
        if hint in (Decimal, Fraction):
            return {"type": ["number", "string"]}
        if issubclass(hint, Enum):
            return {"enum": [member.value for member in hint]}
        group = self._catalog.group_of(hint)
        if group is not None:
            return self.group(group)
        # Written in one object with its distribution, whose members are described by the distribution's own kind.
        if hint.__name__ == "Weighted":
            return {
                "type": "object",
                "properties": {"weight": {"type": "number", "minimum": 0}},
                "required": ["weight", "kind"],
            }
        if dataclasses.is_dataclass(hint):
            if hint.__name__ not in self.components:
                # As above: a record may refer to itself.
                self.components[hint.__name__] = {}
                self.components[hint.__name__] = self._record(hint, None)
            return _ref(hint.__name__)
        return {}

    def _annotated(self, base: Any, *rest: Any) -> Schema:
        metas = [rule for rule in rest if isinstance(rule, Meta)]
        for rule in rest:
            # A rule that converts what it reads describes more values than the type it converts to.
            if hasattr(rule, "coerce"):
                return _exact(rule) if hasattr(rule, "most") else _text(rule)
        schema = self.describe(base)
        # A rule that names short forms of an object.
        short = [form for rule in rest for form in getattr(rule, "also", ())]
        if short:
            return {"anyOf": [*short, schema]}
        for meta in metas:
            bounds = _bounds(meta)
            schema = {**schema, **({"minItems": meta.min_length} if schema.get("type") == "array" else bounds)}
        unit = next((rule for rule in rest if hasattr(rule, "form")), None)
        if unit is None:
            return schema
        name = unit.noun.capitalize()
        about = f"{unit.form[0].upper()}{unit.form[1:]}."
        self.components[name] = {"type": "string", "pattern": unit.pattern, "description": about}
        return {"anyOf": [schema, _ref(name)]}

    def _union(self, options: list[Any]) -> Schema:
        return {"anyOf": [self.describe(option) for option in options]}


def _text(rule: Any) -> Schema:
    """Text of a form: a currency, a date; or what the rule itself says. A rule without a form accepts any value."""
    if hasattr(rule, "schema"):
        return dict(rule.schema)
    names = ("pattern", "format")
    form = {name: getattr(rule, name) for name in names if hasattr(rule, name)}
    return {"type": "string", **form} if form else {}


def _exact(rule: Any) -> Schema:
    """A number that is read exactly, as text or as a number."""
    bounds: Schema = {"maximum": float(rule.most)}
    bounds["exclusiveMinimum" if rule.above else "minimum"] = rule.least
    return {"anyOf": [{"type": "number", **bounds}, {"type": "string", "pattern": NUMBER_TEXT}]}


def _bounds(meta: Meta) -> Schema:
    names = {
        "ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum", "max_length": "maxLength",
        "min_length": "minLength", "pattern": "pattern", "description": "description",
    }  # fmt: skip
    return {name: getattr(meta, ours) for ours, name in names.items() if getattr(meta, ours) is not None}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
