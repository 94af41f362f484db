"""A specification as the server handles it once it has been judged: plain data, whoever's strategies it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aurea_engine import Catalog, CostModel, RunSpec, Sleep, Workload, spec_from_dict, spec_to_dict
from aurea_server.limits import Limits, within


@dataclass(frozen=True)
class Submission:
    """``document``: the whole specification, with every default and the seed. ``foreign``: it runs others' code."""

    document: dict[str, Any]
    label: str | None
    foreign: bool


def judge_built_in(document: object, catalog: Catalog, limits: Limits) -> Submission:
    """The submission of a specification that names built-in kinds only. Raises SpecError."""
    spec = within(spec_from_dict(document, catalog, local=False), limits)
    return Submission(spec_to_dict(spec, catalog), spec.label, foreign=False)


def cost_to_dict(model: CostModel, catalog: Catalog) -> object:
    """A cost model as it stands in a specification."""
    return spec_to_dict(RunSpec(Workload(Sleep(), jobs=1), cost=model), catalog)["cost"]
