"""What queries name of the tables of runs and searches."""

from __future__ import annotations

LISTED = (
    "id, state, created_ms, started_ms, ended_ms, label, spec, figures, reason, records_bytes,"
    " (SELECT search_id FROM trial WHERE run_id = id) AS search_id"
)
"""What a list shows, in the order of `StoredRun`."""

# instr() and not LIKE, in which some characters stand for others.
ON_PAGE = """number < :before AND (:state IS NULL OR state = :state)
    AND (:search_id IS NULL OR (:search_id = 'none' AND id NOT IN (SELECT run_id FROM trial))
        OR id IN (SELECT run_id FROM trial WHERE search_id = :search_id))
    AND (:label IS NULL OR instr(lower(label), lower(:label)))"""
"""What is on a page of the list: below a number; where they are given, in a state, of a search or of none,
with a text in the label."""

INTERRUPTED_TABLE = """(SELECT number, id, CASE WHEN lost THEN 'interrupted' ELSE state END AS state,
    created_ms, started_ms, CASE WHEN lost THEN :lost_ms ELSE ended_ms END AS ended_ms, label, spec, figures,
    CASE WHEN lost THEN :lost_reason ELSE reason END AS reason,
    records_bytes, head FROM (SELECT *, state IN ('queued', 'running') AS lost FROM run))"""
"""The table as it will be once those runs are recorded as interrupted."""

UNENDED = """SELECT id FROM run WHERE state IN ('queued', 'running')
    UNION ALL SELECT id FROM search WHERE state IN ('queued', 'running')"""
"""What no server can end any more, when the one that reads it has just started."""
