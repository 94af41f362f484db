"""The names of the columns of a record, once for the whole repository: batches, rows, files and checks import them."""

from __future__ import annotations

INSTANTS = ("intended", "released", "started", "finished")
"""int64 nanoseconds since the window opened, in the order in which they are stored. Every record has them."""

COLUMNS = (*INSTANTS, "outcome")
"""What every record has: 33 bytes. Marks, measures and a group come after these, and only where a job declares them."""

RESERVED = frozenset(
    {
        *COLUMNS,
        # Members of a record as JSON and CSV write it, beside the columns.
        *("job_id", "latency", "cost", "timestamp", "response_time", "failure", "group", "marks", "measures"),
        # What an objective may name without asking the job.
        *("waiting_time", "service_time", "lag", "failure_ratio", "throughput", "goodput", "cost_per_job"),
    }
)
"""No mark and no measure may have such a name: a column of a CSV file and the metric of an objective must be one thing."""
