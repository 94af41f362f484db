"""The one table of routes: it registers the handlers, and /openapi.json is built from it."""

from __future__ import annotations

from aiohttp import web

from aurea_engine.closed_sets import EXPORT_FORMATS, JOBS_SHOWN, RUN_ID_PATTERN
from aurea_server.http import (
    comparison,
    job_download,
    monitoring,
    page,
    report,
    run_submission,
    runs,
    server_sent_events,
)
from aurea_server.http.operation import (
    CURSOR,
    KEY,
    KNOWN,
    LABEL,
    LAST_EVENT,
    LIMIT,
    OF_SEARCH,
    PREFER,
    REPORT,
    RUN_ID,
    STATUS,
    Answer,
    Operation,
    Parameter,
)
from aurea_server.http.search_operations import SEARCH_OPERATIONS
from aurea_server.ui import pages

ROWS = Parameter("limit", "Jobs on a page.", {"type": "integer", "minimum": 1, "maximum": job_download.MAX_ROWS})
# Two cursors that are counted differently: pages of runs by a run's number, pages of jobs by a job's index.
FIRST = Parameter("cursor", "Number of the first job.", {"type": "integer", "minimum": 0, "maximum": 2**62})
STEPS = Parameter("limit", "Steps on a page.", {"type": "integer", "minimum": 1, "maximum": job_download.MAX_ROWS})
FIRST_STEP = Parameter("cursor", "Number of the first row.", {"type": "integer", "minimum": 0, "maximum": 2**62})
_ID = {"type": "string", "pattern": f"^{RUN_ID_PATTERN}$"}
RUN_A = Parameter("a", "The run to compare with.", _ID, required=True)
RUN_B = Parameter("b", "The run that is judged.", _ID, required=True)
_SHARE = {"type": "number", "minimum": 0, "maximum": 1, "default": 0.03}
TOLERANCE = Parameter("tolerance", "The shift up to which a figure is the same.", _SHARE)
ANYWAY = Parameter("anyway", "Judge also what cannot be compared.", {"type": "boolean", "default": False})
JOBS = Parameter(
    "jobs",
    "Jobs in the result, at most.",
    {"type": "integer", "minimum": 0, "maximum": JOBS_SHOWN, "default": JOBS_SHOWN},
)
FORMAT = Parameter("format", "Instead of `Accept`.", {"type": "string", "enum": list(EXPORT_FORMATS)})

# In the order of the handler's own table: the first is the default.
FORMS = tuple(offer.type for offer in job_download.FORMATS.values())
RESULT = Answer(
    "The run's result, whatever its `status`; `Location` where its Idempotency-Key was known.",
    "Result",
    headers=("Location",),
)
NOT_MODIFIED = Answer("It has ended, and the client has it.", None, (), headers=("ETag",))
RUN = Answer("The run's state and progress; once it has ended, its result.", "Run", headers=("ETag",))

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/benchmark/run",
        run_submission.run_benchmark,
        "run_benchmark",
        "Run a benchmark, and answer with its result, or at once.",
        {
            200: RESULT,
            # The run is in the ledger before this is sent, so its Location holds over a crash.
            202: Answer("Accepted: it is in the ledger.", "Run", headers=("Location", "Preference-Applied")),
        },
        (PREFER, KEY),
        "Specification",
        # 409 and 422 come only with an Idempotency-Key, or with strategies of installed packages.
        (409, 422, 429, 503),
    ),
    Operation(
        "POST",
        "/benchmark/check",
        run_submission.check_specification,
        "check_specification",
        "Whether a specification can be run here, without running it.",
        {200: Answer("The whole specification, with every default; or the problem document of the refusal.", "Checked")},
        (),
        "Specification",
        # As those of a run, but for a queue that is full of runs: 429 where many specifications are being checked.
        (422, 429, 503),
    ),
    Operation(
        "GET",
        "/benchmark/runs",
        runs.list_runs,
        "list_runs",
        "The runs, newest first.",
        {200: Answer("A page.", "RunPage", headers=("Link",))},
        (LIMIT, CURSOR, STATUS, OF_SEARCH, LABEL),
        refusals=(400, 503),
    ),
    Operation(
        "GET",
        "/benchmark/runs/{run_id}",
        runs.get_run,
        "get_run",
        "One run.",
        {200: RUN, 304: NOT_MODIFIED},
        (RUN_ID, KNOWN, JOBS),
        refusals=(400, 404, 503),
    ),
    Operation(
        "GET",
        "/benchmark/runs/{run_id}/jobs",
        job_download.get_jobs,
        "get_jobs",
        "The jobs of a run that has ended: a page, or all of them as CSV or NDJSON.",
        {200: Answer("A page, or a stream.", "JobPage", FORMS, ("Link", "Content-Disposition", "Vary"))},
        (RUN_ID, ROWS, FIRST, FORMAT),
        refusals=(400, 404, 406, 409, 503),
    ),
    Operation(
        "GET",
        "/benchmark/runs/{run_id}/steps",
        job_download.get_steps,
        "get_steps",
        "The steps of the jobs of a run that has ended, in the order of their jobs: a page.",
        {200: Answer("A page; empty where jobs have no steps.", "StepPage", headers=("Link",))},
        (RUN_ID, STEPS, FIRST_STEP),
        refusals=(400, 404, 409, 503),
    ),
    Operation(
        "GET",
        "/benchmark/runs/{run_id}/events",
        server_sent_events.get_events,
        "get_events",
        # A stream: it ends with the run, so it has no page and no limit.
        "Live: `state`, `progress` twice a second, `finding`, `end`.",
        {200: Answer("Server-sent events.", None, ("text/event-stream",))},
        (RUN_ID, LAST_EVENT),
        refusals=(404, 503),
    ),
    Operation(
        "GET",
        "/benchmark/events",
        server_sent_events.get_feed,
        "get_feed",
        "Live, from now on: the events of all runs and searches, each with its `id` and `number`, and `deleted`.",
        {200: Answer("Server-sent events.", None, ("text/event-stream",))},
        refusals=(503,),
    ),
    Operation(
        "GET",
        "/benchmark/runs/{run_id}/report",
        report.get_report,
        "get_report",
        "The report of a run that has ended: one HTML page with charts and all figures, which needs no script.",
        {200: REPORT},
        (RUN_ID,),
        refusals=(403, 404, 409, 429, 503),
    ),
    Operation(
        "GET",
        "/benchmark/runs/{run_id}/series",
        report.get_series,
        "get_series",
        "The run over time as columns, for charts: so far, or of a run that has ended.",
        {200: Answer("The columns.", "Series", headers=("ETag",)), 304: NOT_MODIFIED},
        (RUN_ID, KNOWN),
        refusals=(403, 404, 409, 429, 503),
    ),
    Operation(
        "POST",
        "/benchmark/runs/{run_id}/cancel",
        runs.cancel_run,
        "cancel_run",
        "End a run with what it has measured so far.",
        # 202, since the process may take the whole kill ladder; the run's resource says when it has ended.
        {202: Answer("It will end within seconds.", "Run")},
        (RUN_ID,),
        refusals=(404, 409, 503),
    ),
    Operation(
        "POST",
        "/benchmark/runs/{run_id}/reprice",
        runs.reprice_run,
        "reprice_run",
        "What a stored run costs under another model, without running it again.",
        {200: Answer("The bill.", "Repriced")},
        (RUN_ID,),
        "CostChoice",
        (404, 409, 422, 429, 503),
    ),
    Operation(
        "GET",
        "/benchmark/compare",
        comparison.compare_runs,
        "compare_runs",
        "Whether run b is slower than run a, or whether that was chance: a word for each figure, and for the whole.",
        {200: Answer("The comparison.", "Comparison")},
        (RUN_A, RUN_B, TOLERANCE, ANYWAY),
        refusals=(400, 403, 404, 409, 429, 503),
    ),
    Operation(
        "GET",
        "/benchmark/compare/report",
        comparison.get_comparison_report,
        "get_comparison_report",
        "The comparison as one HTML page, which needs no script.",
        {200: REPORT},
        (RUN_A, RUN_B, TOLERANCE, ANYWAY),
        refusals=(400, 403, 404, 409, 429, 503),
    ),
    Operation(
        "DELETE",
        "/benchmark/runs/{run_id}",
        runs.delete_run,
        "delete_run",
        "Delete a run that has ended.",
        # Asked again it is 404: a deleted run cannot be told from one that never existed.
        {204: Answer("It is gone.", None, ())},
        (RUN_ID,),
        refusals=(404, 409, 503),
    ),
    *SEARCH_OPERATIONS,
    Operation(
        "GET", "/health", monitoring.get_health, "health", "Whether it serves.", {200: Answer("It does.", "Health")},
        open=True, tags=("operations",),
    ),
    Operation(
        "GET", "/health/live", monitoring.get_liveness, "live", "For a liveness probe.", {200: Answer("Alive.", "Probe")},
        open=True, tags=("operations",),
    ),
    Operation(
        "GET", "/health/ready", monitoring.get_readiness, "ready", "For a readiness probe.",
        {200: Answer("Ready.", "Probe")}, refusals=(503,), open=True, tags=("operations",),
    ),
    Operation(
        "GET", "/metrics", monitoring.get_metrics, "metrics", "For Prometheus.",
        {
            200: Answer(
                "The text format, or OpenMetrics.", None, ("text/plain", "application/openmetrics-text"), ("Vary",)
            )
        },
        refusals=(406,), tags=("operations",),
    ),
    Operation(
        "GET", "/openapi.json", monitoring.get_openapi, "openapi", "This description.", {200: Answer("OpenAPI 3.1.", "Any")},
        open=True, tags=("operations",),
    ),
    Operation(
        "GET", "/", page.get_page, "page", "The web page.",
        {200: Answer("HTML.", None, ("text/html",))}, open=True, listed=False,
    ),
    Operation(
        "GET", "/ui/{folder}/{name}", page.get_file, "page_file", "What the web page is made of.",
        {200: Answer("A file.", None, ("*/*",))}, refusals=(404,), open=True, listed=False,
    ),
    Operation(
        "GET", "/docs", pages.index, "docs", "A page to read and try this interface.",
        {200: Answer("HTML.", None, ("text/html",))}, open=True, listed=False,
    ),
    Operation(
        "GET", "/docs/{name}", pages.asset, "docs_asset", "What the page is made of.",
        {200: Answer("A file.", None, ("*/*",))}, refusals=(404,), open=True, listed=False,
    ),
)  # fmt: skip

# Open are probes, which come from programs that have no secrets, and the pages that say how to use one.
OPEN_HANDLERS: frozenset[object] = frozenset(
    [page.redirect_to_page, *(operation.handler for operation in OPERATIONS if operation.open)]
)
"""By handler, since a path may have anything before it: a base path, or the prefix of an outer app."""


def register_routes(app: web.Application, base_path: str = "") -> None:
    """A route for each: under ``base_path``, for proxies that leave it, and at the root, for those that take it away.

    Those under the base path come first: a root route with a variable part (``/docs/{name}``) must not hide them.
    """
    # The order of registration is the order of matching.
    for prefix in dict.fromkeys((base_path, "")):
        for operation in OPERATIONS:
            app.router.add_route(operation.method, prefix + operation.path, operation.handler)
            if operation.method == "GET":
                app.router.add_route("HEAD", prefix + operation.path, operation.handler)
    # Last, since the base path may be one of our own paths, such as /docs.
    if base_path:
        app.router.add_get(base_path, page.redirect_to_page)
