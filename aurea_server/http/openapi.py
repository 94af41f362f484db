"""OpenAPI 3.1 from the table that registers the routes, and from the specifications' own types."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from aurea_engine import engine_version
from aurea_engine.closed_sets import (
    OBJECTIVE_OUTCOMES,
    OUTCOMES,
    REASONS,
    RUN_ID_PATTERN,
    SEARCH_ID_PATTERN,
    SEVERITIES,
    STATES,
    STATUSES,
    VERDICTS,
)
from aurea_server.http.comparison_schema import describe_comparison
from aurea_server.http.json_schema import DEFAULT_LIMITS, Schemas
from aurea_server.http.monitoring import SERVICE
from aurea_server.http.operation import Answer, Operation
from aurea_server.http.operations import OPERATIONS
from aurea_server.http.problems import PROBLEM_CODES, reason_phrase
from aurea_server.http.replication_schema import describe_repeat, describe_replication
from aurea_server.http.search_schema import describe_body, describe_searches
from aurea_server.http.series_schema import describe_series
from aurea_server.runner.kinds import Kinds
from aurea_server.settings.limits import Limits
from aurea_server.stdio.output_files import write_output

ALWAYS = (400, 403, 503, 505)
"""What every operation may answer: not HTTP, another Host, too many connections, another version of HTTP."""

# What an operation with a body may answer besides: it is late, too large, or of another type.
UNSAFE = (400, 408, 413, 415)
NUMBER = {"type": ["number", "null"]}
TEXT = {"type": ["string", "null"]}
COUNT = {"type": "integer", "minimum": 0}


def build_document(
    operations: Iterable[Operation],
    kinds: Kinds,
    limits: Limits = DEFAULT_LIMITS,
    base_path: str = "",
    *,
    files: bool = False,
) -> dict[str, Any]:
    """The whole description, of a server with these ``limits`` of a run, reached under ``base_path``.

    ``files``: its operator has published some.
    """
    schemas = Schemas(kinds, limits, files=files)
    components: dict[str, Any] = {"Specification": schemas.specification(), "CostChoice": _cost_choice(schemas)}
    forms = {name: schemas.components[name] for name in ("SeedSpecification", "FullSpecification")}
    components["SearchSpecification"] = describe_body(forms, schemas.group("cost_models"))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        if operation.listed:
            paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Aurea",
            # That of the program. The interface has none of its own: it only ever gets additions.
            "version": engine_version(),
            "summary": "Synthetic jobs, for real or in virtual time: throughput, response times and what the work cost.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # Relative to where the description was read, so it holds behind any proxy.
        "servers": [{"url": base_path or "/"}],
        "tags": [
            {"name": "runs", "description": "Run, read, cancel."},
            {"name": "searches", "description": "Search the capacity of a system."},
            {"name": "operations", "description": "Probes."},
        ],
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**components, **schemas.components, **_answers(), **describe_searches()}.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    refusals = {*ALWAYS, *operation.refusals, *(UNSAFE if operation.method == "POST" else ())}
    # It has no body, but must name its content type all the same: that is what keeps forms of other sites away.
    if operation.method == "DELETE":
        refusals |= {413, 415}
    if not operation.open:
        refusals.add(401)
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.about,
        "tags": list(operation.tags),
        "responses": {
            **{str(status): _answer(answer) for status, answer in operation.answers.items()},
            **{str(status): _refusal(status) for status in sorted(refusals)},
        },
        # The empty requirement means no token: whether one is needed is the operator's choice, which the description
        # does not reveal.
        "security": [{}] if operation.open else [{}, {"token": []}],
    }
    if operation.parameters:
        described["parameters"] = [
            {
                "name": each.name,
                "in": each.place,
                "description": each.about,
                "required": each.required or each.place == "path",
                "schema": dict(each.schema),
            }
            for each in operation.parameters
        ]
    if operation.body:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{operation.body}"}}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _answer(answer: Answer) -> dict[str, Any]:
    schema = {"type": "string"} if answer.schema is None else {"$ref": f"#/components/schemas/{answer.schema}"}
    described: dict[str, Any] = {"description": answer.about}
    if answer.content:
        described["content"] = {
            # Only JSON has a structure that can be described; CSV, NDJSON and events are text.
            kind: {"schema": schema if kind == "application/json" else {"type": "string"}}
            for kind in answer.content
        }
    if answer.headers:
        described["headers"] = {name: {"schema": {"type": "string"}} for name in answer.headers}
    return described


def _refusal(status: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": reason_phrase(status), "content": content}


def _cost_choice(schemas: Schemas) -> dict[str, Any]:
    return _object({"cost": schemas.group("cost_models")}, ["cost"], more=False)


def _object(properties: Mapping[str, Any], required: Iterable[str] = (), *, more: bool = True) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        **({} if more else {"additionalProperties": False}),
    }


def _describe_job() -> dict[str, Any]:
    """A job of a result, or of a page of jobs."""
    return _object(
        {
            "job_id": {"type": "string"},
            "latency": NUMBER,
            "cost": NUMBER,
            "timestamp": {"type": "string"},
            "outcome": {"enum": list(OUTCOMES)},
            "response_time": NUMBER,
            "intended": NUMBER,
            "released": NUMBER,
            "started": NUMBER,
            "finished": NUMBER,
            # Only of runs whose jobs declare marks or measures, or are of several groups.
            "group": TEXT,
            "marks": {"type": "object", "additionalProperties": NUMBER},
            "measures": {"type": "object", "additionalProperties": NUMBER},
        },
        # The four of the seed; the others came later, so that a client of then reads a result of now.
        ["job_id", "latency", "cost", "timestamp"],
    )


def _describe_shard() -> dict[str, Any]:
    """One process of a run that was executed in several."""
    loss = _object({"after": NUMBER, "detail": TEXT, "reported": COUNT}, ["after", "detail", "reported"])
    numbers = ("late_share", "worst_lag", "cpu", "busy", "start_skew", "clock_offset", "clock_bound")
    return _object(
        {
            "shard": COUNT,
            "host": {"type": "string"},
            "process": COUNT,
            "status": {"enum": [*STATUSES, None]},
            "jobs": COUNT,
            **dict.fromkeys(numbers, NUMBER),
            "loss": {"anyOf": [loss, {"type": "null"}]},
        },
        ["shard", "jobs"],
    )


def _describe_step() -> dict[str, Any]:
    """A step of a page of steps: as a job, with a name instead of a group, and without a cost of its own."""
    properties = {
        name: schema for name, schema in _describe_job()["properties"].items() if name not in ("cost", "group")
    }
    return _object({**properties, "step": {"type": "string"}}, ["job_id", "step", "outcome"])


def _describe_listed() -> dict[str, Any]:
    """What only a run in a list has, or has otherwise than a result."""
    return {
        "currency": TEXT,
        "created_time": TEXT,
        "verdict": {"enum": [*VERDICTS, None]},
        # Seconds, of the response time; the outcome of each objective, in their order.
        "p99": NUMBER,
        "objectives": _list({"enum": list(OBJECTIVE_OUTCOMES)}),
    }


def _answers() -> dict[str, Any]:
    """Responses. Results have more members than are listed here: docs/numbers.md explains them all."""
    ident = {"type": "string", "pattern": f"^{RUN_ID_PATTERN}$"}
    reason = _object({"code": {"enum": sorted(REASONS)}, "detail": {"type": "string"}}, ["code", "detail"])
    # The seed's eight members come first and are required in every result, whatever the run came to.
    figures = {
        "num_jobs": COUNT, "completed_jobs": COUNT, "throughput": NUMBER, "mean_latency": NUMBER, "total_cost": NUMBER,
        "start_time": TEXT, "end_time": TEXT, "duration": NUMBER,
    }  # fmt: skip
    state = {"enum": list(STATES)}
    search = {"type": ["string", "null"], "pattern": f"^{SEARCH_ID_PATTERN}$"}
    run = {"benchmark_id": ident, "status": state, "label": TEXT, "reason": {"anyOf": [reason, {"type": "null"}]}}
    run["search"] = search
    result = {
        **run,
        **figures,
        "currency": TEXT,
        "verdict": {"enum": [*VERDICTS, None]},
        "spec": {"type": "object"},
        "shards": _list(_named("ShardRow")),
        "replications": _list(_named("ReplicationRow")),
        "repeat": _named("Repeat"),
        "jobs": _list(_named("JobRow")),
    }
    listed = _object({**run, **figures, **_describe_listed()}, ["benchmark_id", "status"])
    problem: dict[str, Any] = {"path": {"type": "string"}, "problem": {"type": "string"}, "got": {"type": "string"}}
    problem["code"] = {"enum": list(PROBLEM_CODES.values())}
    finding = ["code", "severity", "detail", "advice"]
    texts_of_finding = {name: {"type": "string"} for name in finding}
    texts = {name: {"type": "string"} for name in ("type", "title", "detail", "code", "request_id", "error")}
    return {
        "Any": {"type": "object"},
        "Health": _object({"status": {"const": "healthy"}, "service": {"const": SERVICE}}, ["status", "service"]),
        "Probe": _object({"status": {"enum": ["live", "ready"]}}, ["status"]),
        "JobRow": _describe_job(),
        "ShardRow": _describe_shard(),
        "ReplicationRow": describe_replication(),
        "Repeat": describe_repeat(),
        "JobPage": _object({"jobs": _list(_named("JobRow")), "total": COUNT, "next": TEXT}, ["jobs", "total", "next"]),
        "StepPage": _object({"steps": _list(_describe_step()), "total": COUNT, "next": TEXT}, ["steps", "total", "next"]),
        "Result": _object(result, ["benchmark_id", *figures, "status", "jobs"]),
        # One schema for every state: progress while it is active, and the members of a result once it has ended.
        "Run": _object(
            {**run, "progress": {"type": ["object", "null"]}, "time_left": NUMBER, "findings": _list(_named("Finding"))},
            ["benchmark_id", "status"],
        ),
        "Finding": _object({**texts_of_finding, "severity": {"enum": list(SEVERITIES)}}, finding),
        "RunPage": _object({"runs": _list(listed), "next": TEXT}, ["runs", "next"]),
        "Checked": _object({name: {"type": ["object", "null"]} for name in ("spec", "problem")}, ["spec", "problem"]),
        "Repriced": _object({"benchmark_id": ident, "cost": {"type": "object"}, "model": {"type": "object"}}, ["cost"]),
        "Comparison": describe_comparison(),
        "Series": describe_series(),
        "Problem": _object(
            {**texts, "status": {"type": "integer"}, "problems": _list(_object(problem, ["path", "problem"]))},
            [*texts, "status"],
        ),
    }  # fmt: skip


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _named(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def render_document(kinds: Kinds) -> str:
    """The description as it is committed: readable, and the same every time it is made."""
    encoded = msgspec.json.encode(build_document(OPERATIONS, kinds))
    return msgspec.json.format(encoded, indent=1).decode() + "\n"


if __name__ == "__main__":
    write_output(Path(sys.argv[1]), [render_document(Kinds()).encode()])
