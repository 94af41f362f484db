"""Which executor does the work of which leaf: the one that the leaf declares."""

from __future__ import annotations

from collections.abc import Sequence

from aurea_engine.closed_sets import EXECUTORS
from aurea_engine.errors import StrategyError
from aurea_engine.records.reports import ReportReader
from aurea_engine.run.executors.callbacks import Callbacks
from aurea_engine.run.executors.contract import Executor, ExecutorContext
from aurea_engine.run.executors.tasks import Tasks
from aurea_engine.run.executors.timers import Timers
from aurea_engine.run.step_columns import LeafSteps
from aurea_engine.workload.callbacks import CallbackPool
from aurea_engine.workload.jobs import Job, OpenedJob


def make_executors(
    context: ExecutorContext, leaves: Sequence[Job], opened: Sequence[OpenedJob | None], timers: Timers
) -> list[Executor]:
    """One for each leaf, of which ``opened`` holds what its `Job.opened` yielded. All leaves of timers share one."""
    # One reader for each leaf as well: what a job returns means what its own class declares.
    recorder = context.recorder
    readers = recorder.reports.readers
    steps = recorder.steps.leaves if recorder.steps is not None else [None] * len(readers)
    return [_make_executor(context, *each, timers) for each in zip(leaves, opened, readers, steps, strict=True)]


def _make_executor(
    context: ExecutorContext,
    leaf: Job,
    opened: OpenedJob | None,
    reader: ReportReader | None,
    steps: LeafSteps | None,
    timers: Timers,
) -> Executor:
    """What does the work of ``leaf``, of which ``opened`` is what its `Job.opened` yielded. ``reader`` reads its reports,
    and ``steps`` takes its steps.
    """
    # A leaf that opens something else than its executor needs would fail with its first job, and with every other: its
    # author is told before the window opens.
    name = type(leaf).__name__
    match leaf.executor:
        # Whatever its `opened` would yield: it is not opened at all.
        case "timers":
            return timers
        case "callbacks":
            if not isinstance(opened, CallbackPool):
                raise StrategyError(
                    f"{name}.opened must yield a CallbackPool, as {name}.executor says, not {opened!r:.100}"
                )
            return Callbacks(context, opened, reader, steps)
        # The same executor: that the cores are busy is the pump's concern, which then does not spin.
        case "tasks" | "cpu_workers":
            if isinstance(opened, CallbackPool) or not callable(opened):
                raise StrategyError(f"{name}.opened must yield what does one job, a function, not {opened!r:.100}")
            return Tasks(context, opened, reader)
        # A subclass may say anything: the type checker does not see other people's code.
        case other:
            raise StrategyError(f"{name}.executor must be one of {', '.join(EXECUTORS)}, not {other!r:.100}")
