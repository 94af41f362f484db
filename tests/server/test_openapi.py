"""The description of the interface: one table makes routes and description, and the committed copy is what is served."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import SpecError, default_catalog, spec_from_dict
from aurea_server.http.openapi import render_document
from aurea_server.http.operations import OPERATIONS
from aurea_server.http.problems import reason_phrase
from aurea_server.runner.kinds import Kinds

ROOT = Path(__file__).parents[2]
COMMITTED = json.loads((ROOT / "docs/openapi.json").read_text())


def test_the_committed_copy_is_current() -> None:
    """Write it anew with scripts/openapi."""
    assert (ROOT / "docs/openapi.json").read_text() == render_document(Kinds())


async def test_the_served_openapi_is_the_committed_one(client: Any) -> None:
    async with client.get("/openapi.json") as answer:
        assert await answer.json() == COMMITTED


async def test_the_router_has_the_routes_of_the_table(client: Any) -> None:
    """The router has the routes of the table and no other."""
    routes = {(route.method, route.resource.canonical) for route in client.app.router.routes()}
    table = {(operation.method, operation.path) for operation in OPERATIONS}
    assert {route for route in routes if route[0] != "HEAD"} == table
    described = {(method.upper(), path) for path, methods in COMMITTED["paths"].items() for method in methods}
    assert described == {(operation.method, operation.path) for operation in OPERATIONS if operation.listed}


def test_every_kind_of_the_catalog_is_described() -> None:
    """Every kind of the catalog is described and every reference leads somewhere."""
    schemas = COMMITTED["components"]["schemas"]
    names = {"jobs": "Job", "arrivals": "Arrivals", "schedulers": "Scheduler", "cost_models": "CostModel"}
    for group, name in names.items():
        assert set(default_catalog().kinds[group]) == set(schemas[name]["discriminator"]["mapping"]), group
    for reference in re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(COMMITTED)):
        assert reference in schemas


def test_described_bounds_are_the_checked_ones() -> None:
    """Bounds in the description are the bounds that are checked."""
    seed = COMMITTED["components"]["schemas"]["SeedSpecification"]["properties"]["num_jobs"]
    spec_from_dict({"num_jobs": seed["maximum"]})
    spec_from_dict({"num_jobs": seed["minimum"]})
    with pytest.raises(SpecError):
        spec_from_dict({"num_jobs": seed["minimum"] - 1})
    rate = COMMITTED["components"]["schemas"]["Arrivals.poisson"]["properties"]["rate"]["anyOf"][0]
    assert rate["exclusiveMinimum"] == 0
    with pytest.raises(SpecError):
        spec_from_dict(
            {
                "workload": {
                    "job": {"kind": "sleep"},
                    "jobs": 1,
                    "arrivals": {"kind": "poisson", "rate": rate["maximum"] * 2},
                }
            }
        )


def test_vendored_files_have_their_digests() -> None:
    """Vendored files are the ones that were vendored."""
    static = files("aurea_server.ui").joinpath("static")
    listed = re.findall(r"\| `([^`]+)` \| npm .*`([0-9a-f]{64})` \|", static.joinpath("VENDOR.md").read_text())
    assert len(listed) == 2
    for name, digest in listed:
        assert hashlib.sha256(static.joinpath(name).read_bytes()).hexdigest() == digest, name


async def test_the_page_needs_no_other_origin(client: Any) -> None:
    """The page names no other origin and no inline code."""
    async with client.get("/docs") as answer:
        page = await answer.text()
    assert answer.status == 200
    assert not re.search(r"https?://|<script>|style=|\son\w+=", page)
    for name in re.findall(r'(?:src|href)="(/docs/[^"]+)"', page):
        async with client.get(name) as asset:
            assert asset.status == 200, name
    for name in ("../cli.py", "..%2fcli.py", "VENDOR.md", "nothing.js"):
        async with client.get(f"/docs/{name}") as asset:
            assert asset.status == 404, name


@pytest.mark.parametrize("file", ["/etc/hostname", "/no/such/file.csv", "../secrets.jsonl", "/dev/zero"])
async def test_a_body_that_names_a_file_is_refused(client: Any, file: str) -> None:
    """400 `local_reference`, whether the file exists or not; each such member has the code, and other problems have not."""
    body = {
        "workload": {
            "job": {"kind": "faulty", "failure_rate": 0, "job": {"kind": "replay", "file": file, "unit": "s"}},
            "arrivals": {"kind": "trace", "file": file, "column": "t"},
        },
        "label": 5,
    }
    async with client.post("/benchmark/run", json=body) as answer:
        told = await answer.json()
    assert (answer.status, told["code"]) == (400, "local_reference")
    codes = {problem["path"]: problem.get("code") for problem in told["problems"]}
    assert codes == {
        "workload.job.job.file": "local_reference",
        "workload.arrivals.file": "local_reference",
        "label": None,
    }


def test_the_description_offers_no_file() -> None:
    """Nor what only goes with one: over HTTP the times themselves are required."""
    schemas = COMMITTED["components"]["schemas"]
    assert set(schemas["Arrivals.trace"]["properties"]) == {"kind", "at", "tokens"}
    assert set(schemas["Job.replay"]["properties"]) == {"kind", "durations"}
    assert schemas["Arrivals.trace"]["required"] == ["kind", "at"]


def test_reason_phrases_are_those_of_rfc_9110() -> None:
    """On every Python: the standard library learnt them with 3.13."""
    told = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
    assert {status: reason_phrase(status) for status in told} == told
    assert reason_phrase(404) == "Not Found"
