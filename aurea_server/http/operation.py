"""What an operation of the interface is, and the parameters that several have: the words of the table in `operations`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from aurea_engine.closed_sets import RUN_ID_PATTERN, SEARCH_ID_PATTERN, STATES
from aurea_server.http import runs
from aurea_server.http.problems import Handler


@dataclass(frozen=True)
class Parameter:
    """``schema``: JSON Schema of the value."""

    name: str
    about: str
    schema: Mapping[str, object]
    place: Literal["query", "header", "path"] = "query"
    required: bool = False


@dataclass(frozen=True)
class Answer:
    """One status. ``schema`` names a component; ``headers``: those that it carries."""

    about: str
    schema: str | None = None
    content: tuple[str, ...] = ("application/json",)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """``body``: component of the request. ``refusals``: codes beyond those that every operation of its kind has.

    ``open``: it needs no token. ``listed``: it is part of the interface, not of the pages about it.
    """

    method: str
    path: str
    handler: Handler
    name: str
    about: str
    answers: Mapping[int, Answer]
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None
    refusals: tuple[int, ...] = ()
    open: bool = False
    listed: bool = True
    tags: tuple[str, ...] = field(default=("runs",))


RUN_ID = Parameter("run_id", "As in `benchmark_id`.", {"type": "string", "pattern": f"^{RUN_ID_PATTERN}$"}, "path")
# Visible ASCII only: a key becomes a row of the ledger and may come back in a log.
KEY = Parameter(
    "Idempotency-Key",
    "The same key with the same body is the same run, for a day and over a restart.",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "header",
)
PREFER = Parameter("Prefer", "`respond-async` answers at once, with 202.", {"type": "string"}, "header")
KNOWN = Parameter("If-None-Match", "The `ETag` of a result that the client has.", {"type": "string"}, "header")
LAST_EVENT = Parameter("Last-Event-ID", "Only events after this one.", {"type": "string"}, "header")
# Bounds are those that the handlers check; they import nothing from here, so the numbers stand with them.
LIMIT = Parameter("limit", "Runs on a page.", {"type": "integer", "minimum": 1, "maximum": runs.MAX_RUNS_LISTED})
CURSOR = Parameter("cursor", "From `next` of the page before.", {"type": "integer", "minimum": 1, "maximum": 2**62})
OF_SEARCH = Parameter(
    "search",
    "Only trials of this search; `none`: no trials.",
    {"type": "string", "pattern": f"^({SEARCH_ID_PATTERN}|none)$"},
)
LABEL = Parameter(
    "label", "Only those whose label has this text in it.", {"type": "string", "maxLength": runs.MOST_LABEL}
)
SEARCH_ID = Parameter(
    "search_id", "As in `search_id`.", {"type": "string", "pattern": f"^{SEARCH_ID_PATTERN}$"}, "path"
)
REPORT = Answer("HTML, with a policy of its own.", None, ("text/html",))
STATUS = Parameter("status", "Only those in this state.", {"type": "string", "enum": list(STATES)})
