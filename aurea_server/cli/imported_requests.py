"""The last step of every ``aurea import``: imported requests → a specification that runs, without credentials.

One request becomes a job of kind ``http``, several become the steps of a ``flow``, in their order. What could not be taken
over is said on stderr, in words that name the remedy.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote_plus

import msgspec
from cyclopts import Parameter

from aurea_engine import SpecError, default_catalog, encode_json, spec_from_dict
from aurea_engine.targets.http.requests import CONTENT_TYPES
from aurea_server.cli.credentials import is_credential, list_needed, list_variables, split_userinfo, take_credentials
from aurea_server.cli.number_format import make_printable
from aurea_server.cli.run_options import parse_quantity
from aurea_server.stdio.output_files import check_output, write_output
from aurea_server.stdio.standard_streams import write_out

OWN_HEADERS = frozenset(
    {"content-length", "connection", "transfer-encoding", "keep-alive", "proxy-connection"}
    | {"te", "trailer", "upgrade", "expect"}
)
"""Headers that belong to one connection or one message: the client of the benchmark writes its own."""

FORM_TYPE = CONTENT_TYPES["form"]
MOST_REDIRECTS = 10
"""Of an imported command: a client that follows more of them measures the redirects."""


@dataclass
class Imported:
    """Requests on their way into a specification, with remarks on what was changed or left out."""

    label: str
    is_mix: bool = False
    """Whether its requests are independent of each other, and no flow."""
    steps: list[dict[str, Any]] = field(default_factory=list)
    """The members of each request, as in a specification; ``think`` among them where it is known."""
    remarks: list[str] = field(default_factory=list)
    needed: list[str] = field(default_factory=list)
    """What was left out and must be supplied by hand, since no variable can stand for it."""
    files: dict[Path, bytes] = field(default_factory=dict)
    """Bodies that are no text, to be written beside the specification."""


@Parameter(name="*")
@dataclass(frozen=True)
class ImportOptions:
    """Options that every ``aurea import`` has."""

    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
    "Write the specification to this file, such as spec.json; without it, to stdout."

    rate: str | None = None
    "How many requests (or flows) begin per second, such as 20/s; 1 if not given."

    duration: str | None = None
    "For how long they begin, such as 2m; 10s if not given."

    users: int | None = None
    "So many users who each wait for the end of one before they begin the next, in place of --rate."

    def check(self) -> None:
        """Raises SpecError for options that cannot be obeyed."""
        check_output(self.output)
        if self.rate is not None and self.users is not None:
            raise SpecError("--rate and --users exclude each other: requests begin at a rate, or when users are free")

    def arrivals(self) -> dict[str, Any]:
        if self.users is not None:
            return {"kind": "closed", "users": self.users}
        # One a second, not the fifty of `aurea http`: what is imported was recorded from a site that is in use.
        return {"kind": "constant", "rate": parse_quantity(self.rate or "1")}


def write_imported(imported: Imported, options: ImportOptions) -> int:
    """Write the specification, and say on stderr what was left out. Returns the exit code. Raises SpecError."""
    document, taken = take_credentials(make_document(imported, options), by_target=True)
    # Read back at once: what is written runs, or the reason is told here, by the name that the user knows.
    spec_from_dict(document, default_catalog())
    encoded = msgspec.json.format(encode_json(document), indent=2) + b"\n"
    if options.output is None:
        write_out(encoded)
    else:
        for path, body in imported.files.items():
            write_output(path, [body])
        write_output(options.output, [encoded])
    # A variable that a command or a document named itself has to be set as well.
    named = {each.variable for each in taken}
    own = [f"  {name}" for name in list_variables(document) if name not in named]
    _report(imported, [*list_needed(taken), *own], options.output)
    return 0


def make_document(imported: Imported, options: ImportOptions) -> dict[str, Any]:
    job = {"kind": "http", **imported.steps[0]}
    if imported.is_mix:
        steps = _name_steps(imported.steps)
        branches = [{"kind": "http", **{name: step[name] for name in step if name != "name"}} for step in steps]
        branches = [{"weight": 1, "name": step["name"], "job": job} for step, job in zip(steps, branches, strict=True)]
        job = {"kind": "mix", "of": branches}
    elif len(imported.steps) > 1:
        job = {"kind": "flow", "steps": _name_steps(imported.steps)}
    else:
        job.pop("think", None)
    workload = {"job": job, "arrivals": options.arrivals(), "duration": parse_quantity(options.duration or "10s")}
    return {"label": imported.label, "workload": workload}


def _name_steps(steps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each step with a name of its own, by which results and groups call it."""
    seen: dict[str, int] = {}
    named = []
    for step in steps:
        name = step.get("name") or name_step(step.get("method", "GET"), step["url"])
        seen[name] = seen.get(name, 0) + 1
        # Names of groups must differ: the same page may have been asked for twice.
        named.append({"name": "", **step} | {"name": name if seen[name] == 1 else f"{name}_{seen[name]}"})
    return named


def name_step(method: str, url: str) -> str:
    """A name from the method and the end of the path, such as ``get_cart_items``."""
    path = re.sub(r"^[a-z]+://[^/?#]*|^unix:[^:]*:", "", url).partition("?")[0].partition("#")[0]
    # The end of a path tells more than its beginning, which is often only "api/v1".
    words = [word for word in re.split(r"[^A-Za-z0-9]+", path) if word][-2:]
    return "_".join([method.lower(), *(word.lower()[:24] for word in words)])[:60]


def find_authority(url: str) -> str:
    """Host and port of a URL as they are written, right or wrong; an empty text for a Unix socket."""
    return re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]


def clean_headers(headers: Iterable[tuple[str, str]], host: str) -> dict[str, str]:
    """Headers as members of a specification, without those of one connection, and without ``host`` where it is the URL's."""
    kept: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        # Recordings of HTTP/2 hold its pseudo headers, ":authority" and the like; HTTP/1.1 says the same in its first line.
        if name.startswith(":") or lower in OWN_HEADERS or (lower == "host" and value.lower() == host.lower()):
            continue
        # Two headers of one name are one, with a comma between (RFC 9110, section 5.3); cookies have semicolons.
        first = names.setdefault(lower, name)
        joint = "; " if lower == "cookie" else ", "
        kept[first] = f"{kept[first]}{joint}{value.strip()}" if first in kept else value.strip()
    return kept


def drop_tokens(url: str) -> tuple[str, list[str]]:
    """A URL without the parameters that look like credentials, and their names."""
    before, mark, after = url.partition("?")
    query, hash_mark, fragment = after.partition("#")
    kept, dropped = _drop_pairs(query)
    return before + (mark if kept else "") + "&".join(kept) + hash_mark + fragment, dropped


def _drop_pairs(query: str) -> tuple[list[str], list[str]]:
    kept: list[str] = []
    dropped: list[str] = []
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        if is_credential(unquote_plus(name), unquote_plus(value)):
            dropped.append(unquote_plus(name))
        else:
            kept.append(pair)
    return kept, dropped


def empty_secrets(body: str, content_type: str) -> tuple[str, list[str]]:
    """A body without the values of passwords and tokens: fields of a form, members of a JSON object at any depth."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "":  # nothing says what it is: its look does
        kind = "application/json" if body.lstrip()[:1] in ("{", "[") else FORM_TYPE
    if kind == FORM_TYPE:
        return _empty_fields(body)
    if kind == "application/json" or kind.endswith("+json"):
        return _empty_members(body)
    return body, []


def _empty_fields(body: str) -> tuple[str, list[str]]:
    pairs, emptied = [], []
    for pair in body.split("&"):
        name, mark, value = pair.partition("=")
        is_secret = is_credential(unquote_plus(name), unquote_plus(value))
        # The field stays, since a server may refuse a form that lacks one in another way than a wrong password.
        pairs.append(name + mark if is_secret else pair)
        emptied += [unquote_plus(name)] if is_secret else []
    return "&".join(pairs), emptied


def _empty_members(body: str) -> tuple[str, list[str]]:
    emptied: list[str] = []

    def visit(value: Any) -> Any:
        if isinstance(value, list):
            return [visit(each) for each in value]
        if not isinstance(value, Mapping):
            return value
        found = {n for n, v in value.items() if isinstance(v, str) and v and is_credential(n, v)}
        emptied.extend(sorted(found))
        return {name: "" if name in found else visit(member) for name, member in value.items()}

    try:
        cleaned = visit(msgspec.json.decode(body))
    except (msgspec.MsgspecError, RecursionError):
        return body, []  # it says it is JSON and is none: there are no members to look at
    # As it came where nothing was found: blanks and the order of digits are the sender's own.
    return (msgspec.json.encode(cleaned).decode(), emptied) if emptied else (body, [])


def escape_braces(value: Any) -> Any:
    """Two opening braces, at any depth, as a template writes them: what was recorded is no template."""
    # Nothing else of a recorded text has a meaning in a specification.
    if isinstance(value, str):
        return value.replace("{{", "{{'{{'}}")
    if isinstance(value, dict):
        return {name: escape_braces(member) for name, member in value.items()}
    return [escape_braces(each) for each in value] if isinstance(value, list) else value


def take_tokens(imported: Imported, step: dict[str, Any], where: str) -> None:
    """Take what looks like a credential out of the URL and the body of ``step``, and note what must be supplied."""
    # A percent sign that begins no escape is sent by browsers as it is; a specification spells it out.
    step["url"], dropped = drop_tokens(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", step["url"]))
    imported.needed += [f"{where}: the parameter {name} of the url" for name in dropped]
    _clean_referer(step.get("headers", {}))
    if isinstance(step.get("body"), str):
        headers = {name.lower(): value for name, value in step.get("headers", {}).items()}
        step["body"], emptied = empty_secrets(step["body"], headers.get("content-type", ""))
        imported.needed += [f"{where}: {name} in the body" for name in emptied]


def _clean_referer(headers: dict[str, Any]) -> None:
    """The page that a request came from, without what its URL holds of credentials."""
    for name, value in headers.items():
        # Nothing has to be supplied for it: no server takes a credential from there.
        if name.lower() == "referer":
            headers[name] = drop_tokens(split_userinfo(value)[0])[0]


def _report(imported: Imported, variables: Sequence[str], output: Path | None) -> None:
    # On stderr, since stdout may be the specification itself. Names come from a recording: they are shown, never obeyed.
    lines = [f"{make_printable(remark)}" for remark in imported.remarks]
    if imported.needed:
        lines.append("credentials were left out; write into the specification what it needs:")
        lines += [f"  {make_printable(each)}" for each in imported.needed]
    if variables:
        lines.append("credentials were left out; set these environment variables before it runs:")
        lines += [make_printable(line) for line in variables]
    if output is not None:
        lines.append(f"run it with: aurea run {make_printable(str(output))}")
    sys.stderr.write("".join(f"aurea: {line}\n" if line[0] != " " else f"{line}\n" for line in lines))
