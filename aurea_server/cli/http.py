"""``aurea http URL``: requests to one URL, without a specification file."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from aurea_engine import Access, Catalog, Problem, RunSpec, SpecError, default_catalog, encode_json, spec_from_dict
from aurea_server.cli.credentials import Credential, list_needed, take_credentials
from aurea_server.cli.http_options import RequestOptions, collect
from aurea_server.cli.load_options import FLAGS, LoadOptions, name_flags
from aurea_server.cli.local_run import OutputOptions, Place, run_here
from aurea_server.cli.reprice import read_model_document
from aurea_server.cli.shard_options import ShardOptions
from aurea_server.stdio.output_files import check_output, write_output


def http_command(
    *url: str,
    request: RequestOptions = RequestOptions(),
    load: LoadOptions = LoadOptions(),
    shards: ShardOptions = ShardOptions(),
    cost: str | None = None,
    floor: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    save: Path | None = None,
    output: OutputOptions = OutputOptions(),
) -> int:
    """Send requests to a URL at a steady rate, and report response times, failures and cost.

    Response times count from the instant at which a request was meant to begin, so a server that stalls cannot hide it.
    Exit codes are those of ``aurea run``.

    Parameters
    ----------
    url
        Such as http://127.0.0.1:8080/path, https://example.org/ or unix:/run/app.sock:/path.
    cost
        A cost model: JSON, a file, or the name of a kind.
    floor
        After the run, also measure how fast this client can be, against a server that answers at once.
    save
        Save the specification to this file: ``aurea run FILE`` runs it again, with the same seed.
    """
    check_output(output.output)
    check_output(output.report, "--report")
    check_output(save, "--save")
    catalog = default_catalog().with_entry_points()
    document, taken = make_document(choose_url(url), request, load, cost)
    _check_body_file(document["workload"]["job"].get("file"))
    spec = make_spec(document, catalog)
    place = Place(shards.choose(), shards.dask.choose(spec))
    measure = None
    if floor:
        from aurea_server.cli.floor import make_measurer  # noqa: PLC0415 - what only a floor needs is loaded by it

        measure = make_measurer(spec, catalog)
    if save is not None:
        save_document(shards.add_to(document), save, taken)
    access = Access(given={each.variable: each.value for each in taken})
    return run_here(spec, catalog, output, access=access, floor=measure, place=place)


def choose_url(given: tuple[str, ...], example: str = "http://127.0.0.1:8080/") -> str:
    """The one URL. Raises SpecError, with a hint where something else was meant."""
    if not given:
        raise SpecError([Problem("URL", f"is missing: give one, such as {example}")])
    for extra in given[1:]:
        if extra.lstrip().startswith(("{", "[", "@")):
            raise SpecError(
                [Problem("--json", "prints the result as JSON: a body of JSON is --data-json", ascii(extra)[:40])]
            )
    if len(given) > 1:
        raise SpecError(
            [Problem("URL", "must be one: several requests are a flow, in a file for aurea run", ascii(given[1])[:40])]
        )
    return given[0]


def make_document(
    url: str, request: RequestOptions, load: LoadOptions, cost: str | None = None
) -> tuple[dict[str, Any], list[Credential]]:
    """The specification as plain data, with its seed and without credentials; and those. Raises SpecError."""
    problems: list[Problem] = []
    job = collect(problems, lambda: request.make_job(url))
    document = collect(problems, lambda: load.add_to(job))
    if problems:
        raise SpecError(problems)
    if cost is not None:
        document["cost"] = read_model_document(cost)
    # Drawn here, so that the run and the file that is saved have the same one.
    document.setdefault("seed", secrets.randbits(53))
    cleaned, taken = take_credentials(document)
    return cleaned, taken


def _check_body_file(name: str | None) -> None:
    # Before anything is printed or run: the run itself knows the file as a member of the job, not as the flag's value.
    if name is not None and not os.access(name, os.R_OK):
        problem = "must be a text, or @ and the name of a file that can be read"
        raise SpecError([Problem("--data", problem, ascii(f"@{name}")[:300])])


def make_spec(document: dict[str, Any], catalog: Catalog, flags: Mapping[str, str] = FLAGS) -> RunSpec:
    """The specification of ``document``. Raises SpecError, by the ``flags`` that the user knows."""
    try:
        return spec_from_dict(document, catalog)
    except SpecError as error:
        raise name_flags(error, flags) from None


def save_document(document: dict[str, Any], file: Path, taken: list[Credential]) -> None:
    """Before the run: an interrupted run leaves the file with which it can be repeated."""
    write_output(file, [msgspec.json.format(encode_json(document), indent=2) + b"\n"], "--save")
    if taken:
        lines = "\n".join(list_needed(taken))
        sys.stderr.write(
            f"aurea: {file} holds no credentials; set these environment variables before it runs:\n{lines}\n"
        )
