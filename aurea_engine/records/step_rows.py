"""Records of steps → JSON values, one object a step."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import repeat
from typing import Any

from aurea_engine.records.rows import record_rows
from aurea_engine.records.steps import StepBatch

_OF_JOBS = ("job_id", "group", "cost")
"""Members of a job's row that a step has otherwise, or not at all."""


def step_rows(benchmark_id: str, started_at: datetime, steps: StepBatch) -> Iterator[dict[str, Any]]:
    """Steps as JSON values: the id of their job, their name (``step``), and the members of `record_rows` but the cost."""
    rows = record_rows(benchmark_id, started_at, steps.rows, repeat(0.0, len(steps)))
    for job, row in zip(steps.jobs.tolist(), rows, strict=True):
        rest = {name: value for name, value in row.items() if name not in _OF_JOBS}
        yield {"job_id": f"{benchmark_id}-job-{job}", "step": row["group"], **rest}
