"""The answer of a what-if as JSON values: a result in virtual time, and beside its members what the answer is made of."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from aurea_engine.codec.catalog import RECORDED, Catalog
from aurea_engine.codec.results import result_to_dict
from aurea_engine.results.result import RunResult
from aurea_engine.results.what_if import WhatIf, WhatIfFigure


def what_if_to_dict(answer: WhatIf, catalog: Catalog | None = None, jobs_shown: int = 0) -> dict[str, Any]:
    """``answer`` as JSON values, a result that all commands read which show or price one."""
    document = result_to_dict(answer.result, catalog, jobs_shown)
    document["spec"]["workload"]["job"] = _describe_job(answer.result, answer.recorded)
    return {
        **document,
        "assumptions": list(answer.assumptions),
        "what_if": {
            "recorded": answer.recorded,
            "sample": answer.sample,
            "replays": answer.replays,
            "figures": [_encode_figure(figure) for figure in answer.figures],
            "warnings": list(answer.warnings),
        },
    }


def _encode_figure(figure: WhatIfFigure) -> dict[str, Any]:
    interval = None if figure.interval is None else {**asdict(figure.interval), "level": 0.95}
    money = {} if figure.currency is None else {"currency": figure.currency}
    return {"figure": figure.figure, "recorded": figure.recorded, "value": figure.value, "interval": interval, **money}


def _describe_job(result: RunResult, recorded: str) -> dict[str, Any]:
    """Where the jobs came from; one branch for each group, since a reader takes the names of groups from there."""
    job = {"kind": RECORDED, "run": recorded}
    if result.jobs is None or result.jobs.group is None:
        return job
    counts = np.bincount(result.jobs.group, minlength=len(result.jobs.groups)).tolist()
    branches = [
        {"weight": count, "name": name, "job": job, "priority": None}
        for name, count in zip(result.jobs.groups, counts, strict=True)
    ]
    return {"kind": "mix", "of": branches}
