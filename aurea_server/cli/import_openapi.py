"""``aurea import openapi``: the operations of an API become a mix of requests, each a group of the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from aurea_engine import Problem, SpecError
from aurea_server.cli.credentials import PREFIX, name_variable
from aurea_server.cli.imported_requests import Imported, ImportOptions, write_imported
from aurea_server.cli.input_files import read_bytes
from aurea_server.cli.openapi_file import MOST_BYTES, SAFE, OpenApiFile, OpenApiRequest, name_operation

MOST_OPERATIONS = 100
"""Branches of a mix: each is a group with figures of its own."""


def import_openapi_command(
    file: Path,
    /,
    *,
    operation: Annotated[list[str], Parameter(negative=(), show_default=False)] = [],  # noqa: B006 - cyclopts reads the default and changes nothing
    url: str | None = None,
    options: ImportOptions = ImportOptions(),
) -> int:
    """Write a specification of the operations of an OpenAPI document: a mix, in which each of them is a group.

    Only GET and HEAD are taken unless others are named, since the rest changes data. Values are those of the document's
    examples; what had to be made up is listed, and so are the credentials that must be supplied.

    Parameters
    ----------
    file
        An OpenAPI document, 3.0 or 3.1, as JSON; ``-`` reads stdin.
    operation
        Take this operation only, by its id; may be given more than once.
    url
        Where the API is, such as http://127.0.0.1:8080/api; the first of its servers if not given.
    """
    options.check()
    return write_imported(read_openapi(read_bytes(file, MOST_BYTES), set(operation), url), options)


def read_openapi(content: bytes, chosen: set[str], url: str | None) -> Imported:
    """The requests of the operations. Raises SpecError."""
    document = OpenApiFile(content)
    base = (url or document.find_server() or "").rstrip("/")
    if not base:
        raise SpecError([Problem("--url", "is needed: the document names no server with a whole URL")])
    imported = Imported("imported from OpenAPI", is_mix=True)
    for request, security in _list_requests(document, chosen, imported):
        if request.problem:
            imported.remarks.append(f"{request.name} was left out: it {request.problem}")
            continue
        if request.made_up:
            imported.remarks.append(f"{request.name} has values that were made up: {', '.join(request.made_up)}")
        request.members["url"] = base + request.members["url"]
        _add_security(document, request, security, imported)
        imported.steps.append({"name": request.name, **request.members})
    if not imported.steps:
        raise SpecError("there is no operation that could be called: --operation ID takes one that is not GET or HEAD")
    if len(imported.steps) > MOST_OPERATIONS:
        number = f"{len(imported.steps)} operations are more than {MOST_OPERATIONS}"
        raise SpecError([Problem("--operation", f"has to choose some: {number}")])
    return imported


def _list_requests(document: OpenApiFile, chosen: set[str], imported: Imported) -> Iterator[tuple[OpenApiRequest, Any]]:
    """(request, its security) of the operations that are ``chosen``, or of the safe ones."""
    operations = list(document.list_operations())
    names = {name_operation(*each) for each in operations}
    if unknown := chosen - names:
        known = ", ".join(sorted(names)[:20]) or "none"
        raise SpecError(
            [Problem("--operation", f"must be an operation of the document: {known}", ascii(min(unknown))[:40])]
        )
    left_out = 0
    for method, path, operation in operations:
        if name_operation(method, path, operation) in chosen if chosen else method in SAFE:
            request = document.make_request(method, path, operation)
            yield request, operation.get("security", document.document.get("security"))
        else:
            left_out += 1
    if left_out and not chosen:
        imported.remarks.append(f"left out {left_out} operations that may change data: --operation ID takes one")


def _add_security(document: OpenApiFile, request: OpenApiRequest, security: Any, imported: Imported) -> None:
    """References to the credentials of the first way in that the document allows."""
    first = security[0] if isinstance(security, list) and security and isinstance(security[0], Mapping) else {}
    schemes = document.resolve(document.resolve(document.document.get("components")).get("securitySchemes"))
    # Each entry of the list is enough by itself; all schemes of one entry are needed together.
    for name in first:
        scheme = document.resolve(schemes.get(name))
        kind, where = scheme.get("type"), scheme.get("in")
        if kind == "apiKey" and where == "header":
            header = str(scheme.get("name"))
            request.members.setdefault("headers", {})[header] = {"env": name_variable(header)}
        elif kind == "http" and scheme.get("scheme") == "basic":
            request.members["auth"] = {"basic": {"env": f"{PREFIX}BASIC"}}
        elif kind in ("oauth2", "openIdConnect") or scheme.get("scheme") == "bearer":
            request.members["auth"] = {"bearer": {"env": f"{PREFIX}BEARER"}}
        else:
            imported.needed.append(f"{request.name}: {scheme.get('name', name)}, by the security scheme {name}")
