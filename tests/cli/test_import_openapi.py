"""``aurea import openapi``: operations become the groups of a mix, with the document's own examples and no credentials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import SpecError
from aurea_server.cli.import_openapi import read_openapi
from aurea_server.cli.imported_requests import Imported
from tests.targets.recording_server import RecordingServer

PET = {
    "type": "object",
    "required": ["name", "tags", "kind"],
    "properties": {
        "name": {"type": "string", "example": "Rex {{x}}"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "kind": {"enum": ["dog", "cat"]},
        "age": {"type": "integer"},
        "parent": {"$ref": "#/components/schemas/Pet"},
    },
}


def api(paths: dict[str, Any], **more: Any) -> bytes:
    components = {"schemas": {"Pet": PET}, **more.pop("components", {})}
    servers = [{"url": "https://{host}/v1/", "variables": {"host": {"default": "api.example.org"}}}]
    document = {"openapi": "3.1.0", "servers": servers, "paths": paths, "components": components}
    return json.dumps({**document, **more}).encode()


def read(paths: dict[str, Any], *chosen: str, **more: Any) -> Imported:
    return read_openapi(api(paths, **more), set(chosen), None)


def parameter(name: str, where: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": {"type": "string"}, **more}


def test_parameters_have_their_examples() -> None:
    """Example, default, enumeration, minimum, and at last any value of the type, which is said."""
    item = {
        "parameters": [parameter("id", "path", schema={"type": "integer", "minimum": 7})],
        "get": {
            "operationId": "getPet",
            "parameters": [
                parameter("a", "query", example="x y"),
                parameter("b", "query"),
                parameter("c", "query", required=True, schema={"enum": ["e", "f"]}),
                parameter("d", "query", schema={"default": 3}),
                parameter("X-A", "header", examples={"one": {"value": 5}}),
                parameter("u", "query", required=True, schema={"type": "string", "format": "uuid"}),
            ],
        },
    }
    imported = read({"/pets/{id}": item})
    assert imported.steps == [
        {
            "name": "getPet",
            "url": "https://api.example.org/v1/pets/7?a=x%20y&c=e&u={{uuid}}",
            "method": "GET",
            "headers": {"X-A": "5"},
        }
    ]
    assert imported.remarks == ["getPet has values that were made up: id, u"]


def test_only_what_changes_nothing_is_taken() -> None:
    """Unless an operation is asked for by its id."""
    paths = {"/a": {"get": {}, "delete": {"operationId": "wipe"}, "post": {}}, "/b": {"head": {}}}
    imported = read(paths)
    assert [step["name"] for step in imported.steps] == ["get_a", "head_b"]
    assert imported.remarks == ["left out 2 operations that may change data: --operation ID takes one"]
    assert [step["method"] for step in read(paths, "wipe").steps] == ["DELETE"]
    with pytest.raises(SpecError, match="get_a, head_b, post_a, wipe"):
        read(paths, "none")


def test_bodies_are_made_of_schemas() -> None:
    """Only what is required, and examples where there are some; braces of an example are no template."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}
    (step,) = read({"/p": {"post": {"operationId": "add", "requestBody": {"content": content}}}}, "add").steps
    assert step["json"] == {"name": "Rex {{'{{'}}x}}", "tags": ["string"], "kind": "dog"}
    form = {"application/x-www-form-urlencoded": {"example": {"a": 1, "b": ["c", "d"]}}}
    (step,) = read({"/p": {"post": {"operationId": "add", "requestBody": {"content": form}}}}, "add").steps
    assert step["form"] == {"a": "1", "b": "c,d"}


def test_groups_have_names_of_their_own(aurea: Any, tmp_path: Path) -> None:
    """Also where two paths give the same name."""
    (tmp_path / "api.json").write_bytes(api({"/a-b": {"get": {}}, "/a/b": {"get": {}}}))
    code, out, _ = aurea("import", "openapi", tmp_path / "api.json")
    assert code == 0
    assert [branch["name"] for branch in json.loads(out)["workload"]["job"]["of"]] == ["get_a_b", "get_a_b_2"]


def test_what_cannot_be_called_is_said() -> None:
    body = {"required": True, "content": {"multipart/form-data": {}}}
    paths = {"/a": {"get": {}}, "/b": {"get": {"requestBody": body}}, "/c/{x}": {"get": {}}}
    imported = read(paths)
    assert [step["name"] for step in imported.steps] == ["get_a"]
    assert imported.remarks == [
        "get_b was left out: it has a body of the type multipart/form-data",
        "get_c_x was left out: it has no parameter for {x} of its path",
    ]


def test_security_becomes_references() -> None:
    """Never a value: environment variables, and what has to be supplied by hand."""
    schemes = {
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "query": {"type": "apiKey", "in": "query", "name": "k"},
        "basic": {"type": "http", "scheme": "basic"},
        "login": {"type": "oauth2"},
    }
    paths = {f"/{name}": {"get": {"security": [{name: []}]}} for name in schemes} | {"/open": {"get": {"security": []}}}
    imported = read(paths, components={"securitySchemes": schemes}, security=[{"basic": []}])
    key, query, basic, login, public = imported.steps
    assert key["headers"] == {"X-Key": {"env": "AUREA_SECRET_X_KEY"}}
    assert imported.needed == ["get_query: k, by the security scheme query"]
    assert basic["auth"] == {"basic": {"env": "AUREA_SECRET_BASIC"}}
    assert login["auth"] == {"bearer": {"env": "AUREA_SECRET_BEARER"}}
    assert "auth" not in query | public


def test_recursive_schemas_come_to_an_end() -> None:
    node = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/components/schemas/Node"}}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Node"}}}
    paths = {"/n": {"post": {"operationId": "n", "requestBody": {"content": content}}}}
    (step,) = read(paths, "n", components={"schemas": {"Node": node}}).steps
    assert str(step["json"]).count("next") == 8


def test_branching_schemas_come_to_an_end() -> None:
    """A node that requires twenty of its kind would have 20⁸ values at that depth."""
    nodes = {f"n{i}": {"$ref": "#/components/schemas/Node"} for i in range(20)}
    node = {"type": "object", "required": list(nodes), "properties": nodes}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Node"}}}
    paths = {"/n": {"post": {"operationId": "n", "requestBody": {"content": content}}}}
    imported = read(paths, "n", components={"schemas": {"Node": node}})
    assert "made up" in str(imported.remarks)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"openapi: 3.0.0", "YAML"),
        (b'{"swagger": "2.0"}', "Swagger 2"),
        (b"[]", "must be 3.0"),
        (api({}), "no operation"),
        (api({"/a": {"post": {}}}), "--operation ID"),
        (api({"/a": {"get": {}}}, servers=[{"url": "/v1"}]), "--url"),
        (api({"/a": {"$ref": "other.json#/a"}}), "another file"),
        (api({"/a": {"$ref": "#/paths/~1a"}}), "refers to itself"),
        (api({f"/{n}": {"get": {}} for n in range(101)}), "101 operations"),
    ],
)
def test_what_is_no_document_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        read_openapi(content, set(), None)


def test_the_mix_that_is_written_runs(aurea: Any, target: RecordingServer, tmp_path: Path) -> None:
    """Of Aurea's own document: every operation that changes nothing is asked for, and each is a group."""
    page = Path(__file__).parents[2] / "docs" / "openapi.json"
    spec = tmp_path / "spec.json"
    code, _, err = aurea(
        "import", "openapi", page, "--url", target.url(), "--rate", "200", "--duration", "1s", "-o", spec
    )
    assert code == 0
    assert "get_run has values that were made up: run_id" in err
    assert aurea("run", spec, "--json", "-o", tmp_path / "result.json")[0] in (0, 6)
    groups = [group["name"] for group in json.loads((tmp_path / "result.json").read_text())["groups"]]
    assert {"health", "get_run"} <= set(groups)
    assert {request.target.partition("?")[0] for request in target.received} >= {"/health", "/benchmark/runs/string"}
