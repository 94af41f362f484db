"""Which records of a run are those of requests to language models: in a mix, beside other kinds of jobs, some groups are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aurea_engine.records.batch import JobBatch
from aurea_engine.records.measures import find_declared
from aurea_engine.workload.job_steps import name_step_groups
from aurea_engine.workload.jobs import JobSource

OUTPUT = "output_tokens"


def mask_chats(job: JobSource, rows: JobBatch, measure: str = OUTPUT) -> NDArray[np.bool_]:
    """Mask of the ``rows``, records of jobs or of steps of ``job``, that are requests to language models: of jobs that
    report ``measure``.

    By what each kind of job declares that it reports, and not by what it did report: an answer that was cut off reports
    nothing.
    """
    if rows.group is None:
        return np.ones(len(rows), bool)
    leaves, groups = job.leaves(), job.groups()
    chats = {
        name
        for i, steps in enumerate(name_step_groups(leaves, groups))
        for name in (*groups[i : i + 1], *steps)
        if find_declared(leaves[i].measures, measure) is not None
    }
    return np.isin(rows.group, [number for number, name in enumerate(rows.groups) if name in chats])
