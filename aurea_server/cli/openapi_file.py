"""An OpenAPI document → the requests of its operations, with examples where it has some and made-up values elsewhere.

OpenAPI 3.0 and 3.1 (OpenAPI Initiative), as JSON. What an example says is taken; then a default, the first of an
enumeration, the least that is allowed; and at last any value of the type, which is said, since a server may not know it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aurea_engine import Problem, SpecError
from aurea_engine.fields.text_files import decode_text
from aurea_engine.targets.http.escaping import percent_encode, write_text
from aurea_engine.targets.http.pointers import compile_pointer
from aurea_server.cli.imported_requests import FORM_TYPE, escape_braces

MOST_BYTES = 32 * 1024**2
MOST_DEPTH = 8
"""Of a made-up value: schemas may refer to themselves."""
MOST_VALUES = 1000
"""In one request that are made up."""
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
SAFE = ("get", "head")
"""Methods that change nothing (RFC 9110, section 9.2.1): only these are taken unless others are asked for."""
_BY_FORMAT = {"date": "2026-01-01", "date-time": "2026-01-01T00:00:00Z", "email": "a@example.org", "uuid": "{{uuid}}"}
_BY_TYPE = {"integer": 1, "number": 1, "boolean": True, "string": "string", "null": None}


@dataclass
class OpenApiRequest:
    """One operation. ``members`` are those of a request, without credentials; ``made_up``: parameters without an example."""

    name: str
    members: dict[str, Any]
    made_up: list[str] = field(default_factory=list)
    problem: str = ""
    """Why it cannot be sent, in words that follow its name; empty where it can."""


class OpenApiFile:
    """A document whose references are followed. Raises SpecError for what is none."""

    def __init__(self, content: bytes) -> None:
        if len(content) > MOST_BYTES:
            raise SpecError(f"the file is larger than {MOST_BYTES // 1024**2} MiB")
        try:
            document = msgspec.json.decode(decode_text(content))
        except (msgspec.MsgspecError, RecursionError) as error:
            raise SpecError(f"must be an OpenAPI document in JSON; YAML has to be converted: {error}") from None
        version = document.get("openapi") if isinstance(document, dict) else None
        if not isinstance(version, str) or not version.startswith("3."):
            raise SpecError(
                [Problem("openapi", "must be 3.0 or 3.1; Swagger 2 has to be converted", ascii(version)[:20])]
            )
        self.document: dict[str, Any] = document
        self._values_left = MOST_VALUES

    def find_server(self) -> str | None:
        """The first server's URL, with the defaults of its variables; None where it is relative, or there is none."""
        servers = self.document.get("servers")
        first = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], dict) else {}
        url = first.get("url")
        if not isinstance(url, str):
            return None
        for name, variable in _object(first.get("variables")).items():
            url = url.replace(f"{{{name}}}", str(_object(variable).get("default", "")))
        return url.rstrip("/") if url.startswith(("http://", "https://")) else None

    def list_operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """(method, path, operation with the parameters of its path) of each."""
        for path, item in _object(self.document.get("paths")).items():
            resolved = self.resolve(item)
            for method in METHODS:
                if isinstance(operation := resolved.get(method), dict):
                    parameters = [*_list(resolved.get("parameters")), *_list(operation.get("parameters"))]
                    yield method, path, {**operation, "parameters": parameters}

    def resolve(self, value: Any) -> dict[str, Any]:
        """An object, where need be by following its reference. Raises SpecError for one that leads elsewhere."""
        # A reference may lead to another one; a ring of them would never end.
        for _ in range(MOST_DEPTH):
            reference = _object(value).get("$ref")
            if reference is None:
                return _object(value)
            if not isinstance(reference, str) or not reference.startswith("#/"):
                problem = "refers to another file: make one document of them"
                raise SpecError([Problem("$ref", problem, ascii(reference)[:60])])
            value = compile_pointer(reference[1:]).find(self.document)
        raise SpecError([Problem("$ref", "refers to itself", ascii(reference)[:60])])

    def make_request(self, method: str, path: str, operation: dict[str, Any]) -> OpenApiRequest:
        """The request of an operation; its URL begins with the path."""
        request, self._values_left = OpenApiRequest(name_operation(method, path, operation), {}), MOST_VALUES
        query, headers = list[str](), dict[str, Any]()
        for parameter in self._list_parameters(operation):
            name, where = str(parameter.get("name")), parameter.get("in")
            example, is_made_up = self._find_value(parameter)
            # What may be left out and has no example is left out: a default would be the server's own anyway.
            if where != "path" and not parameter.get("required") and not self._has_example(parameter):
                continue
            request.made_up += [name] if is_made_up else []
            if where == "path":
                path = path.replace(f"{{{name}}}", _encode(example))
            elif where == "query":
                query.append(f"{percent_encode(name)}={_encode(example)}")
            elif where == "header":
                headers[name] = _write(example)
        if unknown := re.search(r"(?<!\{)\{([^{}]+)\}", path):
            request.problem = f"has no parameter for {{{unknown[1]}}} of its path"
        request.members = {"url": path + ("?" + "&".join(query) if query else ""), "method": method.upper()}
        request.members |= {"headers": headers} if headers else {}
        self._add_body(request, self.resolve(operation.get("requestBody")))
        return request

    def _list_parameters(self, operation: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Each once: an operation's own parameter takes the place of its path's."""
        # Later ones replace earlier ones: the path's come first.
        resolved = [self.resolve(each) for each in operation["parameters"]]
        return list({(str(each.get("name")), str(each.get("in"))): each for each in resolved}.values())

    def _add_body(self, request: OpenApiRequest, body: Mapping[str, Any]) -> None:
        contents = _object(body.get("content"))
        for media_type, content in contents.items():
            if re.match(r"application/([\w.+-]*\+)?json\b", media_type):
                value, is_made_up = self._find_value(_object(content))
                request.members["json"] = value
            elif media_type.startswith(FORM_TYPE):
                value, is_made_up = self._find_value(_object(content))
                request.members["form"] = {name: _write(each) for name, each in _object(value).items()}
            else:
                continue
            request.made_up += ["the body"] if is_made_up else []
            return
        if contents and body.get("required"):
            request.problem = f"has a body of the type {next(iter(contents))}"

    def _has_example(self, parameter: Mapping[str, Any]) -> bool:
        schema = self.resolve(parameter.get("schema"))
        return any(name in each for each in (parameter, schema) for name in ("example", "examples"))

    def _find_value(self, described: Mapping[str, Any]) -> tuple[Any, bool]:
        """(value, whether it was made up) of a parameter or a body."""
        if "example" in described:
            return escape_braces(described["example"]), False
        for example in _object(described.get("examples")).values():
            if "value" in (resolved := self.resolve(example)):
                return escape_braces(resolved["value"]), False
        # A parameter may have its schema beside a media type.
        schema = described.get("schema")
        if schema is None:
            schema = _object(next(iter(_object(described.get("content")).values()), {})).get("schema")
        return self._make_value(self.resolve(schema), 0)

    def _make_value(self, schema: dict[str, Any], depth: int) -> tuple[Any, bool]:
        for name in ("example", "const", "default"):
            if name in schema:
                return escape_braces(schema[name]), False
        for name in ("examples", "enum"):
            if isinstance(schema.get(name), list) and schema[name]:
                return escape_braces(schema[name][0]), False
        # A tree whose nodes require nodes has no finite example: null ends it, and it is said that it was made up. Where
        # each node requires many, it does so long before that depth.
        self._values_left -= 1
        if depth >= MOST_DEPTH or self._values_left < 0:
            return None, True
        for name in ("oneOf", "anyOf"):
            if isinstance(schema.get(name), list) and schema[name]:
                return self._make_value(self.resolve(schema[name][0]), depth + 1)
        if isinstance(schema.get("allOf"), list):
            parts = [self._make_value(self.resolve(part), depth + 1) for part in schema["allOf"]]
            merged = {name: value for part, _ in parts for name, value in _object(part).items()}
            return merged, any(is_made_up for _, is_made_up in parts)
        return self._make_by_type(schema, depth)

    def _make_by_type(self, schema: dict[str, Any], depth: int) -> tuple[Any, bool]:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        if kind == "object":
            required = _list(schema.get("required"))
            # Only what is required: whoever wrote the document knows what may be left out.
            properties = {n: s for n, s in _object(schema.get("properties")).items() if n in required}
            made = {name: self._make_value(self.resolve(each), depth + 1) for name, each in properties.items()}
            return {name: value for name, (value, _) in made.items()}, any(flag for _, flag in made.values())
        if kind == "array":
            value, is_made_up = self._make_value(self.resolve(schema.get("items")), depth + 1)
            return [value], is_made_up
        if kind in ("integer", "number") and "minimum" in schema:
            return schema["minimum"], True
        if kind == "string" and str(schema.get("format")) in _BY_FORMAT:
            return _BY_FORMAT[str(schema["format"])], True
        return _BY_TYPE.get(str(kind), "string"), True


def name_operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    """Its id, or a name made of method and path."""
    said = operation.get("operationId")
    name = said if isinstance(said, str) and said else f"{method}_{path}"
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:60] or method


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _write(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_write, value))
    return write_text(value)


def _encode(value: Any) -> str:
    text = _write(value)
    # A template is percent-encoded when it is filled in.
    return text if text.startswith("{{") else percent_encode(text)
