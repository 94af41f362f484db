"""The rows of the table of operations that are about capacity searches."""

from __future__ import annotations

from aurea_server.http import report, searches
from aurea_server.http.operation import (
    CURSOR,
    KEY,
    KNOWN,
    LAST_EVENT,
    LIMIT,
    PREFER,
    REPORT,
    SEARCH_ID,
    STATUS,
    Answer,
    Operation,
)

SEARCH = Answer("The search's state and progress; once it has ended, its answer.", "Search")

SEARCH_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/benchmark/searches",
        searches.start_search,
        "start_search",
        "Search the capacity of a system: the largest rate, or the fewest slots, at which the objectives hold.",
        # The search is in the ledger before this is sent, so its Location holds over a crash.
        {202: Answer("Accepted: it is in the ledger.", "Search", headers=("Location", "Preference-Applied"))},
        (PREFER, KEY),
        "SearchSpecification",
        (409, 422, 429, 503),
        tags=("searches",),
    ),
    Operation(
        "GET",
        "/benchmark/searches",
        searches.list_searches,
        "list_searches",
        "The searches, newest first.",
        {200: Answer("A page.", "SearchPage", headers=("Link",))},
        (LIMIT, CURSOR, STATUS),
        refusals=(400, 503),
        tags=("searches",),
    ),
    Operation(
        "GET",
        "/benchmark/searches/{search_id}",
        searches.get_search,
        "get_search",
        "One search: its trials and bracket so far, and its answer once it has ended.",
        {200: SEARCH, 304: Answer("It has ended, and the client has it.", None, (), headers=("ETag",))},
        (SEARCH_ID, KNOWN),
        refusals=(404, 503),
        tags=("searches",),
    ),
    Operation(
        "GET",
        "/benchmark/searches/{search_id}/report",
        report.get_search_report,
        "get_search_report",
        "The report of a search that has ended: one HTML page with its trials, bracket and costs, which needs no script.",
        {200: REPORT},
        (SEARCH_ID,),
        refusals=(403, 404, 409, 429, 503),
        tags=("searches",),
    ),
    Operation(
        "GET",
        "/benchmark/searches/{search_id}/events",
        searches.get_search_events,
        "get_search_events",
        "Live: `state`, each `trial` as it ends, the `bracket` as it moves, `end`.",
        {200: Answer("Server-sent events.", None, ("text/event-stream",))},
        (SEARCH_ID, LAST_EVENT),
        refusals=(404, 503),
        tags=("searches",),
    ),
    Operation(
        "POST",
        "/benchmark/searches/{search_id}/cancel",
        searches.cancel_search,
        "cancel_search",
        "End a search, and its trial with it.",
        {202: Answer("It will end within seconds.", "Search")},
        (SEARCH_ID,),
        refusals=(404, 409, 503),
        tags=("searches",),
    ),
    Operation(
        "DELETE",
        "/benchmark/searches/{search_id}",
        searches.delete_search,
        "delete_search",
        "Delete a search that has ended, and its trials.",
        {204: Answer("They are gone.", None, ())},
        (SEARCH_ID,),
        refusals=(404, 409, 503),
        tags=("searches",),
    ),
)
